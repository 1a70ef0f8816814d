# SPDX-License-Identifier: GPL-3.0-or-later
"""The kill switch: works with the account's keys alone, without a journal and without a strategy.

It takes back every order that could open or add to a position and leaves what protects one. With
`flatten` everything is cancelled and every position left, with `suspend` Alpaca itself refuses new
orders from then on. An answer is no proof: it looks until the account shows what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from iverson.errors import BrokerUnavailable
from iverson.execution.alpaca.states import Holding, OrderState
from iverson.execution.alpaca.venue import Venue

LOOKS = 40
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Killed:
    """What the account shows afterwards: orders taken back, and what is still there."""

    cancelled: tuple[OrderState, ...]
    working: tuple[OrderState, ...]
    positions: tuple[Holding, ...]
    suspended: bool
    done: bool

    def __str__(self) -> str:
        """Say it in one or two sentences."""
        held = ", ".join(f"{one.size:g} {one.symbol}" for one in self.positions) or "none"
        gone, there = len(self.cancelled), len(self.working)
        words = [f"{gone} orders taken back; {there} still work; positions: {held}."]
        if self.suspended:
            words.append("Alpaca refuses new orders until `suspend_trade` is switched off.")
        if not self.done:
            words.append(
                "Not all that was asked for has happened yet (outside trading hours closing "
                "orders wait for the open); run it again and look at the account."
            )
        return " ".join(words)


def kill(
    venue: Venue,
    *,
    flatten: bool = False,
    suspend: bool = False,
    pause: Callable[[float], None],
) -> Killed:
    """Stop an account from opening anything; see the module.

    `BrokerUnavailable` when the venue does not answer.
    """
    before = _flat(venue.open_orders())
    if flatten:
        _must(venue, "DELETE", "/orders", (200, 207, 500))
        _until(pause, lambda: not venue.open_orders())
        _must(venue, "DELETE", "/positions", (200, 207, 500), {"cancel_orders": "true"})
        done = _until(pause, lambda: not venue.holdings())
    else:
        opening, _ = would_cancel(venue)
        for one in opening:
            venue.cancel(one.id)
        wanted = {one.id for one in opening}
        done = _until(pause, lambda: not wanted & {one.id for one in venue.open_orders()})
    if suspend:
        _must(venue, "PATCH", "/account/configurations", (200,), {"suspend_trade": True})
    after = venue.open_orders()
    left = {one.id for one in _flat(after)}
    return Killed(
        cancelled=tuple(one for one in before if one.id not in left),
        working=tuple(after),
        positions=tuple(venue.holdings()),
        suspended=suspend,
        done=done,
    )


def would_cancel(venue: Venue) -> tuple[list[OrderState], list[OrderState]]:
    """Return what `kill` would take back now and what it would leave; nothing is done."""
    held = {one.symbol: one.size for one in venue.holdings()}
    gone: list[OrderState] = []
    left: list[OrderState] = []
    for one in venue.open_orders():
        (gone if _opens(one, held) else left).append(one)
    return gone, left


def _opens(order: OrderState, held: dict[str, float]) -> bool:
    """Whether an order would open a position or add to one."""
    size = held.get(order.symbol, 0.0)
    return size >= 0 if order.side == "buy" else size <= 0


def _flat(orders: list[OrderState]) -> list[OrderState]:
    return list(_each(orders))


def _each(orders: Any) -> Iterator[OrderState]:
    for one in orders:
        yield one
        yield from one.legs


def _until(pause: Callable[[float], None], holds: Callable[[], bool]) -> bool:
    for _ in range(LOOKS):
        if holds():
            return True
        pause(LOOK_SECONDS)
    return holds()


def _must(
    venue: Venue,
    method: Any,
    path: str,
    answers: tuple[int, ...],
    data: dict[str, Any] | None = None,
) -> None:
    reply = venue.caller.call(method, path, data)
    if reply.status not in answers:
        raise BrokerUnavailable(
            f"Alpaca did not take {method} {path} ({reply.words}); try again, or use its web page"
        )
