# SPDX-License-Identifier: GPL-3.0-or-later
"""Control: the clock by command, by what was consumed, by the wall; the script; the ledger."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import pytest

from iverson.errors import ConfigError
from iverson.simulator.events import first_broken
from iverson.simulator.pacing import Pace
from iverson.simulator.requests import OrderRequest
from iverson.simulator.server import Simulator
from tests.simulator.rehearsing import SYMBOL, Opened, at, minutes, opened, refused


def post(venue: Opened, path: str, **body: Any) -> Any:
    return venue.raw("POST", f"/_sim{path}", json=body, headers={})


def state(venue: Opened) -> dict[str, Any]:
    found: dict[str, Any] = venue.raw("GET", "/_sim/state", headers={}).json()
    return found


def test_a_step_is_one_bar_and_needs_no_key() -> None:
    with opened("100 101 102", steps=0) as venue:
        stamps = [post(venue, "/step").json()["now"] for _ in range(2)]
        last = post(venue, "/step", bars=5).json()

    assert stamps == ["2024-01-03T14:31:00Z", "2024-01-03T14:32:00Z"]
    assert (last["now"], last["over"], last["steps"]) == ("2024-01-03T14:33:00Z", True, 3)


def test_it_runs_bar_by_bar_until_an_instant() -> None:
    with opened("100 " * 10, steps=0) as venue:
        found = post(venue, "/run", until="2024-01-03T14:34:30Z").json()

    assert (found["now"], found["steps"]) == ("2024-01-03T14:34:30Z", 4)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/step", {"bars": 0}),
        ("/step", {"bars": "1"}),
        ("/step", {"processed": -1}),
        ("/run", {}),
        ("/run", {"until": "soon"}),
        ("/faults", {"scenario": "unheard-of"}),
        ("/faults", {"enabled": "maybe"}),
        ("/deposit", {}),
    ],
)
def test_what_makes_no_sense_is_refused(path: str, body: dict[str, Any]) -> None:
    with opened("100") as venue:
        assert refused(post(venue, path, **body))[:2] == (422, 40010001)


def test_a_client_that_has_not_finished_is_told_how_much_is_left() -> None:
    with opened("100 101") as venue:
        venue.sim.call(lambda inside: inside.progress.send(3))
        refusal = post(venue, "/step", processed=1)
        granted = post(venue, "/step", processed=3)

    assert refusal.status_code == 409
    assert refusal.json()["outstanding"] == 2
    assert granted.json()["outstanding"] == 0


def test_time_may_move_by_itself_whenever_everything_is_consumed() -> None:
    bars, waiting = 20, []

    async def slow(message: Any) -> None:
        waiting.append(venue.sim.state["outstanding"])
        await asyncio.sleep(0.002)

    paced = Pace.lock_step(when_consumed=True)
    with opened("100 " * bars, steps=0, pace=paced) as venue:
        venue.rehearsal.on_bars(slow, SYMBOL)
        time.sleep(0.05)
        assert state(venue)["steps"] == 0  # nobody has counted yet
        assert post(venue, "/step").status_code == 409
        post(venue, "/processed", processed=0)
        deadline = time.monotonic() + 10
        while not state(venue)["over"] and time.monotonic() < deadline:
            time.sleep(0.01)
        venue.sim.wait_until_consumed()
        assert state(venue)["steps"] == bars

    assert waiting == [1] * bars  # never a bar ahead of the handler


def test_at_a_multiple_of_real_time_the_clock_runs_by_itself() -> None:
    speed, seconds = 600.0, 0.5
    with opened("100 " * 30, steps=0, at=at("09:30"), pace=Pace.times(speed)) as venue:
        assert post(venue, "/step").status_code == 409
        time.sleep(seconds)
        simulated = (venue.sim.now - at("09:30")).total_seconds()

    assert speed * seconds * 0.5 <= simulated <= speed * seconds * 4


def test_at_full_speed_the_history_runs_out() -> None:
    with opened("100 " * 30, steps=0, pace=Pace.times(1_000_000)) as venue:
        deadline = time.monotonic() + 10
        while not state(venue)["over"] and time.monotonic() < deadline:
            time.sleep(0.01)
        assert state(venue)["over"]
        assert venue.trading.get_account().status == "ACTIVE"


def test_the_script_can_be_switched_off_and_changed() -> None:
    with opened("100", scenario="maintenance") as venue:
        assert venue.raw("GET", "/v2/clock").status_code == 503
        post(venue, "/faults", enabled=False)
        assert venue.raw("GET", "/v2/clock").status_code == 200
        for early in ("slow-cancel", "gap-through-stop"):
            answer = refused(post(venue, "/faults", scenario=early))
            assert answer[0] == 422
            assert "before the exchange opens only" in answer[2]
        found = post(venue, "/faults", enabled=True, scenario="rate-limited").json()
        assert found["fired"] == []
        statuses = [venue.raw("GET", "/v2/clock").status_code for _ in range(4)]

    assert statuses == [429, 429, 429, 200]


def test_the_ledger_is_the_truth_in_json() -> None:
    with opened("100 100 106") as venue:
        entry = venue.bracket(95, 105)
        venue.step(2)
        found = venue.raw("GET", "/_sim/ledger", headers={}).json()
        (mine,) = found["accounts"].values()

        assert mine == venue.rehearsal.ledger
        assert [one["id"] for one in mine["orders"]] == [str(entry.id)]
        assert len(mine["orders"][0]["legs"]) == 2
        assert [one["price"] for one in mine["fills"]] == ["100", "105"]
        assert mine["positions"] == []
        assert mine["account"]["cash"] == "100050"
        assert found["head"] == state(venue)["head"]


def test_the_log_can_be_read_while_it_runs_and_afterwards() -> None:
    with opened("100 100") as venue:
        venue.buy()
        venue.step()
        text = venue.raw("GET", "/_sim/log", headers={}).text
        handle = venue.rehearsal

    assert text == handle.log
    assert first_broken(text.splitlines()) is None
    assert json.loads(text.splitlines()[-1])["sha256"] == handle.sim.state["head"]


def test_a_long_ledger_has_every_order_and_fill() -> None:
    filled, resting = 105, 410  # together more than a page of either
    history = {name: minutes("100 100", symbol=name) for name in ("AAA", "BBB")}
    with opened(history) as venue:
        venue.sim.call(lambda inside: [_bought(inside, "AAA", 100) for _ in range(filled)])
        venue.sim.call(lambda inside: [_bought(inside, "BBB", 5) for _ in range(resting)])
        venue.step()
        found = venue.rehearsal.ledger

    assert (len(found["orders"]), len(found["fills"])) == (filled + resting, filled)
    assert len({one["id"] for one in found["orders"]}) == filled + resting


def _bought(inside: Any, symbol: str, limit: int) -> None:
    asked = OrderRequest(
        symbol=symbol, side="buy", type="limit", qty=Decimal(1), limit_price=Decimal(limit)
    )
    inside.exchange.submit(inside.accounts[0], asked)


def test_the_handle_says_when_nothing_runs() -> None:
    sim = Simulator({SYMBOL: minutes("100")})
    with pytest.raises(ConfigError, match="is not running; use it inside `with`"):
        sim.step()
    with sim:
        assert sim.step() == 1
    with pytest.raises(ConfigError, match="is not running"):
        sim.step()
    with pytest.raises(ConfigError, match="make another for a second run"):
        sim.start()
    assert sim.ledger["account"]["equity"] == "100000"
