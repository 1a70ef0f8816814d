# SPDX-License-Identifier: GPL-3.0-or-later
"""The opening range: high and low of a session's first half hour, and the breakout from it.

The range is [09:30, 10:00) New York of the regular session, by the exchange calendar: half days,
holidays and summer time are the calendar's. Bars are stamped at their right edge, so those of one
minute are 09:31 to 10:00; the line is there from the bar at 10:00 on, and the first breakout can
be at 10:01. `minutes` - 2 of the minutes must have traded: 28 of 30 bars of one minute, 14 of 15 of
two minutes, all of 5, 10 and 15. Bars outside regular hours never count; neither does a bar
without volume, in which there was no price.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import fsum, isnan, nan
from typing import Any, NamedTuple

import backtrader as bt
import numpy as np
from numpy.typing import NDArray

from iverson.errors import ConfigError
from iverson.market.hours import since_open, since_opens
from iverson.signals.sessions import Past

MISSING = 2  # minutes of the range that may have no bar
Floats = NDArray[np.float64]


class OpeningRange(bt.Indicator):
    """Lines of the opening range; NaN until it is complete, and all day when it is not valid.

    high, low: of the range, in the units of the data's price lines.
    breakout: 1.0 at the session's first bar that closes above `high`, -1.0 at the first that closes
        below `low`, whichever comes first, once a session; else 0.0.
    gap: the session's open / the last close before the session - 1, a fraction.
    atr: mean true range of the last `sessions` sessions, in price units.
    width: (high - low) / atr.
    relative_volume: shares traded in the range / their mean in the last `sessions` sessions, those
        without a valid range left out; NaN when that leaves less than half.

    On a feed with a split factor all of them are corrected for splits, because its lines are.

    Parameters
    ----------
    minutes: length of the range from the open; a whole number of bars.
    until: no breakout later than so many minutes before the close; 60 is 15:00, 12:00 on half days.
    sessions: sessions looked back. The first session of the data is not used at all: it may have
        begun before its first bar.

    Notes
    -----
    The mean over sessions, instead of Wilder's endless smoothing, makes every line independent of
    all before the last `sessions` + 1 sessions: `warm_up_sessions`, which the strategy waits for.
    Volume in the range against its own past: Zarattini, Barbon and Aziz, A Profitable Day Trading
    Strategy for the U.S. Equity Market (2024), Swiss Finance Institute paper 24-98, with 14 days.
    """

    lines: Any = ("high", "low", "breakout", "gap", "atr", "width", "relative_volume")
    params: Any = dict(minutes=30, until=60, sessions=14)
    plotinfo: Any = dict(plot=False)

    def __init__(self) -> None:
        super().__init__()
        length = _bar_minutes(self.data)
        self._rule = Rule.of(self.p.minutes, length, until=self.p.until, sessions=self.p.sessions)
        self.warm_up_sessions: int = self.p.sessions + 1
        self._past = Past(self.p.sessions)
        self._day = _Day(-1)

    def next(self) -> None:
        """Take in one bar."""
        data = self.data
        since = since_open(data.datetime[0])
        if since.ordinal != self._day.ordinal:
            self._past.add(*self._day.ended(self._rule))
            self._day = _Day(since.ordinal)
        day, rule = self._day, self._rule
        breakout = 0.0
        if rule.bar <= since.seconds <= since.length:
            traded = data.volume[0] != 0
            if traded:
                day.take(data, within=since.seconds <= rule.range)
            if since.seconds >= rule.range and day.known is None:
                day.known = _judged(self._past, day, rule)
            if traded and since.seconds <= since.length - rule.until:
                breakout = day.breaks(data.close[0])
        lines = self.lines
        shown = day.known if day.known is not None and since.seconds <= since.length else _UNKNOWN
        lines.high[0], lines.low[0], lines.gap[0], lines.atr[0] = shown[:4]
        lines.width[0], lines.relative_volume[0] = shown[4:]
        lines.breakout[0] = breakout

    prenext = nextstart = next  # noqa: A003 (Backtrader's name)

    def oncestart(self, start: int, end: int) -> None:
        """Leave the first bar to `once`, which takes in all of them."""

    def once(self, start: int, end: int) -> None:  # noqa: ARG002 (Backtrader's)
        """Take in all bars, a session at a time."""
        found = over(_columns(self.data, end), self._rule)
        for name, values in found.items():
            line = getattr(self.lines, name).array
            np.frombuffer(line, dtype=np.float64)[:end] = values


@dataclass(frozen=True)
class Rule:
    """What makes a range of which bars, in seconds; `bars` have to be there."""

    bar: int
    range: int
    bars: int
    until: int
    sessions: int

    @classmethod
    def of(cls, minutes: int, bar: int, *, until: int, sessions: int) -> Rule:
        """Make the rule of a range for bars of `bar` minutes."""
        if bar < 1 or minutes < bar or minutes % bar:
            raise ConfigError(
                f"an opening range of {minutes} minutes cannot be made of bars of {bar} minutes; "
                "expected bars whose length divides it, as 1, 2, 5, 10 or 15 minutes"
            )
        if sessions < 1 or until < 0:
            raise ConfigError(
                f"an opening range needs sessions >= 1 and until >= 0, not sessions={sessions}, "
                f"until={until}"
            )
        least = -(-(minutes - min(MISSING, minutes - 1)) // bar)  # rounded up to whole bars
        return cls(60 * bar, 60 * minutes, least, 60 * until, sessions)


class _Known(NamedTuple):
    """What is known from the end of the range to the end of the session."""

    high: float
    low: float
    gap: float
    atr: float
    width: float
    relative_volume: float


_UNKNOWN = _Known(nan, nan, nan, nan, nan, nan)


@dataclass(slots=True)
class _Day:
    """One session so far: the bars that count, and those of its range."""

    ordinal: int
    open: float = nan
    high: float = nan
    low: float = nan
    close: float = nan
    top: float = nan
    bottom: float = nan
    volumes: list[float] = field(default_factory=list)
    known: _Known | None = None
    broken: bool = False

    def take(self, data: Any, *, within: bool) -> None:
        """Take in a bar that counts."""
        high, low = data.high[0], data.low[0]
        if isnan(self.open):
            self.open, self.high, self.low = data.open[0], high, low
        self.high, self.low = max(self.high, high), min(self.low, low)
        self.close = data.close[0]
        if within:
            self.volumes.append(data.volume[0])
            self.top, self.bottom = self.high, self.low

    def breaks(self, close: float) -> float:
        """Return 1.0 or -1.0 for the session's first close outside the range, else 0.0."""
        known = self.known
        if known is None or self.broken or not (close > known.high or close < known.low):
            return 0.0
        self.broken = True
        return 1.0 if close > known.high else -1.0

    def is_valid(self, rule: Rule) -> bool:
        """Whether enough bars of the range are there."""
        return len(self.volumes) >= rule.bars

    def ended(self, rule: Rule) -> tuple[float, float, float, float]:
        """Return high, low, close and the volume of the range, NaN without a valid one."""
        volume = fsum(self.volumes) if self.is_valid(rule) else nan
        return self.high, self.low, self.close, volume


def _judged(past: Past, day: _Day, rule: Rule) -> _Known:
    close = past.close
    if isnan(close) or not day.is_valid(rule):
        return _UNKNOWN
    atr = past.true_range()
    width = (day.top - day.bottom) / atr if atr > 0 else nan
    usual = past.volume()
    relative = fsum(day.volumes) / usual if usual > 0 else nan
    return _Known(day.top, day.bottom, day.open / close - 1.0, atr, width, relative)


# -- all bars at once ------------------------------------------------------------------------------


class Columns(NamedTuple):
    """The bars of one symbol, shape (n,) each."""

    number: Floats
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def over(bars: Columns, rule: Rule) -> dict[str, Floats]:
    """Return the lines of the opening range over all bars, by name, shape (n,) each."""
    n = len(bars.number)
    ordinal, seconds, length = since_opens(bars.number)
    regular = (seconds >= rule.bar) & (seconds <= length)
    counts = regular & (bars.volume != 0)
    inside = counts & (seconds <= rule.range)
    shown = regular & (seconds >= rule.range)
    breaking = counts & (seconds <= length - rule.until)
    found = {name: np.full(n, nan) for name in _Known._fields}
    found["breakout"] = np.zeros(n)
    past = Past(rule.sessions)
    borders = np.flatnonzero(np.r_[True, ordinal[1:] != ordinal[:-1], True][: n + 1])
    for start, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        rows = slice(start, end)
        day = _session(bars, rows, counts[rows], inside[rows])
        after = start + np.flatnonzero(shown[rows])
        if len(after):
            known = _judged(past, day, rule)
            first, last = int(after[0]), start + int(np.flatnonzero(regular[rows])[-1]) + 1
            for name, value in zip(_Known._fields, known, strict=True):
                found[name][first:last] = value
            close = bars.close[first:last]
            out = np.flatnonzero(
                ((close > known.high) | (close < known.low)) & breaking[first:last]
            )
            if len(out):
                row = int(out[0])
                found["breakout"][first + row] = 1.0 if close[row] > known.high else -1.0
        past.add(*day.ended(rule))
    return found


def _session(
    bars: Columns, rows: slice, counts: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> _Day:
    day = _Day(0)
    if not counts.any():
        return day
    high, low = bars.high[rows], bars.low[rows]
    day.open = float(bars.open[rows][counts][0])
    day.high, day.low = float(high[counts].max()), float(low[counts].min())
    day.close = float(bars.close[rows][counts][-1])
    if inside.any():
        day.top, day.bottom = float(high[inside].max()), float(low[inside].min())
        day.volumes = bars.volume[rows][inside].tolist()
    return day


def _columns(data: Any, end: int) -> Columns:
    names = ("datetime", "open", "high", "low", "close", "volume")
    return Columns(*(np.array(getattr(data.lines, name).array[:end]) for name in names))


def _bar_minutes(data: Any) -> int:
    """Return the minutes of a feed's bars."""
    timeframe = getattr(data, "_timeframe", None)
    if timeframe != bt.TimeFrame.Minutes or not hasattr(data.lines, "datetime"):
        kind = "no feed" if timeframe is None else bt.TimeFrame.TName(timeframe).lower()
        raise ConfigError(
            f"an opening range needs a feed of minute bars, and this is one of {kind}; "
            'run the strategy on them: iv.System(..., interval="1m"), without strategies of days, '
            "which need a system of their own"
        )
    return int(data._compression)
