# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of a plain Backtrader strategy, run on the exchange as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import backtrader as bt
import pytest

from iverson.execution.alpaca.store import AlpacaStore
from iverson.testing import exchange
from strategies import plain_backtrader
from tests.execution.alpaca.test_plain_script import SECONDS, wait
from tests.simulator.rehearsing import SESSION, at, minutes

FALLS_THEN_RISES = "104 103 102 101 100 99 98 99 101 102 103 104 104 104"
BEFORE = 6  # minutes that were over when the script began
PERIOD, SHARES, REWARD = 3, 10, 0.02
CROSSED = 99.0  # the first close above the average of three


class Decided(bt.Analyzer):
    """How many bars the strategy is done with; an analyzer has its turn after it."""

    bars = 0

    def next(self) -> None:
        self.bars = len(self.strategy)

    prenext = next  # noqa: A003 (Backtrader's name)


def test_example_buys_once_it_is_live_and_sells_at_its_target(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with exchange(minutes(FALLS_THEN_RISES), at=at("09:30", SESSION)) as venue:
        sim = venue.sim
        for _ in range(BEFORE):
            sim.step()
        store = AlpacaStore(
            sim.key, sim.secret, url=sim.urls.trading, limited=False, clock=lambda: sim.now,
            poll_seconds=1.0,  # of the exchange, so once a bar
        )  # fmt: skip
        cerebro = plain_backtrader.made(store, "TEST", hours=1, period=PERIOD, target=REWARD)
        (data,) = cerebro.datas
        data.p.qcheck = 0.02
        cerebro.addanalyzer(Decided)

        def decided() -> int:
            return sum(one.analyzers[0].bars for one in cerebro.runningstrats)

        def market() -> None:
            try:
                sim.wait_for_subscriptions(2, seconds=SECONDS)
                for number in range(BEFORE + 1, len(FALLS_THEN_RISES.split()) + 1):
                    sim.step()
                    wait(lambda number=number: decided() >= number)
                    wait(lambda: store.worker.idle)
            finally:
                cerebro.runstop()

        moving = threading.Thread(target=market)
        moving.start()
        (strategy,) = cerebro.run()
        moving.join(SECONDS)
        orders = venue.sim.ledger["orders"]

    (entry,) = [one for one in orders if one["side"] == "buy"]
    assert (entry["order_class"], entry["qty"]) == ("bracket", str(SHARES))
    assert float(entry["limit_price"]) == CROSSED
    assert {one["type"] for one in entry["legs"]} == {"limit", "stop"}
    assert strategy.position.size == 0
    told = capsys.readouterr().out.splitlines()
    assert f"Limit Completed {SHARES} {CROSSED}" in told
    assert f"Limit Completed -{SHARES} {CROSSED * (1 + REWARD):.2f}" in told
    assert told[-1].startswith("Stop Canceled")


def test_example_without_keys_ends_by_naming_them() -> None:
    path = Path(plain_backtrader.__file__)
    bare = {name: value for name, value in os.environ.items() if not name.startswith("IVERSON_")}
    ended = subprocess.run(
        [sys.executable, str(path)], check=False, capture_output=True, text=True,
        env=bare | {"PYTHONPATH": str(path.parents[1])}, timeout=120,
    )  # fmt: skip

    assert ended.returncode == 1
    assert "IVERSON_ALPACA_KEY" in ended.stderr
