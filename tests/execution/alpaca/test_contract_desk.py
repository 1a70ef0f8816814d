# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain orders through the desk, in wakes: reviewed, sent once, and protected like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import time
from typing import Any

import backtrader as bt
import pytest

from iverson.model import Fill, Intent, OrderEvent, Verdict
from iverson.research.backtest import Setup
from iverson.simulator.faults import Fault
from iverson.strategy import Strategy
from iverson.testing import bars
from tests.stages.judge import faults, of
from tests.stages.play import Played, play
from tests.stages.rig import Breaking
from tests.stages.scenes import Scene, scenes

TARGET = scenes()["target"]


def acting(act: Callable[[Any], Any], *, on: int = 1, scene: Scene = TARGET) -> Scene:
    """The scene with a strategy that sends plain orders on one bar."""
    day = scene.sessions[on]

    class Plain(Strategy):
        warm_up = 0

        def signals(self) -> Any:
            now = self.desk.now
            assert now is not None
            if now.session == day:
                act(self)
            return ()

    class Acting(Scene):
        def setup(self) -> Setup:
            return replace(super().setup(), strategy=Plain)

    return Acting(scene.name, scene.series, {})


def bracket(strategy: Any) -> None:
    strategy.buy_bracket(
        size=50, exectype=bt.Order.Limit, price=100.0, stopprice=95.0, limitprice=104.0
    )


def entries(played: Played) -> list[tuple[str, int]]:
    return [(one["type"], int(one["qty"])) for one in played.orders if one["side"] == "buy"]


def test_plain_bracket_is_reviewed_and_sent_with_its_protection() -> None:
    played = play(acting(bracket))

    (verdict,) = of(played, Verdict)
    assert (verdict.approved, verdict.signal.stop, verdict.signal.reason) == (
        True,
        95,
        "plain order",
    )
    assert entries(played) == [("limit", 50)]
    assert [fill.leg for fill in of(played, Fill)] == ["entry", "target"]
    assert faults(played, played) == []


def test_plain_order_without_a_stop_is_denied_and_never_sent() -> None:
    played = play(acting(lambda strategy: strategy.buy(size=50)))

    (verdict,) = of(played, Verdict)
    assert not verdict.approved
    assert of(played, Intent) == []
    assert not played.orders


@pytest.mark.parametrize(
    "first", ["after append Verdict", "after POST orders", "after append Answer"]
)
def test_plain_bracket_is_sent_once_though_its_process_ends(first: str) -> None:
    scene = acting(bracket)
    unbroken = play(scene)

    played = play(scene, Breaking(first=first))

    assert len(entries(played)) == 1
    assert faults(played, unbroken) == []


def test_plain_order_through_a_halt_of_the_account_is_not_sent() -> None:
    def block(street: Any) -> None:
        street.exchange.block(street.account, trading_blocked=True)

    scene = replace(
        acting(bracket, on=2, scene=replace(TARGET, series={"TEST": bars("100 100 100 100 100")})),
        acts={(1, time(12, 0)): block},
    )
    played = play(scene)

    assert not played.orders


def test_refusal_is_journaled_in_the_words_of_who_refused_it() -> None:
    """Parity reads them there: a missed fill says why."""
    refused = Fault(
        on="POST /v2/orders", do="status", status=403, code=40310000, message="not this one"
    )

    played = play(replace(TARGET, faults=(refused,)))

    (entry,) = [one for one in of(played, OrderEvent) if one.leg == "entry"]
    assert (entry.status, entry.reason) == ("rejected", "not this one")
    assert not played.orders
