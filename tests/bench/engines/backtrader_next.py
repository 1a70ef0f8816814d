# SPDX-License-Identifier: GPL-3.0-or-later
"""backtrader_next, a fork with Backtrader's API: the same strategies as stock Backtrader's."""

import backtrader_next as bt

from tests.bench.on_backtrader import frame_feed, works

WORKS = works(bt, frame_feed(bt, "dataframe"))
PACKAGES = ("backtrader_next",)
