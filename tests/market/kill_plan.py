# SPDX-License-Identifier: GPL-3.0-or-later
"""What the killed fetches fetch: sessions before and after, and the size of a piece."""

from __future__ import annotations

from datetime import UTC, date, datetime

FIRST = date(2026, 6, 1)
KNOWN_FROM = date(2026, 8, 3)
BEFORE = datetime(2026, 10, 10, 12, tzinfo=UTC)
AFTER = datetime(2026, 11, 28, 12, tzinfo=UTC)
LAST = date(2026, 11, 27)
CORRECTED = "2026-10-08"
SYMBOLS = ["AAA", "BBB", "CCC", "DDD"]
PIECE = 30
