# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0917 (numba takes no keyword-only arguments)
"""One fill over records: what it costs, what it does to the account, its bracket and its trade.

As in `kernel_broker`, each function follows the broker's float operation for float operation.
"""

from __future__ import annotations

import math

from iverson.execution.costs import commission, half_spread
from iverson.execution.orders import CHEAPEST
from iverson.execution.ticks import round_down, round_up
from iverson.research.kernel_state import Ints, Record, Records, Span, State

_DOLLARS = 1e-6


def enter(
    t: int, s: int, paid: float, size: int,
    market: Records, span: Span, terms: Record, state: State,
) -> int:  # fmt: skip
    """Fill an entry as `EquityBroker.fill`; one that cannot be paid is ended. Returns shares."""
    bracket, account = state.brackets[s], state.account[0]
    power = buying_power(t, s, paid, market, span, state)
    if size * paid > power + _DOLLARS:
        bracket.waiting = False
        drop_finished(s, state)
        return 0
    signed = size * bracket.direction
    fee = fee_of(signed, paid, terms)
    account.cash -= signed * paid + fee
    if bracket.entered < 0:
        bracket.entered = span.steps[t].ordinal
    bracket.held += signed
    bracket.left -= size
    bracket.waiting = bracket.left > 0
    bracket.commission += fee
    bracket.entry_value += size * paid
    return size


def leave(s: int, price: float, size: int, terms: Record, state: State) -> int:
    """Fill a leg that takes what it gets: half the spread worse. Returns shares."""
    if size <= 0:
        return 0
    return settle(s, worse(state.brackets[s].direction, price, terms), size, terms, state)


def leave_at_limit(
    s: int, price: float, size: int, taker: bool, terms: Record, state: State
) -> int:
    """Fill the target; a taker pays half the spread, never beyond the limit. Returns shares."""
    if size <= 0:
        return 0
    paid = price
    if taker:
        direction, limit = state.brackets[s].direction, state.brackets[s].target
        paid = worse(direction, price, terms)
        paid = max(paid, limit) if direction > 0 else min(paid, limit)
    return settle(s, paid, size, terms, state)


def worse(direction: int, price: float, terms: Record) -> float:
    """Return what a leg pays or gets as a taker: `orders.taken_price` without a limit."""
    half = half_spread(price, terms.spread_bps, terms.least_spread_ticks)
    if direction < 0:
        return round_up(price + half)
    return max(round_down(price - half), CHEAPEST)


def settle(s: int, paid: float, size: int, terms: Record, state: State) -> int:
    """Book an exit; what was not entered yet is cancelled, the trade is being left."""
    bracket, account = state.brackets[s], state.account[0]
    signed = -size * bracket.direction
    fee = fee_of(signed, paid, terms)
    account.cash -= signed * paid + fee
    closed_fee = fee * size / size  # as the broker splits a fee; not always the fee itself
    bracket.commission += closed_fee + (fee - closed_fee)
    bracket.exit_value += size * paid
    bracket.held += signed
    bracket.waiting = False
    if bracket.held == 0:
        state.pnl[account.trades] = closed_pnl(bracket)
        account.trades += 1
        drop_finished(s, state)
    return size


def fee_of(signed: int, paid: float, terms: Record) -> float:
    """Return the commission of one fill."""
    return commission(
        signed < 0, abs(signed), paid, terms.commission_per_share, terms.minimum_commission,
        terms.sec_fee, terms.taf_per_share, terms.taf_cap, terms.cat_per_share,
    )  # fmt: skip


def buying_power(
    t: int, leave_out: int, at: float, market: Records, span: Span, state: State
) -> float:
    """Return the broker's buying power without one waiting bracket; NaN `at`: at the mark."""
    account = state.account[0]
    equity, committed = account.cash, 0.0
    for n in range(account.working):
        s = state.by_rank[n]
        held = state.brackets[s].held
        if held != 0:
            mark = market[span.row[t, s]].close
            if s == leave_out and not math.isnan(at):
                mark = at
            equity += held * mark
            committed += abs(held) * mark
    for n in range(account.working):
        s = state.queue[n]
        if s != leave_out and state.brackets[s].waiting:
            committed += state.brackets[s].left * state.brackets[s].limit
    power: float = equity - committed
    return power


def closed_pnl(bracket: Record) -> float:
    """Return what a round trip made, as `TradeBuilder`."""
    gross = bracket.direction * (bracket.exit_value - bracket.entry_value)
    pnl: float = gross + bracket.dividends - bracket.commission
    return pnl


# -- which symbols have a bracket ------------------------------------------------------------------


def join(s: int, state: State) -> None:
    """Put a symbol's bracket into the three lists."""
    touch(s, state)
    account, bracket = state.account[0], state.brackets[s]
    state.queue[account.working] = s
    n = account.working
    while n > 0 and state.by_symbol[n - 1] > s:
        state.by_symbol[n] = state.by_symbol[n - 1]
        n -= 1
    state.by_symbol[n] = s
    n = account.working
    while n > 0 and state.brackets[state.by_rank[n - 1]].rank > bracket.rank:
        state.by_rank[n] = state.by_rank[n - 1]
        n -= 1
    state.by_rank[n] = s
    account.working += 1


def touch(s: int, state: State) -> None:
    """Give a symbol its place among the broker's positions, when it is first asked about."""
    account, bracket = state.account[0], state.brackets[s]
    if not bracket.seen:
        bracket.seen = True
        bracket.rank = account.known
        account.known += 1


def drop_finished(s: int, state: State) -> bool:
    """Forget a bracket that holds nothing and waits for nothing; say whether it was."""
    account, bracket = state.account[0], state.brackets[s]
    if bracket.held != 0 or bracket.waiting or not remove(s, account.working, state.queue):
        return False
    remove(s, account.working, state.by_symbol)
    remove(s, account.working, state.by_rank)
    account.working -= 1
    return True


def remove(s: int, length: int, symbols: Ints) -> bool:
    """Take a symbol out of a list; say whether it was there."""
    found = False
    for n in range(length):
        if found:
            symbols[n - 1] = symbols[n]
        elif symbols[n] == s:
            found = True
    return found
