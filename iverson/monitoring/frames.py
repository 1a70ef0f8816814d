# SPDX-License-Identifier: GPL-3.0-or-later
"""DataFrames from the journal's JSON alone: building the values first takes several times as long.

A column whose values all fit its field has that field's dtype; one with a faulty value (a faulty
signal is journaled as it was) holds objects.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd

from iverson.model import Signal
from iverson.monitoring.codec import AT, SESSION, TEXT, Column, columns_of


def to_frame(row: Any, stored: list[tuple[int, str, str]]) -> pd.DataFrame:
    """Make a table of rows of one dataclass, stored as (seq, run, payload).

    Returns
    -------
    One row each, indexed by `seq`: `run`, then the fields. Those of a nested signal come first,
    and a field with the name of one of the signal's is called `verdict_` and its name.
    """
    payloads: list[dict[str, Any]] = json.loads(f"[{','.join(text for _, _, text in stored)}]")
    columns = {"run": _series([run for _, run, _ in stored], TEXT)}
    for name, column in columns_of(row).items():
        if column.dtype != "signal":
            label = f"verdict_{name}" if name in columns else name
            columns[label] = _series([part.get(name) for part in payloads], column)
            continue
        signals = [part[name] for part in payloads]
        for inner, kind in columns_of(Signal).items():
            columns[inner] = _series([signal.get(inner) for signal in signals], kind)
    frame = pd.DataFrame(columns)
    frame.index = pd.Index([seq for seq, _, _ in stored], name="seq", dtype="int64")
    return frame


_EXACT: dict[str, set[type]] = {
    "str": {str, type(None)},
    "bool": {bool},
    "int64": {int},
    "Int64": {int, type(None)},
}


def _series(stored: list[Any], column: Column) -> pd.Series[Any]:
    dtype: Any = column.dtype
    made: pd.Series[Any]
    try:
        if dtype == AT:
            at: pd.Series[Any] = pd.Series(stored, dtype="object")
            made = pd.Series(pd.to_datetime(at, utc=True, format="ISO8601"), dtype=dtype)
            return made
        if dtype == SESSION:
            return pd.Series(np.array(stored, dtype="datetime64[D]").astype("datetime64[s]"))
        if dtype == "float64":
            return pd.Series(np.array(stored, dtype=np.float64))
        if dtype != "object" and set(map(type, stored)) <= _EXACT[dtype]:
            made = pd.Series(stored, dtype=dtype)
            return made
    except (TypeError, ValueError, OverflowError):
        pass
    return pd.Series([column.decode(part) for part in stored], dtype="object")
