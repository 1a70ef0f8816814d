# SPDX-License-Identifier: GPL-3.0-or-later
"""A test kit for strategies and rules: bars in words, books by keyword, runs in one call.

>>> bars("100 101 99 | gap 90").close.tolist()
[100.0, 101.0, 99.0, 90.0]

`exchange` rehearses against a venue on loopback that speaks Alpaca's protocols.
"""

from iverson.testing.exchange import Rehearsal, exchange
from iverson.testing.kit import (
    START,
    VOLUME,
    FixedHistory,
    Plan,
    at,
    bars,
    book,
    noise,
    run_orders,
    run_signals,
    signal,
)

__all__ = [
    "START",
    "VOLUME",
    "FixedHistory",
    "Plan",
    "Rehearsal",
    "at",
    "bars",
    "book",
    "exchange",
    "noise",
    "run_orders",
    "run_signals",
    "signal",
]
