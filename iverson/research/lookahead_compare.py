# SPDX-License-Identifier: GPL-3.0-or-later
"""Two traces compared, to the bit: where a line or a decision first was another one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, datetime
from itertools import zip_longest
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from iverson.book import Halt
from iverson.market.moments import moment
from iverson.model import Signal, Verdict
from iverson.research.lookahead_lines import Line
from iverson.research.lookahead_runs import Decision, Trace

Kind = Literal["line", "decision", "error"]
_ORDER: dict[str, int] = {"line": 0, "decision": 1, "error": 2}


@dataclass(frozen=True)
class Difference:
    """The first place where two runs part: `whole` in the full run, `other` in the other one.

    `bar` is a date number; `line` names the line, or what of a decision is different.
    """

    kind: Kind
    bar: float
    symbol: str
    line: str
    whole: str
    other: str

    @property
    def at(self) -> datetime:
        """The bar's right edge, UTC."""
        return moment(self.bar).at

    @property
    def session(self) -> date:
        """The bar's session."""
        return moment(self.bar).session

    def __str__(self) -> str:
        where = f"{self.symbol} {self.session}" if self.symbol else f"{self.session}"
        return f"{where}: {self.line} is {self.whole} in the full run, {self.other} here"


def differences(
    whole: Trace, other: Trace, *, until: float, known_only: bool = False
) -> list[Difference]:
    """Return the first line, the first decision and the error that differ up to a bar, in order.

    `known_only` leaves out where a line of the full run has no value (NaN): Backtrader's couplers
    have none in one pass, and no value is no knowledge of the future.
    """
    if other.failed is not None and not other.lines:
        return [_error(whole, other, until)]
    found = [_first_line(whole, other, min(until, other.failed_at), known_only)]
    if whole.decisions is not None and other.decisions is not None:
        reached = np.nextafter(other.failed_at, 0.0) if other.failed else until
        found.append(_first_decision(whole.decisions, other.decisions, min(until, reached)))
    if other.failed is not None:
        found.append(_error(whole, other, until))
    return sorted((one for one in found if one is not None), key=place)


def place(difference: Difference) -> tuple[float, int]:
    """Return what differences are sorted by: the bar, and a line before what was made of it."""
    return difference.bar, _ORDER[difference.kind]


def unequal(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return where two lines differ in a bit; all kinds of NaN are one."""
    same = one.view(np.int64) == other.view(np.int64)
    return np.asarray(~(same | (np.isnan(one) & np.isnan(other))))


def _error(whole: Trace, other: Trace, until: float) -> Difference:
    bar = other.failed_at
    if not np.isfinite(bar):  # it failed while it was made: whatever bar was looked at
        bar = min(until, whole.reached)
    return Difference("error", bar, "", "the run", "no error", str(other.failed))


def _first_line(whole: Trace, other: Trace, until: float, known_only: bool) -> Difference | None:
    first: Difference | None = None
    for one, two in zip_longest(whole.lines, other.lines):
        if one is None or two is None or one.name != two.name:
            names = ["no line" if line is None else line.name for line in (one, two)]
            bar = min(until, whole.reached)
            return Difference("line", bar, "", "the set of lines", names[0], names[1])
        found = _line_difference(one, two, until, known_only)
        if found is not None and (first is None or found.bar < first.bar):
            first = found
    return first


def _line_difference(whole: Line, other: Line, until: float, known_only: bool) -> Difference | None:
    rows = int(np.searchsorted(whole.numbers, until, side="right"))
    rows = min(rows, len(whole.values), len(other.values))
    wrong = unequal(whole.values[:rows], other.values[:rows])
    if known_only:
        wrong &= ~np.isnan(whole.values[:rows])
    if not wrong.any():
        return None
    row = int(np.argmax(wrong))
    values = (f"{float(line.values[row])!r}" for line in (whole, other))
    return Difference("line", float(whole.numbers[row]), whole.symbol, whole.name, *values)


def _first_decision(
    whole: list[Decision], other: list[Decision], until: float
) -> Difference | None:
    pairs = zip_longest(*([d for d in each if d.number <= until] for each in (whole, other)))
    for one, two in pairs:
        if one is None or two is None or one != two:
            return _apart(one, two)
    return None


def _apart(one: Decision | None, two: Decision | None) -> Difference:
    if one is None or two is None or one.number != two.number:
        earlier = min((d for d in (one, two) if d is not None), key=lambda d: d.number)
        texts = (_text(d.value) if d is earlier else "nothing" for d in (one, two))
        return Difference(
            "decision", earlier.number, symbol_of(earlier.value), _word(earlier.value), *texts
        )
    for name, mine, theirs in _parts(one.value, two.value):
        return Difference("decision", one.number, symbol_of(one.value), name, mine, theirs)
    return Difference(
        "decision", one.number, symbol_of(one.value), _word(one.value),
        _text(one.value), _text(two.value),
    )  # fmt: skip


def _parts(one: Any, two: Any) -> Iterator[tuple[str, str, str]]:
    """Yield the fields in which two verdicts about the same signal differ."""
    if not (isinstance(one, Verdict) and isinstance(two, Verdict)):
        return
    if (one.signal.symbol, one.signal.side) != (two.signal.symbol, two.signal.side):
        return
    for pair in ((one.signal, two.signal), (one, two)):
        for part in fields(pair[0]):
            mine, theirs = (getattr(value, part.name) for value in pair)
            if not isinstance(mine, Signal) and repr(mine) != repr(theirs):
                kind = "signal" if isinstance(pair[0], Signal) else "verdict"
                yield f"{kind} {part.name}", repr(mine), repr(theirs)


def symbol_of(value: Any) -> str:
    """Return the symbol that a decision is about, "" for a halt."""
    if isinstance(value, Verdict):
        return value.signal.symbol
    return str(value[1]) if isinstance(value, tuple) else ""


def _word(value: Any) -> str:
    if isinstance(value, tuple):
        return f"{value[2]} order"
    return "signal" if isinstance(value, Verdict) else "halt"


def _text(value: Any) -> str:
    if isinstance(value, Verdict):
        one = value.signal
        answer = f"{value.size} shares" if value.approved else f"denied: {value.rule}"
        return f"{one.side} {one.confidence} at {one.limit:g}, stop {one.stop:g} ({answer})"
    if isinstance(value, tuple):
        return f"{value[0]} {value[4]:g} at {value[5]}"
    return f"{value.rule} begins" if isinstance(value, Halt) else f"{value.rule} ends"
