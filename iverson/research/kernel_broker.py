# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0917 (numba takes no keyword-only arguments)
"""`EquityBroker` over records: one bracket a symbol, matched bar by bar.

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
from iverson.research.kernel_state import Record, Records, Span, State

_INSTANT = 1e-9  # days
_SHARES = 1e-6
_NOT = -1  # an entry that did not fill inside a bar


def broker_step(t: int, market: Records, span: Span, terms: Record, state: State) -> None:
    """Take one step as `EquityBroker.next`, when there is any bracket."""
    account = state.account[0]
    now = span.steps[t].number
    first_trade = account.trades  # cash flows are noted ahead of a step's fills
    expire(now - _INSTANT, state)
    leave_gone(t, market, span, terms, state)
    n = 0
    while n < account.working:
        s = state.by_symbol[n]
        if span.printed[t, s]:
            row = span.row[t, s]
            first_trade = corporate_actions(s, row, first_trade, market, state)
            match(t, s, row, market, span, terms, state)
        if n < account.working and state.by_symbol[n] == s:  # its bracket still stands
            n += 1
    expire(now + _INSTANT, state)
    if t == len(span.steps) - 1:
        close_all(t, market, span, terms, state)
    invested = 0.0
    for n in range(account.working):
        s = state.by_rank[n]
        if state.brackets[s].held != 0:
            invested += state.brackets[s].held * market[span.row[t, s]].close
    state.equity[t] = account.cash + invested


def expire(before: float, state: State) -> None:
    """End entries whose time is over: `EquityBroker._expire`."""
    account = state.account[0]
    n = 0
    while n < account.working:
        s = state.queue[n]
        bracket = state.brackets[s]
        if bracket.waiting and bracket.valid < before:
            bracket.waiting = False
            if drop_finished(s, state):
                continue
        n += 1


def withdraw_entries(state: State) -> None:
    """Cancel every entry that waits, and the rest of those that are partly filled."""
    account = state.account[0]
    n = 0
    while n < account.working:
        s = state.queue[n]
        bracket = state.brackets[s]
        if bracket.waiting:
            bracket.waiting = False
            if drop_finished(s, state):
                continue
        n += 1


def close_all(t: int, market: Records, span: Span, terms: Record, state: State) -> None:
    """Leave every position at its last close: `carry.close_all`."""
    withdraw_entries(state)
    while state.account[0].working:
        s = state.queue[0]
        price = market[span.row[t, s]].close
        leave(s, price, abs(state.brackets[s].held), terms, state)


def leave_gone(t: int, market: Records, span: Span, terms: Record, state: State) -> None:
    """Leave the positions whose symbols have ended: `carry.leave_gone`."""
    n = 0
    while n < state.account[0].working:
        s = state.queue[n]
        held = state.brackets[s].held
        if held != 0 and t >= span.gone[s]:
            leave(s, market[span.row[t, s]].close, abs(held), terms, state)
        else:
            n += 1


# -- splits and dividends --------------------------------------------------------------------------


def corporate_actions(s: int, row: int, place: int, market: Records, state: State) -> int:
    """Apply a split and a dividend as `corporate_actions.apply`.

    `place` is where a round trip that a split ends belongs among the trades; returns the next one.
    """
    bar, bracket, account = market[row], state.brackets[s], state.account[0]
    factor, before = bar.factor, market[row - 1].factor
    if factor != before:
        ratio = factor / before
        size = bracket.held
        bracket.held = whole(size, ratio)
        bracket.waiting = False  # its plan was made in other shares
        convert(ratio, bracket)
        drop_finished(s, state)
        if size != 0:
            amount = (size * ratio - bracket.held) * bar.open
            account.cash += amount
            if bracket.held != 0:
                bracket.dividends += amount
            else:
                bracket.exit_value += abs(amount)
                for n in range(account.trades, place, -1):
                    state.pnl[n] = state.pnl[n - 1]
                account.trades += 1
                state.pnl[place] = closed_pnl(bracket)
                place += 1
    if bar.dividend != 0.0 and bracket.held != 0:
        amount = bracket.held * bar.dividend
        account.cash += amount
        bracket.dividends += amount
    return place


def convert(ratio: float, bracket: Record) -> None:
    """Re-price the legs through a split: `orders.convert`, a stop worse, a target harder."""
    stop, target = bracket.stop / ratio, bracket.target / ratio
    if bracket.direction > 0:
        bracket.stop = round_down(stop)
        if not math.isnan(target):
            bracket.target = round_up(target)
    else:
        bracket.stop = round_up(stop)
        if not math.isnan(target):
            bracket.target = round_down(target)


# -- one bar ---------------------------------------------------------------------------------------


def match(
    t: int, s: int, row: int, market: Records, span: Span, terms: Record, state: State
) -> None:
    """Match one symbol's bracket against a bar: `matching._BarMatch.run`."""
    bracket, printed = state.brackets[s], market[row]
    volume = printed.volume
    if volume == 0 or (bracket.held == 0 and not bracket.waiting):
        return
    bar = Quote(printed.open, printed.high, printed.low, printed.close, volume)
    budget = math.inf
    if not math.isnan(volume):
        budget = math.floor(terms.volume_share * volume + _SHARES) * 1.0
    standing = bracket.held != 0
    if standing:
        budget -= legs_at_open(s, bar, budget, terms, state)
    entering, at_open = bracket.waiting, 0
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
    if bracket.leaves_at_close and bracket.held != 0:
        leave(s, bar.close, fitting(abs(bracket.held), budget), terms, state)


def legs_at_open(s: int, bar: Quote, budget: float, terms: Record, state: State) -> int:
    """Fill the stop, then the target, at the opening print; return the shares left by."""
    bracket = state.brackets[s]
    done = 0
    sign = -bracket.direction
    price = bar.open if bracket.triggered else stop_at_open(sign, bracket.stop, bar)
    if not math.isnan(price):
        bracket.triggered = True
        done += leave(s, price, fitting(abs(bracket.held), budget), terms, state)
    target = bracket.target
    if bracket.held != 0 and not math.isnan(target):
        price = limit_at_open(sign, target, bar, through(target, terms))
        if not math.isnan(price):
            size = fitting(abs(bracket.held), budget - done)
            done += leave_at_limit(s, price, size, True, terms, state)
    return done


def legs_inside(
    t: int, s: int, bar: Quote, budget: float, entry: int,
    market: Records, span: Span, terms: Record, state: State,
) -> float:  # fmt: skip
    """Decide between stop and target after the open; return what is left of the volume."""
    bracket = state.brackets[s]
    if bracket.held == 0:
        return budget
    target = bracket.target
    stop = math.nan if bracket.triggered else bracket.stop
    beyond = 0.0 if math.isnan(target) else through(target, terms)
    path = exit_path(-bracket.direction, stop, target, bar, beyond, entry, terms.reading)
    if not math.isnan(path.stop):
        budget -= entry_inside(t, s, bar, budget, market, span, terms, state)
        bracket.triggered = True
        size = fitting(abs(bracket.held), budget)
        return budget - leave(s, path.stop, size, terms, state)
    if not math.isnan(path.target):
        size = fitting(abs(bracket.held), budget)
        return budget - leave_at_limit(s, path.target, size, False, terms, state)
    return budget


def entry_at_open(
    t: int, s: int, bar: Quote, budget: float,
    market: Records, span: Span, terms: Record, state: State,
) -> int:  # fmt: skip
    """Fill an entry that the open jumped over; return the shares."""
    bracket = state.brackets[s]
    limit, side = bracket.limit, bracket.direction
    price = limit_at_open(side, limit, bar, through(limit, terms))
    size = fitting(bracket.left, budget)
    if math.isnan(price) or size <= 0:
        return 0
    half = half_spread(price, terms.spread_bps, terms.least_spread_ticks)
    paid = min(round_up(price + half), limit)
    if side < 0:
        paid = max(round_down(price - half), CHEAPEST, limit)
    return enter(t, s, paid, size, market, span, terms, state)


def entry_inside(
    t: int, s: int, bar: Quote, budget: float,
    market: Records, span: Span, terms: Record, state: State,
) -> int:  # fmt: skip
    """Fill an entry, or its rest, that the bar traded through; return the shares."""
    bracket = state.brackets[s]
    if not bracket.waiting:
        return 0
    limit = bracket.limit
    price = limit_inside(bracket.direction, limit, bar, through(limit, terms))
    size = fitting(bracket.left, budget)
    if math.isnan(price) or size <= 0:
        return 0
    return enter(t, s, price, size, market, span, terms, state)


def fitting(wanted: int, budget: float) -> int:
    """Return the shares of an order that the bar's volume still allows."""
    return wanted if wanted <= budget else int(budget)


def through(limit: float, terms: Record) -> float:
    """Dollars the market must trade beyond a limit."""
    beyond: float = terms.through_ticks * tick_size(limit)
    return beyond
