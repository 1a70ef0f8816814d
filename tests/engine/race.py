# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: T201 (it prints what it found)
"""The lean engine against stock Backtrader, side by side: `python -m tests.engine.race`.

Every round runs all engines once, one after the other, so that a busy machine is busy for all;
CPU seconds, the best of the rounds. What they hand out must be equal, or it does not count.
"""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import backtrader as bt

from iverson.engine.cerebro import LeanCerebro
from iverson.engine.feed import ArrayData
from tests.engine.fuzz import columns, walk


class SmaCross(bt.Strategy):
    """Long while the fast average is above the slow one."""

    params = dict(fast=10, slow=30)

    def __init__(self):
        fast = bt.ind.SMA(period=self.p.fast)
        slow = bt.ind.SMA(period=self.p.slow)
        self.cross = bt.ind.CrossOver(fast, slow)

    def next(self):
        if not self.position:
            if self.cross > 0:
                self.buy(size=10)
        elif self.cross < 0:
            self.close()


class SmaCrossAll(bt.Strategy):
    """The same on every symbol."""

    params = dict(fast=10, slow=30)

    def __init__(self):
        self.cross = {}
        for data in self.datas:
            fast = bt.ind.SMA(data, period=self.p.fast)
            slow = bt.ind.SMA(data, period=self.p.slow)
            self.cross[data] = bt.ind.CrossOver(fast, slow)

    def next(self):
        for data in self.datas:
            cross = self.cross[data][0]
            if not self.getposition(data).size:
                if cross > 0:
                    self.buy(data, size=10)
            elif cross < 0:
                self.close(data)


class Breakout(bt.Strategy):
    """Donchian breakout with RSI, EMA and ATR; limit entry with stop and target; heavy turnover."""

    params = dict(channel=20, rsi=14, atr=14, ema=50, most=5, risk=0.02)

    def __init__(self):
        self.drawn = {
            data: (
                bt.ind.Highest(data.high(-1), period=self.p.channel),
                bt.ind.RSI(data, period=self.p.rsi, safediv=True),
                bt.ind.ATR(data, period=self.p.atr),
                bt.ind.EMA(data, period=self.p.ema),
            )
            for data in self.datas
        }
        self.waiting = {}

    def notify_order(self, order):
        if order.parent is None and not order.alive():
            self.waiting.pop(order.data, None)

    def next(self):
        value = self.broker.getvalue()
        held = sum(1 for position in self.broker.positions.values() if position.size)
        for data in self.datas:
            if data in self.waiting or self.getposition(data).size:
                continue
            if held + len(self.waiting) >= self.p.most:
                return
            high, rsi, atr, ema = self.drawn[data]
            close = data.close[0]
            if close > high[0] and rsi[0] < 80 and close > ema[0]:
                wide = 2 * atr[0]
                price = close - atr[0] / 4
                size = int(min(value * self.p.risk / wide, value / self.p.most / price))
                if size:
                    exits = dict(stopprice=price - wide, limitprice=price + 1.5 * wide)
                    self.waiting[data] = self.buy_bracket(data, size=size, price=price, **exits)


WORKLOADS: dict[str, tuple[int, int, str]] = {  # symbols, bars, frequency
    "1x2500": (1, 2_500, "D"),
    "1x30k": (1, 30_000, "min"),
    "1x100k": (1, 100_000, "min"),
    "10x10k": (10, 10_000, "h"),
    "100x2520": (100, 2_520, "D"),
}


def frames_of(workload: str) -> list[Any]:
    symbols, bars, freq = WORKLOADS[workload]
    vol = {"D": 0.015, "h": 0.004, "min": 0.001}[freq]
    return [walk(bars, 100 + seed, freq=freq, vol=vol) for seed in range(symbols)]


def engines(frames: list[Any]) -> dict[str, Callable[[], Any]]:
    """Return the ways to make a Cerebro with its feeds; what is timed starts here."""
    arrays = [columns(frame) for frame in frames]

    def stock(**options: Any) -> Any:
        cerebro = bt.Cerebro(**options)
        for number, frame in enumerate(frames):
            cerebro.adddata(bt.feeds.PandasData(dataname=frame), name=f"S{number}")
        return cerebro

    def lean() -> Any:
        cerebro = LeanCerebro(stdstats=False)
        for number, given in enumerate(arrays):
            cerebro.adddata(ArrayData(dataname=given), name=f"S{number}")
        return cerebro

    return {
        "stock": stock,
        "stock, stdstats=False": lambda: stock(stdstats=False),
        "lean": lean,
    }


def timed(make: Callable[[], Any], strategy: Any) -> tuple[float, Any]:
    gc.collect()
    started = time.process_time()
    cerebro = make()
    cerebro.broker.setcash(1_000_000.0)
    cerebro.broker.setcommission(commission=0.001)
    cerebro.addstrategy(strategy)
    ran = cerebro.run()[0]
    taken = time.process_time() - started
    broker = ran.broker
    return taken, (broker.getvalue(), broker.getcash(), len(broker.orders), len(ran))


def race(workload: str, strategy: Any, rounds: int) -> None:
    frames = frames_of(workload)
    best: dict[str, float] = {}
    results: dict[str, Any] = {}
    for _ in range(rounds):
        for name, make in engines(frames).items():
            taken, results[name] = timed(make, strategy)
            best[name] = min(taken, best.get(name, taken))
    assert len(set(results.values())) == 1, results
    bars = sum(len(frame) for frame in frames)
    for name, seconds in best.items():
        print(
            f"{workload:9} {strategy.__name__:12} {name:22} {seconds * 1e3:9.1f} ms "
            f"{bars / seconds / 1e3:8.1f} k bars/s {best['stock'] / seconds:6.1f} x",
            flush=True,
        )
    print(f"{'':23}{results['lean'][2]} orders", flush=True)


PEAK = """
import resource, sys
from tests.engine.race import STRATEGIES, engines, frames_of, timed
frames = frames_of(sys.argv[1])
make = engines(frames)[sys.argv[3]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
timed(make, STRATEGIES[sys.argv[2]])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
STRATEGIES = {one.__name__: one for one in (SmaCross, SmaCrossAll, Breakout)}


def peak(workload: str, strategy: Any) -> None:
    """Print how much memory a run adds at its peak, each in a process of its own."""
    for name in ("stock", "stock, stdstats=False", "lean"):
        command = [sys.executable, "-c", PEAK, workload, strategy.__name__, name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        kilobytes = int(done.stdout)
        print(f"{workload:9} {strategy.__name__:12} {name:22} {kilobytes / 1024:9.1f} MB more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--memory", action="store_true")
    asked = parser.parse_args()
    for workload in WORKLOADS:
        if asked.only and workload not in asked.only.split(","):
            continue
        for strategy in (SmaCross if workload.startswith("1x") else SmaCrossAll, Breakout):
            if asked.memory:
                peak(workload, strategy)
            else:
                race(workload, strategy, asked.rounds)


if __name__ == "__main__":
    main()
