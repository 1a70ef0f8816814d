# SPDX-License-Identifier: GPL-3.0-or-later
"""The order protocol against a venue that lies: at most one order, none lost, none late."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.execution.alpaca.outcomes import Reply
from iverson.execution.alpaca.protocol import LOOKS, MOST_POSTS, Placed, Placing
from iverson.model import Intent

START = datetime(2024, 3, 4, 15, tzinfo=UTC)
NAME = "iv1-name"
ORDER = {"id": "o-1", "client_order_id": NAME, "symbol": "AAPL", "side": "buy", "status": "new"}
DUPLICATE = Reply(422, {"code": 40010001, "message": "client_order_id must be unique"})
NOT_FOUND = Reply(404, {"code": 40410000, "message": "order not found"})

# What can happen to one POST: does the venue take the order, and what does the caller see?
FATES: dict[str, tuple[bool, Reply | None]] = {
    "accepted": (True, None),  # None: the venue's own answer
    "taken, no answer": (True, Reply(0, error="ReadTimeout")),
    "taken, 504": (True, Reply(504)),
    "taken, 500 page": (True, Reply(500, None)),
    "taken, empty answer": (True, Reply(200, None)),
    "taken, other body": (True, Reply(200, {"id": "x", "client_order_id": "else"})),
    "lost, no answer": (False, Reply(0, error="ConnectionError")),
    "lost, 503": (False, Reply(503)),
    "limited": (False, Reply(429, {"code": 42910000})),
    "refused": (False, Reply(403, {"code": 40310000, "message": "insufficient qty"})),
}


def intent(valid_for: timedelta | None = timedelta(minutes=10)) -> Intent:
    body = json.dumps({"symbol": "AAPL", "client_order_id": NAME})
    end = None if valid_for is None else START + valid_for
    return Intent(START, date(2024, 3, 4), NAME, "AAPL-1", "AAPL", "entry", 1, body, end)


@dataclass
class Venue:
    """A venue with a memory of names; each POST has a fate, each look may go unanswered."""

    fates: list[str]
    lag: int = 0  # looks that do not see an order yet
    silent: int = 0  # looks that go unanswered
    now: datetime = START
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    posts: int = 0
    late: int = 0
    _fate: Iterator[str] | None = None

    def call(self, method: str, path: str, data: Any = None) -> Reply:
        if method == "POST":
            return self._post(data)
        if self.silent:
            self.silent -= 1
            return Reply(0, error="ReadTimeout")
        if NAME not in self.orders:
            return NOT_FOUND
        if self.lag:
            self.lag -= 1
            return NOT_FOUND
        return Reply(200, self.orders[NAME])

    def _post(self, data: Any) -> Reply:
        self.posts += 1
        self.late += self.now > START + timedelta(minutes=10)
        fate = self.fates.pop(0) if self.fates else "accepted"
        takes, shown = FATES[fate]
        if data["client_order_id"] in self.orders:
            return DUPLICATE if shown is None or shown.status in (403, 429) else shown
        if takes:
            self.orders[data["client_order_id"]] = dict(ORDER)
        return Reply(200, dict(ORDER)) if shown is None else shown

    def pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def place(self, one: Intent, *, seen_before: bool = False) -> Placed:
        return Placing(self, lambda: self.now, self.pause).place(one, seen_before=seen_before)


def test_answer_with_our_name_is_accepted_after_one_post() -> None:
    placed = Venue(["accepted"]).place(intent())

    assert (placed.ending, placed.posts) == ("accepted", 1)
    assert placed.order is not None
    assert placed.order.id == "o-1"


@pytest.mark.parametrize("fate", [fate for fate, (takes, _) in FATES.items() if takes])
def test_order_that_was_taken_is_found_and_not_sent_again(fate: str) -> None:
    venue = Venue([fate])

    placed = venue.place(intent())

    assert (placed.ending, venue.posts, len(venue.orders)) == ("accepted", 1, 1)


@pytest.mark.parametrize("fate", ["lost, no answer", "lost, 503"])
def test_order_that_was_lost_is_sent_again_under_its_name(fate: str) -> None:
    venue = Venue([fate, "accepted"])

    placed = venue.place(intent())

    assert (placed.ending, venue.posts, len(venue.orders)) == ("accepted", 2, 1)


def test_order_seen_late_is_adopted_when_its_name_turns_out_to_be_taken() -> None:
    venue = Venue(["taken, no answer"], lag=len(LOOKS))

    placed = venue.place(intent())

    assert (placed.ending, venue.posts, len(venue.orders)) == ("accepted", 2, 1)


def test_refusal_is_final_and_carries_the_words() -> None:
    venue = Venue(["refused"])

    placed = venue.place(intent())

    assert (placed.ending, placed.reason, venue.posts) == ("rejected", "insufficient qty", 1)


def test_refusal_for_money_is_margin() -> None:
    body = {"code": 40310000, "message": "insufficient buying power", "buying_power": "1.0"}

    class Poor(Venue):
        def _post(self, data: Any) -> Reply:
            return Reply(403, body)

    assert Poor([]).place(intent()).ending == "margin"


def test_refusal_that_looks_like_a_taken_name_is_a_refusal_when_the_venue_has_none() -> None:
    class Picky(Venue):
        def _post(self, data: Any) -> Reply:
            self.posts += 1
            return Reply(422, {"code": 40010001, "message": "qty must be > 0"})

    venue = Picky([])

    placed = venue.place(intent())

    assert (placed.ending, placed.reason, venue.posts) == ("rejected", "qty must be > 0", 1)


def test_rate_limit_is_waited_out_and_the_same_order_sent() -> None:
    venue = Venue(["limited", "limited", "accepted"])

    placed = venue.place(intent())

    assert (placed.ending, venue.posts) == ("accepted", 3)
    assert venue.now > START


def test_rate_limit_until_an_instant_is_waited_until_then() -> None:
    until = START + timedelta(seconds=42)

    class Limited(Venue):
        def _post(self, data: Any) -> Reply:
            if self.now < until:
                return Reply(429, {}, reset_at=until)
            return super()._post(data)

    venue = Limited([])

    assert venue.place(intent()).ending == "accepted"
    assert venue.now == until


def test_keys_that_are_refused_end_it_at_once() -> None:
    class Revoked(Venue):
        def _post(self, data: Any) -> Reply:
            self.posts += 1
            return Reply(401, {"message": "unauthorized."})

    venue = Revoked([])

    assert (venue.place(intent()).ending, venue.posts) == ("keys", 1)


def test_old_intent_is_never_sent() -> None:
    venue = Venue([], now=START + timedelta(hours=1))

    placed = venue.place(intent())

    assert (placed.ending, venue.posts) == ("abandoned", 0)


def test_old_intent_that_an_earlier_process_sent_is_adopted() -> None:
    venue = Venue([], now=START + timedelta(hours=1), orders={NAME: dict(ORDER)})

    placed = venue.place(intent(), seen_before=True)

    assert (placed.ending, venue.posts) == ("accepted", 0)


def test_exit_has_no_last_instant_but_an_end_of_tries() -> None:
    venue = Venue(["lost, 503"] * 50, now=START + timedelta(days=1))

    placed = venue.place(intent(None))

    assert (placed.ending, venue.posts) == ("abandoned", MOST_POSTS)


def test_venue_that_never_answers_is_not_one_without_the_order() -> None:
    venue = Venue(["taken, no answer"], silent=1000)

    placed = venue.place(intent())

    assert (placed.ending, venue.posts) == ("abandoned", 1)


@given(
    fates=st.lists(st.sampled_from(sorted(FATES)), max_size=8),
    lag=st.integers(0, 12),
    silent=st.integers(0, 12),
    crash_after=st.integers(0, 12),
)
def test_no_order_of_events_makes_two_orders_or_a_late_one(
    fates: list[str], lag: int, silent: int, crash_after: int
) -> None:
    """Killed after any call and started again, on any fate of every POST."""
    venue = Venue(list(fates), lag=lag, silent=silent)
    placed = killed_after(venue, crash_after) or venue.place(intent(), seen_before=True)

    assert len(venue.orders) <= 1
    assert venue.late == 0
    if placed.ending == "accepted":
        assert len(venue.orders) == 1
    if placed.ending in ("rejected", "margin"):
        assert not venue.orders


class Killed(Exception):
    """The process died here."""


def killed_after(venue: Venue, calls: int) -> Placed | None:
    """Place and die after so many calls; the answer if it was over before."""
    counted: Callable[..., Reply] = venue.call
    left = calls

    class Mortal:
        def call(self, method: Any, path: str, data: Any = None) -> Reply:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return counted(method, path, data)

    try:
        return Placing(Mortal(), lambda: venue.now, venue.pause).place(intent())
    except Killed:
        return None
