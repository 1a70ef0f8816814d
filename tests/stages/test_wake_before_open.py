# SPDX-License-Identifier: GPL-3.0-or-later
"""A wake before the open, as cron makes it: stops are made for the shares of today, no decision."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from iverson.market.calendar import new_york
from iverson.simulator.server import Simulator
from iverson.stages import admission
from iverson.system import System
from iverson.testing import bars
from tests.stages.scenes import LIMIT, SIZE, STOP, scenes
from tests.stages.trading_kit import after_close, exchange, use

ZONE = ZoneInfo("America/New_York")
SPLIT = scenes()["split"]
BEFORE, SPLIT_DAY = SPLIT.sessions[3], SPLIT.sessions[4]
RATIO = 2


def morning(session: Any) -> datetime:
    """Nine o'clock, New York."""
    return datetime.combine(session, time(9), ZONE).astimezone(new_york().open_at(session).tzinfo)


def system(scene: Any, folder: Path) -> System:
    setup = scene.setup()
    return System(
        setup.strategy, ["TEST"], rules=setup.rules, costs=setup.costs, bars=scene.series,
        store=folder / "store",
    )  # fmt: skip


@pytest.fixture
def venue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """An exchange on which a position has come to the evening before its split."""
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    start = after_close(SPLIT.sessions[1]) - timedelta(minutes=2)
    with exchange(start, SPLIT.series, cash=100_000) as opened:
        use(monkeypatch, opened, tmp_path)
        for session in SPLIT.sessions[1:4]:
            opened.advance_to(after_close(session))
            system(SPLIT, tmp_path).wake()
        yield opened


def stops(venue: Simulator) -> list[tuple[int, float]]:
    """Shares and price of the stops that live at the exchange."""
    orders = [one for order in venue.ledger["orders"] for one in (order, *(order["legs"] or ()))]
    found = {
        one["id"]: (int(one["qty"]), float(one["stop_price"]))
        for one in orders
        if one["type"] == "stop" and one["status"] in ("new", "held", "accepted")
    }
    return list(found.values())


def held(venue: Simulator) -> dict[str, int]:
    return {one["symbol"]: int(one["qty"]) for one in venue.ledger["positions"]}


def test_stops_are_made_anew_before_the_open_of_a_split_session(
    venue: Simulator, tmp_path: Path
) -> None:
    venue.advance_to(morning(SPLIT_DAY))
    assert held(venue) == {"TEST": RATIO * SIZE}
    assert stops(venue) == [(SIZE, STOP)]  # the legs of a bracket are not adjusted

    went = system(SPLIT, tmp_path).wake()

    assert (went.session, went.acted, went.record.verdicts) == (BEFORE, False, [])
    assert went.alarms == []
    assert stops(venue) == [(RATIO * SIZE, STOP / RATIO)]

    venue.advance_to(new_york().close_at(SPLIT_DAY))
    assert held(venue) == {"TEST": RATIO * SIZE}


def test_without_that_wake_the_open_meets_the_old_stop(venue: Simulator) -> None:
    venue.advance_to(new_york().open_at(SPLIT_DAY) + timedelta(minutes=1))

    assert held(venue).get("TEST", 0) < RATIO * SIZE


def test_wake_before_the_open_repeated_does_nothing_more(venue: Simulator, tmp_path: Path) -> None:
    venue.advance_to(morning(SPLIT_DAY))
    system(SPLIT, tmp_path).wake()
    sent = len(venue.ledger["orders"])

    system(SPLIT, tmp_path).wake()

    assert len(venue.ledger["orders"]) == sent
    assert stops(venue) == [(RATIO * SIZE, STOP / RATIO)]


def test_wake_before_the_open_decides_nothing_even_if_the_evening_was_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bar of the evening is in the dollars of the evening; the day may be one of a split."""
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    plain = scenes()["target"]
    evening, next_day = plain.sessions[1], plain.sessions[2]
    with exchange(after_close(evening), plain.series, cash=100_000) as venue:
        use(monkeypatch, venue, tmp_path)
        venue.advance_to(morning(next_day))
        missed = system(plain, tmp_path).wake()
        assert (missed.session, missed.record.verdicts) == (evening, [])
        assert venue.ledger["orders"] == []

    with exchange(after_close(evening), plain.series, cash=100_000) as venue:
        use(monkeypatch, venue, tmp_path / "other")
        (tmp_path / "other").mkdir()
        in_time = system(plain, tmp_path).wake()
    (verdict,) = in_time.record.verdicts
    assert (verdict.approved, verdict.signal.limit) == (True, LIMIT)


def test_quiet_morning_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    plain = scenes()["target"]
    held_to = {"TEST": bars("100 100 100 100 101 101")}
    with exchange(after_close(plain.sessions[1]), held_to, cash=100_000) as venue:
        use(monkeypatch, venue, tmp_path)
        system(plain, tmp_path).wake()
        venue.advance_to(after_close(plain.sessions[2]))
        system(plain, tmp_path).wake()
        before = (held(venue), stops(venue), len(venue.ledger["orders"]))

        venue.advance_to(morning(plain.sessions[3]))
        went = system(plain, tmp_path).wake()

        assert before[0] == {"TEST": SIZE}
        assert (held(venue), stops(venue), len(venue.ledger["orders"])) == before
        assert (went.acted, went.alarms) == (False, [])
