# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: T201 (it prints what it measured)
"""How often the tests of overfitting cry wolf: each of them, many times, on pure noise.

    python -m tests.research.overfitting_campaign --repeats 2000

prints, for each instrument, the share of noise histories it rejects (or that its interval covers,
or its mean) with the Monte Carlo error, beside the nominal figure. `test_overfitting_size.py` runs
a few of the same seeds.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from iverson.market.bars import DAILY, Bars
from iverson.model import Trade
from iverson.research.bootstrap import STATISTICS, bootstrap_interval
from iverson.research.overfitting_pbo import overfitting_probability
from iverson.research.overfitting_sharpe import sharpe_evidence
from iverson.research.random_entry import random_entry
from iverson.research.random_entry_replay import replay, session_prices
from iverson.research.reality_check import reality_check, superior_ability

Floats = NDArray[np.float64]
Generator = np.random.Generator

SIZE = 0.05
SESSIONS = 500
TRIALS = 20
RESAMPLES = 400
DAILY_DEVIATION = 0.01


@dataclass(frozen=True)
class Check:
    """One instrument on one kind of noise: a number per history, and what its mean should be."""

    name: str
    nominal: float
    measure: Callable[[Generator, int], float]


def trials(
    generator: Generator, correlation: float = 0.0, memory: float = 0.0, clusters: int = 1
) -> Floats:
    """Returns without any skill, sessions × trials; correlated within each of the clusters."""
    own = generator.standard_normal((SESSIONS, TRIALS))
    common = np.repeat(generator.standard_normal((SESSIONS, clusters)), TRIALS // clusters, axis=1)
    noise = math.sqrt(1.0 - correlation) * own + math.sqrt(correlation) * common
    for at in range(1, SESSIONS if memory else 0):
        noise[at] += memory * noise[at - 1]
    return DAILY_DEVIATION * noise


def best_of(matrix: Floats) -> Floats:
    return matrix[:, (matrix.mean(axis=0) / matrix.std(axis=0)).argmax()]


def probabilistic(generator: Generator, seed: int, memory: float = 0.0) -> float:
    matrix = trials(generator, memory=memory)
    return float(sharpe_evidence(matrix[:, 0], matrix).probabilistic > 1.0 - SIZE)


def probabilistic_of_best(generator: Generator, seed: int) -> float:
    matrix = trials(generator)
    return float(sharpe_evidence(best_of(matrix), matrix).probabilistic > 1.0 - SIZE)


def deflated(generator: Generator, correlation: float, clusters: int = 1) -> float:
    matrix = trials(generator, correlation, clusters=clusters)
    return float(sharpe_evidence(best_of(matrix), matrix).deflated > 1.0 - SIZE)


def familywise(generator: Generator, correlation: float, clusters: int = 1) -> float:
    matrix = trials(generator, correlation, clusters=clusters)
    return float(sharpe_evidence(best_of(matrix), matrix).familywise <= SIZE)


def white(generator: Generator, seed: int, correlation: float = 0.0, memory: float = 0.0) -> float:
    matrix = trials(generator, correlation, memory)
    return float(reality_check(matrix, seed=seed, resamples=RESAMPLES).p_value <= SIZE)


def hansen(generator: Generator, seed: int, correlation: float = 0.0, memory: float = 0.0) -> float:
    matrix = trials(generator, correlation, memory)
    return float(superior_ability(matrix, seed=seed, resamples=RESAMPLES).consistent <= SIZE)


def pbo(generator: Generator, seed: int) -> float:
    return overfitting_probability(trials(generator), blocks=8).probability


def covers_mean(generator: Generator, seed: int, memory: float, sessions: int) -> float:
    noise = generator.standard_normal(sessions + 100)
    for at in range(1, noise.size if memory else 0):
        noise[at] += memory * noise[at - 1]
    found = bootstrap_interval(noise[100:], "mean", seed=seed, resamples=1000)
    return float(found.low <= 0.0 <= found.high)


def covers_sharpe(generator: Generator, seed: int, sessions: int) -> float:
    """Fat tails: Student's t with 5 degrees of freedom, a true annual ratio of 1."""
    deviation = math.sqrt(5.0 / 3.0)
    returns = generator.standard_t(5, sessions) + deviation / math.sqrt(252.0)
    found = bootstrap_interval(returns, "sharpe", seed=seed, resamples=1000)
    return float(found.low <= 1.0 <= found.high)


def covers_drawdown(generator: Generator, seed: int, sessions: int) -> float:
    """Whether the drawdown of another history of the same kind lies in the interval."""
    here, there = DAILY_DEVIATION * generator.standard_normal((2, sessions))
    found = bootstrap_interval(here, "max_drawdown", seed=seed, resamples=1000)
    return float(found.low <= STATISTICS["max_drawdown"][0](there) <= found.high)


def random_walk(generator: Generator, sessions: int, drift: float = 0.0005) -> Bars:
    """Daily bars with gaps and a rise, of eight steps each."""
    steps = DAILY_DEVIATION * generator.standard_normal((sessions, 8)) / math.sqrt(8.0)
    steps[:, 0] += drift
    path = 100.0 * np.exp(np.cumsum(steps).reshape(sessions, 8))
    days = np.datetime64("2001-01-01", "D") + np.arange(sessions)
    return Bars(
        symbol="NOISE",
        interval=DAILY,
        at=days.astype("datetime64[ns]"),
        session=days,
        open=path[:, 0].copy(),
        high=path.max(axis=1),
        low=path.min(axis=1),
        close=path[:, -1].copy(),
        volume=np.full(sessions, 1e6),
        factor=np.ones(sessions),
        dividend=np.zeros(sessions),
    )


def trade_of(bars: Bars, entry: int, held: int, pnl: float = 0.0, **changes: object) -> Trade:
    """Make a long trade of $1,000 in at an open, with a stop 2 % below and a target 3 % above."""
    price = float(bars.open[entry])
    days = [date.fromisoformat(str(bars.session[at])) for at in (entry, entry + held)]
    values: dict[str, object] = dict(
        symbol=bars.symbol,
        side="long",
        size=1000.0 / price,
        entry_at=datetime(2001, 1, 1, tzinfo=UTC),
        entry_session=days[0],
        entry=price,
        exit_at=datetime(2001, 1, 1, tzinfo=UTC),
        exit_session=days[1],
        exit=price,
        pnl=pnl,
        commission=0.0,
        spread=0.0,
        dividends=0.0,
        sessions=held,
        exit_reason="time limit",
        confidence=3,
        risk=0.02 * price,
        stop=0.98 * price,
        target=1.03 * price,
        ambiguous=False,
    )
    return Trade(**(values | changes))


LIMIT = 4


def blind_trades(generator: Generator, bars: Bars, *, bracket: bool) -> list[Trade]:
    """Enter by the toss of a coin; leave at a time drawn before, or at stop, target or limit."""
    first, last = (date.fromisoformat(str(bars.session[at])) for at in (0, -1))
    prices = session_prices(bars, first, last)
    found: list[Trade] = []
    at = 0
    while at + LIMIT < len(bars):
        if generator.random() > 0.1:
            at += 1
            continue
        held = LIMIT if bracket else int(generator.integers(0, LIMIT + 1))
        trade = trade_of(bars, at, held)
        if bracket:
            held = stopped_after(trade, bars, at)
            trade = trade_of(bars, at, held)
        entry = np.array([at], dtype=np.intp)
        pnl = float(replay(trade, prices, entry, held, bracket=bracket)[0])
        found.append(trade_of(bars, at, held, pnl))
        at += (LIMIT if bracket else held) + 1
    return found


def stopped_after(trade: Trade, bars: Bars, entry: int) -> int:
    for held in range(LIMIT + 1):
        if bars.low[entry + held] <= trade.stop or bars.high[entry + held] >= trade.target:
            return held
    return LIMIT


def entries(generator: Generator, seed: int, *, bracket: bool, replayed: bool) -> float:
    bars = random_walk(generator, SESSIONS)
    trades = blind_trades(generator, bars, bracket=bracket)
    if not trades:
        return 0.0
    first, last = (date.fromisoformat(str(bars.session[at])) for at in (0, -1))
    limit = LIMIT if replayed else None
    found = random_entry(
        trades,
        {bars.symbol: bars},
        first=first,
        last=last,
        seed=seed,
        draws=199,
        max_sessions=limit,
    )
    return float(found.p_value <= SIZE)


CHECKS = [
    Check("probabilistic Sharpe, one trial", 0.05, probabilistic),
    Check("the same, memory 0.3", 0.05, lambda g, s: probabilistic(g, s, 0.3)),
    Check("probabilistic Sharpe, best of 20 (wrong)", 0.05, probabilistic_of_best),
    Check("deflated Sharpe, 20 trials", 0.05, lambda g, s: deflated(g, 0.0)),
    Check("deflated Sharpe, correlation 0.5", 0.05, lambda g, s: deflated(g, 0.5)),
    Check("deflated Sharpe, correlation 0.95", 0.05, lambda g, s: deflated(g, 0.95)),
    Check("deflated Sharpe, 5 clusters of 0.8", 0.05, lambda g, s: deflated(g, 0.8, 5)),
    Check("familywise error, 20 trials", 0.05, lambda g, s: familywise(g, 0.0)),
    Check("familywise error, correlation 0.5", 0.05, lambda g, s: familywise(g, 0.5)),
    Check("familywise error, correlation 0.95", 0.05, lambda g, s: familywise(g, 0.95)),
    Check("familywise error, 5 clusters of 0.8", 0.05, lambda g, s: familywise(g, 0.8, 5)),
    Check("reality check, 20 trials", 0.05, white),
    Check("reality check, correlation 0.5", 0.05, lambda g, s: white(g, s, 0.5)),
    Check("reality check, memory 0.3", 0.05, lambda g, s: white(g, s, 0.0, 0.3)),
    Check("SPA, 20 trials", 0.05, hansen),
    Check("SPA, correlation 0.5", 0.05, lambda g, s: hansen(g, s, 0.5)),
    Check("SPA, memory 0.3", 0.05, lambda g, s: hansen(g, s, 0.0, 0.3)),
    Check(
        "random entry, times drawn before",
        0.05,
        lambda g, s: entries(g, s, bracket=False, replayed=False),
    ),
    Check(
        "random entry, stops, held as long",
        0.05,
        lambda g, s: entries(g, s, bracket=True, replayed=False),
    ),
    Check(
        "random entry, stops, replayed",
        0.05,
        lambda g, s: entries(g, s, bracket=True, replayed=True),
    ),
    Check("PBO, mean", 0.50, pbo),
    Check("interval of the mean covers", 0.95, lambda g, s: covers_mean(g, s, 0.0, 500)),
    Check("the same interval, memory 0.3", 0.95, lambda g, s: covers_mean(g, s, 0.3, 500)),
    Check("interval of the Sharpe ratio covers", 0.95, lambda g, s: covers_sharpe(g, s, 500)),
    Check("interval of the drawdown covers another", 0.95,
          lambda g, s: covers_drawdown(g, s, 500)),
]  # fmt: skip


def run(check: Check, repeats: int) -> Floats:
    """Measure noise histories 0 to repeats − 1; each has its own seed."""
    return np.array([check.measure(np.random.default_rng([7, seed]), seed)
                     for seed in range(repeats)])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=2000)
    parser.add_argument("--only", default="", help="a part of the names to run")
    asked = parser.parse_args()
    started = time.monotonic()
    print(f"{'instrument':46} nominal  measured    ± error   seconds")
    for check in (check for check in CHECKS if asked.only in check.name):
        before = time.monotonic()
        found = run(check, asked.repeats)
        error = found.std(ddof=1) / math.sqrt(found.size)
        print(
            f"{check.name:46} {check.nominal:7.3f}  {found.mean():8.4f}  ± {error:.4f}  "
            f"{timedelta(seconds=round(time.monotonic() - before))}",
            flush=True,
        )
    print(f"{asked.repeats} histories each, {time.monotonic() - started:.0f} seconds")


if __name__ == "__main__":
    main()
