# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills a fetch at random moments, again and again, and looks at the store after each kill.

`python -m tests.market.kill_driver URL FOLDER KILLS SEED` copies FOLDER/before to FOLDER/killed,
forks a child that fetches into it, and kills the child with SIGKILL after a random time. The child
goes on where the last one stopped; when one gets to its end the store is set back. At last one
fetch runs to its end. Prints JSON: kills that hit a running fetch, and every fault found.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from iverson.market.alpaca.client import AlpacaData
from iverson.market.alpaca.patience import Backoff, TokenBucket
from iverson.market.alpaca.vendor import AlpacaVendor
from iverson.market.calendar import new_york
from iverson.market.fetch import fetch
from iverson.market.store import Store
from tests.market.alpaca_server import KEY, SECRET
from tests.market.kill_plan import AFTER, FIRST, PIECE, SYMBOLS


def run(url: str, path: Path) -> int:
    """Fetch everything; return how many symbols were refused."""
    data = AlpacaData(
        KEY, SECRET, url=url, bucket=TokenBucket(1e9), backoff=Backoff(attempts=2),
    )  # fmt: skip
    vendor = AlpacaVendor(data, feed="sip", plan="free", asof=str(AFTER.date()))
    report = fetch(Store(path), vendor, SYMBOLS, since=FIRST, first=FIRST, now=AFTER, rows=PIECE)
    return sum(bool(one.refused) for one in report.symbols.values())


def main() -> None:
    """Kill, look, and say what was found."""
    url, folder, kills, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    before, killed, whole = (folder / name for name in ("before", "killed", "whole"))
    draw = random.Random(seed)
    new_york()
    shutil.copytree(before, whole)
    run(url, whole)  # imports what is imported late
    shutil.rmtree(whole)
    shutil.copytree(before, whole)
    began = time.monotonic()
    refused = run(url, whole)
    takes = time.monotonic() - began
    faults = [f"{refused} symbols refused"] if refused else []
    shutil.copytree(before, killed)
    hits = rounds = 0
    while hits < kills and rounds < 6 * kills:
        rounds += 1
        child = os.fork()
        if child == 0:
            os._exit(run(url, killed))
        time.sleep(draw.uniform(0.0, takes))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        hit = os.WIFSIGNALED(status)
        hits += hit
        faults += [f"round {rounds}: {sentence}" for sentence in Store(killed).verify()]
        if not hit or draw.random() < 0.2:
            shutil.rmtree(killed)
            shutil.copytree(before, killed)
    run(url, killed)
    print(json.dumps({"hits": hits, "takes": takes, "faults": faults}))  # noqa: T201 (its answer)


if __name__ == "__main__":
    main()
