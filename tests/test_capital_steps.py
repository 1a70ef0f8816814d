# SPDX-License-Identifier: GPL-3.0-or-later
"""Capital steps where they are taken, at the desk: by hand, over whatever comes, cut anywhere."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from iverson.desk import Desk
from iverson.execution.account import Account, AccountState
from iverson.market.calendar import new_york
from iverson.market.moments import number_of
from iverson.model import Trade, Verdict
from iverson.monitoring.events import Step
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, Record
from iverson.risk.capital import CapitalSteps
from iverson.risk.gate import Gate
from iverson.risk.sizing import RiskSizing
from iverson.stages.memory import JournaledRecord, remember
from iverson.testing import FixedHistory, signal

CASH, FIRST, RUN = 100_000.0, date(2024, 1, 8), "a"
STEPS = CapitalSteps(levels=(0.005, 0.010, 0.015), trades=5)
WIN, LOSS = 1.0, -1.0


def session(number: int) -> date:
    return new_york().offset(FIRST, number)


def close(number: int) -> datetime:
    return new_york().close_at(session(number))


@dataclass
class Till:
    """A broker that holds nothing but dollars."""

    equity: float = CASH
    groups: dict[Any, Any] = field(default_factory=dict)
    positions: dict[Any, Any] = field(default_factory=dict)

    def getvalue(self) -> float:
        return self.equity

    def getcash(self) -> float:
        return self.equity


@dataclass(frozen=True)
class Bar:
    """What a bar brings: trades that closed with it, by their R multiple, and a change of equity.

    `hours` before the session's close; `cut` says where a process ends: "" nowhere, "before" the
    account is noted (the bar is acted on again), or "after".
    """

    number: int
    multiples: tuple[float, ...] = ()
    change: float = 0.0
    hours: int = 0
    cut: str = ""

    @property
    def at(self) -> datetime:
        return close(self.number) - timedelta(hours=self.hours)


class Run:
    """A desk that is brought bars; what it notes goes into a journal, if there is one."""

    def __init__(
        self, capital: CapitalSteps | None = STEPS, journal: Journal | None = None
    ) -> None:
        self.capital, self.journal = capital, journal
        self.till = Till()
        self.steps: list[Step] = []
        self.verdicts: list[Verdict] = []
        self.equities: list[float] = []
        self.states: list[AccountState] = []
        self.open(AccountState())

    def open(self, state: AccountState) -> None:
        self.record = JournaledRecord(self.journal, RUN) if self.journal else Record()
        self.desk = Desk(
            gate=Gate((), RiskSizing(notional=1.0)),
            account=Account(state, history=FixedHistory()),
            record=self.record,
            first=FIRST,
            last=date.max,
            capital=self.capital,
        )
        self.desk.broker = self.till

    def bring(self, bar: Bar) -> None:
        self.till.equity *= 1 + bar.change
        for multiple in bar.multiples:
            self.record.add(closed(multiple, bar.at))
        self.act(bar)
        if bar.cut == "before":
            self.reopen(bar)
            self.act(bar)
        if bar.hours == 0:
            equity = self.till.equity
            self.record.add(EquityRow(bar.at, session(bar.number), equity, equity, 0.0, 0))
        if bar.cut == "after":
            self.reopen(bar)

    def act(self, bar: Bar) -> None:
        noted = len(self.record.steps)
        assert self.desk.begin_bar(number_of(bar.at))
        self.steps += self.record.steps[noted:]
        self.verdicts.append(self.desk.gate.review(signal(), self.desk.book()))
        self.equities.append(self.till.equity)

    def reopen(self, bar: Bar) -> None:
        """Go on in another process: from the journal, or from the state that was handed over."""
        state = self.desk.account.state
        if self.journal is not None:
            state = remember(self.journal, RUN, after=session(bar.number)).state
        self.open(state)


def closed(multiple: float, at: datetime) -> Trade:
    """A trade that risked $100."""
    day = new_york().session_of(at)
    return Trade(
        symbol="TEST", side="long", size=50.0, entry_at=at, entry_session=day, entry=100.0,
        exit_at=at, exit_session=day, exit=100.0 + 2 * multiple, pnl=100.0 * multiple,
        commission=0.0, spread=0.0, dividends=0.0, sessions=0, exit_reason="target", confidence=5,
        risk=100.0, stop=98.0, target=104.0, ambiguous=False,
    )  # fmt: skip


def levels(*brought: Bar, capital: CapitalSteps | None = STEPS) -> list[tuple[date, int]]:
    run = Run(capital)
    for bar in brought:
        run.bring(bar)
    return [(step.session, step.level) for step in run.steps]


# -- at the desk, by hand -------------------------------------------------------------------------


def test_first_bar_notes_the_level_that_trading_begins_with() -> None:
    run = Run()
    run.bring(Bar(0))
    (step,) = run.steps

    assert (step.at, step.session, step.level, step.cap) == (close(0), FIRST, 0, 0.005)
    assert run.verdicts[0].rule == "capital step"
    assert run.verdicts[0].risk == CASH * 0.005


def test_steps_up_on_the_bar_whose_trade_completes_the_evidence() -> None:
    found = levels(Bar(0), *(Bar(n, (WIN,)) for n in range(1, 20)))

    # five wins: 5 > 1 + 2.571 * 2 is not true; six: 6 > 1 + 2.447 * 2
    assert found == [(FIRST, 0), (session(6), 1), (session(12), 2)]


def test_trades_of_one_bar_are_one_step() -> None:
    assert levels(Bar(0), Bar(1, (WIN,) * 30), Bar(2), Bar(3)) == [(FIRST, 0), (session(1), 1)]


def test_count_begins_anew_after_a_step_down() -> None:
    found = levels(
        Bar(0),
        Bar(1, (WIN,) * 6),
        Bar(2, (WIN,) * 5),
        Bar(3, change=-0.05),
        Bar(4, (WIN,) * 5, change=0.06),
        Bar(5, (WIN,)),
    )

    assert found == [(FIRST, 0), (session(1), 1), (session(3), 0), (session(5), 1)]


def test_goes_down_a_level_in_each_session_that_is_down_and_once_in_each() -> None:
    up = [Bar(0), Bar(1, (WIN,) * 6), Bar(2, (WIN,) * 6)]
    down = [Bar(3, change=-0.06, hours=2), Bar(3, hours=1), Bar(3), Bar(4, hours=2), Bar(4), Bar(5)]
    found = levels(*up, *down)

    assert found[2:] == [(session(2), 2), (session(3), 1), (session(4), 0)]


def test_trades_without_a_planned_risk_are_not_counted() -> None:
    run = Run()
    run.bring(Bar(0))
    run.record.add(replace(closed(WIN, close(1)), risk=float("nan")))
    for _ in range(5):
        run.record.add(closed(WIN, close(1)))
    run.bring(Bar(1))

    assert run.desk.account.multiples == (WIN,) * 5


def test_without_capital_steps_nothing_is_noted_and_nothing_capped() -> None:
    run = Run(None)
    for bar in (Bar(0), Bar(1, (WIN,) * 30), Bar(2, change=-0.06)):
        run.bring(bar)

    assert run.record.steps == []
    assert {one.rule for one in run.verdicts} == {"risk"}


def test_dropping_the_steps_later_lifts_the_cap_that_is_remembered() -> None:
    run = Run()
    run.bring(Bar(0))
    run.capital = None
    run.open(run.desk.account.state)
    run.bring(Bar(1))

    assert run.verdicts[-1].rule == "risk"


# -- cut anywhere ---------------------------------------------------------------------------------


@st.composite
def paths(draw: st.DrawFn) -> list[Bar]:
    """Sessions of one to three bars with trades, falls and rises; the first has one."""
    found = [draw(_bars(0, 0))]
    for number in range(1, draw(st.integers(1, 25))):
        hours = sorted(draw(st.sets(st.integers(1, 5), max_size=2)), reverse=True)
        found += [draw(_bars(number, one)) for one in (*hours, 0)]
    return found


def _bars(number: int, hours: int) -> st.SearchStrategy[Bar]:
    return st.builds(
        Bar,
        number=st.just(number),
        multiples=st.lists(st.sampled_from([WIN, 2.0, 3.0, LOSS, -0.4]), max_size=4).map(tuple),
        change=st.sampled_from([0.0, 0.0, 0.01, -0.01, -0.03, -0.06]),
        hours=st.just(hours),
        cut=st.sampled_from(["", "", "before", "after"]),
    )


@settings(max_examples=60)
@given(paths())
def test_levels_stay_in_bounds_one_step_a_session_and_no_size_above_the_cap(
    path: list[Bar],
) -> None:
    run = Run()
    for bar in path:
        run.bring(replace(bar, cut=""))

    sessions = [step.session for step in run.steps]
    assert len(sessions) == len(set(sessions))
    assert run.steps[0].level == 0
    caps = {step.at: step.cap for step in run.steps}
    assert all(step.cap == STEPS.levels[step.level] for step in run.steps)
    moves = zip(run.steps, run.steps[1:], strict=False)
    assert all(abs(after.level - before.level) == 1 for before, after in moves)
    cap = 0.0
    for bar, verdict, equity in zip(path, run.verdicts, run.equities, strict=True):
        cap = caps.get(bar.at, cap)
        assert verdict.risk <= equity * cap * (1 + 1e-9)


@settings(max_examples=60, phases=(Phase.reuse, Phase.generate))  # shrinking journals takes minutes
@given(paths(), st.booleans())
def test_cut_at_any_bar_it_goes_on_as_if_it_had_not_been_cut(
    path: list[Bar], journaled: bool
) -> None:
    """By what a run hands over, or by its journal alone."""
    whole = Run()
    for bar in path:
        whole.bring(replace(bar, cut=""))

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "a.db", durable=False) if journaled else None
        parts = Run(journal=journal)
        for bar in path:
            parts.bring(bar)
        if journal is not None:
            noted: list[Any] = journal.values("step", run=RUN)
            last = remember(journal, RUN, after=session(path[-1].number)).state
            journal.close()
            assert noted == whole.steps
            ended = whole.desk.account.state
            assert (last.risk_cap, last.stepped) == (ended.risk_cap, ended.stepped)
            assert last.multiples == ended.multiples

    assert parts.steps == whole.steps
    assert parts.verdicts[-1] == whole.verdicts[-1]
