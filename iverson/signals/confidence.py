# SPDX-License-Identifier: GPL-3.0-or-later
"""The one scale of conviction, 1 to 5, that every strategy speaks.

    0   no setup: there is no signal
    1   the setup alone; the standard sizing skips it, the journal keeps it
    2   one point of evidence        risks 0.5 % of equity
    3   two points                   1.0 %
    4   three points                 1.5 %
    5   four points or more          2.0 %, the cap and never the base

A point is one reason, beside the setup, to expect this entry to do better than the others of its
kind: a deeper dip, more volume, a second source. Whether it does is measured, not believed: the
report's calibration shows hit rate and expectancy of each step.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt

from iverson.errors import ConfigError

HIGHEST = 5


def confidence(setup: Any, *evidence: Any) -> Any:
    """Return the line of confidence: 0 without the setup, else 1 and a point for each evidence.

    Parameters
    ----------
    setup: a line that is true (not 0) where the strategy may enter.
    evidence: lines of 0 or 1, or of more points each (`steps`); never negative. NaN is no signal.
    """
    if not isinstance(setup, bt.linebuffer.LineRoot):
        raise ConfigError(f"confidence needs a line as its setup, not {setup!r}; compare lines")
    points: Any = 1.0
    for one in evidence:
        points = one + points
    # Min keeps its first argument unless the second is smaller, so NaN stays NaN here
    return bt.If(setup, bt.Min(points, HIGHEST) if evidence else 1.0, 0.0)
