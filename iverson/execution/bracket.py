# SPDX-License-Identifier: GPL-3.0-or-later
"""From a verdict to orders: a limit entry with its stop, its target and its time limit.

Rounding to the price grid always goes the cautious way: the entry limit away from the market (a
buy pays less), the target further out (harder to fill), the stop closer in (the planned loss never
exceeds the plan).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import backtrader as bt

from iverson.execution.ticks import round_down, round_up
from iverson.model import Bracket, Leg, Signal, Verdict


class Trader(Protocol):
    """What placing a bracket needs of a Backtrader strategy."""

    def buy(self, data: Any = None, **kwargs: Any) -> Any: ...  # noqa: D102 (Backtrader's)

    def sell(self, data: Any = None, **kwargs: Any) -> Any: ...  # noqa: D102 (Backtrader's)


def on_grid(signal: Signal) -> Signal:
    """Put a signal's prices on the grid, before the gate sees them; a faulty one is left as is.

    A stop less than a tick or two from the limit may round onto it. Such a signal comes back with
    that fault: it is not moved a tick away, because a stop inside the spread plans no loss, only a
    size far too large.
    """
    if signal.fault() is not None:
        return signal
    inwards, outwards = (round_up, round_down) if signal.side == "long" else (round_down, round_up)
    return replace(
        signal,
        limit=outwards(signal.limit),
        stop=inwards(signal.stop),
        target=None if signal.target is None else inwards(signal.target),
    )


def key_of(signal: Signal) -> str:
    """Name a decision: symbol, instant of its bar, side."""
    return f"{signal.symbol}-{signal.at:%Y%m%dT%H%M}-{signal.side}"


def make_bracket(verdict: Verdict, *, valid_until: datetime) -> Bracket:
    """Turn an approved verdict into a bracket, named by its decision."""
    signal = verdict.signal
    return Bracket(
        key=key_of(signal),
        symbol=signal.symbol,
        side=signal.side,
        size=verdict.size,
        limit=signal.limit,
        stop=signal.stop,
        target=signal.target,
        max_sessions=signal.max_sessions,
        valid_until=valid_until,
    )


def open_bracket(
    trader: Trader, data: Any, bracket: Bracket, verdict: Verdict, *, exit_at_close: bool = False
) -> Any:
    """Send the bracket's orders and return the entry order.

    The stop and the target never expire, whatever the entry's validity (Backtrader's
    `buy_bracket(valid=...)` would hand it on and leave the position bare). `exit_at_close` adds
    the time limit as a leg from the start, for a position that may not outlive its entry session.
    """
    enter, leave = (
        (trader.buy, trader.sell) if bracket.side == "long" else (trader.sell, trader.buy)
    )
    entry = enter(
        data=data,
        size=bracket.size,
        exectype=bt.Order.Limit,
        price=bracket.limit,
        valid=bracket.valid_until.replace(tzinfo=None),
        transmit=False,
        key=bracket.key,
        leg="entry",
        verdict=verdict,
        bracket=bracket,
    )
    legs: list[tuple[str, int, float | None]] = [("stop", bt.Order.Stop, bracket.stop)]
    if bracket.target is not None:
        legs.append(("target", bt.Order.Limit, bracket.target))
    if exit_at_close:
        legs.append(("time limit", bt.Order.Close, None))
    for number, (leg, kind, price) in enumerate(legs, start=1):
        leave(
            data=data,
            size=bracket.size,
            exectype=kind,
            price=price,
            parent=entry,
            transmit=number == len(legs),
            key=bracket.key,
            leg=leg,
        )
    return entry


def exit_at_close(
    trader: Trader, data: Any, entry: Any, *, size: int, immediate: bool, leg: Leg = "time limit"
) -> Any:
    """Add a closing leg to a standing bracket; the stop and the target stay until it fills.

    `size` is the signed position. With `immediate` the next price is taken (minute bars, sent
    shortly before the close), without it the next bar's close (daily bars, sent the evening
    before): either way the decision is made before the price is known.
    """
    leave = trader.sell if size > 0 else trader.buy
    return leave(
        data=data,
        size=abs(size),
        exectype=bt.Order.Market if immediate else bt.Order.Close,
        parent=entry,
        transmit=True,
        key=entry.info["key"],
        leg=leg,
    )
