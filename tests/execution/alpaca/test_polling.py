# SPDX-License-Identifier: GPL-3.0-or-later
"""When the venue is asked, seldom while its stream speaks, often while not; what blindness is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from iverson.errors import BrokerUnavailable
from iverson.execution.alpaca.polling import BLIND, Polling, differs
from iverson.execution.alpaca.states import OrderState
from iverson.execution.alpaca.tracking import Tracked
from iverson.simulator.faults import Fault
from tests.execution.alpaca.live import Lived, live

BEGIN = datetime(2024, 6, 3, 14, 0, tzinfo=UTC)
EVERY, FAST, STEP = 60, 10, 2  # seconds


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def polled(
    seconds: int, *, working: bool = True, speaks: bool = False, before: Any = None
) -> list[tuple[int, str]]:
    """Return when what was due, second by second, of a stream that is connected at the begin."""
    clock = Clock()
    polling = Polling(clock, EVERY)
    polling.connected()
    assert polling.due(working=working) == "everything"  # what was before the connection
    polling.told(answered=True)
    if before is not None:
        before(polling)
    found = []
    for second in range(1, seconds + 1):
        clock.wait(1)
        if speaks:
            polling.heard()
        due = polling.due(working=working)
        if due is not None:
            found.append((second, due))
    return found


def test_stream_that_speaks_is_compared_once_a_minute() -> None:
    assert polled(3 * EVERY, speaks=True) == [(n * EVERY, "everything") for n in (1, 2, 3)]


def test_stream_that_is_silent_for_a_minute_is_asked_for_every_ten_seconds() -> None:
    assert polled(2 * EVERY) == [
        (EVERY, "everything"),
        *((EVERY + n * FAST, "orders") for n in range(1, 6)),
        (2 * EVERY, "everything"),
    ]


def test_stream_that_is_down_is_asked_for_every_ten_seconds_from_the_start() -> None:
    found = polled(EVERY, before=lambda polling: polling.lost())

    assert found == [*((n * FAST, "orders") for n in range(1, 6)), (EVERY, "everything")]


def test_silence_costs_nothing_while_there_is_no_order() -> None:
    assert polled(2 * EVERY, working=False) == [(EVERY, "everything"), (2 * EVERY, "everything")]


def test_connection_made_anew_asks_for_everything_at_once() -> None:
    clock = Clock()
    polling = Polling(clock, EVERY)
    assert polling.due(working=True) is None
    polling.lost()
    polling.connected()

    assert polling.due(working=True) == "everything"
    assert polling.due(working=True) is None


def test_nothing_is_due_while_an_answer_is_waited_for() -> None:
    clock = Clock()
    polling = Polling(clock, EVERY)
    polling.due(working=True)
    polling.asking()
    clock.wait(10 * EVERY)
    assert polling.due(working=True) is None

    polling.told(answered=False)
    assert polling.due(working=True) == "everything"


@pytest.mark.parametrize("down", [True, False])
@pytest.mark.parametrize("answered", [True, False])
def test_blind_is_who_neither_hears_nor_gets_answers_for_two_minutes(
    *, down: bool, answered: bool
) -> None:
    clock = Clock()
    polling = Polling(clock, EVERY)
    polling.connected()
    polling.due(working=True)
    if down:
        polling.lost()
    clock.wait(BLIND.total_seconds())
    assert not polling.blind
    clock.wait(1)
    polling.told(answered=answered)

    assert bool(polling.blind) == (down and not answered)


def state(order_id: str, filled: float = 0.0) -> OrderState:
    return OrderState(order_id, "", "TEST", "buy", "limit", "new", 10.0, filled, float("nan"))


def tracked(leg: Any, order_id: str, **more: Any) -> Tracked:
    group: Any = SimpleNamespace()
    return Tracked(group, None, leg, "", 10.0, id=order_id, **more)


ENTRY = tracked("entry", "e")
HELD = [
    tracked("entry", "e", filled=10.0, ended=True),
    tracked("stop", "s"),
    tracked("target", "t"),
]


@pytest.mark.parametrize(
    ("group", "shown", "expected"),
    [
        ([ENTRY], [state("e")], False),
        ([ENTRY], [state("e", filled=4.0)], True),
        ([ENTRY], [], True),
        ([ENTRY], [state("other")], True),
        ([tracked("entry", "")], [], True),
        (HELD, [state("t")], False),  # the stop sleeps, and is not shown
        (HELD, [state("s"), state("t")], False),
        (HELD, [state("s"), state("t", filled=1.0)], True),
        (HELD, [], True),
        ([replace(HELD[0])], [], False),  # nothing of it is left at the venue
    ],
)
def test_orders_are_read_when_the_open_ones_are_not_those_of_the_group(
    group: list[Tracked], shown: list[OrderState], *, expected: bool
) -> None:
    assert differs(group, {one.id: one for one in shown}) == expected


# -- on the exchange -----------------------------------------------------------------------------

PRICES = "100 100 100 100/100/98/100 100 100 100 100"  # bar 4 reaches a limit of 99
MINUTES = 3
POLLED = {"clock": "1-", "orders": "3-"}  # what a poll asks for; a start lists orders twice


def bought_and_watched(stream: str) -> tuple[Lived, float]:
    """Let an order fill whose word never comes; return the seconds until it was known."""
    known: list[datetime] = []

    def buy(strategy: Any) -> None:
        strategy.buy(size=10, exectype=2, price=99.0)
        if stream != "none":
            strategy.broker.p.store.connected()

    def watch(strategy: Any) -> None:
        store = strategy.broker.p.store
        if stream == "down":
            store.lost()
        for _ in range(MINUTES * 60 // STEP):
            store.pause(STEP)
            if stream == "speaks":
                store.polling.heard()
            strategy.broker.next()
            if strategy.position.size and not known:
                known.append(store.clock())

    lived = live(PRICES, {2: buy, 3: watch}, poll_seconds=EVERY)
    (filled,) = lived.street.witness.fills()["at"]
    return lived, (known[0] - filled).total_seconds()


@pytest.mark.parametrize("stream", ["down", "silent"])
def test_fill_whose_word_is_lost_is_known_within_ten_seconds(stream: str) -> None:
    lived, seconds = bought_and_watched(stream)

    assert 0 <= seconds <= FAST + STEP
    listed = lived.breaking.calls.count("GET orders")
    assert listed <= (MINUTES + 2) * 60 / FAST + 10  # a listing each, and what was read of it


def test_outage_of_the_venue_does_not_end_a_stream_and_nothing_is_missed() -> None:
    away = Fault(on="GET /v2/**", nth="6-40", do="status", status=503)
    words = " ".join(["100"] * 30)
    plan = {2: lambda s: s.buy(size=10), 20: lambda s: s.sell(size=4)}

    lived = live(words, plan, faults=(away,), threaded=True, poll_seconds=EVERY)

    assert lived.held() == {"TEST": "6"}
    assert lived.strategy.position.size == 6
    assert lived.broker.getcash() == pytest.approx(100_000 - 6 * 100)


def test_keys_that_are_revoked_are_told_once_and_halt_entries_of_a_stream() -> None:
    revoked = Fault(on="GET /v2/**", nth="8-40", do="status", status=401)
    plan = {2: lambda s: s.buy(size=10), 9: lambda s: s.buy(size=1), 25: lambda s: s.sell(size=4)}
    words = " ".join(["100"] * 60)

    lived = live(words, plan, faults=(revoked,), threaded=True, poll_seconds=EVERY)

    assert [rule for rule, _ in lived.alarms] == ["keys"]
    assert "does not accept the keys (401)" in lived.alarms[0][1]
    assert [(one["side"], one["qty"]) for one in lived.orders] == [("buy", 10), ("sell", 4)]
    assert lived.strategy.position.size == 6  # the stream went on, and so did what leaves


def test_outage_of_the_venue_ends_a_wake() -> None:
    away = Fault(on="GET /v2/**", nth="6-", do="status", status=503)

    with pytest.raises(BrokerUnavailable, match="protective stops stand at the broker"):
        live(" ".join(["100"] * 8), {2: lambda s: s.buy(size=10)}, faults=(away,))


def test_nothing_is_entered_blind_and_a_position_may_be_left() -> None:
    away = [
        Fault(on=f"GET /v2/{name}", nth=nth, do="status", status=503)
        for name, nth in POLLED.items()
    ]
    told: list[str] = []

    def enter(strategy: Any) -> None:
        told.append(strategy.broker.p.store.polling.blind)
        strategy.buy(size=1)

    plan = {
        1: lambda s: s.buy(size=10), 5: lambda s: s.broker.p.store.lost(), 12: enter,
        14: lambda s: s.sell(size=10),
    }  # fmt: skip
    lived = live(" ".join(["100"] * 18), plan, faults=away, threaded=True, poll_seconds=EVERY)

    assert told[0].startswith("Alpaca has neither answered nor been heard for")
    assert [(one["side"], one["qty"]) for one in lived.orders] == [("buy", 10), ("sell", 10)]
    assert ("Market", "Rejected", 0) in lived.notified
