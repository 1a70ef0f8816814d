# SPDX-License-Identifier: GPL-3.0-or-later
"""Halts over whole equity paths: what is halted stays halted, however often the run is cut."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.book import Book, Halt
from iverson.execution.account import Account, AccountState
from iverson.market.calendar import new_york
from iverson.model import Verdict
from iverson.risk import rules
from iverson.risk.gate import Gate
from iverson.risk.sizing import RiskSizing
from iverson.testing import FixedHistory, at, signal

START = 100_000.0
RELEASE = 20
DAILY, DRAWDOWN = "daily loss halt", "drawdown halt"
GATE = Gate((rules.DrawdownHalt(), rules.DailyLossHalt()), RiskSizing())


@dataclass
class Run:
    """An account that goes through marks the way the desk does, noting what it sees."""

    state: AccountState = field(default_factory=AccountState)
    release_after: int | None = RELEASE
    gate: Gate = GATE
    began: list[tuple[datetime, str]] = field(default_factory=list)
    ended: list[tuple[datetime, str]] = field(default_factory=list)
    verdicts: list[tuple[datetime, Verdict, tuple[Halt, ...]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reopen(self.state)

    def reopen(self, state: AccountState) -> None:
        """Go on from what was remembered, as a restart or a wake would."""
        self.account = Account(state, history=FixedHistory(), release_after=self.release_after)

    def mark(self, when: datetime, equity: float) -> Verdict:
        session = new_york().session_of(when)
        for halt, _ in self.account.mark(when, session, equity):
            self.ended.append((when, halt.rule))
        for halt in self.gate.halts(self.book(when)):
            self.account.add(halt)
            self.began.append((when, halt.rule))
        of = self.book(when)
        verdict = self.gate.review(signal(), of)
        self.verdicts.append((when, verdict, of.halts))
        return verdict

    def book(self, when: datetime) -> Book:
        return self.account.book(
            cash=START, positions={}, pending={}, next_open=new_york().next_open(when)
        )


def close(session: date) -> datetime:
    return new_york().close_at(session)


def sessions(first: date, n: int) -> list[date]:
    begin = new_york().ordinal(first)
    return new_york().sessions[begin : begin + n].tolist()


@st.composite
def paths(draw: st.DrawFn) -> list[tuple[datetime, float]]:
    """Marks at odd hours of many sessions, some skipped, with jumps up to 8 %."""
    first = date(2023, 10, 20) + timedelta(days=draw(st.integers(0, 200)))
    marks, equity = [], START
    for session in sessions(first, draw(st.integers(2, 60))):
        for part in sorted(draw(st.lists(st.floats(0.05, 1.0), max_size=3, unique=True))):
            opened, closed = new_york().open_at(session), close(session)
            equity *= 1 + draw(st.sampled_from([0.0, 0.004, -0.004, -0.006, 0.02, -0.03, -0.08]))
            marks.append((opened + part * (closed - opened), equity))
    return marks


@given(paths())
def test_while_a_halt_is_in_force_nothing_is_approved(marks: list[tuple[datetime, float]]) -> None:
    run = Run()
    for when, equity in marks:
        run.mark(when, equity)

    for when, verdict, halts in run.verdicts:
        in_force = [h for h in halts if h.latched or (h.until is not None and when < h.until)]
        assert verdict.approved is (not in_force)


@given(paths())
def test_each_halt_follows_from_the_path_alone(marks: list[tuple[datetime, float]]) -> None:
    """A second, naive reading of the rules over the whole path at once."""
    run = Run(release_after=None)
    for when, equity in marks:
        run.mark(when, equity)

    expected: list[tuple[datetime, str]] = []
    until, latched = None, False
    for n, (when, equity) in enumerate(marks):
        today = new_york().session_of(when)
        past = [(new_york().session_of(t), e) for t, e in marks[: n + 1]]
        ends = [e for (s, e), (t, _) in pairwise(past) if t != s]
        base = ends[-1] if ends else marks[0][1]
        closing = {s: e for s, e in past if s != today}
        recent = [e for s, e in closing.items() if s >= today - timedelta(days=30)]
        before_all = marks[0][1] if past[0][0] >= today - timedelta(days=29) else equity
        high = max([equity, *recent, before_all])
        if not latched and equity / high - 1 <= -0.10 * (1 - 1e-9):
            latched = True
            expected.append((when, DRAWDOWN))
        over = until is None or when >= until
        if over and equity - base <= -min(500.0, 0.03 * base) * (1 - 1e-9):
            until = max(when + timedelta(hours=24), new_york().next_open(when))
            expected.append((when, DAILY))

    assert run.began == expected


@given(paths(), st.lists(st.integers(0, 200), max_size=6))
def test_cut_anywhere_the_account_gives_the_same_halts(
    marks: list[tuple[datetime, float]], cuts: list[int]
) -> None:
    whole, cut = Run(), Run()
    for number, (when, equity) in enumerate(marks):
        whole.mark(when, equity)
        if number in cuts:
            cut.reopen(pickle.loads(pickle.dumps(cut.account.state)))  # noqa: S301 (our own bytes)
        cut.mark(when, equity)

    assert cut.began == whole.began
    assert cut.ended == whole.ended
    assert cut.account.state == whole.account.state


@given(paths(), st.lists(st.tuples(st.integers(0, 200), st.floats(0.1, 10.0)), max_size=4))
def test_deposits_and_withdrawals_change_no_drawdown(
    marks: list[tuple[datetime, float]], flows: list[tuple[int, float]]
) -> None:
    """An account whose units are multiplied by a flow has the drawdowns of the one without."""
    only = Gate((rules.DrawdownHalt(),), RiskSizing())
    plain, moved = Run(gate=only), Run(gate=only)
    units = 1.0
    for number, (when, equity) in enumerate(marks):
        for place, times in flows:
            if place == number > 0:
                moved.account.deposit(marks[number - 1][1] * units * (times - 1))
                units *= times
        plain.mark(when, equity)
        moved.mark(when, equity * units)
        drawdown = plain.book(when).drawdown

        assert moved.book(when).drawdown == pytest.approx(drawdown, abs=1e-9)
    assert moved.began == plain.began


@pytest.mark.parametrize("amount", [50_000.0, -60_000.0, 1.0])
def test_flow_changes_neither_the_days_result_nor_the_drawdown(amount: float) -> None:
    first, second = sessions(date(2024, 1, 8), 2)
    run = Run()
    run.mark(close(first), START)
    run.mark(new_york().open_at(second) + timedelta(hours=1), START - 400.0)
    before = run.book(close(second))
    run.account.deposit(amount)
    during = run.book(close(second))
    run.mark(new_york().open_at(second) + timedelta(hours=2), START - 400.0 + amount)
    after = run.book(close(second))

    for of in (during, after):
        assert of.day_pnl == pytest.approx(before.day_pnl) == pytest.approx(-400.0)
        assert of.drawdown == pytest.approx(before.drawdown)
        assert of.equity == START - 400.0 + amount
    assert run.began == []


def test_flow_overnight_belongs_to_no_days_result() -> None:
    first, second = sessions(date(2024, 1, 8), 2)
    run = Run()
    run.mark(close(first), START)
    run.account.deposit(-50_000.0)
    run.mark(close(second), 50_000.0 - 100.0)

    assert run.book(close(second)).day_pnl == pytest.approx(-100.0)
    assert run.began == []


@pytest.mark.parametrize(
    ("trigger", "still", "over"),
    [
        # Tuesday 11:00 -> Wednesday 11:00 New York
        ("2024-01-09 16:00", "2024-01-10 15:59", "2024-01-10 16:00"),
        # Friday 11:00 -> Monday's open at 09:30
        ("2024-01-05 16:00", "2024-01-08 14:29", "2024-01-08 14:30"),
        # Friday 11:00 before King's day -> Tuesday's open
        ("2024-01-12 16:00", "2024-01-16 14:29", "2024-01-16 14:30"),
        # clocks go forward on Sunday 10 March: 09:30 is 13:30 UTC
        ("2024-03-08 16:00", "2024-03-11 13:29", "2024-03-11 13:30"),
        # clocks go back on Sunday 3 November: 09:30 is 14:30 UTC
        ("2024-11-01 15:00", "2024-11-04 14:29", "2024-11-04 14:30"),
        # Monday 3 July's half day, trigger 11:00; the 4th is closed -> Wednesday's open
        ("2023-07-03 15:00", "2023-07-05 13:29", "2023-07-05 13:30"),
        # Tuesday's close, then Wednesday's half day: 24 hours reach beyond its close
        ("2024-07-02 20:00", "2024-07-03 17:00", "2024-07-03 20:00"),
    ],
)
def test_entries_come_back_at_the_hand_worked_instant(trigger: str, still: str, over: str) -> None:
    run = Run()
    run.mark(at(trigger) - timedelta(days=1), START)
    low = START - 500.0
    refused = run.mark(at(trigger), low)
    halted = run.mark(at(still), low)
    approved = run.mark(at(over), low)

    assert (refused.rule, halted.rule) == (DAILY, DAILY)
    assert approved.approved
    assert run.ended == [(at(over), DAILY)]


@pytest.mark.parametrize(("loss", "halted"), [(499.99, False), (500.0, True), (500.01, True)])
def test_daily_loss_counts_from_the_previous_close(loss: float, halted: bool) -> None:
    first, second = sessions(date(2024, 1, 8), 2)
    run = Run()
    run.mark(close(first) - timedelta(hours=3), START + 5_000)  # an intraday high is no base
    run.mark(close(first), START)

    run.began.clear()
    assert run.mark(close(second), START - loss).approved is not halted
    assert run.began == ([(close(second), DAILY)] if halted else [])


def test_loss_within_the_first_session_of_a_run_counts() -> None:
    opened = new_york().open_at(date(2024, 1, 9))
    run = Run()
    run.mark(opened + timedelta(minutes=1), START)
    refused = run.mark(opened + timedelta(minutes=2), START - 500.0)

    assert refused.rule == DAILY


def test_drawdown_within_the_first_session_of_a_run_counts() -> None:
    opened = new_york().open_at(date(2024, 1, 9))
    run = Run()
    run.mark(opened + timedelta(minutes=1), START)
    run.mark(opened + timedelta(minutes=2), START * 0.9)

    assert (opened + timedelta(minutes=2), DRAWDOWN) in run.began


def test_slow_losses_add_up_to_the_drawdown_halt_at_exactly_ten_percent() -> None:
    run = Run(release_after=None)
    days = sessions(date(2024, 1, 8), 23)  # day 21 is 30 calendar days after day 0
    losses = [*(499.0 * number for number in range(21)), 10_000.0]
    for session, loss in zip(days, losses, strict=False):
        run.mark(close(session), START - loss)

    assert run.began == [(close(days[21]), DRAWDOWN)]
    assert not run.mark(close(days[22]), START).approved  # latched: no recovery lifts it


def test_high_older_than_thirty_days_is_forgotten() -> None:
    first = date(2024, 1, 2)
    day = {n: new_york().session_of(close(first) + timedelta(days=n)) for n in (0, 30, 31)}
    run = Run()
    run.mark(close(day[0]), START)
    run.mark(close(day[30]), START * 0.95)
    assert run.book(close(day[30])).high == START
    run.mark(close(day[31]), START * 0.95)
    assert run.book(close(day[31])).high == START * 0.95


def test_release_after_twenty_sessions_bases_the_high_anew() -> None:
    days = sessions(date(2024, 1, 8), 45)
    run = Run()
    run.mark(close(days[0]), START)
    for session in days[1:22]:
        run.mark(close(session), START * 0.85)

    assert run.began[0] == (close(days[1]), DRAWDOWN)
    assert (close(days[21]), DRAWDOWN) in run.ended
    assert [when for when, verdict, _ in run.verdicts if verdict.approved] == [
        close(days[0]),
        close(days[21]),
    ]
    assert run.book(close(days[21])).high == START * 0.85
    run.began.clear()
    for number, session in enumerate(days[22:42], start=1):
        run.mark(close(session), START * 0.85 - 425.0 * number)
    assert run.began == [(close(days[41]), DRAWDOWN)]  # 8,500 below 85,000


def test_operator_alone_lifts_a_latched_halt_outside_backtests() -> None:
    run = Run(release_after=None)
    days = sessions(date(2024, 1, 8), 120)
    run.mark(close(days[0]), START)
    for session in days[1:]:
        run.mark(close(session), START * 0.89)

    assert DRAWDOWN not in [rule for _, rule in run.ended]
    assert not run.verdicts[-1][1].approved


def test_halt_without_an_end_is_released_like_a_latched_one() -> None:
    days = sessions(date(2024, 1, 8), 22)
    account = Account(AccountState(), history=FixedHistory(), release_after=RELEASE)
    account.mark(close(days[0]), days[0], START)
    account.add(Halt("mood", "bad", close(days[0])))
    ended = [bool(account.mark(close(day), day, START)) for day in days[1:]]

    assert ended == [False] * 19 + [True, False]


@pytest.mark.parametrize("unknown", [math.nan, math.inf])
def test_unknown_equity_denies_for_the_moment_and_is_not_remembered(unknown: float) -> None:
    days = sessions(date(2024, 1, 8), 4)
    run = Run()
    run.mark(close(days[0]), START)
    refused = run.mark(close(days[1]), unknown)
    back = run.mark(close(days[2]), START - 10.0)
    of = run.book(close(days[2]))

    assert (refused.rule, refused.alert) == ("equity", True)
    assert back.approved
    assert (of.equity_at_previous_close, of.high) == (START, START)
    assert run.began == []


def test_equity_unknown_from_the_start_denies() -> None:
    run = Run()

    assert run.mark(close(date(2024, 1, 8)), math.nan).rule == "equity"
    assert run.mark(close(date(2024, 1, 9)), START).approved
