# SPDX-License-Identifier: GPL-3.0-or-later
"""Stock Backtrader, fed with frames as its users do, without the observers it adds by default."""

import backtrader as bt

from tests.bench.on_backtrader import frame_feed, works

WORKS = works(bt, frame_feed(bt))
PACKAGES = ("backtrader",)
