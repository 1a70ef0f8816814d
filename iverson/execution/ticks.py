# SPDX-License-Identifier: GPL-3.0-or-later
"""The price grid: US equities quote in cents, below one dollar in hundredths of a cent.

SEC Rule 612 of Regulation NMS (17 CFR 242.612) forbids finer quotes. Rounding is always stated as
a direction; floats within a millionth of a tick count as being on the grid.
"""

from __future__ import annotations

import math

_NEAR = 1e-6  # of a tick: what float arithmetic loses is far below, what a price means far above


def tick_size(price: float) -> float:
    """Return the price increment in dollars: 0.01 from one dollar up, 0.0001 below."""
    return 0.01 if price >= 1.0 else 0.0001


def round_down(price: float) -> float:
    """Round to the grid towards zero, the direction that makes a buyer pay less."""
    per_dollar = 100.0 if price >= 1.0 else 10_000.0
    return math.floor(price * per_dollar + _NEAR) / per_dollar


def round_up(price: float) -> float:
    """Round to the grid away from zero, the direction that makes a seller receive more."""
    per_dollar = 100.0 if price >= 1.0 else 10_000.0
    return math.ceil(price * per_dollar - _NEAR) / per_dollar
