# SPDX-License-Identifier: GPL-3.0-or-later
"""Random setups over random bars, kernel against engine: every equity and every trade, as bytes.

    python -m tests.research.sweep_campaign 0 500

prints how many seeds were compared, how many the kernel left to the engine, and each difference.
`test_sweep.py` runs a few of the same seeds.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import backtrader as bt
import numpy as np

import iverson as iv
from iverson.errors import IversonError
from iverson.execution.costs import Costs
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.universe import Universe
from iverson.research import sweep
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.research.failures import refuse_faults
from iverson.research.search import Task
from iverson.risk import rules
from iverson.risk.sizing import RiskSizing


class Noise(bt.Indicator):
    """A number from 0 to 1 that looks random and depends on the close alone."""

    lines: Any = ("noise",)
    params: Any = dict(salt=1)

    def next(self) -> None:
        self.lines.noise[0] = (self.data.close[0] * (7919.0 + 331.0 * self.p.salt)) % 1.0


def noise_of(data: Any, salt: int, *, named: bool) -> Any:
    """Return the same number as `Noise` or, `named`, one made of Backtrader's own lines."""
    if not named:
        return Noise(data, salt=salt)
    many = data.close * (7919.0 + 331.0 * salt)
    return many - many // 1.0


class Hashed(iv.Strategy):
    """Entries everywhere, at prices that the next bars may or may not reach.

    `named`: made of lines that the sweep can name, and so over one symbol for all; `beyond`: it
    looks at another symbol too.
    """

    params: Any = dict(
        salt=1,
        often=0.3,
        long=True,
        short=False,
        target=True,
        near=0.01,
        far=0.03,
        fine=False,
        named=False,
        beyond=False,
    )
    warm_up = 3

    def entry(self, data: Any) -> Any:
        noises = [noise_of(data, 10 * self.p.salt + n, named=self.p.named) for n in range(4)]
        if self.p.beyond:
            noises[0] = noise_of(self.datas[-1], 10 * self.p.salt, named=self.p.named)
        ticks = bt.If(data.close / data.factor > 1.5, 0.03, 0.0003) * data.factor
        found: list[Any] = []
        sides = ((iv.Long, 1, noises[0]), (iv.Short, -1, noises[1]))
        for kind, side, noise in sides:
            if not (self.p.long if side > 0 else self.p.short):
                continue
            steps = sum(noise < self.p.often * n / 5 for n in range(1, 5))
            limit = data.close * (1 + side * self.p.near * (noises[2] - 0.6))
            distance = data.close * (0.003 + self.p.far * noises[3])
            if not self.p.fine:  # a stop less than a tick away would be denied
                distance = distance + ticks + bt.If(data.close / data.factor > 0.9, 0.02, 0)
            found.append(
                kind(
                    confidence=bt.If(noise < self.p.often, 1 + steps, 0),
                    limit=limit if self.p.near else data.close,
                    stop=limit - side * distance,
                    target=limit + side * 1.3 * distance if self.p.target else None,
                    reason=noise,
                )
            )
        return found


def random_bars(random: np.random.Generator, symbol: str, sessions: Any) -> Bars:
    """Make daily bars with holes, late starts, early ends, splits, dividends and odd volumes."""
    n = len(sessions)
    first = random.integers(0, n // 2) if random.random() < 0.3 else 0
    last = random.integers(n * 2 // 3, n) if random.random() < 0.2 else n
    keep = random.random(n) > random.choice([0.0, 0.02, 0.15])
    keep[:first] = keep[last:] = False
    keep[min(first + 5, n - 1) : min(first + 12, n)] = True
    own = sessions[keep].copy()
    n = len(own)
    width = random.choice([0.005, 0.02, 0.05])
    steps = random.normal(0, width, n) + random.choice([0.0, 0.0, 0.3]) * (random.random(n) < 0.01)
    close = random.choice([0.7, 1.2, 9.0, 45.0, 320.0]) * np.exp(np.cumsum(steps))
    factor, dividend = np.ones(n), np.zeros(n)
    if random.random() < 0.4:
        for at in random.integers(2, n, 4):
            factor[at:] *= random.choice([2.0, 3.0, 1.5, 0.5, 0.1, 7.0 / 3.0, 0.004])
    if random.random() < 0.4:
        dividend[random.integers(1, n, 8)] = random.choice([0.05, 0.31, 1.0])
    close = np.maximum(np.round(close / factor, 4), 0.0002)
    open_ = np.round(close * np.exp(random.normal(0, width, n)), 4)
    high = np.maximum(open_, close) * np.exp(np.abs(random.normal(0, width, n)))
    low = np.minimum(open_, close) * np.exp(-np.abs(random.normal(0, width, n)))
    volume = np.floor(np.exp(random.normal(random.choice([5.0, 8.0, 14.0]), 1.5, n)))
    volume[random.random(n) < 0.02] = 0.0
    if random.random() < 0.1:
        volume[random.random(n) < 0.05] = np.nan
    low = np.maximum(np.round(low, 4), 0.0001)
    return Bars(
        symbol=symbol, interval=DAILY, at=new_york().closes(own), session=own,
        open=np.maximum(open_, 0.0001), high=np.round(high, 4), low=low, close=close,
        volume=volume, factor=factor, dividend=dividend,
    )  # fmt: skip


def random_rules(random: np.random.Generator, *, short: bool) -> tuple[Any, ...]:
    """Choose from the standard rules, with parameters and an order of their own."""
    chosen: list[Any] = [rules.OneSystemPerSymbol()]
    options = (
        rules.DrawdownHalt(
            limit=random.choice([0.01, 0.03, 0.10]), flatten=bool(random.random() < 0.4)
        ),
        rules.DailyLossHalt(
            limit_usd=random.choice([20.0, 500.0]),
            limit=random.choice([0.002, 0.03]),
            hours=random.choice([24, 60, 100.5]).item(),
            flatten=bool(random.random() < 0.4),
        ),
        rules.MaxPositions(limit=int(random.integers(1, 6))),
        rules.StopDistance(limit=random.choice([0.01, 0.05])),
        rules.Correlation(
            limit=random.choice([0.0, 0.2, 0.7]),
            lookback=int(random.choice([20, 60])),
            shared=int(random.choice([10, 18])),
        ),
        rules.OpenRisk(limit=random.choice([0.01, 0.03, 0.06])),
    )
    chosen += [rule for rule in options if random.random() < 0.6]
    if not short or random.random() < 0.1:
        chosen.append(rules.LongOnly())
    random.shuffle(chosen)
    return tuple(chosen)


def random_universe(
    random: np.random.Generator, bars: dict[str, Bars], sessions: Any
) -> Universe | None:
    """Let symbols in and out, and ask for a price and a volume that some of them have."""
    if random.random() < 0.5:
        return None
    spells = []
    for symbol in bars:
        days = sorted(sessions[random.integers(0, len(sessions), 4)].tolist())
        spells += [(symbol, days[0], days[1]), (symbol, days[2], None)]
    typical = float(np.median([np.nanmedian(one.close * one.volume) for one in bars.values()]))
    return Universe(
        membership=spells if random.random() < 0.7 else None,
        symbols=tuple(bars),
        minimum_close=float(random.choice([0.0, 1.0, 40.0])),
        minimum_dollar_volume=float(random.choice([0.0, 0.3, 1.0])) * typical,
        largest=[None, 1, 3][int(random.integers(0, 3))],
        sessions=int(random.choice([1, 5, 20])),
    )


def random_case(seed: int) -> tuple[Task, Prepared]:
    """Return one setup over one span of one universe."""
    random = np.random.default_rng(seed)
    calendar = new_york()
    start = int(random.integers(8000, 14000))
    sessions = calendar.sessions[start : start + int(random.integers(60, 500))]
    symbols = [f"S{n}" for n in range(int(random.integers(1, 7)))]
    bars = {symbol: random_bars(random, symbol, sessions) for symbol in symbols}
    short = bool(random.random() < 0.5)
    costs = Costs(
        spread_bps=random.choice([0.0, 2.0, 15.0]),
        commission_per_share=random.choice([0.0, 0.0035]),
        minimum_commission=random.choice([0.0, 0.35]),
    )
    params = dict(
        salt=int(random.integers(1, 99)),
        often=float(random.choice([0.1, 0.5, 0.9])),
        long=bool(not short or random.random() < 0.7),
        short=short,
        target=bool(random.random() < 0.8),
        near=float(random.choice([0.0, 0.01, 0.05])),
        fine=bool(random.random() < 0.2),
        far=float(random.choice([0.01, 0.04])),
        named=bool(random.random() < 0.6),
        beyond=bool(random.random() < 0.1),
        max_sessions=[None, 0, 1, 2, 3, 10][int(random.integers(0, 6))],
        entry_sessions=int(random.choice([0, 1, 1, 2, 5])),
    )
    setup = Setup(
        Hashed,
        random_rules(random, short=short),
        sizing=RiskSizing(
            risk=(0.0, 0.005, 0.010, 0.015, 0.020) if random.random() < 0.5 else (0.04,) * 5,
            notional=random.choice([0.2, 0.6, 1.0]),
            volume=random.choice([0.01, 0.5, 1.0]),
            volume_sessions=int(random.choice([1, 5, 20])),
        ),
        costs=Costs.none() if random.random() < 0.1 else costs,
        cash=random.choice([10_000, 2_000.0, 1_000_000.0]).item(),
        params=params,
        through_ticks=int(random.choice([0, 1, 3])),
        volume_share=random.choice([0.02, 0.1, 1.0]),
        reading=str(random.choice(["worst", "base", "best"])),
        universe=random_universe(np.random.default_rng([seed, 1]), bars, sessions),
    )
    first = sessions[int(random.integers(0, len(sessions) // 3))].item()
    last = sessions[int(random.integers(len(sessions) // 2, len(sessions)))].item()
    return Task((0, 0), setup, ({},), first, last, "sharpe", 1), Prepared.of(bars)


def compare(task: Task, prepared: Prepared, params: Any = None) -> tuple[str, int]:
    """Run both; return "same", "engine" (the kernel declined), or the difference, and trades."""
    setup = task.setup.with_params(params or {})
    why = sweep.explain(setup)
    if why is not None:
        return f"refused: {why}", 0
    run = sweep.kernel_runs(replace(task, setup=setup), prepared)[0]
    try:
        outcome = simulate(setup, prepared, first=task.first, last=task.last, full=False)
        refuse_faults(outcome.record, setup.strategy, setup.params)
    except IversonError as error:
        return ("engine" if run is None else f"DIFFERS: the engine says {error}"), 0
    if run is None:
        return "engine", len(outcome.pnl)
    start, equity, pnl, bars = run
    if start != outcome.start or bars != outcome.bars:
        return "DIFFERS in start or bars", len(outcome.pnl)
    for name, ours, theirs in (("equity", equity, outcome.equity), ("pnl", pnl, outcome.pnl)):
        if ours.tobytes() != theirs.astype(np.float64).tobytes():
            if ours.shape != theirs.shape:
                return f"DIFFERS in {name}: {ours.shape} and {theirs.shape}", len(outcome.pnl)
            at = int(np.flatnonzero(ours != theirs)[0])
            words = f"DIFFERS in {name}[{at}]: {ours[at]!r} and {theirs[at]!r}"
            return words, len(outcome.pnl)
    return "same", len(outcome.pnl)


def main(first: int, count: int) -> None:
    """Compare many seeds."""
    tally: Counter[str] = Counter()
    trades = 0
    began = time.time()
    for seed in range(first, first + count):
        task, prepared = random_case(seed)
        answer, made = compare(task, prepared)
        trades += made if answer == "same" else 0
        tally[answer.partition(" ")[0]] += 1
        if answer not in ("same", "engine"):
            print(seed, answer, flush=True)  # noqa: T201 (a command: it prints)
    print(dict(tally), f"{trades} trades, {time.time() - began:.0f} s")  # noqa: T201 (a command: it prints)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
