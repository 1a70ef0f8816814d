# SPDX-License-Identifier: GPL-3.0-or-later
"""The account's memory: what counts as yesterday, what as the high, what survives a restart."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from iverson.book import Book, Halt, Position
from iverson.execution.account import Account, AccountState
from iverson.market.calendar import new_york
from iverson.model import Verdict
from iverson.testing import FixedHistory, signal

DAY = date(2024, 1, 8)
EQUITY = 10_000.0


def session(n: int) -> date:
    return new_york().offset(DAY, n)


def account(state: AccountState | None = None, *, release_after: int | None = None) -> Account:
    return Account(state or AccountState(), history=FixedHistory(), release_after=release_after)


def mark(of: Account, n: int, equity: float, *, minutes: int = 0) -> list[tuple[Halt, str]]:
    return of.mark(new_york().close_at(session(n)) - timedelta(minutes=minutes), session(n), equity)


def book(of: Account) -> Book:
    return of.book(cash=0.0, positions={}, pending={}, next_open=None)


def test_previous_close_is_the_last_mark_of_the_session_before() -> None:
    one = account()
    mark(one, 0, EQUITY, minutes=60)
    mark(one, 0, EQUITY + 50)
    mark(one, 1, EQUITY + 20, minutes=60)
    mark(one, 1, EQUITY + 10)

    assert book(one).equity_at_previous_close == EQUITY + 50
    assert book(one).day_pnl == -40


def test_first_session_counts_from_its_first_mark() -> None:
    one = account()
    mark(one, 0, EQUITY, minutes=60)
    mark(one, 0, EQUITY - 70)

    assert book(one).day_pnl == -70
    assert book(one).high == EQUITY


def test_high_is_of_closes_and_of_now_not_of_hours_gone_by() -> None:
    one = account()
    mark(one, 0, EQUITY)
    mark(one, 1, EQUITY + 500, minutes=60)
    assert book(one).high == EQUITY + 500
    mark(one, 1, EQUITY + 100)
    assert book(one).high == EQUITY + 100


@pytest.mark.parametrize("cut", ["between sessions", "within a session"])
def test_restart_goes_on_as_if_there_had_been_none(cut: str) -> None:
    one = account()
    mark(one, 0, EQUITY)
    if cut == "within a session":
        mark(one, 1, EQUITY - 100, minutes=60)
    other = account(one.state)
    for each in (one, other):
        mark(each, 1, EQUITY - 400)

    assert book(other) == book(other)
    assert other.state == one.state
    assert book(other).day_pnl == book(one).day_pnl == -400


def test_state_holds_what_has_to_be_remembered_and_forgets_after_thirty_days() -> None:
    one = account()
    for n in range(60):
        mark(one, n, EQUITY + n)
    closes = one.state.closes

    assert closes[-1] == (session(59), EQUITY + 59)
    assert closes[0][0] >= session(59) - timedelta(days=30)
    assert one.state.previous_close == EQUITY + 58


def test_new_account_has_nothing_to_remember() -> None:
    assert account().state == AccountState()


def test_halt_lasts_until_its_end_and_says_why_it_ended() -> None:
    one = account()
    mark(one, 0, EQUITY)
    halt = Halt("bad day", "", new_york().close_at(session(0)), new_york().close_at(session(1)))
    one.add(halt)

    assert mark(one, 1, EQUITY, minutes=1) == []
    assert book(one).halts == (halt,)
    assert mark(one, 1, EQUITY) == [(halt, "its time is over")]
    assert book(one).halts == ()


@pytest.mark.parametrize("restart", [None, 5])
def test_latched_halt_is_released_by_the_calendar_even_across_restarts(
    restart: int | None,
) -> None:
    one = account(release_after=20)
    mark(one, 0, EQUITY)
    halt = Halt("drawdown", "", new_york().close_at(session(0)), latched=True)
    one.add(halt)
    for n in range(1, 20):
        if n == restart:
            one = account(one.state, release_after=20)
        assert mark(one, n, EQUITY / 2) == []
    ended = mark(one, 20, EQUITY / 2)

    assert ended == [(halt, "released after 20 sessions (backtest)")]
    assert book(one).high == EQUITY / 2
    assert one.state.high_since == session(20)


def test_latched_halt_stays_without_a_release() -> None:
    one = account()
    mark(one, 0, EQUITY)
    one.add(Halt("drawdown", "", new_york().close_at(session(0)), latched=True))

    assert all(mark(one, n, EQUITY) == [] for n in range(1, 100))


def test_operator_releases_a_halt_and_the_high_starts_anew() -> None:
    """Otherwise the same fall would halt again on the next bar."""
    one = account()
    mark(one, 0, EQUITY)
    mark(one, 1, EQUITY * 0.8)
    halt = Halt("drawdown", "", new_york().close_at(session(1)), latched=True)
    one.add(halt)
    assert book(one).drawdown == pytest.approx(-0.2)

    assert one.release("daily loss") is None
    assert one.release("drawdown") == halt

    assert book(one).halts == ()
    assert book(one).drawdown == 0.0


@pytest.mark.parametrize(
    ("flatten", "state"), [((), "active"), ((False,), "halted"), ((False, True), "reducing")]
)
def test_state_of_the_book_follows_its_halts(flatten: tuple[bool, ...], state: str) -> None:
    one = account()
    mark(one, 0, EQUITY)
    for number, asked in enumerate(flatten):
        since = new_york().close_at(session(0))
        one.add(Halt(str(number), "", since, latched=True, flatten=asked))

    assert book(one).state == state
    restarted = account(one.state)
    mark(restarted, 1, EQUITY)
    assert book(restarted).state == state


def test_book_is_a_snapshot() -> None:
    one = account()
    mark(one, 0, EQUITY)
    positions = {"A": Position("A", 1, 1.0, 1.0, 0.5, DAY)}
    pending = {"B": Verdict(signal(symbol="B"), True, 1, "risk", "")}
    of = one.book(cash=5.0, positions=positions, pending=pending, next_open=None)
    positions.clear()
    pending.clear()
    mark(one, 1, EQUITY * 2)

    assert of.symbols == {"A", "B"}
    assert (of.session, of.equity, of.cash) == (DAY, EQUITY, 5.0)


@pytest.mark.parametrize("amount", [-EQUITY, -2 * EQUITY])
def test_withdrawing_everything_leaves_no_negative_high(amount: float) -> None:
    one = account()
    mark(one, 0, EQUITY)
    one.deposit(amount)

    assert book(one).high == 0.0


def test_deposit_before_the_first_mark_changes_nothing() -> None:
    one = account()
    one.deposit(500.0)
    mark(one, 0, EQUITY)

    assert (book(one).day_pnl, book(one).high) == (0.0, EQUITY)
