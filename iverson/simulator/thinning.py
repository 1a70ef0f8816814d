# SPDX-License-Identifier: GPL-3.0-or-later
"""Thinning: the little of a consolidated bar that one small exchange, IEX, sees of it.

IEX trades two to three hundredths of the volume, misses minutes, and does not reach every extreme.
What is left of a bar is drawn from a generator keyed by (seed, symbol, end of the bar), so that it
depends on nothing else: REST and stream, first and second asking, agree.
"""

from __future__ import annotations

import random
from dataclasses import replace

from iverson.simulator.market import Bar

LEAST, MOST = 0.5, 1.5  # of the mean share
REACH = 0.5  # at most this part of a wick is not reached


def thinned(bar: Bar, *, share: float, missing: float, seed: int) -> Bar | None:
    """Return what IEX shows of a bar, None if nothing.

    Parameters
    ----------
    share : mean fraction of the volume; the bar's own lies within half of it on both sides
    missing : fraction of the bars of which nothing is shown
    seed : of the draw

    Open and close stay; the wicks become shorter, never the body.
    """
    draw = random.Random(f"iex {seed} {bar.symbol} {bar.end.isoformat()}")
    if draw.random() < missing:
        return None
    volume = float(round(bar.volume * share * draw.uniform(LEAST, MOST)))
    if volume < 1:
        return None
    top, bottom = max(bar.open, bar.close), min(bar.open, bar.close)
    high = bar.high - (bar.high - top) * draw.uniform(0, REACH)
    low = bar.low + (bottom - bar.low) * draw.uniform(0, REACH)
    return replace(bar, high=round(high, 4), low=round(low, 4), volume=volume)
