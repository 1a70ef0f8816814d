# SPDX-License-Identifier: GPL-3.0-or-later
"""A fetch that is killed at any moment leaves a store that verifies, and the next one ends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from iverson.market.alpaca.client import AlpacaData
from iverson.market.alpaca.patience import Backoff, TokenBucket
from iverson.market.alpaca.vendor import AlpacaVendor
from iverson.market.calendar import new_york
from iverson.market.fetch import fetch
from iverson.market.files import NpzFile
from iverson.market.store import Store
from tests.market.alpaca_server import KEY, SECRET, FakeAlpaca, daily_bars, serving
from tests.market.kill_plan import AFTER, BEFORE, CORRECTED, FIRST, KNOWN_FROM, LAST, SYMBOLS

TOP = Path(__file__).resolve().parents[2]


def content(path: Path) -> dict[str, object]:
    """Everything that a store holds, file by file; Parquet as its columns."""
    store = Store(path)
    found: dict[str, object] = {
        str(file.relative_to(path)): file.read_text()
        for file in path.rglob("*")
        if file.suffix in (".json", ".csv")
    }
    for symbol in store.symbols():
        found[symbol] = {name: values.tobytes() for name, values in store.columns(symbol).items()}
        found[f"{symbol} actions"] = store.actions(symbol).to_csv()
    found["files"] = sorted(str(file.relative_to(path)) for file in path.rglob("*"))
    return found


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
@pytest.mark.parametrize(
    ("kills", "seed"),
    [(8, 7), pytest.param(100, 8, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_killed_at_any_moment_the_store_is_whole_and_the_next_fetch_completes_it(
    tmp_path: Path, kills: int, seed: int
) -> None:
    sessions = new_york().between(FIRST, LAST).tolist()
    with serving(FakeAlpaca(now=AFTER, page=20)) as market:
        for number, symbol in enumerate(SYMBOLS):
            market.bars[symbol, "1Day"] = daily_bars(sessions, 50.0 + number)
        market.actions = {
            "cash_dividends": [
                {"id": symbol, "symbol": symbol, "rate": 0.26, "ex_date": "2026-09-14",
                 "process_date": "2026-10-01"} for symbol in SYMBOLS
            ]
        }  # fmt: skip
        data = AlpacaData(KEY, SECRET, url=market.url, bucket=TokenBucket(1e9), backoff=Backoff())
        vendor = AlpacaVendor(data, feed="sip", plan="free", asof=str(BEFORE.date()))
        # NPZ, because a forked child must not use the threads that pyarrow had before the fork.
        before = Store(tmp_path / "before", column_file=NpzFile())
        fetch(before, vendor, SYMBOLS, since=KNOWN_FROM, now=BEFORE)
        for symbol in SYMBOLS:
            for row in market.bars[symbol, "1Day"]:
                if row["t"].startswith(CORRECTED):
                    row["v"] += 1
        for row in market.actions["cash_dividends"]:
            row["rate"] = 0.27

        answer = subprocess.run(
            [sys.executable, "-m", "tests.market.kill_driver", market.url, str(tmp_path),
             str(kills), str(seed)],
            check=False, capture_output=True, text=True, cwd=TOP, timeout=8 * kills + 30,
        )  # fmt: skip

    assert answer.returncode == 0, answer.stderr
    said = json.loads(answer.stdout)
    assert said["faults"] == []
    assert said["hits"] == kills
    whole, killed = content(tmp_path / "whole"), content(tmp_path / "killed")
    assert killed == whole
    assert len(Store(tmp_path / "killed").revisions("AAA")) == 1
    assert Store(tmp_path / "killed").passport("AAA")["bars"] == len(sessions)
