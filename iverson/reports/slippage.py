# SPDX-License-Identifier: GPL-3.0-or-later
"""What each fill cost beside the price that was meant, and beside what the fill model books.

Sign: positive is a cost, negative an improvement, for buys and sells alike (Perold 1988, "The
Implementation Shortfall", J. Portfolio Management 14, with the order's own price as benchmark).
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable
from dataclasses import dataclass

from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.execution.ticks import round_down, round_up
from iverson.model import Fill, OrderEvent
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import RunRow


@dataclass(frozen=True, slots=True)
class Slip:
    """One fill beside its order; prices in dollars a share.

    `meant` is the order's own price: the limit of an entry or a target, the trigger of a stop. NaN
    for orders at the market or at the close, which mean none. `expected` is what the fill model
    books when the market trades through that price within a bar: a limit at the limit, a stop at
    its trigger less half the spread, on the price grid. The journal holds no bars, so an open
    beyond the price shows as a difference here; `iverson parity` compares bar by bar.
    """

    fill: Fill
    meant: float
    expected: float

    @property
    def usd(self) -> float:
        """Dollars lost against `meant`: (price - meant) x size, mirrored for a sale."""
        return self._lost(self.meant)

    @property
    def bps(self) -> float:
        """The same in basis points of the fill's notional, size x price."""
        return self.usd / (self.fill.size * self.fill.price) * 10_000

    @property
    def model_usd(self) -> float:
        """Dollars lost against `expected`."""
        return self._lost(self.expected)

    def _lost(self, price: float) -> float:
        sign = 1 if self.fill.side == "buy" else -1
        return (self.fill.price - price) * sign * self.fill.size


def slips(values: Iterable[Value], costs: Costs | None) -> list[Slip]:
    """Lay every fill beside the last word on its order; `costs` of None leave stops unexpected."""
    orders: dict[str, OrderEvent] = {}
    found = []
    for value in values:
        if isinstance(value, OrderEvent):
            orders[value.order_id] = value
        elif isinstance(value, Fill):
            found.append(_slip(value, orders.get(value.order_id), costs))
    return found


def costs_of(run: RunRow) -> Costs | None:
    """Read the costs that a run was charged from its settings; None for costs of another kind."""
    try:
        call = ast.parse(str(run.parameters.get("costs", "")), mode="eval").body
        if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "Costs"):
            return None
        return Costs(**{str(part.arg): ast.literal_eval(part.value) for part in call.keywords})
    except (SyntaxError, ValueError, TypeError, ConfigError):
        return None


def _slip(fill: Fill, order: OrderEvent | None, costs: Costs | None) -> Slip:
    # A time limit's limit is a collar around the market, and what is meant there is no price.
    if order is None or fill.leg in ("time limit", "flatten", "fold end", "bars end"):
        return Slip(fill, math.nan, math.nan)
    if order.kind == "limit":
        return Slip(fill, order.price, order.price)
    if order.kind != "stop":
        return Slip(fill, math.nan, math.nan)
    if costs is None:
        return Slip(fill, order.price, math.nan)
    half = costs.half_spread(order.price)
    buys = fill.side == "buy"
    expected = round_up(order.price + half) if buys else round_down(order.price - half)
    return Slip(fill, order.price, expected)
