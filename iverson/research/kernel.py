# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0917 (numba takes no keyword-only arguments)
"""The sweep kernel: one run of the standard management over records, for the in-sample search.

`run` walks a span as Cerebro does: the broker's step, the account's mark with its halts, the time
limits, the signals through the rules to their brackets. It gives the equity of every session and
the result of every trade that `backtest.simulate` gives, bit for bit; what it cannot say it leaves
to the engine (`UNDECIDED`). Rules, sizing, costs and fills are the functions their components use.

Written as plain Python; `kernel_code` makes machine code of it on first use.
"""

from __future__ import annotations

import math

from iverson.research.kernel_broker import broker_step, withdraw_entries
from iverson.research.kernel_fills import buying_power, join, touch
from iverson.research.kernel_state import (
    CORRELATION,
    CORRELATION_WANTED,
    DONE,
    LONG_ONLY,
    MAX_POSITIONS,
    ONE_SYSTEM,
    OPEN_RISK,
    STOP_DISTANCE,
    UNDECIDED,
    Floats,
    Ints,
    Record,
    Records,
    Span,
    State,
)
from iverson.risk.rules import allowed_loss, exceeds, has_fallen, total_risk
from iverson.risk.sizing import shares

_DOLLARS = 1e-6
APPROVED, DENIED = 0, 1


def run(
    market: Records,
    span: Span,
    terms: Records,
    rules: Floats,
    signals: Records,
    state: State,
    correlations: Floats,
    pairs: Ints,
) -> tuple[int, int, int]:
    """Run one parameter set; `state` is left with its equity and trades.

    `terms` is one record, `rules` (n, 2) the code and the limit of each rule that denies.
    `correlations` (pairs, steps) and `pairs` (symbols, symbols) say where a pair stands, -1 for a
    pair that has not been asked for yet. Returns how it ended and, when a correlation is wanted,
    of which two symbols; called again with that correlation, the run goes on.
    """
    account = state.account[0]
    for t in range(account.step, len(span.steps)):
        if not account.reviewing:
            account.step, account.reviewing = t, True
            state.equity[t] = account.cash + 0.0
            if account.working:
                broker_step(t, market, span, terms[0], state)
            if not (0.0 < state.equity[t] < math.inf):
                return UNDECIDED, 0, 0
            flattens = halts(t, span, terms[0], state)
            if account.working:
                expire_positions(t, flattens, span, terms[0], state)
        while account.signal < len(signals) and signals[account.signal].step == t:
            signal = signals[account.signal]
            if account.drawdown_since < 0 and account.loss_until < 0:
                answer, size, other = review(
                    t, signal, market, span, terms[0], rules, state, correlations, pairs
                )
                if answer > DENIED:
                    return answer, signal.symbol, other
                if answer == APPROVED:
                    place(t, signal, size, market, span, terms[0], state)
            account.signal += 1
        account.reviewing = False
    return DONE, 0, 0


# -- the account -----------------------------------------------------------------------------------


def halts(t: int, span: Span, terms: Record, state: State) -> bool:
    """End the halts that are over and begin those called for: `Account.mark`, `Gate.halts`.

    Where one begins, waiting entries are withdrawn. Says whether a halt in force flattens.
    """
    account, step = state.account[0], span.steps[t]
    if account.loss_until >= 0 and step.at >= account.loss_until:
        account.loss_until = -1
    if account.drawdown_since >= 0:
        served = step.ordinal - span.steps[account.drawdown_since].ordinal
        if served >= terms.release_after:
            account.drawdown_since = -1
            account.first_high = t
    equity, oldest = state.equity[t], max(step.oldest, account.first_high)
    if account.high < oldest:
        account.high = highest(oldest, t, state.equity)
    elif equity >= state.equity[account.high]:
        account.high = t
    fall = min(0.0, equity / state.equity[account.high] - 1.0)
    if account.drawdown_since < 0 and has_fallen(fall, terms.drawdown):
        account.drawdown_since = t
        withdraw_entries(state)
    previous = state.equity[t - 1] if t else equity
    allowed = allowed_loss(terms.loss_usd, terms.loss, previous)
    if account.loss_until < 0 and has_fallen(equity - previous, allowed):
        account.loss_until = step.until
        withdraw_entries(state)
    by_drawdown = terms.drawdown_flattens and account.drawdown_since >= 0
    flattens: bool = by_drawdown or (terms.loss_flattens and account.loss_until >= 0)
    return flattens


def highest(first: int, last: int, equity: Floats) -> int:
    """Return the step of the highest equity, the last of equals."""
    high = first
    for step in range(first + 1, last + 1):
        if equity[step] >= equity[high]:
            high = step
    return high


def expire_positions(t: int, flattens: bool, span: Span, terms: Record, state: State) -> None:
    """Send the evening before who has to leave at the close: `Strategy.close_expired`."""
    if terms.max_sessions < 0 and not flattens:
        return
    for n in range(state.account[0].working):
        bracket = state.brackets[state.queue[n]]
        if bracket.held == 0:
            continue
        age = span.steps[t].ordinal - bracket.entered
        if flattens or (0 <= terms.max_sessions <= age + 1):
            bracket.leaves_at_close = True


# -- the gate --------------------------------------------------------------------------------------


def review(
    t: int, signal: Record, market: Records, span: Span, terms: Record, rules: Floats,
    state: State, correlations: Floats, pairs: Ints,
) -> tuple[int, int, int]:  # fmt: skip
    """Answer one signal as `Gate.review`: the answer, the size, a symbol for a correlation."""
    bracket, working = state.brackets[signal.symbol], state.account[0].working
    risk = (signal.limit - signal.stop) * signal.direction
    for n in range(len(rules)):
        kind, most = int(rules[n, 0]), rules[n, 1]
        denied = False
        if kind == LONG_ONLY:
            denied = signal.direction < 0
        elif kind == ONE_SYSTEM:
            denied = bracket.held != 0 or bracket.waiting
        elif kind == MAX_POSITIONS:
            denied = working >= most
        elif kind == STOP_DISTANCE:
            denied = exceeds(risk / signal.limit, most)
        elif kind == CORRELATION:
            answer, other = correlated(t, signal, most, state, correlations, pairs)
            if answer == CORRELATION_WANTED:
                return answer, 0, other
            denied = answer == DENIED
        if denied:
            return DENIED, 0, 0
    size = sized(t, signal, risk, market, span, terms, rules, state)
    return (APPROVED if size >= 1 else DENIED), size, 0


def correlated(
    t: int, signal: Record, most: float, state: State, correlations: Floats, pairs: Ints
) -> tuple[int, int]:
    """Ask for the correlation with every symbol that is held or waited for."""
    s = signal.symbol
    for n in range(state.account[0].working):
        other = state.queue[n]
        if other == s:
            continue
        if pairs[s, other] < 0:
            return CORRELATION_WANTED, other
        found = correlations[pairs[s, other], t]
        if not found * signal.direction * state.brackets[other].direction <= most:
            return DENIED, 0
    return APPROVED, 0


def sized(
    t: int, signal: Record, risk: float, market: Records, span: Span, terms: Record,
    rules: Floats, state: State,
) -> int:  # fmt: skip
    """Size a signal as `RiskSizing` and ask the rules about the size; 0 when one denies it."""
    fraction = terms.risk[signal.confidence - 1]
    if fraction == 0:
        return 0
    equity, limit = state.equity[t], signal.limit
    at_risk, committed = exposure(t, market, span, terms, state)
    average = market[span.row[t, signal.symbol]].average_volume
    size = shares(equity * fraction, risk)
    size = min(size, shares(equity * terms.notional, limit))
    size = min(size, shares(max(0.0, committed), limit))
    size = min(size, shares(average * terms.volume, 1.0))
    for n in range(len(rules)):
        if int(rules[n, 0]) != OPEN_RISK:
            continue
        if exceeds(total_risk(at_risk, size, risk, equity), rules[n, 1]):
            return 0
    return size


def exposure(
    t: int, market: Records, span: Span, terms: Record, state: State
) -> tuple[float, float]:
    """Return `Book.open_risk` and the equity not committed, both in dollars."""
    risk = held = lost_risk = lost_held = 0.0
    for n in range(state.account[0].working):
        bracket = state.brackets[state.by_rank[n]]
        if bracket.held != 0:
            mark = market[span.row[t, state.by_rank[n]]].close
            lost = (mark - bracket.stop) * bracket.held
            risk, lost_risk = add(risk, max(0.0, lost), lost_risk, terms.compensated)
            held, lost_held = add(held, abs(bracket.held) * mark, lost_held, terms.compensated)
    more_risk = waiting = lost_more = lost_waiting = 0.0
    for n in range(state.account[0].working):
        bracket = state.brackets[state.queue[n]]
        if bracket.waiting:
            own = bracket.left * bracket.risk
            more_risk, lost_more = add(more_risk, own, lost_more, terms.compensated)
            own = bracket.left * bracket.limit
            waiting, lost_waiting = add(waiting, own, lost_waiting, terms.compensated)
    free = state.equity[t] - (held + lost_held) - (waiting + lost_waiting)
    return (risk + lost_risk) + (more_risk + lost_more), free


def add(total: float, value: float, lost: float, compensated: bool) -> tuple[float, float]:
    """Add as Python's `sum`: plainly, or with what rounding lost (Neumaier; Python >= 3.12)."""
    found = total + value
    if compensated:
        if abs(total) >= abs(value):
            lost += (total - found) + value
        else:
            lost += (value - found) + total
    return found, lost


# -- the bracket -----------------------------------------------------------------------------------


def place(
    t: int, signal: Record, size: int, market: Records, span: Span, terms: Record, state: State
) -> None:
    """Send the bracket of an approved signal: `open_bracket`, and the broker's own check."""
    s = signal.symbol
    if not size * signal.limit <= buying_power(t, s, math.nan, market, span, state) + _DOLLARS:
        touch(s, state)
        return
    join(s, state)
    bracket = state.brackets[s]
    bracket.held = 0
    bracket.waiting = True
    bracket.left = size
    bracket.direction = signal.direction
    bracket.limit = signal.limit
    bracket.valid = span.steps[t].valid
    bracket.risk = (signal.limit - signal.stop) * signal.direction
    bracket.stop = signal.stop
    bracket.target = signal.target
    bracket.triggered = False
    bracket.leaves_at_close = terms.max_sessions == 0
    bracket.entered = -1
    bracket.entry_value = bracket.exit_value = 0.0
    bracket.commission = bracket.dividends = 0.0
