# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0917 (numba takes no keyword-only arguments)
"""One fill over arrays: what it costs, what it does to the account, its bracket and its trade.

As in `kernel_broker`, each function follows the broker's float operation for float operation.
"""

from __future__ import annotations

import math

from iverson.execution.costs import commission, half_spread
from iverson.execution.orders import CHEAPEST
from iverson.execution.ticks import round_down, round_up
from iverson.research.kernel_state import Market, Span, State, Terms

_DOLLARS = 1e-6


def enter(
    t: int, s: int, paid: float, size: int,
    market: Market, span: Span, terms: Terms, state: State,
) -> int:  # fmt: skip
    """Fill an entry as `EquityBroker.fill`; one that cannot be paid is ended. Returns shares."""
    power = buying_power(t, s, paid, market, span, state)
    if size * paid > power + _DOLLARS:
        state.waiting[s] = False
        drop_finished(s, state)
        return 0
    signed = size * state.direction[s]
    fee = fee_of(signed, paid, terms)
    state.cash[0] -= signed * paid + fee
    if state.entered[s] < 0:
        state.entered[s] = span.ordinal[t]
    state.held[s] += signed
    state.left[s] -= size
    state.waiting[s] = state.left[s] > 0
    state.commission[s] += fee
    state.entry_value[s] += size * paid
    return size


def leave(s: int, price: float, size: int, terms: Terms, state: State) -> int:
    """Fill a leg that takes what it gets: half the spread worse. Returns shares."""
    if size <= 0:
        return 0
    return settle(s, worse(s, price, terms, state), size, terms, state)


def leave_at_limit(s: int, price: float, size: int, taker: bool, terms: Terms, state: State) -> int:
    """Fill the target; a taker pays half the spread, never beyond the limit. Returns shares."""
    if size <= 0:
        return 0
    paid = price
    if taker:
        paid = worse(s, price, terms, state)
        limit = state.target[s]
        paid = max(paid, limit) if state.direction[s] > 0 else min(paid, limit)
    return settle(s, paid, size, terms, state)


def worse(s: int, price: float, terms: Terms, state: State) -> float:
    """Return what a leg pays or gets as a taker: `orders.taken_price` without a limit."""
    half = half_spread(price, terms.spread_bps)
    if state.direction[s] < 0:
        return round_up(price + half)
    return max(round_down(price - half), CHEAPEST)


def settle(s: int, paid: float, size: int, terms: Terms, state: State) -> int:
    """Book an exit; what was not entered yet is cancelled, the trade is being left."""
    signed = -size * state.direction[s]
    fee = fee_of(signed, paid, terms)
    state.cash[0] -= signed * paid + fee
    closed_fee = fee * size / size  # as the broker splits a fee; not always the fee itself
    state.commission[s] += closed_fee + (fee - closed_fee)
    state.exit_value[s] += size * paid
    state.held[s] += signed
    state.waiting[s] = False
    if state.held[s] == 0:
        state.pnl[state.counts[2]] = closed_pnl(s, state)
        state.counts[2] += 1
        drop_finished(s, state)
    return size


def fee_of(signed: int, paid: float, terms: Terms) -> float:
    """Return the commission of one fill."""
    return commission(
        signed < 0, abs(signed), paid, terms.commission_per_share, terms.minimum_commission,
        terms.sec_fee, terms.taf_per_share, terms.taf_cap, terms.cat_per_share,
    )  # fmt: skip


def buying_power(
    t: int, leave_out: int, at: float, market: Market, span: Span, state: State
) -> float:
    """Return the broker's buying power without one waiting bracket; NaN `at`: at the mark."""
    equity, committed = state.cash[0], 0.0
    for n in range(state.counts[1]):
        s = state.known[n]
        if state.held[s] != 0:
            mark = market.close[span.row[t, s]]
            if s == leave_out and not math.isnan(at):
                mark = at
            equity += state.held[s] * mark
            committed += abs(state.held[s]) * mark
    for n in range(state.counts[0]):
        s = state.queue[n]
        if s != leave_out and state.waiting[s]:
            committed += state.left[s] * state.limit[s]
    power: float = equity - committed
    return power


def drop_finished(s: int, state: State) -> bool:
    """Forget a bracket that holds nothing and waits for nothing; say whether it was."""
    if state.held[s] != 0 or state.waiting[s]:
        return False
    found = False
    for n in range(state.counts[0]):
        if found:
            state.queue[n - 1] = state.queue[n]
        elif state.queue[n] == s:
            found = True
    if found:
        state.counts[0] -= 1
    return found


def closed_pnl(s: int, state: State) -> float:
    """Return what a round trip made, as `TradeBuilder`."""
    gross = state.direction[s] * (state.exit_value[s] - state.entry_value[s])
    pnl: float = gross + state.dividends[s] - state.commission[s]
    return pnl
