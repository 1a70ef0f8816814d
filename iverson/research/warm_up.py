# SPDX-License-Identifier: GPL-3.0-or-later
"""The warm-up sweep: how many bars each line needs, against how many the strategy asks for.

The strategy is started late, at bars where it decided something, with no more history than its
warm-up, and its lines and signals are compared with those of the run that has all of history. Every
signal is denied in both, so that what is held cannot make the difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np

from iverson.book import Book
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.moments import moment
from iverson.model import Signal, Verdict
from iverson.research.lookahead_compare import Difference, unequal
from iverson.research.lookahead_lines import Floats, Line
from iverson.research.lookahead_runs import Trace, Watched, spread
from iverson.risk.rules import RiskRule

TOLERANCE = 1e-3  # of the line's usual size, or of a signal's price
STARTS = 12
SESSIONS = 250  # that a late start is followed
_STILL = 1 << 62  # bars: apart to the end
CENT = 0.0101  # prices of signals are on a grid of cents, and may fall on either side of one


class DenyAll(RiskRule):
    """Denies every signal; nothing is ever held."""

    def deny(self, signal: Signal, book: Book) -> str | None:  # noqa: ARG002 (signature)
        """Deny."""
        return "nothing is entered while the warm-up is measured"


@dataclass(frozen=True)
class Settling:
    """Bars a line needs before it has the value that all of history gives it.

    `needed` within the tolerance, `exact` to the bit; None: it was still apart after `followed`
    bars. `asked` is the strategy's warm-up.
    """

    line: str
    needed: int | None
    exact: int | None
    asked: int
    followed: int

    @property
    def is_settled(self) -> bool:
        """Whether the line is settled when the strategy begins to trade."""
        return self.needed is not None and self.needed <= self.asked


def sweep(
    watched: Watched, bars: Mapping[str, Bars], whole: Trace, *, warm_up: int
) -> tuple[list[Settling], Difference | None, int]:
    """Start late and compare; returns lines, the first signal that differs, and how many starts.

    `whole` is the trace of the full run with every signal denied. `watched` must deny as well.
    Without a signal that has more history than the warm-up there is nothing to compare.
    """
    assert whole.decisions is not None
    begins = _late_sessions(watched, bars, whole, warm_up)
    if not begins:
        return [], None, 0
    apart: dict[str, tuple[int, int]] = dict.fromkeys((line.name for line in whole.lines), (0, 0))
    known = _by_place(whole.lines)
    followed, first = 0, None
    for begin in begins:
        end = min(watched.last, _later(begin, SESSIONS))
        late = watched.walk(bars, first=begin, last=end)
        if first is None:
            first = _first_signal(whole, late, begin, end)
        followed = max([followed, *(len(line.values) for line in late.lines)])
        for where, line in _by_place(late.lines).items():
            if where in known:
                near, exact = _settles(known[where], line)
                apart[line.name] = max(near, apart[line.name][0]), max(exact, apart[line.name][1])
    lines = [
        Settling(
            line=name,
            needed=None if near >= _STILL else near,
            exact=None if exact >= _STILL else exact,
            asked=warm_up,
            followed=followed,
        )
        for name, (near, exact) in apart.items()
    ]
    return lines, first, len(begins)


def _by_place(lines: list[Line]) -> dict[tuple[str, str, int], Line]:
    """Return lines by symbol, name and how many of this name came before: symbols may be absent."""
    many: Counter[tuple[str, str]] = Counter()
    found = {}
    for line in lines:
        key = (line.symbol, line.name)
        found[*key, many[key]] = line
        many[key] += 1
    return found


def _late_sessions(
    watched: Watched, bars: Mapping[str, Bars], whole: Trace, warm_up: int
) -> list[date]:
    """Return sessions with a signal that have more history than the warm-up, spread evenly."""
    found = []
    for session in sorted({moment(d.number).session for d in whole.decisions or ()}):
        before = [int(np.searchsorted(b.session, np.datetime64(session))) for b in bars.values()]
        if session < watched.last and any(n > warm_up for n in before):
            found.append(session)
    return [found[place] for place in spread(np.arange(len(found)), STARTS)]


def _later(session: date, sessions: int) -> date:
    calendar = new_york()
    last = len(calendar.sessions) - 1
    later: date = calendar.sessions[min(last, calendar.ordinal(session) + sessions)].item()
    return later


def _first_signal(whole: Trace, late: Trace, begin: date, end: date) -> Difference | None:
    full, own = (_signals(trace, begin, end) for trace in (whole, late))
    if late.failed is not None:
        return Difference("error", late.failed_at, "", "the run", "no error", late.failed)
    for key in sorted(full.keys() | own.keys()):
        one, two = full.get(key), own.get(key)
        if one is None or two is None or not _alike(one, two):
            texts = ("nothing" if s is None else _words(s) for s in (one, two))
            return Difference("decision", key[0], key[1], "signal", *texts)
    return None


def _signals(trace: Trace, begin: date, end: date) -> dict[tuple[float, str, str, int], Signal]:
    found: dict[tuple[float, str, str, int], Signal] = {}
    many: Counter[tuple[float, str, str]] = Counter()
    for one in trace.decisions or ():
        # the last session of a run makes no entry
        if isinstance(one.value, Verdict) and begin <= moment(one.number).session < end:
            signal = one.value.signal
            key = (one.number, signal.symbol, signal.side)
            found[*key, many[key]] = signal
            many[key] += 1
    return found


def _alike(one: Signal, two: Signal) -> bool:
    prices = [(s.limit, s.stop, s.target) for s in (one, two)]
    return one.confidence == two.confidence and all(
        (a is None) == (b is None)
        and (a is None or b is None or abs(a - b) <= CENT + TOLERANCE * abs(a))
        for a, b in zip(*prices, strict=True)
    )


def _words(signal: Signal) -> str:
    return f"{signal.side} {signal.confidence} at {signal.limit:g}, stop {signal.stop:g}"


def _settles(whole: Line, late: Line) -> tuple[int, int]:
    """Return after how many bars two lines are the same, nearly and to the bit."""
    start = int(np.searchsorted(whole.numbers, late.numbers[0])) if len(late.numbers) else 0
    reference = whole.values[start : start + len(late.values)]
    values = late.values[: len(reference)]
    size = _usual_size(whole.values)
    with np.errstate(invalid="ignore"):
        far = np.abs(values - reference) > TOLERANCE * size
    far |= np.isnan(values) != np.isnan(reference)
    return _after(far), _after(unequal(values, reference))


def _usual_size(values: Floats) -> float:
    known = np.abs(values[np.isfinite(values)])
    if not len(known):
        return 0.0
    return float(np.median(known)) or float(known.max())


def _after(wrong: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> int:
    places = np.flatnonzero(wrong)
    if not len(places):
        return 0
    return _STILL if wrong[-1] else int(places[-1]) + 1
