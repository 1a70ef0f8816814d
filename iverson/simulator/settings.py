# SPDX-License-Identifier: GPL-3.0-or-later
"""Switches: every doubt about the real exchange, and every friction, as one frozen value.

What Alpaca documents is not here, it is built in. What only field reports tell, what pages of
different age contradict, and what paper trading does by chance is a switch, whose default is the
likeliest behaviour of a paper account. `Switches.exact()` has no chance and no friction, so that
fills are a function of bars and orders alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, time
from decimal import Decimal
from typing import Any, Literal

PathChoice = Literal["seeded", "high first", "low first", "adverse"]


@dataclass(frozen=True, slots=True)
class Halt:
    """A trading halt of one symbol, from `start` up to `end` (UTC instants)."""

    symbol: str
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Switches:
    """How the exchange behaves where the documents leave it open; see each line.

    Money and prices are `Decimal` dollars, times of day are New York's, spans are seconds.
    """

    # Chance
    seed: int = 0
    path: PathChoice = "seeded"  # which extreme of a bar comes first
    close_early_seconds: float = 0.0  # before a bar's end its close is reached, half of it at most

    # Fills. Paper: marketable against the quote, no look at its size, one in ten partial.
    half_spread_bps: Decimal = Decimal(1)
    through_ticks: int = 0  # ticks of 0.01 a bar must trade through a limit before it fills
    volume_share: Decimal | None = None  # of a bar's volume that orders may take together
    partial_probability: float = 0.1
    latency_seconds: tuple[float, float] = (0.1, 0.7)  # from acceptance to the first fill
    stop_election: Literal["trade", "quote"] = "trade"
    buy_stop_collar: bool = True  # a buy stop becomes a stop-limit 4 % (2.5 % from $50) above

    # Answers that take time
    ack_seconds: float = 0.0  # pending_new -> new
    cancel_seconds: float = 0.1  # pending_cancel -> canceled
    replace_seconds: float = 0.1  # pending_replace -> replaced
    stop_cancel_waits_for_open: bool = False  # after hours a stop's cancel stays pending

    # What the trade stream says
    emit_accepted: bool = True  # an order queued for the next session; listed since 2026-07-30
    emit_pending_cancel: bool = False
    emit_oco_cancel: bool = False  # the stop leg that a filled target cancels
    emit_held: bool = True  # legs on submission
    emit_target_new: bool = True  # a target that becomes active
    target_when_stopped: Literal["replaced", "canceled", "silent"] = "replaced"
    day_end_event: Literal["expired", "canceled"] = "expired"

    # Rules of admission
    allow_immediate_and_auction: bool = True  # ioc, fok, opg, cls: "contact sales" when live
    extended_gtc: bool = False  # an extended-hours order may be gtc
    cls_cutoff: time = time(15, 50)  # the page says so, the error message 15:55
    opg_cutoff: time = time(9, 28)
    evening_start: time = time(19, 0)  # opg and cls for the next session from here
    queued_until: Literal["04:00", "open"] = "04:00"  # when `accepted` becomes `new`
    qty_and_notional_status: Literal[400, 422] = 422
    duplicate_id_status: Literal[409, 422] = 422
    check_stop_side: bool = True  # a sell stop above the market is refused
    price_away: Decimal | None = None  # largest distance of a limit, as a fraction of the price
    day_trades_allowed: int | None = None  # in five sessions, below `day_trade_equity`
    day_trade_equity: Decimal = Decimal(25_000)
    position_over_equity: Decimal | None = None  # 6 = restricted to closing above 600 %

    # Margin
    margin_equity: Decimal = Decimal(2_000)  # below: no margin, no shorts
    four_times_equity: Decimal = Decimal(2_000)  # 25,000 before 2026-06-04
    buying_power: Literal["last", "current"] = "last"  # from yesterday's excess or from now's

    # Corporate actions and costs. Paper pays no dividend and charges no fee.
    dividends: bool = False
    reduce_for_dividends: bool = False  # non-marketable gtc buy limits fall by the dividend
    regulatory_fees: bool = False

    # Halts
    halts: tuple[Halt, ...] = ()
    luld_band: Decimal | None = None  # move from the last close that halts, as a fraction
    luld_seconds: float = 300.0

    # The log
    log_bars: bool = False  # bars are input; listeners get them, the log need not repeat them

    @classmethod
    def exact(cls, **changes: Any) -> Switches:
        """Return switches without chance, spread, latency or partial fills."""
        plain = cls(
            path="low first",
            half_spread_bps=Decimal(0),
            partial_probability=0.0,
            latency_seconds=(0.0, 0.0),
            cancel_seconds=0.0,
            replace_seconds=0.0,
        )
        return replace(plain, **changes)
