# SPDX-License-Identifier: GPL-3.0-or-later
"""Halt, resume and flatten beside wakes and streams, on the exchange of the rig."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.book import OPERATOR, Halt
from iverson.errors import ConfigError
from iverson.execution.account import Account
from iverson.model import Execution, Intent
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, Release
from iverson.monitoring.standing import standing_of
from iverson.risk.max_loss import FOR_GOOD
from iverson.stages import operator
from iverson.stages.lock import account_lock
from iverson.stages.memory import remember
from tests.stages.phone import Place
from tests.stages.play import RUN
from tests.stages.rig import Breaking, SimulatedCrash
from tests.stages.scenes import Scene, _bars, _long

HOLD = "100 | 100 | 100 100 | 100 100 100"
ENTRY_WAITS = Scene("waits", {"TEST": _bars(HOLD)}, {0: (_long(limit=90.0, stop=85.0),)})
BOUGHT = Scene("bought", {"TEST": _bars(HOLD)}, {0: (_long(),), 3: (_long(),)})
TWICE = Scene("twice", {"TEST": _bars(HOLD)}, {0: (_long(limit=90.0, stop=85.0),), 1: (_long(),)})


@pytest.fixture
def at(tmp_path: Path) -> Iterator[Callable[[Scene], Place]]:
    made: list[Place] = []

    def place(scene: Scene) -> Place:
        made.append(Place(scene, tmp_path))
        return made[-1]

    yield place
    for one in made:
        one.street.close()


def test_halt_takes_back_the_entry_and_denies_the_next_after_a_restart(at: Any) -> None:
    place = at(TWICE)
    place.wake_until(1)
    assert place.working()

    made = place.halt("the news")

    assert made.new
    assert place.working() == []
    place.wake_until(2)
    verdicts = place.noted("verdict")
    assert [(one.approved, one.rule) for one in verdicts] == [(True, "notional"), (False, OPERATOR)]
    assert "by test: the news" in verdicts[1].reason
    assert place.held == {}
    assert place.alarms == []


def test_halt_leaves_positions_and_their_protection(at: Any) -> None:
    place = at(BOUGHT)
    place.wake_until(2)
    assert place.held == {"TEST": 200}

    place.halt()
    place.wake_until(4)

    assert place.held == {"TEST": 200}
    assert place.covered == {"TEST": (200, 200)}
    assert [kind for _, kind in sorted(place.working())] == ["limit", "stop"]


def test_halting_twice_is_one_halt(at: Any) -> None:
    place = at(ENTRY_WAITS)
    place.wake_until(1)
    first, again = place.halt("one"), place.halt("two")

    assert (first.new, again.new) == (True, False)
    assert len(place.noted("halt")) == 1


def test_halt_without_a_broker_is_kept_all_the_same(at: Any) -> None:
    place = at(TWICE)
    place.wake_until(1)
    with Journal(place.path) as journal:
        made = operator.halt(journal, RUN, by="test", at=place.street.now)

    assert "not asked" in str(made)
    place.wake(1)  # whoever trades the run takes its entries back
    place.street.pause(5)
    assert place.working() == []


def test_unknown_run_is_refused(tmp_path: Path, at: Any) -> None:
    place = at(ENTRY_WAITS)
    with Journal(place.path) as journal, pytest.raises(ConfigError, match=f"it has {RUN}"):
        operator.halt(journal, "paper-Nobody", by="test", at=place.street.now)


def test_last_run_is_live_or_paper_before_rehearsed(at: Any) -> None:
    place = at(ENTRY_WAITS)
    (row,) = place.noted("run")
    with Journal(place.path) as journal:
        assert operator.last_run(journal)[0] == RUN
        journal.append("paper-X", replace(row, stage=operator.Stage.PAPER))
        journal.append("rehearse-Y", row)
        assert operator.last_run(journal) == ("paper-X", operator.Stage.PAPER)


# -- no entry after a halt -------------------------------------------------------------------------


def entries_after_halt(place: Place) -> list[Intent]:
    """Intents of entries that follow a halt of the operator in the journal."""
    halted, found = False, []
    for _, value in place.numbered("halt", "release", "intent"):
        if isinstance(value, Halt):
            halted = halted or value.rule == OPERATOR
        elif isinstance(value, Release):
            halted = halted and value.rule != OPERATOR
        elif halted and value.leg == "entry":
            found.append(value)
    return found


def test_wake_that_decides_while_the_halt_is_written_sends_nothing(at: Any) -> None:
    """The halt comes between the verdict and the intent."""
    place = at(BOUGHT)

    class Between(Breaking):
        def point(self, name: str) -> None:
            if name == "after append Verdict":
                with Journal(place.path, durable=False) as journal:
                    operator.halt(journal, RUN, by="test", at=place.street.now)

    (when, number), *_ = place.steps()
    place.wake(number, when, breaking=Between())

    assert [one.approved for one in place.noted("verdict")] == [True]
    assert place.noted("intent") == []
    assert place.working() == []
    assert place.alarms == []


def test_entry_on_its_way_when_the_halt_is_written_is_taken_back_by_the_wake(at: Any) -> None:
    """The halt comes between the intent and its order: the same wake cancels it."""
    place = at(BOUGHT)

    class Between(Breaking):
        def point(self, name: str) -> None:
            if name == "before POST orders":
                with Journal(place.path, durable=False) as journal:
                    operator.halt(journal, RUN, by="test", at=place.street.now)

    (when, number), *_ = place.steps()
    place.wake(number, when, breaking=Between())

    assert [one.leg for one in place.noted("intent")] == ["entry"]
    assert place.working() == []
    assert entries_after_halt(place) == []


def test_entry_that_a_killed_process_left_unsent_is_not_sent_under_a_halt(at: Any) -> None:
    place = at(BOUGHT)
    (when, number), *_ = place.steps()
    with pytest.raises(SimulatedCrash):
        place.wake(number, when, breaking=Breaking(first="before POST orders"))

    place.halt()
    place.wake(number)

    assert place.street.witness.orders().empty
    assert [one.ending for one in place.noted("answer")] == ["abandoned"]
    assert place.alarms == []


# -- resume ----------------------------------------------------------------------------------------


def test_resume_lets_entries_in_again(at: Any) -> None:
    place = at(BOUGHT)
    place.halt()
    place.wake_until(1)
    assert place.held == {}

    resumed = place.resume()
    place.wake_until(5)

    assert [one.rule for one in resumed.ended] == [OPERATOR]
    assert "Entries are allowed again" in str(resumed)
    assert place.held == {"TEST": 200}  # of the second signal
    assert str(place.resume()).startswith(f"{RUN}: nothing to release")


def test_maximum_loss_and_a_daily_loss_stay(at: Any) -> None:
    place = at(ENTRY_WAITS)
    now = place.street.now
    until = now + timedelta(hours=24)
    with Journal(place.path) as journal:
        journal.append(RUN, Halt("max loss", "lost", since=now, until=FOR_GOOD, flatten=True))
        journal.append(RUN, Halt("daily loss halt", "a bad day", since=now, until=until))
        journal.append(RUN, Halt("drawdown halt", "deep", since=now, latched=True))
        journal.append(RUN, Halt("out of sync", "unclear", since=now, latched=True))
    place.halt()

    resumed = place.resume()

    ended = {one.rule for one in resumed.ended}
    assert ended == {"drawdown halt", "out of sync", OPERATOR}
    assert "stays, max loss: lost; for good" in str(resumed)
    assert f"stays, daily loss halt: a bad day; since {now:%Y-%m-%d %H:%M} UTC, until" in str(
        resumed
    )
    assert {one.rule for one in place.noted("release")} == ended
    with Journal(place.path, read_only=True) as journal:
        assert standing_of(journal, RUN, at=now).state == "reducing"
        assert standing_of(journal, RUN, at=datetime(2049, 12, 1, tzinfo=UTC)).state == "reducing"


DAYS = [date(2024, 1, day) for day in (2, 3, 4, 5)]
EQUITY = [110_000.0, 104_000.0, 98_000.0, 99_000.0]


@pytest.mark.parametrize("latched", [True, False])
def test_stream_and_wake_take_the_high_from_the_same_session(latched: bool) -> None:
    """A released halt re-bases the high in both; one whose time was over in neither."""

    def instant(day: date, hour: int = 21) -> datetime:
        return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)

    halt = Halt(
        "drawdown halt", "deep", since=instant(DAYS[2]), latched=latched,
        until=None if latched else instant(DAYS[3], 15),
    )  # fmt: skip
    release = Release(instant(DAYS[3], 15), DAYS[3], halt.rule, "test")
    with Journal() as journal:
        for day, equity in zip(DAYS[:3], EQUITY, strict=False):
            journal.append(RUN, EquityRow(instant(day), day, equity, equity, 0.0, 0))
        journal.append(RUN, halt)
        before = remember(journal, RUN, after=DAYS[3])
        journal.append(RUN, release)
        wake = Account(remember(journal, RUN, after=DAYS[3]).state, history=no_history())

    stream = Account(before.state, history=no_history())
    stream.release(release.rule, session=release.session)
    for account in (stream, wake):
        account.mark(instant(DAYS[3]), DAYS[3], EQUITY[3])

    assert stream.halts == wake.halts == ()
    assert stream.numbers == wake.numbers
    assert stream.numbers[2] == (EQUITY[3] if latched else EQUITY[0])


def no_history() -> Any:
    return None


# -- flatten ---------------------------------------------------------------------------------------


def test_flatten_leaves_everything_and_the_next_wake_has_nothing_to_explain(at: Any) -> None:
    place = at(BOUGHT)
    place.wake_until(2)
    place.noon()

    left = place.flatten()

    assert (left.sent, left.left, left.done) == (("TEST",), (), True)
    assert place.held == {}
    assert place.working() == []
    place.wake_until(5)
    assert place.alarms == []
    assert [one.rule for one in place.noted("halt")] == [OPERATOR]
    (trade,) = place.noted("trade")
    assert (trade.exit_reason, trade.size) == ("flatten", 200)
    assert place.held == {}  # the second signal was denied
    assert entries_after_halt(place) == []


def test_flatten_while_the_market_is_closed_waits_for_the_open(at: Any) -> None:
    place = at(BOUGHT)
    place.wake_until(2)

    left = place.flatten()
    again = place.flatten()

    assert left.waits == again.waits == ("TEST",)
    assert "wait for the open" in str(left)
    assert place.working() == [("TEST", "market")]
    place.wake_until(4)
    assert place.held == {}
    assert place.alarms == []
    assert [one.exit_reason for one in place.noted("trade")] == ["flatten"]


def test_flatten_twice_is_harmless(at: Any) -> None:
    place = at(BOUGHT)
    place.wake_until(2)
    place.noon()
    place.flatten()
    orders = len(place.street.witness.orders())

    again = place.flatten()

    assert again.done
    assert len(place.street.witness.orders()) == orders
    assert len(place.noted("halt")) == 1


def test_flatten_beside_a_process_that_hangs_uses_the_kill_switch_and_is_explained(
    at: Any,
) -> None:
    """Its orders are not ours, but the halt says who has everything left."""
    place = at(BOUGHT)
    place.wake_until(2)
    place.noon()
    with account_lock(place.path):
        left = place.flatten()

    assert (left.sent, left.done) == ((), True)
    assert left.killed is not None
    assert place.held == {}
    place.wake_until(5)
    assert place.alarms == []
    assert [one.exit_reason for one in place.noted("trade")] == ["flatten"]
    assert [one.rule for one in place.noted("halt")] == [OPERATOR]


def test_shares_that_somebody_took_before_the_flatten_are_a_problem_still(at: Any) -> None:
    place = at(BOUGHT)
    place.wake_until(2)
    place.noon()
    place.street.exchange.cancel_all(place.street.account)
    place.street.pause(1)
    place.street.exchange.close_position(place.street.account, "TEST")
    place.street.pause(60)

    place.flatten()

    assert "out of sync" in {one.rule for one in place.noted("halt")}


@pytest.mark.parametrize("point", ["after POST orders", "before POST orders", "after append Halt"])
def test_flatten_that_is_killed_is_done_by_the_next(at: Any, point: str) -> None:
    from iverson.stages.leaving import flatten
    from tests.stages.rig import Line, journal_at

    place = at(BOUGHT)
    place.wake_until(2)
    place.noon()
    breaking = Breaking(first=point)
    venue = replace(place.venue, caller=Line(place.street, breaking))
    with journal_at(place.path, breaking) as journal, pytest.raises(SimulatedCrash):
        flatten(journal, RUN, by="test", at=place.street.now, venue=venue, pause=place.street.pause)

    assert place.flatten().done
    assert place.held == {}
    place.wake_until(5)
    assert place.alarms == []
    executed: list[Execution] = place.noted("execution")
    assert sum(one.size for one in executed if one.leg == "flatten") == 200
