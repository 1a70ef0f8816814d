# SPDX-License-Identifier: GPL-3.0-or-later
"""Daily bars made from known minute paths: what the broker infers from a bar, against the truth.

A trade that is not marked ambiguous must have happened exactly as on the path; only ambiguous
trades may differ. The paths are martingales, so no reading may earn on average.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray

from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.model import Side
from iverson.testing import run_signals, signal

SESSIONS, STEPS, VOLATILITY, TICK = 2_500, 78, 0.02, 0.01
EVERY, MAX_SESSIONS, STOP, TARGET = 5, 3, 0.02, 0.03
GAP_SHARE = 10  # steps' worth of variance between close and open


def paths(seed: int) -> NDArray[np.float64]:
    """Prices on the grid, shape (sessions, steps); a geometric martingale with overnight gaps."""
    generator = np.random.default_rng(seed)
    step = VOLATILITY / np.sqrt(STEPS + GAP_SHARE)
    moves = generator.normal(0.0, step, (SESSIONS, STEPS))
    moves[:, 0] *= np.sqrt(GAP_SHARE)
    drift = np.full((SESSIONS, STEPS), -0.5 * step**2)
    drift[:, 0] *= GAP_SHARE
    return np.round(1_000.0 * np.exp(np.cumsum(moves + drift).reshape(SESSIONS, STEPS)), 2)


def bars_of(prices: NDArray[np.float64]) -> Bars:
    """Sum each session up in one bar."""
    first = new_york().ordinal(date(1990, 1, 2))
    sessions = new_york().sessions[first : first + len(prices)].copy()
    ones = np.ones(len(prices))
    return Bars(
        "TEST", "1d", new_york().closes(sessions), sessions,
        prices[:, 0].copy(), prices.max(axis=1), prices.min(axis=1), prices[:, -1].copy(),
        ones * 1e9, ones, ones * 0,
    )  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """How a trade went on the path: session numbers and prices."""

    entered: int
    entry: float
    left: int
    exit: float


def follow(
    prices: NDArray[np.float64], decided: int, sign: int, levels: tuple[float, float, float]
) -> Truth | None:
    """Walk the path price by price; between two steps it is taken to pass all that lies between."""
    limit, stop, target = levels
    entered, entry = -1, np.nan
    for session in range(decided + 1, min(decided + 2 + MAX_SESSIONS, len(prices))):
        for step, price in enumerate(prices[session]):
            first = step == 0
            if entered < 0:
                if session > decided + 1:
                    return None
                if (limit - price) * sign >= TICK - 1e-9:
                    entered, entry = session, price if first else limit
                    if (stop - price) * sign >= -1e-9:
                        return Truth(entered, entry, session, price if first else stop)
                continue
            if (stop - price) * sign >= -1e-9:
                return Truth(entered, entry, session, price if first else stop)
            if (price - target) * sign >= TICK - 1e-9:
                return Truth(entered, entry, session, price if first else target)
        if entered >= 0 and session == entered + MAX_SESSIONS:
            return Truth(entered, entry, session, prices[session][-1])
    return None


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize("seed", [1, 2])
def test_unambiguous_trades_are_what_happened(seed: int, side: Side) -> None:
    """To the session and the cent, for every trade that the broker says it is sure of."""
    prices = paths(seed)
    bars = bars_of(prices)
    sign = 1 if side == "long" else -1
    plan, truths = {}, {}
    for number in range(0, SESSIONS - MAX_SESSIONS - 3, EVERY):
        close = float(prices[number, -1])
        limit, stop, target = (
            round(close, 2),
            round(close * (1 - sign * STOP), 2),
            round(close * (1 + sign * TARGET), 2),
        )
        plan[number + 1] = signal(
            side=side, limit=limit, stop=stop, target=target, max_sessions=MAX_SESSIONS
        )
        truth = follow(prices, number, sign, (limit, stop, target))
        if truth is not None:
            truths[truth.entered] = truth

    trades = run_signals(bars, plan).record.trades

    place = {session.item(): number for number, session in enumerate(bars.session)}
    assert len(trades) == len(truths) > 100
    sure = [trade for trade in trades if not trade.ambiguous]
    assert len(sure) > 0.9 * len(trades)
    for trade in sure:
        truth = truths[place[trade.entry_session]]
        assert trade.entry == pytest.approx(truth.entry, abs=1e-9)
        assert (place[trade.exit_session], trade.exit) == (
            truth.left,
            pytest.approx(truth.exit, abs=1e-9),
        )


def test_no_reading_earns_on_a_martingale() -> None:
    """Worst <= base <= best, and even the worst lies near zero: cautious, not false."""
    prices = paths(3)
    bars = bars_of(prices)
    plan = {}
    for number in range(0, SESSIONS - MAX_SESSIONS - 3, EVERY):
        close = float(prices[number, -1])
        plan[number + 1] = signal(
            limit=close, stop=close * (1 - STOP), target=close * (1 + TARGET),
            max_sessions=MAX_SESSIONS,
        )  # fmt: skip
    means, errors = [], []
    for reading in ("worst", "base", "best"):
        trades = run_signals(bars, plan, reading=reading).record.trades
        returns = np.array([trade.pnl / (trade.size * trade.entry) for trade in trades])
        means.append(returns.mean())
        errors.append(returns.std(ddof=1) / np.sqrt(len(returns)))

    assert means[0] <= means[1] <= means[2]
    for mean, error in zip(means, errors, strict=True):
        assert abs(mean) < 3 * error
