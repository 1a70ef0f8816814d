# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk-forward folds over exchange sessions: where to tune, what to leave out, where to judge.

Pure: the sessions come in, spans of sessions go out. Warm-up bars before an in-sample or
out-of-sample span may be read freely, also from the purge; only trading and tuning are confined.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from iverson.errors import ConfigError

Sessions = NDArray[np.datetime64]

# The longest closing of the exchange between two sessions since 1950 is 7 days (September 2001).
LONGEST_CLOSING = timedelta(days=10)

_MONTHS = {"y": 12, "mo": 1}
_DAYS = {"w": 7, "d": 1}


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive sessions from `first` to `last`, both included."""

    first: date
    last: date
    sessions: int

    def __str__(self) -> str:
        """Print as `2001-01-02 to 2002-12-31 (500 sessions)`."""
        plural = "" if self.sessions == 1 else "s"
        return f"{self.first} to {self.last} ({self.sessions} session{plural})"


@dataclass(frozen=True, slots=True)
class Fold:
    """One pair of windows: parameters chosen in_sample are judged out_of_sample.

    The purge, when there is one, lies between the two and belongs to neither. `number` starts at 1.
    """

    number: int
    in_sample: Span
    purge: Span | None
    out_of_sample: Span


@dataclass(frozen=True, slots=True)
class Duration:
    """A length in calendar months and days, or in exchange sessions; `text` is how it was asked.

    Months are clipped at the month's end and counted from the start, not step by step: 31 January
    + 1mo is 28 February, and twice 1mo after 31 January is 31 March.
    """

    text: str = field(compare=False)
    months: int = 0
    days: int = 0
    sessions: int = 0


def duration(text: str | int, *, name: str = "duration") -> Duration:
    """Read a length: 2y, 6mo, 3w, 90d (calendar) or a whole number (sessions).

    Raises
    ------
    ConfigError
        For anything else, and for a length below 1. `m` alone is refused: months are `mo`.
    """
    found = re.fullmatch(r"(\d+)\s*(y|mo|w|d|)", str(text).strip())
    if found is None:
        raise ConfigError(
            f"{name}={text!r} is no length; expected 2y, 6mo, 3w or 90d of calendar time, "
            f"or a whole number of sessions such as 250"
        )
    number, unit = int(found[1]), found[2]
    if number < 1:
        raise ConfigError(f"{name}={text!r} is empty; expected a length of at least 1")
    days, months = number * _DAYS.get(unit, 0), number * _MONTHS.get(unit, 0)
    if days > 36_525 or months > 1_200:
        raise ConfigError(f"{name}={text!r} is longer than a century; expected a shorter length")
    return Duration(str(text).strip(), months, days, 0 if unit else number)


def make_folds(
    sessions: Sessions,
    *,
    in_sample: str | int,
    out_of_sample: str | int,
    purge: int = 0,
    anchored: bool = False,
    step: str | int | None = None,
    origin: date | None = None,
) -> list[Fold]:
    """Cut exchange sessions into walk-forward folds.

    Parameters
    ----------
    sessions
        Exchange sessions in increasing order, each once.
    in_sample, out_of_sample
        Lengths as `duration` reads them: "2y", "6mo", "3w", "90d" of calendar time, or a number of
        sessions. `in_sample` includes the purge.
    purge
        Sessions taken off the end of each in-sample window; see `purge_meaning`.
    anchored
        Start every in-sample window at the first session, instead of rolling it along.
    step
        From one out-of-sample start to the next; default the out-of-sample length. A longer step
        leaves holes between the out-of-sample spans; a shorter one is refused, because a session
        judged twice would count twice in the stitched equity.
    origin
        The calendar day that calendar lengths are counted from; default the first session. With
        2001-01-01 and "2y" the first out-of-sample span starts with the first session of 2003,
        although the first session of 2001 was 2 January.

    Returns
    -------
    At least one fold, in order. Without `step` the out-of-sample spans tile the range from the end
    of the first in-sample window, without overlap or hole. A last out-of-sample span that the range
    cuts short is kept when at least half of its length is there (calendar days for a calendar
    length), and dropped otherwise: the folds may end before the sessions do. A span of a few days
    that has no session is left out.

    Raises
    ------
    ConfigError
        For an unreadable length, sessions out of order, a range too short for one fold, a purge
        that is negative or leaves nothing to tune in, and out-of-sample spans that would overlap.

    Notes
    -----
    Both windows of a fold lie whole steps after those of the first one, counted from the origin.
    (With sessions for the step and calendar time for `in_sample`, the in-sample window reaches
    `in_sample` back from the out-of-sample start.) Rolling and anchored windows: Pardo (2008), "The
    Evaluation and Optimization of Trading Strategies", ch. 11. Purge: López de Prado (2018),
    "Advances in Financial Machine Learning", ch. 7. skfolio's `purged_size` moves the test set back
    and keeps the training length; here the out-of-sample dates do not depend on the purge.

    What the purge says about execution:

    - 0: parameters are chosen from the last in-sample close and trade at the very next open. The
      search must finish overnight. Right only when the in-sample run closes its positions at its
      last session, so that no in-sample trade ends inside the out-of-sample span.
    - 1: one whole session lies between the last bar tuned on and the first bar traded; the search
      has that session's time to finish.
    - max_sessions + 1 or more: also a trade signalled at the last in-sample close, filled one
      session later and held to its time limit, ends before the out-of-sample span. Needed when
      in-sample trades may run to their own exits, or a label looks that far ahead.
    """
    days = checked_sessions(sessions)
    tune = duration(in_sample, name="in_sample")
    judge = duration(out_of_sample, name="out_of_sample")
    stride = judge if step is None else duration(step, name="step")
    if purge < 0:
        raise ConfigError(f"purge={purge} is no number of sessions; expected 0 or more")
    start = _origin(days, origin)
    folds: list[Fold] = []
    for window, first, last in _windows(days, tune, judge, stride, start):
        begin = 0 if anchored else window
        if first - begin <= purge:
            raise ConfigError(
                f"purge={purge} leaves nothing to tune in: the in-sample window in_sample="
                f"{in_sample!r} has {first - begin} sessions; expected a smaller purge"
            )
        left_out = span_of(days, first - purge, first) if purge else None
        tuned, judged = span_of(days, begin, first - purge), span_of(days, first, last)
        folds.append(Fold(len(folds) + 1, tuned, left_out, judged))
    if not folds:
        raise ConfigError(_too_short(days, tune, judge, start))
    for earlier, later in pairwise(folds):
        if later.out_of_sample.first <= earlier.out_of_sample.last:
            raise ConfigError(
                f"step={step!r} is shorter than out_of_sample={out_of_sample!r}, so that "
                f"{later.out_of_sample.first} would be judged twice; expected a longer step"
            )
    return folds


def purge_meaning(purge: int, *, max_sessions: int | None = None) -> str:
    """Say in words which execution a purge assumes, for the report.

    `max_sessions` is the strategy's time limit (None: unlimited); a purge above it also keeps
    in-sample trades that run to their own exit out of the out-of-sample span.
    """
    if purge == 0:
        said = (
            "purge 0: parameters chosen from the last in-sample close trade at the next open; "
            "this assumes that the search finishes overnight"
        )
    else:
        plural = "" if purge == 1 else "s"
        said = (
            f"purge {purge}: {purge} whole session{plural} between the last bar tuned on and the "
            f"first bar traded"
        )
    if max_sessions is not None and purge > max_sessions:
        return f"{said}; in-sample trades end before the out-of-sample span even if held to the end"
    return f"{said}; in-sample trades must be closed at the last in-sample session"


def _windows(
    days: Sessions, tune: Duration, judge: Duration, stride: Duration, origin: date
) -> Iterator[tuple[int, int, int]]:
    """Positions of each fold: in-sample start, out-of-sample start, out-of-sample end (open)."""
    start = tune.sessions or _position(days, _after(origin, (tune, 1)))
    position, count = start, 0
    while position < days.size:
        # The day on the calendar that the out-of-sample span starts with, as base plus lengths.
        if tune.sessions or (stride.sessions and count):
            base, lengths = _date(days[start if not stride.sessions else position]), []
        else:
            base, lengths = origin, [(tune, 1)]
        lengths += [(stride, count)]
        day, until = _after(base, *lengths), _after(base, *lengths, (judge, 1))
        end = position + judge.sessions if judge.sessions else _position(days, until)
        there = days.size - position if judge.sessions else (_date(days[-1]) - day).days + 1
        if 2 * there < (judge.sessions or (until - day).days):
            return
        if end > position:
            if count == 0:
                window = 0
            elif tune.sessions:
                window = position - tune.sessions
            elif stride.sessions:
                window = _position(days, _after(base, (tune, -1)))
            else:
                window = _position(days, _after(origin, (stride, count)))
            yield window, position, min(end, days.size)
        count += 1
        if stride.sessions:
            position += stride.sessions
        else:
            position = _position(days, _after(base, *lengths, (stride, 1)))


def _too_short(days: Sessions, tune: Duration, judge: Duration, origin: date) -> str:
    span = f"{days.size} sessions ({days[0]} to {days[-1]})"
    asked = f"in_sample={tune.text!r} and at least half of out_of_sample={judge.text!r}"
    if tune.sessions and judge.sessions:
        needed = f"{tune.sessions + (judge.sessions + 1) // 2}"
    else:
        estimate = _estimate(tune, origin) + (_estimate(judge, origin) + 1) // 2
        needed = f"about {max(estimate, days.size + 1)}"
    return f"there are {span}, but one fold needs {needed}: {asked}; ask for more or shorten them"


def _estimate(length: Duration, origin: date) -> int:
    """Sessions in a length: about 252 a year."""
    return length.sessions or round((_after(origin, (length, 1)) - origin).days * 252 / 365.25)


def checked_sessions(sessions: Sessions) -> Sessions:
    """Give the sessions as days; `ConfigError` when there are none, or not in increasing order."""
    days = np.asarray(sessions).astype("datetime64[D]")
    if days.ndim != 1 or days.size == 0:
        raise ConfigError("there are no sessions to cut into folds; check the range of the bars")
    if np.isnat(days).any() or not (days[1:] > days[:-1]).all():
        raise ConfigError("the sessions are out of order, repeated or missing; expected each once")
    return days


def _origin(days: Sessions, origin: date | None) -> date:
    first = _date(days[0])
    if origin is None:
        return first
    if origin > first or first - origin > LONGEST_CLOSING:
        raise ConfigError(
            f"origin={origin} does not fit the first session {first}; expected that day or one "
            f"of the {LONGEST_CLOSING.days} days before it"
        )
    return origin


def _position(days: Sessions, day: date) -> int:
    return int(np.searchsorted(days, np.datetime64(day, "D")))


def _date(day: np.datetime64) -> date:
    return date.fromisoformat(str(day))


def span_of(days: Sessions, start: int, stop: int) -> Span:
    """Give the span of the sessions at positions start to stop − 1."""
    return Span(_date(days[start]), _date(days[stop - 1]), stop - start)


def _after(start: date, *lengths: tuple[Duration, int]) -> date:
    """Add calendar lengths, each some times over: months first, clipped, then days."""
    months = sum(length.months * times for length, times in lengths)
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    clipped = date(year, month + 1, min(start.day, monthrange(year, month + 1)[1]))
    return clipped + timedelta(days=sum(length.days * times for length, times in lengths))
