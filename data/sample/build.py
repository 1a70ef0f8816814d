# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: INP001 (a script, no package)
"""Rebuild bars.parquet and actions.parquet from the installed package bokeh_sampledata.

A developer's tool: `PYTHONPATH=. python data/sample/build.py` from the root of the checkout. The
same versions of pandas and pyarrow give the same bytes.
"""

from __future__ import annotations

import hashlib
import sys
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import pandas as pd

from iverson.market.actions import derive_actions

SHA256 = "5abadf99b2d394f920120a27de6f0df129859d71d4cfb0bf661bcc99446ab1fd"
NAMES = {
    "Ticker": "symbol",
    "Date": "session",
    "Open": "open",
    "High": "high",
    "Low": "low",
    "Close": "close",
    "Volume": "volume",
    "Adj Close": "adj_close",
}


def build(directory: Path) -> None:
    """Write both files into the directory; the source must have the recorded SHA-256."""
    packed = files("bokeh_sampledata").joinpath("_data", "stocks.csv.gz").read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != SHA256:
        sys.exit(f"stocks.csv.gz has SHA-256 {found}, expected {SHA256}; install release 2026.1")
    frame = pd.read_csv(BytesIO(packed), compression="gzip")[list(NAMES)].rename(columns=NAMES)
    frame["session"] = pd.to_datetime(frame["session"], format="%Y-%m-%d").astype("datetime64[ms]")
    frame["symbol"] = frame["symbol"].astype("str")
    frame = frame.sort_values(["symbol", "session"], kind="stable", ignore_index=True)
    actions = derive_actions(frame)
    actions["session"] = actions["session"].astype("datetime64[ms]")
    for name, rows in (("bars", frame), ("actions", actions)):
        rows.to_parquet(
            directory / f"{name}.parquet", engine="pyarrow", compression="zstd", index=False
        )


if __name__ == "__main__":
    build(Path(__file__).resolve().parent)
