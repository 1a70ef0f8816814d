# SPDX-License-Identifier: GPL-3.0-or-later
"""Every bundled scenario, run against a client that does what it can: what it says happens."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pytest
import requests
from alpaca.common.exceptions import APIError

from iverson.market.bars import Bars
from iverson.simulator.events import first_broken
from iverson.simulator.faults import Fault
from iverson.simulator.reshape import reshaped
from iverson.simulator.scenarios import bundled
from tests.simulator.history import joined
from tests.simulator.rehearsing import NEXT, SESSION, Opened, at, minutes, opened

SYMBOLS = ("AAA", "BBB")
THIRD = date(2024, 1, 5)
LOST = (APIError, requests.RequestException, TypeError)
STALLING = {"silent-post"}
BARS = 3 * 5 * 4
Facts = dict[str, Any]


def history() -> dict[str, Bars]:
    """Three days of a few minutes here and there."""
    words = "100 101 99 100"
    days = [
        minutes(words, session=day, first=clock)
        for day in (SESSION, NEXT, THIRD)
        for clock in ("09:31", "10:01", "12:01", "13:01", "15:51")
    ]
    whole = joined(*days)
    return {name: Bars(**{**_columns(whole), "symbol": name}) for name in SYMBOLS}


def _columns(bars: Bars) -> dict[str, Any]:
    return {name: getattr(bars, name) for name in bars.__dataclass_fields__}


def lived(name: str) -> tuple[Facts, str]:
    """Trade a little through three days under a scenario; return what was seen, and the log."""
    events: list[str] = []
    closes: list[float] = []

    async def on_update(message: Any) -> None:
        events.append(message["data"]["event"])

    async def on_bar(message: Any) -> None:
        closes.append(message["c"])

    errors: list[str] = []

    def tried(what: Callable[[], Any]) -> None:
        try:
            what()
        except LOST as error:
            errors.append(type(error).__name__)

    with opened(history(), steps=0, scenario=name) as venue:
        venue.rehearsal.on_trade_updates(on_update, raw_data=True)
        venue.rehearsal.on_bars(on_bar, "AAA", raw_data=True)
        if name in STALLING:
            hasty: Any = venue.trading._session
            hasty.request = partial(hasty.request, timeout=0.3)
        _moved(venue)
        for number in range(2):
            name_it = {"client_order_id": f"order {number}", "symbol": "AAA"}
            tried(partial(venue.buy, 10, limit=100, time_in_force="gtc", **name_it))
            _moved(venue)
        tried(venue.trading.cancel_orders)
        _moved(venue, 4)
        tried(partial(venue.bracket, 95, 105, symbol="AAA", client_order_id="bracket"))
        while _moved(venue):
            pass
        ledger = venue.rehearsal.ledger
        facts = {
            "events": events,
            "closes": closes,
            "errors": errors,
            "orders": [one["client_order_id"] for one in ledger["orders"]],
            "statuses": [one["status"] for one in ledger["orders"]],
            "held": {one["symbol"]: one["qty"] for one in ledger["positions"]},
            "cash": ledger["account"]["cash"],
            "blocked": ledger["account"]["trading_blocked"],
            "fired": [one["do"] for one in venue.sim.state["fired"]],
        }
        return facts, venue.rehearsal.log


def _moved(venue: Opened, bars: int = 1) -> int:
    """Step without waiting for handlers that a script keeps from ever being called."""
    taken = venue.sim.step(bars)
    with suppress(TimeoutError):
        venue.sim.wait_until_consumed(seconds=0.05)
    return taken


CHECKS: dict[str, Callable[[Facts], bool]] = {
    "rate-limited": lambda seen: seen["errors"] == ["APIError"] * 3,
    "server-error": lambda seen: seen["orders"] == ["order 1", "bracket"],
    "maintenance": lambda seen: seen["orders"] == [] and seen["errors"] == ["APIError"] * 4,
    "lost-reply": lambda seen: seen["errors"] == ["APIError"] and len(seen["orders"]) == 3,
    "lost-replies": lambda seen: seen["errors"] == ["APIError"] * 3 and len(seen["orders"]) == 3,
    "silent-post": lambda seen: seen["errors"] == ["ReadTimeout"] and len(seen["orders"]) == 3,
    "slow-api": lambda seen: seen["errors"] == [],
    "reset-before": lambda seen: seen["orders"] == ["order 1", "bracket"],
    "reset-after": lambda seen: seen["errors"] == ["ConnectionError"] and len(seen["orders"]) == 3,
    "empty-answer": lambda seen: seen["errors"] == ["TypeError"] and len(seen["orders"]) == 3,
    "truncated-answer": lambda seen: (
        seen["errors"] == ["ChunkedEncodingError"] and len(seen["orders"]) == 3
    ),
    "fill-overtakes-reply": lambda seen: seen["fired"] == ["late"] and seen["errors"] == [],
    "lagging-rest": lambda seen: seen["fired"] == ["lag"],
    "key-revoked": lambda seen: seen["fired"] == ["revoke keys"],
    "lost-fill": lambda seen: seen["events"].count("fill") == 2,
    "duplicate-fill": lambda seen: seen["events"].count("fill") == 6,
    "reordered-events": lambda seen: seen["events"][:3] == ["pending_new", "fill", "new"],
    "mute-socket": lambda seen: seen["events"] == ["pending_new"],
    "dropped-socket": lambda seen: seen["events"][:2] == ["pending_new", "new"],
    "unknown-status": lambda seen: seen["fired"] == ["set"],
    "unknown-event": lambda seen: seen["events"].count("entangled") == 1,
    "no-timestamp": lambda seen: seen["fired"] == ["remove"],
    "partial-then-nothing": lambda seen: seen["statuses"][0] == "canceled",
    "always-partial": lambda seen: "partial_fill" in seen["events"],
    "rejected-order": lambda seen: seen["statuses"][0] == "rejected",
    "rejected-stop": lambda seen: seen["statuses"] == ["filled", "filled", "rejected"],
    "slow-cancel": lambda seen: seen["errors"] == [],
    "silent-legs": lambda seen: "held" not in seen["events"],
    "talkative-legs": lambda seen: "held" in seen["events"],
    "foreign-orders": lambda seen: len(seen["orders"]) == 6 and seen["held"]["AAA"] == "30",
    "account-blocked": lambda seen: seen["fired"] == ["block", "unblock"] and not seen["blocked"],
    "withdrawal": lambda seen: float(seen["cash"]) < 50_000,
    "halt": lambda seen: seen["fired"] == ["halt", "resume"],
    "gap-through-stop": lambda seen: (
        seen["closes"][-1] == 80.0 and seen["held"] == {"AAA": "20"}  # the bracket sold its ten
    ),
    "split-overnight": lambda seen: (
        seen["closes"][-1] == 50.0 and seen["held"] == {"AAA": "50"}  # sold ten of sixty
    ),
    "reverse-split": lambda seen: seen["closes"][-1] == 1000.0,
    "lost-bars": lambda seen: seen["fired"] == ["drop"] * 3,
    "duplicate-bars": lambda seen: len(seen["closes"]) == 2 * BARS,
    "reordered-bars": lambda seen: seen["fired"] == ["reorder"] and len(seen["closes"]) == BARS,
    "mute-data": lambda seen: len(seen["closes"]) == 2,
    "dropped-data": lambda seen: len(seen["closes"]) >= 2,
    "bad-tick": lambda seen: seen["closes"][2] == 0.01,
    "malformed-bars": lambda seen: seen["fired"] == ["set", "remove", "text"],
}


def test_every_scenario_has_a_check() -> None:
    assert set(CHECKS) == set(bundled())


@pytest.mark.parametrize("name", CHECKS)
def test_a_scenario_does_what_it_says(name: str) -> None:
    seen, log = lived(name)

    assert CHECKS[name](seen), seen
    assert first_broken(log.splitlines()) is None


@pytest.mark.parametrize(
    "name", ["always-partial", "lost-reply", "gap-through-stop", "reset-after"]
)
def test_a_scenario_twice_gives_the_same_log_to_the_last_byte(name: str) -> None:
    assert lived(name)[1] == lived(name)[1]


def test_a_gap_changes_prices_from_its_instant_on_and_a_split_volumes_too() -> None:
    before = history()
    start = at("09:00")
    gap = reshaped(before, [Fault("session 2 10:30", "gap", symbol="AAA", ratio=0.8)], at=start)
    split = reshaped(before, [Fault("session 3", "split", symbol="*", ratio=2)], at=start)

    later = before["AAA"].at > np.datetime64(at("10:30", NEXT).replace(tzinfo=None), "ns")
    assert np.allclose(gap["AAA"].close[later], np.round(before["AAA"].close[later] * 0.8, 2))
    assert (gap["AAA"].close[~later] == before["AAA"].close[~later]).all()
    assert (gap["BBB"].close == before["BBB"].close).all()
    third = before["BBB"].session == np.datetime64(THIRD)
    assert (split["BBB"].factor[third] == 2).all()
    assert (split["BBB"].volume[third] == 2 * before["BBB"].volume[third]).all()
    assert np.allclose(split["BBB"].close[third], np.round(before["BBB"].close[third] / 2, 2))
