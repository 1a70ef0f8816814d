# SPDX-License-Identifier: GPL-3.0-or-later
"""The spine on minute bars: warm-up, expiry, time limits, halts and marks within a session."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

import iverson as iv
from iverson.errors import ConfigError, Refused
from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.feeds import MADE_UP
from iverson.model import OrderEvent, Signal
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.research.shadow import follow
from iverson.risk import rules
from iverson.strategy import Strategy
from tests.minute_bars import PRICE, clock_at, flat_at, quiet, sessions_from

CASH = 100_000.0
FIRST = date(2024, 6, 27)
HALF = date(2024, 7, 3)  # closes at 13:00
DAYS = sessions_from(FIRST, 6)  # June 27 and 28, July 1, 2, 3 and 5
WARM = 62  # bars
ABOVE = PRICE + 1.0  # out of a quiet bar's reach


class Once(Strategy):
    """Signals at one bar, by session and clock; the rest is the spine."""

    params = dict(day=DAYS[2], clock="10:30", limit=PRICE, stop=PRICE - 2, target=None)

    def signals(self) -> Iterator[Signal]:
        now = self.desk.now
        assert now is not None
        if now.session == self.p.day and clock_of(now.at) == self.p.clock:
            yield Signal(
                at=now.at, session=now.session, symbol=self.data._name, side="long", confidence=5,
                limit=self.p.limit, stop=self.p.stop, target=self.p.target,
                max_sessions=self.p.max_sessions, strategy="Once",
            )  # fmt: skip


def clock_of(at: datetime) -> str:
    opened = new_york().open_at(new_york().session_of(at))
    return clock_at(int((at - opened) / timedelta(minutes=1)))


def go(
    bars: Bars, *, first: date = DAYS[1], last: date = DAYS[-1], rule: Any = (), **params: Any
) -> Outcome:
    setup = Setup(Once, rules=rule, costs=Costs.none(), cash=CASH, params=params)
    return simulate(setup, Prepared.of({"TEST": bars}), first=first, last=last)


def told(outcome: Outcome, leg: str) -> list[tuple[str, date, str]]:
    return [
        (event.status, event.session, clock_of(event.at))
        for event in outcome.record.of(OrderEvent)
        if event.leg == leg
    ]


# -- how long an entry may wait --------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "fills"), [(3, False), (4, True)])
def test_entry_waits_so_many_minutes_the_last_one_included(minutes: int, fills: bool) -> None:
    lower = {(DAYS[2], "10:34"): (PRICE, PRICE, PRICE - 1.5, PRICE)}
    outcome = go(quiet(DAYS, rows=lower), limit=PRICE - 1, entry_minutes=minutes, max_sessions=0)

    assert bool(outcome.record.fills) is fills
    if not fills:
        assert told(outcome, "entry")[-1] == ("expired", DAYS[2], "10:33")


def test_entry_waits_for_the_next_bar_however_long_that_is() -> None:
    lower = {(DAYS[2], "13:45"): (PRICE, PRICE, PRICE - 1.5, PRICE)}
    days = sessions_from(date(2024, 6, 20), 11)
    bars = quiet(days, length=15, rows=lower)
    outcome = go(bars, clock="13:30", limit=PRICE - 1, entry_minutes=5, max_sessions=0)

    assert [(fill.leg, clock_of(fill.at)) for fill in outcome.record.fills][:1] == [
        ("entry", "13:45")
    ]
    assert follow(outcome.record.verdicts[0].signal, bars, entry_minutes=5).filled


def test_entry_without_minutes_waits_to_the_end_of_the_next_session() -> None:
    outcome = go(quiet(DAYS), limit=PRICE - 1, max_sessions=0)

    assert told(outcome, "entry") == [
        ("accepted", DAYS[2], "10:30"),
        ("expired", DAYS[3], "16:00"),
    ]


def test_minutes_never_outlast_the_sessions() -> None:
    outcome = go(
        quiet(DAYS), limit=PRICE - 1, clock="15:58", entry_minutes=60, entry_sessions=0,
        max_sessions=0,
    )  # fmt: skip

    assert told(outcome, "entry")[-1] == ("expired", DAYS[2], "16:00")


def test_shadow_book_waits_as_long() -> None:
    lower = {(DAYS[2], "10:34"): (PRICE, PRICE, PRICE - 1.5, PRICE)}
    bars = quiet(DAYS, rows=lower)
    (verdict,) = go(bars, limit=PRICE - 1, entry_minutes=4).record.verdicts
    found = {n: follow(verdict.signal, bars, entry_minutes=n).filled for n in (3, 4, None)}

    assert found == {3: False, 4: True, None: True}


# -- when a position is left -----------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 5, 15])
@pytest.mark.parametrize(("day", "close"), [(DAYS[2], "16:00"), (HALF, "13:00")])
def test_same_day_position_is_left_before_the_close_of_any_session(
    day: date, close: str, length: int
) -> None:
    bars = quiet(sessions_from(date(2024, 6, 20), 11), length=length)
    outcome = go(bars, day=day, clock="10:30", max_sessions=0)
    (trade,) = outcome.record.trades
    sent = told(outcome, "time limit")[0]

    end = new_york().close_at(day)
    assert (trade.entry_session, trade.exit_session, trade.exit_reason) == (day, day, "time limit")
    assert clock_of(end) == close
    # decided five minutes or a bar before the close, filled at the open of the bar that follows
    early = timedelta(minutes=max(5, length))
    assert sent == ("accepted", day, clock_of(end - early))
    assert trade.exit_at == end - early + timedelta(minutes=length)


def test_next_session_position_is_left_at_the_end_of_the_next_session() -> None:
    outcome = go(quiet(DAYS), day=DAYS[3], max_sessions=1)
    (trade,) = outcome.record.trades

    assert (trade.exit_session, clock_of(trade.exit_at)) == (HALF, "12:56")


def test_a_symbol_that_stops_trading_early_is_left_at_its_next_bar() -> None:
    gone = frozenset((DAYS[2], clock_at(minute)) for minute in range(380, 391))
    quiet_end = quiet(DAYS, holes=gone)
    other = quiet(DAYS, symbol="OTHER")
    setup = Setup(Once, rules=(), costs=Costs.none(), cash=CASH, params=dict(max_sessions=0))
    bars = {"TEST": quiet_end, "OTHER": other}
    outcome = simulate(setup, Prepared.of(bars), first=DAYS[1], last=DAYS[-1])
    (trade,) = outcome.record.trades

    assert told(outcome, "time limit")[0] == ("accepted", DAYS[2], "15:55")  # on OTHER's bar
    assert (trade.exit_session, clock_of(trade.exit_at)) == (DAYS[3], "09:31")


# -- the ends of a run -----------------------------------------------------------------------------


def test_last_session_is_traded_because_its_bars_can_fill_an_entry() -> None:
    outcome = go(quiet(DAYS), day=DAYS[-1], max_sessions=0)

    assert [trade.exit_reason for trade in outcome.record.trades] == ["time limit"]


def test_nothing_is_decided_at_the_very_last_bar() -> None:
    assert not go(quiet(DAYS), day=DAYS[-1], clock="16:00").record.verdicts


# -- halts -----------------------------------------------------------------------------------------


def crash(day: date, clock: str) -> Bars:
    """Bars that fall by two dollars at a bar and stay there for the session."""
    minute = next(m for m in range(1, 391) if clock_at(m) == clock)
    fallen = {(day, clock_at(m)): flat_at(PRICE - 1.9) for m in range(minute, 391)}
    return quiet(DAYS, rows=fallen)


class Twice(Once):
    """The same, once more two hours later and a day later."""

    def signals(self) -> Iterator[Signal]:
        now = self.desk.now
        assert now is not None
        for day, clock in ((DAYS[2], "10:30"), (DAYS[2], "14:00"), (DAYS[3], "11:00"),
                           (DAYS[3], "11:01")):  # fmt: skip
            if (now.session, clock_of(now.at)) == (day, clock):
                yield Signal(
                    at=now.at, session=now.session, symbol="TEST", side="long", confidence=5,
                    limit=self.data.close[0] + 0.5, stop=self.data.close[0] - 4, strategy="Twice",
                    max_sessions=None,
                )  # fmt: skip


def test_daily_loss_halts_within_the_session_for_24_hours() -> None:
    limit = rules.DailyLossHalt(limit_usd=300.0)
    setup = Setup(Twice, rules=(limit,), costs=Costs.none(), cash=CASH)
    bars = crash(DAYS[2], "11:01")
    outcome = simulate(setup, Prepared.of({"TEST": bars}), first=DAYS[1], last=DAYS[-1])
    (halt,) = outcome.record.halts
    answers = [
        (v.signal.session, clock_of(v.signal.at), v.approved) for v in outcome.record.verdicts
    ]

    assert (clock_of(halt.since), halt.until) == ("11:01", halt.since + timedelta(hours=24))
    assert halt.value <= -300.0
    assert answers == [
        (DAYS[2], "10:30", True),
        (DAYS[2], "14:00", False),
        (DAYS[3], "11:00", False),  # a minute short of 24 hours
        (DAYS[3], "11:01", True),
    ]


def test_rules_of_ones_own_see_every_bar_and_the_standard_ones_need_not() -> None:
    seen: list[datetime] = []

    class Looking(iv.RiskRule):
        def halt(self, book: iv.Book) -> None:
            seen.append(book.at)

    bars = quiet(DAYS)
    go(bars, rule=(rules.DrawdownHalt(), Looking()))

    assert len(seen) == int((bars.session > np.datetime64(DAYS[0])).sum())


def test_halts_are_the_same_whether_or_not_a_book_was_spared() -> None:
    """The gate's shortcut and the whole way, over the same crash."""

    class Slow(rules.DailyLossHalt):
        """The standard rule, by another class: the gate must build a book on every bar."""

        name = "daily loss halt"

    prepared = Prepared.of({"TEST": crash(DAYS[2], "11:01")})
    found = []
    for rule in (rules.DailyLossHalt(limit_usd=300.0), Slow(limit_usd=300.0)):
        setup = Setup(Twice, rules=(rule,), costs=Costs.none(), cash=CASH)
        outcome = simulate(setup, prepared, first=DAYS[1], last=DAYS[-1])
        found.append(outcome.record.values)
    quick, slow = found

    assert quick == slow


# -- marks -----------------------------------------------------------------------------------------


def test_account_is_noted_once_a_session_at_its_last_bar() -> None:
    bars = quiet(DAYS, holes=frozenset({(DAYS[3], "16:00"), (DAYS[3], "15:59")}))
    rows = go(bars, max_sessions=0).record.equity

    assert [row.session for row in rows] == DAYS[1:]
    assert [clock_of(row.at) for row in rows] == ["16:00", "16:00", "15:58", "13:00", "16:00"]
    # the position was left before the close, and the session counts as exposed all the same
    assert [row.positions for row in rows] == [0, 1, 0, 0, 0]
    assert [row.positions_value for row in rows] == [0.0] * 5


def test_marks_stand_between_the_sessions_they_part() -> None:
    outcome = go(quiet(DAYS, holes=frozenset({(DAYS[2], "16:00")})), day=DAYS[2], max_sessions=1)
    sessions = [getattr(value, "session", None) for value in outcome.record.values]

    assert [one for one in sessions if one] == sorted(one for one in sessions if one)


# -- warm-up ---------------------------------------------------------------------------------------


class Looking(Strategy):
    """A strategy whose indicator looks back whole sessions."""

    params = dict(back=14)

    def entry(self, data: Any) -> iv.Long:
        opening = iv.OpeningRange(data, sessions=self.p.back)
        return iv.Long(opening.breakout * 0, data.close, data.close - 1)


@pytest.mark.parametrize(
    ("length", "back", "warm_up"),
    [(1, 14, 15 * 390), (5, 14, 15 * 78), (15, 14, 15 * 26), (1, 2, 3 * 390), (15, 1, WARM)],
)
def test_sessions_looked_back_count_as_full_ones(length: int, back: int, warm_up: int) -> None:
    days = sessions_from(FIRST, back + 4)
    bars = quiet(days, length=length)
    system = iv.System(Looking, ["TEST"], interval=f"{length}m", bars={"TEST": bars})

    assert system.backtest(back=back).warm_up == warm_up


def test_walk_forward_takes_minutes_and_says_that_the_kernel_does_not() -> None:
    days = sessions_from(FIRST, 14)
    system = iv.System(
        Once, ["TEST"], interval="15m", bars={"TEST": quiet(days, length=15)}, rules=(),
    )  # fmt: skip
    result = system.walk_forward(in_sample=6, out_of_sample=3, grid=dict(max_sessions=[0, 1]))

    assert any("not by the kernel: the bars are not daily" in note for note in result.notes)


def test_in_sample_shorter_than_the_warm_up_in_sessions_is_refused() -> None:
    days = sessions_from(FIRST, 30)
    system = iv.System(Looking, ["TEST"], interval="15m", bars={"TEST": quiet(days, length=15)})

    with pytest.raises(ConfigError, match="in-sample has 3 sessions, shorter than the warm-up"):
        system.walk_forward(in_sample=3, out_of_sample=3, purge=0, grid=dict(back=[5]))


# -- what bars a system may run on -----------------------------------------------------------------


class Fresh(Once):
    """Needs bars at once."""

    least_feed = "iex"


def fresh(feed: str) -> iv.System:
    bars = {"TEST": quiet(DAYS, length=15, feed=feed)}
    return iv.System(Fresh, ["TEST"], interval="15m", bars=bars)


@pytest.mark.parametrize("verb", ["backtest", "walk_forward", "check", "load"])
def test_delayed_bars_are_refused_by_every_verb(verb: str) -> None:
    with pytest.raises(Refused, match="Fresh needs at least the feed 'iex'"):
        getattr(fresh("sip, delayed by 15 minutes"), verb)()


def test_an_unknown_feed_is_a_note_and_a_known_one_is_none() -> None:
    assert any("not known" in note for note in fresh("").backtest().notes)
    assert not any("feed" in note for note in fresh("sip").backtest().notes)


def test_synthetic_bars_run_and_every_print_says_so() -> None:
    run = fresh("SYNTHETIC").backtest()

    assert MADE_UP in run.notes
    assert str(run).startswith("SYNTHETIC BARS: Fresh on TEST")
    assert run.trades.attrs["mark"] == run.denied.attrs["mark"] == "SYNTHETIC BARS"
    assert "mark" not in fresh("sip").backtest().trades.attrs


def test_bars_outside_regular_hours_are_left_out_and_counted() -> None:
    bars = quiet(DAYS, length=15)
    early = replace(bars, at=bars.at - np.timedelta64(15, "m"))
    system = iv.System(Once, ["TEST"], interval="15m", bars={"TEST": early})

    assert len(system.load()["TEST"]) == len(bars) - len(DAYS)
    assert "6 bars outside regular hours are left out" in system.backtest().notes


def test_stop_is_not_triggered_before_the_open() -> None:
    """A bar at 08:00 far below the stop is no trade that a stop order would see."""
    bars = quiet(DAYS, length=15)
    row = int(np.flatnonzero(bars.session == np.datetime64(DAYS[3]))[0])
    eight = {"at": np.datetime64("2024-07-02T12:00"), "low": PRICE - 50}
    names = [one.name for one in fields(Bars) if isinstance(getattr(bars, one.name), np.ndarray)]
    columns = {n: np.insert(c := getattr(bars, n), row, eight.get(n, c[row])) for n in names}
    system = iv.System(
        Once, ["TEST"], interval="15m", bars={"TEST": replace(bars, **columns)}, rules=(),
        params=dict(max_sessions=1, clock="14:00"),
    )  # fmt: skip
    run = system.backtest()

    assert run.trades["exit_reason"].tolist() == ["time limit"]
