# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows a second into the store and out of it: `python -m tests.bench.store`.

Prints the table of docs/data.md. Generated bars, prices in cents; the quickest of some repeats, in
seconds of CPU (user and system), beside `pandas.read_parquet` of the same rows in the same files.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from iverson.market.calendar import new_york
from iverson.market.files import NpzFile, ParquetFile
from iverson.market.source import load_bars
from iverson.market.store import Store
from iverson.research.backtest import Prepared

SEED = 7
FORMATS = {"Parquet": ParquetFile, "NPZ": NpzFile}


def frame(interval: str, first: date, last: date, seed: int) -> pd.DataFrame:
    """Return one symbol's bars: a random walk in cents, volumes in shares."""
    sessions = new_york().between(first, last)
    columns: dict[str, object] = {"session": sessions.astype("datetime64[s]")}
    if interval == "1m":
        minutes = np.arange(1, 391).astype("timedelta64[m]")
        opens = new_york().opens(sessions)
        columns = {
            "session": np.repeat(sessions, 390).astype("datetime64[s]"),
            "at": pd.DatetimeIndex((opens[:, None] + minutes).ravel()).tz_localize("UTC"),
        }
    draw = np.random.default_rng(seed)
    rows = len(columns["session"])  # type: ignore[arg-type]  # an array, always
    steps = draw.integers(-40, 41, rows).cumsum()
    close = np.maximum(10_000 + steps, 100) / 100
    opened = np.round(close + draw.integers(-20, 21, rows) / 100, 2)
    columns["open"] = opened
    columns["high"] = np.maximum(opened, close) + 0.05
    columns["low"] = np.minimum(opened, close) - 0.05
    columns["close"] = close
    columns["volume"] = draw.integers(100, 2_000_000, rows).astype(float)
    return pd.DataFrame(columns)


def seconds(do: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the least CPU and wall seconds."""
    found = []
    for _ in range(repeats):
        cpu, wall = time.process_time(), time.perf_counter()
        do()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(one[0] for one in found), min(one[1] for one in found)


def measure(interval: str, frames: dict[str, pd.DataFrame], repeats: int) -> None:
    """Print the rows of one interval."""
    rows = sum(len(one) for one in frames.values())
    with tempfile.TemporaryDirectory() as folder:
        plain = []
        for name, one in frames.items():
            plain.append(Path(folder) / f"{name}.parquet")
            one.to_parquet(plain[-1], compression="zstd", index=False)
        works: list[tuple[str, str, Callable[[], object], int]] = [
            ("pandas.read_parquet, the same rows", "", lambda: [
                pd.read_parquet(path) for path in plain], repeats),
        ]  # fmt: skip
        sizes = {}
        for title, kind in FORMATS.items():
            store = Store(Path(folder) / title, column_file=kind())

            def write(store: Store = store) -> None:
                for name, one in frames.items():
                    store.write(one, symbol=name, interval=interval, feed="sip")

            def add(store: Store = store) -> None:
                for name, one in frames.items():
                    changed = one.tail(1).assign(volume=float(time.perf_counter_ns() % 10**6))
                    store.write(changed, symbol=name, interval=interval, feed="sip", revise=True)

            def read(store: Store = store) -> None:
                for name in frames:
                    store.read(name, interval)

            def prepare(store: Store = store) -> None:
                Prepared.of(load_bars(frames, interval=interval, store=store))

            works += [
                ("into an empty store", title, write, 1),
                ("one bar more, revised, into each symbol", title, add, 1),
                ("`Store.read`: checked `Bars`", title, read, repeats),
                ("`Prepared.of(load_bars(...))`: ready to backtest", title, prepare, repeats),
            ]
        for what, title, do, times in works:
            cpu, wall = seconds(do, times)
            print(  # noqa: T201 (a command: it prints)
                f"| {interval} | {what} | {title} | {cpu:.3f} | {wall:.3f} | {rows / cpu:,.0f} |",
                flush=True,
            )
        for title, kind in FORMATS.items():
            files = list((Path(folder) / title / "bars").rglob(f"*{kind.suffix}"))
            sizes[title] = sum(path.stat().st_size for path in files) / rows
        said = ", ".join(f"{title} {size:.1f}" for title, size in sizes.items())
        print(f"\n{interval}: {len(frames)} symbols, {rows:,} bars; bytes a bar: {said}\n")  # noqa: T201 (as above)


def main() -> None:
    """Measure daily and minute bars."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--repeats", type=int, default=3)
    repeats = asked.parse_args().repeats
    print("| bars | what | format | CPU s | wall s | bars per CPU second |")  # noqa: T201 (as above)
    print("|---|---|---|--:|--:|--:|")  # noqa: T201 (as above)
    for interval, count, first in (("1d", 100, date(2016, 1, 4)), ("1m", 8, date(2025, 11, 28))):
        frames = {
            f"S{n:02d}": frame(interval, first, date(2026, 11, 27), SEED + n) for n in range(count)
        }
        measure(interval, frames, repeats)


if __name__ == "__main__":
    main()
