# SPDX-License-Identifier: GPL-3.0-or-later
"""Parity: what a run really did against the backtest of the bars that it really saw.

Every decision (symbol, bar, side) of either is laid beside its twin, and the dollars between the
two are put down to one cause: the signal differed, the gate answered differently, an entry was
missed or filled otherwise, it filled later, or the fees differed. The causes add up to the
difference of the two accounts; what does not is named too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from iverson.execution.bracket import key_of
from iverson.model import CashFlow, Fill, OrderEvent, Verdict
from iverson.monitoring.record import EquityRow

if TYPE_CHECKING:
    import pandas as pd

Cause = Literal[
    "same", "feed", "signal", "risk", "missed fill", "extra fill", "delay", "fill price", "fees"
]
CAUSES: tuple[Cause, ...] = (
    "feed", "signal", "risk", "missed fill", "extra fill", "delay", "fill price", "fees",
)  # fmt: skip
CENT = 0.005
PRICE = 1e-9  # dollars: prices are equal or a grid step apart


@dataclass(frozen=True, slots=True)
class Difference:
    """One decision in both, and the dollars between them: the run's minus the backtest's."""

    key: str
    symbol: str
    at: datetime
    cause: Cause
    dollars: float
    words: str


@dataclass
class Side:
    """One decision as one of the two has it."""

    verdict: Verdict | None = None
    fills: list[Fill] = field(default_factory=list)
    refused: str = ""  # why its entry was not taken, in the words of who refused it

    def of(self, *legs: str) -> list[Fill]:
        """Return the fills of some legs."""
        return [fill for fill in self.fills if fill.leg in legs]

    @property
    def entries(self) -> list[Fill]:
        """The fills of the entry."""
        return self.of("entry")

    @property
    def exits(self) -> list[Fill]:
        """All other fills."""
        return [fill for fill in self.fills if fill.leg != "entry"]

    def profit(self, marks: Mapping[str, float]) -> float:
        """Dollars made, what is still held at its last mark, fees off."""
        held = money = 0.0
        for fill in self.fills:
            signed = fill.size if fill.side == "buy" else -fill.size
            held += signed
            money -= signed * fill.price + fill.commission
        return money + (held * marks[self.fills[0].symbol] if abs(held) > 1e-9 else 0.0)

    @property
    def fees(self) -> float:
        """Dollars of commission."""
        return sum(fill.commission for fill in self.fills)


@dataclass(frozen=True)
class Parity:
    """A run beside its backtest.

    `differences` has a row for each decision that differs; `equity` the two accounts by session,
    `unexplained` the dollars between them that no decision accounts for (cash flows and rounding);
    `flows` is how much of it are cash flows: dividends, deposits, fees, drills.
    """

    decisions: int
    differences: tuple[Difference, ...]
    equity: Mapping[date, tuple[float, float]]
    unexplained: float
    flows: float = 0.0

    @property
    def same(self) -> int:
        """How many decisions are the same in every respect."""
        return self.decisions - len(self.differences)

    def by_cause(self) -> dict[Cause, tuple[int, float]]:
        """Return how many decisions, and how many dollars, each cause accounts for."""
        found: dict[Cause, tuple[int, float]] = {}
        for cause in CAUSES:
            rows = [one for one in self.differences if one.cause == cause]
            if rows:
                found[cause] = (len(rows), sum(one.dollars for one in rows))
        return found

    def table(self) -> pd.DataFrame:
        """Return the differences as a frame: symbol, at, cause, dollars, words."""
        import pandas as pd

        columns = ["symbol", "at", "cause", "dollars", "words"]
        rows = [[getattr(one, name) for name in columns] for one in self.differences]
        return pd.DataFrame(rows, columns=columns)

    def __str__(self) -> str:
        """Say it in a few lines."""
        share = f"{self.same} of {self.decisions} decisions are the same"
        lines = [share + (", fills and fees included" if self.decisions else "")]
        for cause, (count, dollars) in self.by_cause().items():
            lines.append(f"  {cause:12} {count:4} decisions {dollars:+12.2f} dollars")
        if self.equity:
            run, backtest = list(self.equity.values())[-1]
            lines.append(f"account {run:,.2f}, backtest {backtest:,.2f}: {run - backtest:+,.2f}")
        if abs(self.unexplained) > CENT:
            lines.append(f"not explained by any decision: {self.unexplained:+,.2f} dollars")
        return "\n".join(lines)


def compare(
    run: Iterable[Any],
    backtest: Iterable[Any],
    *,
    marks: Mapping[str, float],
    other_bars: frozenset[tuple[str, datetime]] = frozenset(),
) -> Parity:
    """Lay the values of a run beside those of its backtest.

    Parameters
    ----------
    run, backtest: values of a journal or a record, in order.
    marks: the last close of each symbol, for what is still held.
    other_bars: (symbol, instant) of bars that the run saw otherwise than the store has them now.
    """
    run, backtest = list(run), list(backtest)
    left, right = _sides(run), _sides(backtest)
    differences = []
    for key in sorted({*left, *right}, key=lambda key: (_when(left, right, key), key)):
        one = _difference(key, left.get(key, Side()), right.get(key, Side()), marks, other_bars)
        if one is not None:
            differences.append(one)
    equity = _equity(run, backtest)
    unexplained = 0.0
    if equity:
        mine, theirs = list(equity.values())[-1]
        unexplained = mine - theirs - sum(one.dollars for one in differences)
    flows = _flows(run) - _flows(backtest)
    return Parity(len({*left, *right}), tuple(differences), equity, unexplained, flows)


def _sides(values: Sequence[Any]) -> dict[str, Side]:
    sides: dict[str, Side] = defaultdict(Side)
    refused: dict[str, str] = {}
    for value in values:
        if isinstance(value, Verdict):
            sides[key_of(value.signal)].verdict = value
        elif isinstance(value, OrderEvent) and value.leg == "entry" and value.status == "rejected":
            refused[value.order_id.removesuffix("-entry")] = value.reason
        elif isinstance(value, Fill):
            sides[value.order_id.removesuffix(f"-{value.leg.replace(' ', '-')}")].fills.append(
                value
            )
    for key in refused.keys() & sides.keys():
        sides[key].refused = refused[key]
    return dict(sides)


def _when(left: Mapping[str, Side], right: Mapping[str, Side], key: str) -> datetime:
    for sides in (left, right):
        side = sides.get(key)
        if side is not None and side.verdict is not None:
            return side.verdict.signal.at
    side = left.get(key) or right[key]
    return side.fills[0].at


def _difference(
    key: str,
    run: Side,
    backtest: Side,
    marks: Mapping[str, float],
    other_bars: frozenset[tuple[str, datetime]],
) -> Difference | None:
    cause, words = _cause(run, backtest)
    if cause == "same":
        return None
    known = run.verdict or backtest.verdict
    symbol = known.signal.symbol if known else (run.fills or backtest.fills)[0].symbol
    at = known.signal.at if known else (run.fills or backtest.fills)[0].at
    if cause in ("signal", "risk") and (symbol, at) in other_bars:
        cause, words = "feed", f"the bar of the decision was another one; {words}"
    dollars = (run.profit(marks) if run.fills else 0.0) - (
        backtest.profit(marks) if backtest.fills else 0.0
    )
    return Difference(key, symbol, at, cause, dollars, words)


def _cause(run: Side, backtest: Side) -> tuple[Cause, str]:
    mine, theirs = run.verdict, backtest.verdict
    if mine is None or theirs is None:
        who = "the backtest" if mine is None else "the run"
        return ("signal", f"only {who} had the signal") if mine or theirs else _fills(run, backtest)
    if not _same_signal(mine, theirs):
        return "signal", _changed(mine, theirs)
    if (mine.approved, mine.size) != (theirs.approved, theirs.size):
        return "risk", f"{_answer(mine)} in the run, {_answer(theirs)} in the backtest"
    return _fills(run, backtest)


def _fills(run: Side, backtest: Side) -> tuple[Cause, str]:
    entered, expected = _total(run.entries), _total(backtest.entries)
    if entered < expected:
        why = f": {run.refused}" if run.refused else ""
        return "missed fill", f"entered {entered:g} of the backtest's {expected:g} shares{why}"
    if entered > expected:
        why = f": {backtest.refused}" if backtest.refused else ""
        return "extra fill", f"entered {entered:g} shares, the backtest {expected:g}{why}"
    for mine, theirs in ((run.entries, backtest.entries), (run.exits, backtest.exits)):
        later = _sessions(mine) != _sessions(theirs)
        if later:
            return "delay", f"{_told(mine)} in the run, {_told(theirs)} in the backtest"
        if abs(_value(mine) - _value(theirs)) > PRICE or _legs(mine) != _legs(theirs):
            return "fill price", f"{_told(mine)} in the run, {_told(theirs)} in the backtest"
    if abs(run.fees - backtest.fees) > CENT:
        return "fees", f"fees {run.fees:.2f} in the run, {backtest.fees:.2f} in the backtest"
    return "same", ""


def _same_signal(mine: Verdict, theirs: Verdict) -> bool:
    return mine.signal == theirs.signal


def _changed(mine: Verdict, theirs: Verdict) -> str:
    names = ("confidence", "limit", "stop", "target", "max_sessions", "reason")
    parts = [
        f"{name} {getattr(mine.signal, name)} against {getattr(theirs.signal, name)}"
        for name in names
        if getattr(mine.signal, name) != getattr(theirs.signal, name)
    ]
    return ", ".join(parts) or "the signals differ"


def _answer(verdict: Verdict) -> str:
    return f"{verdict.size} shares" if verdict.approved else f"denied by {verdict.rule}"


def _total(fills: Sequence[Fill]) -> float:
    return sum(fill.size for fill in fills)


def _value(fills: Sequence[Fill]) -> float:
    return sum(fill.size * fill.price for fill in fills)


def _sessions(fills: Sequence[Fill]) -> set[date]:
    return {fill.session for fill in fills}


def _legs(fills: Sequence[Fill]) -> set[str]:
    return {fill.leg for fill in fills}


def _told(fills: Sequence[Fill]) -> str:
    if not fills:
        return "no exit"
    size = _total(fills)
    return f"{fills[-1].leg} at {_value(fills) / size:.4f} on {fills[-1].session}"


def _flows(values: Sequence[Any]) -> float:
    return sum(one.amount for one in values if isinstance(one, CashFlow))


def _equity(run: Sequence[Any], backtest: Sequence[Any]) -> dict[date, tuple[float, float]]:
    mine = {one.session: one.equity for one in run if isinstance(one, EquityRow)}
    theirs = {one.session: one.equity for one in backtest if isinstance(one, EquityRow)}
    return {day: (mine[day], theirs[day]) for day in mine if day in theirs}
