# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: T201 (it prints what it found)
"""How fast the exchange on loopback is: `python -m tests.simulator.campaign`.

Three measurements over generated, seeded minute bars in lock step: simulated minutes a
second; orders a second through alpaca-py, there and back; and the long run, 21 sessions of ten
symbols with a client that consumes every bar, which has to take less than two minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
from alpaca.trading.requests import LimitOrderRequest

from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.testing import exchange

FIRST = date(2024, 1, 2)
LONG_SESSIONS, LONG_SYMBOLS, LIMIT_SECONDS = 21, 10, 120.0
ORDERS = 300
SEED = 1


def minute_bars(symbol: str, *, sessions: int, seed: int) -> Bars:
    """Random minutes of whole regular sessions, from $100; prices are whole cents."""
    calendar = new_york()
    first = calendar.ordinal(FIRST)
    days = calendar.sessions[first : first + sessions]
    stamps, owners = [], []
    for day in days.tolist():
        length = calendar.close_at(day) - calendar.open_at(day)
        count = length // timedelta(minutes=1)
        start = np.datetime64(calendar.open_at(day).replace(tzinfo=None), "ns")
        stamps.append(start + np.arange(1, count + 1) * np.timedelta64(60, "s"))
        owners.append(np.full(count, np.datetime64(day, "D")))
    at = np.concatenate(stamps)
    generator = np.random.default_rng([seed, *symbol.encode()])
    close = np.round(100 * np.exp(np.cumsum(generator.normal(0, 0.0005, len(at)))), 2)
    opened = np.r_[100.0, close[:-1]]
    reach = np.round(np.abs(generator.normal(0, 0.03, (2, len(at)))), 2)
    return Bars(
        symbol=symbol,
        interval="1m",
        at=at,
        session=np.concatenate(owners),
        open=opened,
        high=np.maximum(opened, close) + reach[0],
        low=np.minimum(opened, close) - reach[1],
        close=close,
        volume=np.full(len(at), 10_000.0),
        factor=np.ones(len(at)),
        dividend=np.zeros(len(at)),
    )


def market(symbols: int, sessions: int) -> dict[str, Bars]:
    names = [f"S{number:03d}" for number in range(symbols)]
    return {name: minute_bars(name, sessions=sessions, seed=SEED) for name in names}


def measure(what: Callable[[], int]) -> tuple[int, float]:
    """Return what was counted, and the seconds it took."""
    began = time.perf_counter()
    return what(), time.perf_counter() - began


def minutes_a_second(symbols: int, *, sessions: int, consumed: bool) -> tuple[int, int, float]:
    """Return minutes, bars that a client got, and seconds."""
    seen = 0

    async def count(_: Any) -> None:
        nonlocal seen
        seen += 1

    with exchange(market(symbols, sessions), data=unlimited()) as venue:
        if consumed:
            venue.on_bars(count, raw_data=True)
        taken, seconds = measure(lambda: venue.step(1_000_000))
    return taken, seen, seconds


def unlimited() -> Any:
    from iverson.simulator.data_settings import DataSwitches

    return DataSwitches(bar_delay=timedelta(0), symbol_limit=None)


def orders_a_second(count: int) -> tuple[int, float]:
    """Submit limit orders that rest and cancel each: two requests, counted as one round."""
    with exchange(market(1, 1)) as venue:
        venue.step()

        def rounds() -> int:
            for _ in range(count):
                order = venue.trading.submit_order(
                    LimitOrderRequest(
                        symbol="S000", qty=1, side="buy", time_in_force="day", limit_price=50
                    )
                )
                venue.trading.cancel_order_by_id(order.id)
            return count

        return measure(rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=LONG_SESSIONS)
    chosen = parser.parse_args()
    for consumed in (False, True):
        for symbols in (1, 10, 100):
            taken, seen, seconds = minutes_a_second(symbols, sessions=1, consumed=consumed)
            who = f"a client got {seen:6,d} bars" if consumed else "nobody listens"
            print(f"{symbols:4d} symbols, {who:24s} {taken / seconds:9,.0f} minutes a second")
    count, seconds = orders_a_second(ORDERS)
    print(f"{count / seconds:9,.0f} orders a second, submitted and cancelled through alpaca-py")
    taken, seen, seconds = minutes_a_second(LONG_SYMBOLS, sessions=chosen.sessions, consumed=True)
    verdict = "in time" if seconds < LIMIT_SECONDS else "TOO SLOW"
    print(
        f"{chosen.sessions} sessions of {LONG_SYMBOLS} symbols: {taken:,d} minutes, {seen:,d} bars "
        f"consumed in {seconds:.1f} s ({LIMIT_SECONDS:.0f} s allowed: {verdict})"
    )


if __name__ == "__main__":
    main()
