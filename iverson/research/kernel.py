# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0917 (numba takes no keyword-only arguments)
"""The sweep kernel: one run of the standard management over arrays, for the in-sample search.

`run` walks a span as Cerebro does: the broker's step, the account's mark with its halts, the time
limits, the signals through the rules to their brackets. It gives the equity of every session and
the result of every trade that `backtest.simulate` gives, bit for bit; what it cannot say it leaves
to the engine (`UNDECIDED`). Rules, sizing, costs and fills are the functions their components use.

Written as plain Python; `kernel_code` makes machine code of it on first use.
"""

from __future__ import annotations

import math

from iverson.execution.ticks import round_down, round_up
from iverson.research.kernel_broker import broker_step, withdraw_entries
from iverson.research.kernel_fills import buying_power
from iverson.research.kernel_state import (
    CORRELATION,
    CORRELATION_WANTED,
    DAILY_LOSS_HALT,
    DONE,
    DRAWDOWN_HALT,
    LONG_ONLY,
    MAX_POSITIONS,
    ONE_SYSTEM,
    OPEN_RISK,
    STOP_DISTANCE,
    UNDECIDED,
    Floats,
    Ints,
    Market,
    Signals,
    Span,
    State,
    Terms,
)
from iverson.risk.rules import allowed_loss, exceeds, has_fallen, total_risk
from iverson.risk.sizing import shares

_DOLLARS = 1e-6
APPROVED, DENIED = 0, 1


def run(
    market: Market,
    span: Span,
    terms: Terms,
    signals: Signals,
    state: State,
    correlations: Floats,
    pairs: Ints,
) -> tuple[int, int, int]:
    """Run one parameter set; `state` is left with its equity and trades.

    `correlations` (pairs, steps) and `pairs` (symbols, symbols) say where a pair stands, -1 for a
    pair that has not been asked for yet. Returns how it ended and, when a correlation is wanted,
    of which two symbols.
    """
    n = 0
    high = first_high = 0  # steps
    drawdown_since = -1
    loss_until = -1
    for t in range(len(span.number)):
        broker_step(t, market, span, terms, state)
        equity = state.equity[t]
        if not (0.0 < equity < math.inf):
            return UNDECIDED, 0, 0
        if loss_until >= 0 and span.at[t] >= loss_until:
            loss_until = -1
        if drawdown_since >= 0:
            served = span.ordinal[t] - span.ordinal[drawdown_since]
            if served >= terms.release_after:
                drawdown_since = -1
                first_high = t
        high = highest(t, high, max(span.oldest[t], first_high), state.equity)
        previous = state.equity[t - 1] if t else equity
        drawdown_since, loss_until = halts(
            t, state.equity[high], previous, drawdown_since, loss_until, span, terms, state
        )
        expire_positions(t, span, terms, state)
        while n < len(signals.step) and signals.step[n] == t:
            if drawdown_since < 0 and loss_until < 0:
                answer, size, other = review(
                    n, t, market, span, terms, signals, state, correlations, pairs
                )
                if answer > DENIED:
                    return answer, signals.symbol[n], other
                if answer == APPROVED:
                    place(n, t, size, market, span, terms, signals, state)
            n += 1
    return DONE, 0, 0


# -- the account -----------------------------------------------------------------------------------


def highest(t: int, high: int, oldest: int, equity: Floats) -> int:
    """Return the step of the highest equity from `oldest` to t, knowing that of the step before."""
    if high >= oldest:
        return t if equity[t] >= equity[high] else high
    high = oldest
    for step in range(oldest + 1, t + 1):
        if equity[step] >= equity[high]:
            high = step
    return high


def halts(
    t: int, high: float, previous: float, drawdown_since: int, loss_until: int,
    span: Span, terms: Terms, state: State,
) -> tuple[int, int]:  # fmt: skip
    """Begin the halts that the step calls for: `Gate.halts`; waiting entries are withdrawn."""
    equity = state.equity[t]
    for n in range(len(terms.rules)):
        kind, limit = int(terms.rules[n, 0]), terms.rules[n, 1]
        fall = min(0.0, equity / high - 1.0)
        if kind == DRAWDOWN_HALT and drawdown_since < 0 and has_fallen(fall, limit):
            drawdown_since = t
            withdraw_entries(state)
        if kind == DAILY_LOSS_HALT and loss_until < 0:
            allowed = allowed_loss(terms.rules[n, 2], limit, previous)
            if has_fallen(equity - previous, allowed):
                loss_until = span.until[t]
                withdraw_entries(state)
    return drawdown_since, loss_until


def expire_positions(t: int, span: Span, terms: Terms, state: State) -> None:
    """Send the time limit the evening before: `Strategy.close_expired`."""
    if terms.max_sessions < 0:
        return
    for n in range(state.counts[0]):
        s = state.queue[n]
        age = span.ordinal[t] - state.entered[s]
        if state.held[s] != 0 and age >= terms.max_sessions - 1:
            state.leaves_at_close[s] = True


# -- the gate --------------------------------------------------------------------------------------


def review(  # noqa: PLR0912 (one branch a rule)
    n: int, t: int, market: Market, span: Span, terms: Terms, signals: Signals, state: State,
    correlations: Floats, pairs: Ints,
) -> tuple[int, int, int]:  # fmt: skip
    """Answer one signal as `Gate.review`: the answer, the size, a symbol for a correlation."""
    s, direction = signals.symbol[n], signals.direction[n]
    limit = signals.limit[n]
    risk = (limit - signals.stop[n]) * direction
    for place in range(len(terms.rules)):
        kind, most = int(terms.rules[place, 0]), terms.rules[place, 1]
        if kind == LONG_ONLY:
            if direction < 0:
                return DENIED, 0, 0
        elif kind == ONE_SYSTEM:
            if state.held[s] != 0 or state.waiting[s]:
                return DENIED, 0, 0
        elif kind == MAX_POSITIONS:
            if state.counts[0] >= most:
                return DENIED, 0, 0
        elif kind == STOP_DISTANCE:
            if exceeds(risk / limit, most):
                return DENIED, 0, 0
        elif kind == CORRELATION:
            for m in range(state.counts[0]):
                other = state.queue[m]
                if other == s:
                    continue
                if pairs[s, other] < 0:
                    return CORRELATION_WANTED, 0, other
                signed = correlations[pairs[s, other], t] * direction * state.direction[other]
                if not signed <= most:
                    return DENIED, 0, 0
    return sized(t, s, signals.confidence[n], limit, risk, market, span, terms, state)


def sized(
    t: int, s: int, confidence: int, limit: float, risk: float,
    market: Market, span: Span, terms: Terms, state: State,
) -> tuple[int, int, int]:  # fmt: skip
    """Size a signal as `RiskSizing` and ask the rules about the size."""
    fraction = terms.risk[confidence - 1]
    if fraction == 0:
        return DENIED, 0, 0
    equity = state.equity[t]
    at_risk, committed = exposure(t, market, span, terms, state)
    size = shares(equity * fraction, risk)
    size = min(size, shares(equity * terms.notional, limit))
    size = min(size, shares(max(0.0, committed), limit))
    size = min(size, shares(market.average_volume[span.row[t, s]] * terms.volume, 1.0))
    if size < 1:
        return DENIED, 0, 0
    for place in range(len(terms.rules)):
        if int(terms.rules[place, 0]) != OPEN_RISK:
            continue
        if exceeds(total_risk(at_risk, size, risk, equity), terms.rules[place, 1]):
            return DENIED, 0, 0
    return APPROVED, size, 0


def exposure(t: int, market: Market, span: Span, terms: Terms, state: State) -> tuple[float, float]:
    """Return `Book.open_risk` and the equity not committed, both in dollars."""
    risk = held = lost_risk = lost_held = 0.0
    for n in range(state.counts[1]):
        s = state.known[n]
        if state.held[s] != 0:
            mark = market.close[span.row[t, s]]
            lost = (mark - state.stop[s]) * state.held[s]
            risk, lost_risk = add(risk, max(0.0, lost), lost_risk, terms.compensated)
            held, lost_held = add(held, abs(state.held[s]) * mark, lost_held, terms.compensated)
    more_risk = waiting = lost_more = lost_waiting = 0.0
    for n in range(state.counts[0]):
        s = state.queue[n]
        if state.waiting[s]:
            wanted = state.left[s]
            own = wanted * state.risk[s]
            more_risk, lost_more = add(more_risk, own, lost_more, terms.compensated)
            own = wanted * state.limit[s]
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
    n: int, t: int, size: int,
    market: Market, span: Span, terms: Terms, signals: Signals, state: State,
) -> None:  # fmt: skip
    """Send the bracket of an approved signal: `open_bracket`, and the broker's own check."""
    s = signals.symbol[n]
    limit = signals.limit[n]
    if not state.is_known[s]:
        state.is_known[s] = True
        state.known[state.counts[1]] = s
        state.counts[1] += 1
    if not size * limit <= buying_power(t, s, math.nan, market, span, state) + _DOLLARS:
        return
    state.queue[state.counts[0]] = s
    state.counts[0] += 1
    state.held[s] = 0
    state.waiting[s] = True
    state.left[s] = size
    state.direction[s] = signals.direction[n]
    state.limit[s] = limit
    state.valid[s] = span.valid[t]
    state.risk[s] = (limit - signals.stop[n]) * signals.direction[n]
    state.stop[s] = signals.stop[n]
    state.target[s] = signals.target[n]
    state.triggered[s] = False
    state.leaves_at_close[s] = terms.max_sessions == 0
    state.entered[s] = -1
    state.entry_value[s] = state.exit_value[s] = 0.0
    state.commission[s] = state.dividends[s] = 0.0


def grid(direction: Ints, limit: Floats, stop: Floats, target: Floats) -> bool:
    """Put prices on the grid as `bracket.on_grid`; False when any is faulty, before or after.

    A target below 0 stands for none.
    """
    for n in range(len(limit)):
        side = direction[n]
        if is_faulty(side, limit[n], stop[n], target[n]):
            return False
        if side > 0:
            limit[n], stop[n] = round_down(limit[n]), round_up(stop[n])
            if target[n] >= 0:
                target[n] = round_up(target[n])
        else:
            limit[n], stop[n] = round_up(limit[n]), round_down(stop[n])
            if target[n] >= 0:
                target[n] = round_down(target[n])
        if is_faulty(side, limit[n], stop[n], target[n]):
            return False
    return True


def is_faulty(side: int, limit: float, stop: float, target: float) -> bool:
    """Whether prices make a signal that the gate refuses: `Signal.fault`."""
    if not (0 < limit < math.inf and 0 < stop < math.inf and target < math.inf):
        return True
    if (limit - stop) * side <= 0:
        return True
    return target == 0 or (target > 0 and (target - limit) * side <= 0)
