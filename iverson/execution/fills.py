# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bar allows an order to do: the fill rules, as pure arithmetic on floats.

Everything is written for a buyer and mirrored for a seller, so long and short cannot drift apart.
`sign` is +1 for a buy order and -1 for a sell order; `through` is how far, in dollars, the market
must trade beyond a limit before the limit counts as filled (0: a touch fills). NaN means that the
order does not fill in this bar. Costs are not in these prices: the broker adds them.

========  =========================================  ==================
order     fills when (buy)                           at
========  =========================================  ==================
market    the bar opens                              open
limit     open <= limit - through                    open
limit     else low <= limit - through                limit
stop      open >= stop                               open (gapped)
stop      else high >= stop                          stop
========  =========================================  ==================
"""

from __future__ import annotations

import math
from typing import NamedTuple

from iverson.model import Reading

_NEAR = 1e-9  # dollars; prices on a grid of 0.0001 cannot be this close without being equal

# Codes instead of words where the arithmetic is compiled for the search.
HELD, BY_LIMIT, BY_STOP = 0, 1, 2
WORST, BASE, BEST = 0, 1, 2
ENTRIES = {"held": HELD, "limit": BY_LIMIT, "stop": BY_STOP}
READINGS: dict[Reading, int] = {"worst": WORST, "base": BASE, "best": BEST}


class Quote(NamedTuple):
    """One bar as it traded, raw dollars and shares."""

    open: float
    high: float
    low: float
    close: float
    volume: float


def limit_at_open(sign: int, limit: float, bar: Quote, through: float) -> float:
    """Price at which a limit order fills on the first print of the bar, or NaN."""
    return bar.open if (limit - bar.open) * sign >= through - _NEAR else math.nan


def limit_inside(sign: int, limit: float, bar: Quote, through: float) -> float:
    """Price at which a limit order fills after the open, or NaN."""
    best = bar.low if sign > 0 else bar.high
    return limit if (limit - best) * sign >= through - _NEAR else math.nan


def stop_at_open(sign: int, stop: float, bar: Quote) -> float:
    """Price at which a stop order that the bar gapped through fills, or NaN."""
    return bar.open if (bar.open - stop) * sign >= -_NEAR else math.nan


def stop_inside(sign: int, stop: float, bar: Quote) -> float:
    """Price at which a stop order triggered after the open fills, or NaN."""
    extreme = bar.high if sign > 0 else bar.low
    return stop if (extreme - stop) * sign >= -_NEAR else math.nan


def high_first(bar: Quote) -> bool:
    """Guess which extreme came first: the one nearer to the open; a tie is the low.

    The usual reading of a bar without finer data; it decides only the "base" reading.
    """
    return bar.high - bar.open < bar.open - bar.low


class ExitPath(NamedTuple):
    """Which exit a bar gives a position: prices (NaN: not this one) and whether it is a guess."""

    stop: float
    target: float
    ambiguous: bool


def exit_inside(
    sign: int,
    stop: float,
    target: float,
    bar: Quote,
    through: float,
    *,
    entry: str,
    reading: Reading,
) -> ExitPath:
    """Decide between a stop and a target, both standing while the bar trades.

    `sign` is that of the exit orders (-1 for a long position). NaN for a leg that does not exist.
    `entry` says since when the position stands: "held" (before the bar, or from its open),
    "limit" (filled inside the bar by a favourable move) or "stop" (by an adverse one).

    A bar that reaches both is the stop under the worst reading. After an entry by a limit inside
    the bar the stop is certain when touched (the path to it leads through the entry), while a
    target that was touched may have been touched before: certain only if the bar also closes
    beyond it. After an entry by a stop order it is the other way round.
    """
    return exit_path(sign, stop, target, bar, through, ENTRIES[entry], READINGS[reading])


def exit_path(  # noqa: PLR0917 (compiled by numba: no keyword-only arguments)
    sign: int, stop: float, target: float, bar: Quote, through: float, entry: int, reading: int
) -> ExitPath:
    """Decide as `exit_inside` does, with codes for words."""
    stopped = stop_inside(sign, stop, bar)
    reached = limit_inside(sign, target, bar, through)
    is_stopped, is_reached = not math.isnan(stopped), not math.isnan(reached)
    sure_stop, sure_target = is_stopped, is_reached
    if entry == BY_LIMIT and is_reached:
        sure_target = (bar.close - target) * -sign >= through - _NEAR
    if entry == BY_STOP and is_stopped:
        sure_stop = (bar.close - stop) * sign >= -_NEAR
    if sure_stop and not is_reached:
        return ExitPath(stopped, math.nan, False)
    if sure_target and not is_stopped:
        return ExitPath(math.nan, reached, False)
    if not is_stopped and not is_reached:
        return ExitPath(math.nan, math.nan, False)
    if reading == WORST:
        return ExitPath(stopped, math.nan, True)
    if reading == BEST:
        return ExitPath(math.nan, reached, True)
    winning_first = high_first(bar) if sign < 0 else not high_first(bar)
    if entry == BY_LIMIT:  # the winning extreme first means it came before the entry
        reached_after = is_reached and (sure_target or not winning_first)
        if is_stopped:
            return ExitPath(stopped, math.nan, True)
        return ExitPath(math.nan, reached if reached_after else math.nan, True)
    if entry == BY_STOP:  # the losing extreme first means it came before the entry
        stopped_after = is_stopped and (sure_stop or winning_first)
        if is_reached and not stopped_after:
            return ExitPath(math.nan, reached, True)
        return ExitPath(stopped if stopped_after else math.nan, math.nan, True)
    if winning_first:
        return ExitPath(math.nan, reached, True)
    return ExitPath(stopped, math.nan, True)
