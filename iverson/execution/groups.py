# SPDX-License-Identifier: GPL-3.0-or-later
"""An entry order and the legs that protect what it filled: the unit in which exits are matched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from iverson.execution.orders import STOPS, resize


@dataclass(slots=True, eq=False)
class Group:
    """One entry with its legs. `held` is the signed number of shares filled and not yet left.

    A leg may never leave more than `held`, so a partial entry is protected by as many shares as
    it has, and two legs cannot both leave the same shares. An order without legs holds nothing:
    its position speaks for itself. `reduces` marks an order that was let through because it
    leaves a position: it may never do more than that.
    """

    entry: Any
    legs: list[Any] = field(default_factory=list)
    held: int = 0
    entered: float | None = None  # the bar's datetime number of the first fill
    reduces: bool = False

    @property
    def data(self) -> Any:
        """Backtrader's data feed of the traded symbol."""
        return self.entry.data

    @property
    def orders(self) -> tuple[Any, ...]:
        """The entry and its legs, in order of submission."""
        return (self.entry, *self.legs)

    @property
    def waiting(self) -> bool:
        """Whether the entry may still fill."""
        return bool(self.entry.alive())

    @property
    def finished(self) -> bool:
        """Whether nothing is held and nothing can become held."""
        return self.held == 0 and not self.waiting

    def leg(self, *kinds: int) -> Any | None:
        """Return the first living, active leg of one of Backtrader's execution types."""
        for order in self.legs:
            if order.exectype in kinds and order.alive() and order.active():
                return order
        return None

    @property
    def stop_price(self) -> float | None:
        """Price of the living protective stop, None without one."""
        for order in self.legs:
            if order.exectype in STOPS and order.alive():
                return float(order.created.price)
        return None

    def price_of(self, *kinds: int) -> float | None:
        """Return the price of the first leg of one of Backtrader's execution types."""
        return next((float(o.created.price) for o in self.legs if o.exectype in kinds), None)

    def resize(self, size: int) -> None:
        """Give every order of a new group the same size."""
        for order in self.orders:
            resize(order, size)

    def fit_legs(self) -> None:
        """Size every living leg to what is held."""
        if self.held == 0:
            return
        for order in self.legs:
            if order.alive():
                resize(order, abs(order.executed.size) + abs(self.held))


@dataclass(frozen=True, slots=True)
class CarriedLeg:
    """A standing exit: Backtrader's execution type, raw prices, and its notes (`leg`, `key`)."""

    kind: int
    price: float
    pricelimit: float
    trailamount: float | None
    trailpercent: float | None
    limit_offset: float
    triggered: bool
    info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Carried:
    """A position handed from one run to the next, with its standing legs.

    `entered` is the date number of the first fill, `factor` the feed's cumulative split ratio at
    the hand-over, `info` what the entry order was noted with.
    """

    symbol: str
    size: int
    price: float
    mark: float
    factor: float
    entered: float | None = None
    legs: tuple[CarriedLeg, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)
