# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sweep kernel reads and keeps: named tuples of arrays, which numba takes as they are.

`Market` is the same for every run over the same bars, `Span` for every run over the same sessions,
`Terms` for every run of one setup, `Signals` for one parameter set. `State` is made anew for each
run and is the only thing that changes.

Bars are addressed by *row*: the symbols' bars one after another in flat columns. A *step* is one
instant of a span at which some symbol printed a bar.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Rules, by the code that stands for them in `Terms.rules`.
LONG_ONLY, ONE_SYSTEM, MAX_POSITIONS, STOP_DISTANCE, CORRELATION, OPEN_RISK = range(6)
DRAWDOWN_HALT, DAILY_LOSS_HALT = 6, 7

# How a run ends.
DONE, UNDECIDED, CORRELATION_WANTED = 0, 1, 2


class Market(NamedTuple):
    """Columns over all rows, as the broker quotes them: raw dollars and shares."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    factor: Floats
    dividend: Floats
    average_volume: Floats


class Span(NamedTuple):
    """Arrays by step; `row` and `printed` are (steps, symbols), row -1 before the first bar.

    `until` is when a daily loss of that step would let entries go on, `valid` the date number to
    which an entry decided at that step lives, `oldest` the first step that counts for the high.
    """

    row: Ints
    printed: Flags
    number: Floats
    at: Ints
    until: Ints
    ordinal: Ints
    valid: Floats
    oldest: Ints
    open_for_entries: Flags


class Terms(NamedTuple):
    """The numbers of one setup; `rules` (n, 3): code, limit, second limit."""

    cash: float
    through_ticks: float
    volume_share: float
    reading: int
    spread_bps: float
    commission_per_share: float
    minimum_commission: float
    sec_fee: float
    taf_per_share: float
    taf_cap: float
    cat_per_share: float
    risk: Floats
    notional: float
    volume: float
    rules: Floats
    max_sessions: int  # -1: no time limit
    release_after: int
    compensated: bool  # Python >= 3.12 adds floats up with compensation


class Signals(NamedTuple):
    """The signals of one parameter set in the order in which the spine brings them to the gate."""

    step: Ints
    symbol: Ints
    direction: Ints
    confidence: Ints
    limit: Floats
    stop: Floats
    target: Floats  # NaN: none


class State(NamedTuple):
    """An account and its brackets, one a symbol at most; arrays by symbol unless said otherwise.

    `queue` and `known` keep symbols in the order in which the broker keeps brackets and positions.
    """

    cash: Floats  # (1,)
    counts: Ints  # (3,): length of `queue`, of `known`, number of trades
    queue: Ints
    known: Ints
    is_known: Flags
    # the bracket
    held: Ints  # signed
    waiting: Flags
    left: Ints  # shares the entry still wants
    direction: Ints
    limit: Floats
    valid: Floats
    risk: Floats  # planned dollars a share
    stop: Floats
    target: Floats
    triggered: Flags
    leaves_at_close: Flags
    entered: Ints  # the session's number, -1 before the first fill
    # its round trip
    entry_value: Floats
    exit_value: Floats
    commission: Floats
    dividends: Floats
    # by trade, by step
    pnl: Floats
    equity: Floats


def new_state(symbols: int, steps: int, signals: int, cash: float) -> State:
    """Return an account before its first step."""
    floats = [np.zeros(symbols) for _ in range(9)]
    return State(
        cash=np.array([cash], dtype=np.float64),
        counts=np.zeros(3, dtype=np.int64),
        queue=np.zeros(symbols, dtype=np.int64),
        known=np.zeros(symbols, dtype=np.int64),
        is_known=np.zeros(symbols, dtype=np.bool_),
        held=np.zeros(symbols, dtype=np.int64),
        waiting=np.zeros(symbols, dtype=np.bool_),
        left=np.zeros(symbols, dtype=np.int64),
        direction=np.zeros(symbols, dtype=np.int64),
        limit=floats[0],
        valid=floats[1],
        risk=floats[2],
        stop=floats[3],
        target=floats[4],
        triggered=np.zeros(symbols, dtype=np.bool_),
        leaves_at_close=np.zeros(symbols, dtype=np.bool_),
        entered=np.zeros(symbols, dtype=np.int64),
        entry_value=floats[5],
        exit_value=floats[6],
        commission=floats[7],
        dividends=floats[8],
        pnl=np.zeros(signals),  # a signal makes one round trip at most
        equity=np.zeros(steps),
    )
