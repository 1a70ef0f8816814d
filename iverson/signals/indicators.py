# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines that strategies share: the standard stop, and steps of a scale."""

from __future__ import annotations

from typing import Any

import backtrader as bt

from iverson.errors import ConfigError

_LEAST = 1e-9  # of the close: far below a tick of any share, far above what floats lose


def atr_stop(
    data: Any, *, period: int = 14, atrs: float = 2.0, cap: float = 0.05, side: str = "long"
) -> Any:
    """Return the line of stop prices: `atrs` average true ranges from the close, at most `cap`.

    distance = min(atrs x ATR(period), cap x close), subtracted for a long, added for a short.
    Where nothing has moved (ATR 0) it is a billionth of the close: the line stays on its side, and
    since no price grid is as fine, the signal is denied and noted instead of being a fault.
    ATR is Wilder's (New Concepts in Technical Trading Systems, 1978, p. 21): his smoothing of the
    true range. NaN until `period` + 1 bars have passed.
    """
    if side not in ("long", "short"):
        raise ConfigError(f"side is {side!r}; expected 'long' or 'short'")
    if atrs <= 0 or not 0 < cap < 1:
        raise ConfigError(
            f"atr_stop needs atrs > 0 and a cap between 0 and 1, not atrs={atrs}, cap={cap} "
            "(0.05 is 5 %)"
        )
    distance = bt.Min(atrs * bt.ind.ATR(data, period=period), cap * data.close)
    distance = bt.Max(distance, _LEAST * data.close)
    return data.close - distance if side == "long" else data.close + distance


def steps(line: Any, size: float, *, most: int) -> Any:
    """Return how many whole steps of `size` a line has risen above 0: a line of 0 to `most`."""
    if most < 1 or size <= 0:
        raise ConfigError(f"steps needs size > 0 and most >= 1, not size={size}, most={most}")
    counted = line >= size
    for step in range(2, most + 1):
        counted = counted + (line >= step * size)
    return counted
