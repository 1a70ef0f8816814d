# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sweep kernel reads and keeps: records of numpy, which numba takes as they are.

The market is the same for every run over the same bars, `Span` for every run over the same
sessions, the terms and the rules for every run of one setup, the signals for one parameter set.
`State` is made anew for each run and is the only thing that changes.

Bars are addressed by *row*: the symbols' bars one after another. A *step* is one instant of a span
at which some symbol printed a bar.

Records and not one array a number: machine code hands a record on as one address, so it is made in
a fraction of the time.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Records = Any  # an array of records, of one of the dtypes below
Record = Any  # one of them; in machine code its fields are attributes

# Rules that deny, by the code that stands for them.
LONG_ONLY, ONE_SYSTEM, MAX_POSITIONS, STOP_DISTANCE, CORRELATION, OPEN_RISK = range(6)

# How a run ends, or why it waits.
DONE, UNDECIDED, CORRELATION_WANTED = 0, 1, 2


def _record(
    *more: tuple[Any, ...], floats: str = "", ints: str = "", flags: str = ""
) -> np.dtype[np.void]:
    kinds = ((floats, np.float64), (ints, np.int64), (flags, np.bool_))
    fields = [(name, kind) for names, kind in kinds for name in names.split()]
    return np.dtype([*more, *fields], align=True)


# By row, as the broker quotes it: raw dollars and shares.
MARKET = _record(floats="open high low close volume factor dividend average_volume")

# By step. `number` is the date number, `at` and `until` microseconds: until when a daily loss of
# this step forbids entries. `ordinal` counts sessions, `valid` is the date number to which an entry
# decided here lives, `oldest` the first step that counts for the high.
STEP = _record(floats="number valid", ints="at until ordinal oldest")

# The numbers of a setup. A limit of a halt that is not there is NaN; `max_sessions` -1: no time
# limit; `compensated`: Python >= 3.12 adds floats up with compensation.
TERMS = _record(
    ("risk", np.float64, (5,)),
    floats="through_ticks volume_share spread_bps commission_per_share minimum_commission sec_fee"
    " taf_per_share taf_cap cat_per_share least_spread_ticks notional volume drawdown loss"
    " loss_usd",
    ints="reading max_sessions release_after",
    flags="drawdown_flattens loss_flattens compensated",
)

# The signals of one parameter set, in the order in which the spine brings them to the gate.
SIGNAL = _record(floats="limit stop target", ints="step symbol direction confidence")

# `working` is the length of the state's lists, `known` how many symbols ever had a bracket.
# `step`, `signal` and `reviewing` say where a run goes on that waited for a correlation.
ACCOUNT = _record(
    floats="cash",
    ints="working known trades step signal high first_high drawdown_since loss_until",
    flags="reviewing",
)

# By symbol, one at most: `held` is signed, `left` what the entry still wants, `risk` the planned
# dollars a share, `entered` the number of the session of the first fill, -1 before it. `rank` is
# the place among the symbols that ever had a bracket, `seen` whether this one has.
BRACKET = _record(
    floats="limit valid risk stop target entry_value exit_value commission dividends",
    ints="held left direction entered rank",
    flags="waiting triggered leaves_at_close seen",
)


class Span(NamedTuple):
    """A span's steps; `row` and `printed` are (steps, symbols), row -1 before the first bar.

    `gone` is by symbol the first step after its last bar ever, the number of steps when there is
    none.
    """

    steps: Records
    row: Ints
    printed: Flags
    gone: Ints


class State(NamedTuple):
    """An account and its brackets.

    The symbols with a bracket stand in three lists: in the order in which the broker keeps its
    brackets (`queue`), in the order of the symbols, and in that of the broker's positions.
    """

    account: Records  # (1,)
    brackets: Records  # (symbols,)
    queue: Ints
    by_symbol: Ints
    by_rank: Ints
    pnl: Floats  # by trade
    equity: Floats  # by step


def new_state(symbols: int, steps: int, signals: int, cash: float) -> State:
    """Return an account before its first step."""
    account = np.zeros(1, ACCOUNT)
    account["cash"] = cash
    account["drawdown_since"] = account["loss_until"] = -1
    lists = np.zeros((3, symbols), dtype=np.int64)
    return State(
        account=account,
        brackets=np.zeros(symbols, BRACKET),
        queue=lists[0],
        by_symbol=lists[1],
        by_rank=lists[2],
        pnl=np.empty(signals),  # a signal makes one round trip at most
        equity=np.empty(steps),
    )
