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
from iverson.model import Fill, OrderEvent, Stage
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import RunRow

MODELLED = (Stage.BACKTEST, Stage.WALK_FORWARD)  # the fill model made their fills
UNPRICED = ("time limit", "flatten", "fold end", "bars end")


@dataclass(frozen=True, slots=True)
class Slip:
    """One fill beside its order; prices in dollars a share.

    `meant` is the order's own price: the limit of an entry or a target, the trigger of a stop. NaN
    for orders at the market or at the close, which mean none.

    `expected` is what the fill model books. Where the model itself made the fill, in a backtest or
    a walk-forward, that is the fill. Elsewhere it is what the model books when the market trades
    through the order's price within a bar: a limit at the limit, a stop at its trigger less half
    the spread, on the price grid. The journal holds no bars, so an open beyond a stop shows as a
    cost here, and NaN stands for a limit filled better than its price, for which the model would
    have taken the open too; `iverson parity` has the bars and compares bar by bar.
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


def slips(values: Iterable[Value], costs: Costs | None, *, modelled: bool = False) -> list[Slip]:
    """Lay every fill beside the last word on its order, in the order of the fills.

    `modelled` says that the fill model made them; `costs` of None leave a stop's price unknown.
    """
    orders: dict[str, OrderEvent] = {}
    found = []
    for value in values:
        if isinstance(value, OrderEvent):
            orders[value.order_id] = value
        elif isinstance(value, Fill):
            meant, expected = _prices(value, orders.get(value.order_id), costs)
            found.append(Slip(value, meant, value.price if modelled else expected))
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


def _prices(fill: Fill, order: OrderEvent | None, costs: Costs | None) -> tuple[float, float]:
    """Return what was meant, and what the model books within a bar; NaN for what is not known."""
    # A time limit's limit is a collar around the market, and what is meant there is no price.
    if order is None or fill.leg in UNPRICED or order.kind not in ("limit", "stop"):
        return math.nan, math.nan
    meant, buys = order.price, fill.side == "buy"
    if order.kind == "limit":
        better = fill.price < meant if buys else fill.price > meant
        return meant, math.nan if better else meant
    if costs is None:
        return meant, math.nan
    half = costs.half_spread(meant)
    return meant, round_up(meant + half) if buys else round_down(meant - half)
