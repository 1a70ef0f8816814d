# SPDX-License-Identifier: GPL-3.0-or-later
"""back-trader-cpp, a C++ engine with Backtrader's API: the strategies of stock Backtrader."""

import back_trader as bt

from tests.bench.on_backtrader import frame_feed, works

WORKS = works(bt, frame_feed(bt))
PACKAGES = ("back-trader-cpp",)
