# SPDX-License-Identifier: GPL-3.0-or-later
"""The bench compares equals: on small sizes the engines do the plain loop's work."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import iverson as iv
from tests.bench import plan, reference
from tests.bench.data import make
from tests.bench.table import verdict
from tests.bench.work import CASH, OVERSOLD, STOP_ATRS, WARM_UP, WORKS, Row, Span, parameter_sets

FEW = parameter_sets((5, 9), OVERSOLD[3:], STOP_ATRS[:1])
SMALL = {
    "W1": replace(WORKS["W1"], bars=500),
    "W2": replace(WORKS["W2"], symbols=3, bars=300),
    "W3": replace(WORKS["W3"], symbols=20, bars=150),
    "W4": replace(WORKS["W4"], bars=350, sets=FEW),
    "W5": replace(WORKS["W5"], bars=800, sets=FEW),
}


@cache
def rows_of(engine: str, name: str) -> list[Row]:
    what = SMALL[name]
    return import_module(f"tests.bench.engines.{engine}").WORKS[what.kind](what, make(what))


@pytest.mark.parametrize("name", SMALL)
def test_iverson_does_the_work_of_the_plain_loop(name: str) -> None:
    assert verdict(rows_of("iverson", name), rows_of("reference", name)) == "equal"


@pytest.mark.parametrize("name", ["W1", "W2", "W3", "W4"])
def test_stock_backtrader_does_the_work_of_the_plain_loop(name: str) -> None:
    assert verdict(rows_of("backtrader", name), rows_of("reference", name)) == "equal"


@pytest.mark.parametrize("name", SMALL)
def test_every_work_trades(name: str) -> None:
    assert all(trades > 0 for label, trades, _ in rows_of("reference", name) if "out" not in label)


def test_every_trade_is_the_plain_loops() -> None:
    from tests.bench.engines.iverson import TERMS, bars_of

    what, market = SMALL["W4"], make(SMALL["W4"])
    span = Span(WARM_UP, what.bars - 1)
    expected = reference.run(reference.prepared(market, FEW), FEW[0], span, CASH)

    bars = bars_of(market)
    session = next(iter(bars.values())).session
    system = iv.System(symbols=list(bars), bars=bars, params=FEW[0], **TERMS)
    found = system.backtest(session[span.first].item(), session[span.last].item())

    assert found.trades["pnl"].tolist() == pytest.approx(expected.pnl, abs=0.001)
    assert len(expected.pnl) == expected.begun > 10


def test_a_cent_is_a_difference_and_is_named() -> None:
    expected = [("set 0", 3, 100.00), ("set 1", 4, 200.00)]

    assert verdict([("set 0", 3, 100.004), ("set 1", 4, 200.00)], expected) == "equal"
    assert verdict([("set 0", 3, 100.00), ("set 1", 4, 200.01)], expected).startswith(
        "differs: 1 of 2, first set 1: 4 trades, 200.01"
    )
    assert verdict(expected[:1], expected) == "differs: 1 results instead of 2"


def test_every_engine_has_its_module_and_every_peer_its_pins() -> None:
    home = Path(__file__).parent
    engines = [*plan.OWN, *plan.PEERS.values()]

    assert [e.title for e in engines if not (home / "engines" / f"{e.module}.py").exists()] == []
    for peer in plan.PEERS:
        assert f"{peer}==" in (home / "requirements" / f"{peer}.txt").read_text()
