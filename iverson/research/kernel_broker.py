# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0917 (numba takes no keyword-only arguments)
"""`EquityBroker` over arrays: one bracket a symbol, matched bar by bar.

Each function follows one of the broker's, named in its first line, float operation for float
operation. Prices, costs and fills come from the very functions that the broker calls. They are
plain Python; `kernel_code` makes machine code of them.
"""

from __future__ import annotations

import math

from iverson.execution.corporate_actions import whole
from iverson.execution.costs import half_spread
from iverson.execution.fills import (
    BY_LIMIT,
    HELD,
    Quote,
    exit_path,
    limit_at_open,
    limit_inside,
    stop_at_open,
)
from iverson.execution.orders import CHEAPEST
from iverson.execution.ticks import round_down, round_up, tick_size
from iverson.research.kernel_fills import (
    closed_pnl,
    drop_finished,
    enter,
    leave,
    leave_at_limit,
)
from iverson.research.kernel_state import Market, Span, State, Terms

_INSTANT = 1e-9  # days
_SHARES = 1e-6
_NOT = -1  # an entry that did not fill inside a bar


def broker_step(t: int, market: Market, span: Span, terms: Terms, state: State) -> None:
    """Take one step as `EquityBroker.next`."""
    now = span.number[t]
    first_trade = state.counts[2]  # cash flows are noted ahead of a step's fills
    if state.counts[0]:
        expire(now - _INSTANT, state)
        for s in range(len(state.held)):
            if span.printed[t, s] and (state.held[s] != 0 or state.waiting[s]):
                row = span.row[t, s]
                first_trade = corporate_actions(s, row, first_trade, market, state)
                match(t, s, row, market, span, terms, state)
        expire(now + _INSTANT, state)
        if t == len(span.number) - 1:
            close_all(t, market, span, terms, state)
    invested = 0.0
    for n in range(state.counts[1]):
        s = state.known[n]
        if state.held[s] != 0:
            invested += state.held[s] * market.close[span.row[t, s]]
    state.equity[t] = state.cash[0] + invested


def expire(before: float, state: State) -> None:
    """End entries whose time is over: `EquityBroker._expire`."""
    n = 0
    while n < state.counts[0]:
        s = state.queue[n]
        if state.waiting[s] and state.valid[s] < before:
            state.waiting[s] = False
            if drop_finished(s, state):
                continue
        n += 1


def withdraw_entries(state: State) -> None:
    """Cancel every entry that waits, and the rest of those that are partly filled."""
    n = 0
    while n < state.counts[0]:
        s = state.queue[n]
        if state.waiting[s]:
            state.waiting[s] = False
            if drop_finished(s, state):
                continue
        n += 1


def close_all(t: int, market: Market, span: Span, terms: Terms, state: State) -> None:
    """Leave every position at its last close: `carry.close_all`."""
    withdraw_entries(state)
    while state.counts[0]:
        s = state.queue[0]
        price = market.close[span.row[t, s]]
        leave(s, price, abs(state.held[s]), terms, state)


# -- splits and dividends --------------------------------------------------------------------------


def corporate_actions(s: int, row: int, place: int, market: Market, state: State) -> int:
    """Apply a split and a dividend as `corporate_actions.apply`.

    `place` is where a round trip that a split ends belongs among the trades; returns the next one.
    """
    factor, before = market.factor[row], market.factor[row - 1]
    if factor != before:
        ratio = factor / before
        size = state.held[s]
        state.held[s] = whole(size, ratio)
        state.waiting[s] = False  # its plan was made in other shares
        convert(s, ratio, state)
        drop_finished(s, state)
        if size != 0:
            amount = (size * ratio - state.held[s]) * market.open[row]
            state.cash[0] += amount
            if state.held[s] != 0:
                state.dividends[s] += amount
            else:
                state.exit_value[s] += abs(amount)
                for n in range(state.counts[2], place, -1):
                    state.pnl[n] = state.pnl[n - 1]
                state.counts[2] += 1
                state.pnl[place] = closed_pnl(s, state)
                place += 1
    if market.dividend[row] != 0.0 and state.held[s] != 0:
        amount = state.held[s] * market.dividend[row]
        state.cash[0] += amount
        state.dividends[s] += amount
    return place


def convert(s: int, ratio: float, state: State) -> None:
    """Re-price the legs through a split: `orders.convert`, a stop worse, a target harder."""
    stop, target = state.stop[s] / ratio, state.target[s] / ratio
    if state.direction[s] > 0:
        state.stop[s] = round_down(stop)
        if not math.isnan(target):
            state.target[s] = round_up(target)
    else:
        state.stop[s] = round_up(stop)
        if not math.isnan(target):
            state.target[s] = round_down(target)


# -- one bar ---------------------------------------------------------------------------------------


def match(t: int, s: int, row: int, market: Market, span: Span, terms: Terms, state: State) -> None:
    """Match one symbol's bracket against a bar: `matching._BarMatch.run`."""
    volume = market.volume[row]
    if volume == 0 or (state.held[s] == 0 and not state.waiting[s]):
        return
    bar = Quote(market.open[row], market.high[row], market.low[row], market.close[row], volume)
    budget = math.inf
    if not math.isnan(volume):
        budget = math.floor(terms.volume_share * volume + _SHARES) * 1.0
    standing = state.held[s] != 0
    if standing:
        budget -= legs_at_open(s, bar, budget, terms, state)
    entering, at_open = state.waiting[s], 0
    if entering:
        at_open = entry_at_open(t, s, bar, budget, market, span, terms, state)
        budget -= at_open
        if at_open:
            budget -= legs_at_open(s, bar, budget, terms, state)
    if standing:
        budget = legs_inside(t, s, bar, budget, HELD, market, span, terms, state)
    if entering:
        how = HELD
        if not at_open:
            taken = entry_inside(t, s, bar, budget, market, span, terms, state)
            budget -= taken
            how = BY_LIMIT if taken else _NOT
        if how != _NOT and not standing:
            budget = legs_inside(t, s, bar, budget, how, market, span, terms, state)
    if state.leaves_at_close[s] and state.held[s] != 0:
        leave(s, bar.close, fitting(abs(state.held[s]), budget), terms, state)


def legs_at_open(s: int, bar: Quote, budget: float, terms: Terms, state: State) -> int:
    """Fill the stop, then the target, at the opening print; return the shares left by."""
    done = 0
    sign = -state.direction[s]
    price = bar.open if state.triggered[s] else stop_at_open(sign, state.stop[s], bar)
    if not math.isnan(price):
        state.triggered[s] = True
        done += leave(s, price, fitting(abs(state.held[s]), budget), terms, state)
    target = state.target[s]
    if state.held[s] != 0 and not math.isnan(target):
        price = limit_at_open(sign, target, bar, through(target, terms))
        if not math.isnan(price):
            size = fitting(abs(state.held[s]), budget - done)
            done += leave_at_limit(s, price, size, True, terms, state)
    return done


def legs_inside(
    t: int, s: int, bar: Quote, budget: float, entry: int,
    market: Market, span: Span, terms: Terms, state: State,
) -> float:  # fmt: skip
    """Decide between stop and target after the open; return what is left of the volume."""
    if state.held[s] == 0:
        return budget
    target = state.target[s]
    stop = math.nan if state.triggered[s] else state.stop[s]
    beyond = 0.0 if math.isnan(target) else through(target, terms)
    path = exit_path(-state.direction[s], stop, target, bar, beyond, entry, terms.reading)
    if not math.isnan(path.stop):
        budget -= entry_inside(t, s, bar, budget, market, span, terms, state)
        state.triggered[s] = True
        size = fitting(abs(state.held[s]), budget)
        return budget - leave(s, path.stop, size, terms, state)
    if not math.isnan(path.target):
        size = fitting(abs(state.held[s]), budget)
        return budget - leave_at_limit(s, path.target, size, False, terms, state)
    return budget


def entry_at_open(
    t: int, s: int, bar: Quote, budget: float,
    market: Market, span: Span, terms: Terms, state: State,
) -> int:  # fmt: skip
    """Fill an entry that the open jumped over; return the shares."""
    limit, side = state.limit[s], state.direction[s]
    price = limit_at_open(side, limit, bar, through(limit, terms))
    size = fitting(state.left[s], budget)
    if math.isnan(price) or size <= 0:
        return 0
    half = half_spread(price, terms.spread_bps)
    paid = min(round_up(price + half), limit)
    if side < 0:
        paid = max(round_down(price - half), CHEAPEST, limit)
    return enter(t, s, paid, size, market, span, terms, state)


def entry_inside(
    t: int, s: int, bar: Quote, budget: float,
    market: Market, span: Span, terms: Terms, state: State,
) -> int:  # fmt: skip
    """Fill an entry, or its rest, that the bar traded through; return the shares."""
    if not state.waiting[s]:
        return 0
    limit = state.limit[s]
    price = limit_inside(state.direction[s], limit, bar, through(limit, terms))
    size = fitting(state.left[s], budget)
    if math.isnan(price) or size <= 0:
        return 0
    return enter(t, s, price, size, market, span, terms, state)


def fitting(wanted: int, budget: float) -> int:
    """Return the shares of an order that the bar's volume still allows."""
    return wanted if wanted <= budget else int(budget)


def through(limit: float, terms: Terms) -> float:
    """Dollars the market must trade beyond a limit."""
    return terms.through_ticks * tick_size(limit)
