# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: T201 (it prints what it found)
"""Stock against lean over many random seeds: `python -m tests.engine.campaign --seeds 2000`.

Prints what was compared and every difference; leaves with 1 when there is one.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter

from tests.engine.fuzz import both, both_on_equity_broker, differences


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--equity-broker", action="store_true")
    asked = parser.parse_args()
    counts: Counter[str] = Counter()
    paths: Counter[str] = Counter()
    raised: Counter[str] = Counter()
    started = time.time()
    for seed in range(asked.first, asked.first + asked.seeds):
        stock, lean = (both_on_equity_broker if asked.equity_broker else both)(seed)
        found = differences(stock, lean)
        if found:
            counts["seeds that differ"] += 1
            print(f"seed {seed}:\n  " + "\n  ".join(found), flush=True)
        bars = [line for line in lean["engine"].explain().splitlines() if line.startswith("bars")]
        way = bars[0].removeprefix("bars: ") if bars else "raised before"
        paths[re.sub(r"[0-9]+ feeds on [0-9]+ calendars(, )?", "", way)] += 1
        if stock["raised"]:
            raised[stock["raised"][:60]] += 1
        counts["order notifications"] += len(stock.get("orders", ()))
        counts["trade notifications"] += len(stock.get("trades", ()))
        counts["lines"] += len(stock.get("lines", ()))
        counts["bars"] += len(stock.get("log", ()))
    print(f"{asked.seeds} seeds in {time.time() - started:.0f} s")
    for title, counter in (("compared", counts), ("ways", paths), ("raised in both", raised)):
        print(f"{title}: " + ", ".join(f"{name} {count}" for name, count in counter.most_common()))
    print(f"seeds that differ: {counts['seeds that differ']}")
    return 1 if counts["seeds that differ"] else 0


if __name__ == "__main__":
    sys.exit(main())
