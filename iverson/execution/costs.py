# SPDX-License-Identifier: GPL-3.0-or-later
"""What trading costs: spread, commission, regulatory fees, one object with its formula written out.

Costs are charged by the broker at each fill, in every stage that simulates fills.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from iverson.errors import ConfigError
from iverson.execution.ticks import tick_size
from iverson.model import OrderSide

LIMITS = ("taf_cap", "least_spread_ticks")  # they bound a cost and charge nothing by themselves


@dataclass(frozen=True, slots=True)
class Costs:
    """Costs of one fill of `size` shares at `price` dollars.

    half spread a share = max(least_spread_ticks x tick / 2, price x spread_bps / 2 / 10,000), 0
    when `spread_bps` is 0, paid by every fill that
    takes liquidity (market, stop, close, a limit that the open jumps over), never by a resting
    limit filled at its own price; a taken price is rounded to the next tick against the taker.
    commission = max(commission_per_share x size, minimum_commission when it is not 0)
               + sec_fee x size x price                 (sells only)
               + min(taf_per_share x size, taf_cap)     (sells only)
               + cat_per_share x size                   (both sides)
    in dollars, not rounded: brokers round the day's sum up to a cent.

    Defaults: Alpaca's zero commission; SEC section 31 fee $20.60 a million sold, FINRA trading
    activity fee $0.000195 a share sold capped at $9.79, consolidated audit trail $0.000003 a
    share (Alpaca's schedule of 2026-09-17), applied to every year alike; a spread of 2 basis
    points, the order of what large US stocks show.
    """

    spread_bps: float = 2.0
    commission_per_share: float = 0.0
    minimum_commission: float = 0.0
    sec_fee: float = 20.60e-6
    taf_per_share: float = 0.000195
    taf_cap: float = 9.79
    cat_per_share: float = 0.000003
    least_spread_ticks: float = 1.0

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 <= getattr(self, name) < 1e6:
                raise ConfigError(
                    f"cost {name} is {getattr(self, name)!r}; expected a number of 0 or more"
                )

    @classmethod
    def none(cls) -> Costs:
        """No costs at all: for comparing engines, never for judging a strategy."""
        return cls(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

    @property
    def free(self) -> bool:
        """Whether nothing is charged."""
        return not any(getattr(self, name) for name in self.__slots__ if name not in LIMITS)

    def half_spread(self, price: float) -> float:
        """Dollars a share that taking liquidity costs; 0 when `spread_bps` is 0."""
        return half_spread(price, self.spread_bps, self.least_spread_ticks)

    def commission(self, side: OrderSide, size: float, price: float) -> float:
        """Dollars charged for one fill; `size` is positive."""
        return commission(
            side == "sell", size, price,
            self.commission_per_share, self.minimum_commission,
            self.sec_fee, self.taf_per_share, self.taf_cap, self.cat_per_share,
        )  # fmt: skip

    def scaled(self, times: float) -> Costs:
        """Return every cost multiplied: 0 for none, 2 to see what doubling does."""
        return replace(self, **{name: getattr(self, name) * times for name in self.__slots__})


def half_spread(price: float, spread_bps: float, least_ticks: float) -> float:
    """Dollars a share that taking liquidity costs, by the formula of `Costs`."""
    if spread_bps == 0.0:
        return 0.0
    return max(least_ticks * tick_size(price) / 2, price * spread_bps / 2 / 10_000)


def commission(  # noqa: PLR0917 (compiled by numba, which takes no keyword-only arguments)
    sells: bool,
    size: float,
    price: float,
    per_share: float,
    minimum: float,
    sec_fee: float,
    taf_per_share: float,
    taf_cap: float,
    cat_per_share: float,
) -> float:
    """Dollars charged for one fill, by the formula of `Costs`."""
    fee = per_share * size
    if minimum:
        fee = max(fee, minimum)
    fee += cat_per_share * size
    if sells:
        fee += sec_fee * size * price + min(taf_per_share * size, taf_cap)
    return fee
