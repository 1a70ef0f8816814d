# SPDX-License-Identifier: GPL-3.0-or-later
"""The store's files of actions: one a symbol, shared by its bars of every interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd

from iverson.errors import BadBars
from iverson.market import actions as table
from iverson.market import revisions
from iverson.market.files import ColumnFile, Columns, replace_file, sweep

_KEYS = ["session", "kind"]


@dataclass(frozen=True)
class Change:
    """The actions after a write; `revised` has value_old and value_new of those that changed."""

    table: pd.DataFrame
    revised: pd.DataFrame
    write: bool

    @property
    def sentences(self) -> tuple[str, ...]:
        """Say what changed, one sentence an action."""
        return tuple(
            f"the {row.kind} on {row.session:%Y-%m-%d} was {row.value_old:g} and is now "
            f"{row.value_new:g}"
            for row in self.revised.itertuples(index=False)
        )


class ActionFiles:
    """Actions in a directory, in any of the formats given by suffix."""

    def __init__(self, folder: Path, formats: Mapping[str, ColumnFile]) -> None:
        self._folder = folder
        self._formats = formats

    def read(self, symbol: str, name: str) -> pd.DataFrame:
        """Return the actions of a symbol, whose file is called `name`; an empty table if none."""
        path = self._path(name)
        if path is None:
            return table.empty()
        try:
            columns = self._formats[path.suffix].read(path)
            rows = pd.DataFrame({one: columns[one] for one in ("session", "kind", "value")})
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise BadBars(
                f"{path} cannot be read ({error}); move it away, then fetch or import {symbol} "
                "again"
            ) from error
        return table.tidy(rows.assign(symbol=symbol))

    def merged(
        self, symbol: str, name: str, actions: pd.DataFrame | None, *, revise: bool
    ) -> Change:
        """Put actions into the stored ones; `BadBars` if one would change without `revise`."""
        stored = self.read(symbol, name)
        none = pd.DataFrame(columns=[*_KEYS, "value_old", "value_new"])
        if actions is None:
            return Change(stored, none, write=False)
        given = table.of_symbol(table.tidy(actions), symbol)
        if given.empty:
            return Change(stored, none, write=False)
        # Two dividends of one date are both paid; a row listed twice is one action.
        totals = (
            given.drop_duplicates([*_KEYS, "value"]).groupby(_KEYS, as_index=False)["value"].sum()
        )
        both = stored.merge(totals, on=_KEYS, suffixes=("_old", "_new"))
        changed = both.loc[~np.isclose(both["value_old"], both["value_new"], rtol=1e-6)]
        if len(changed) and not revise:
            row = changed.iloc[0]
            raise BadBars(
                f"{symbol}: the stored {row['kind']} of {row['value_old']:g} on "
                f"{row['session']:%Y-%m-%d} would become {row['value_new']:g}, as would "
                f"{len(changed) - 1} more; import with --revise if that is meant"
            )
        parts = [part for part in (stored, totals.assign(symbol=symbol)) if len(part)]
        whole = table.tidy(pd.concat(parts).drop_duplicates(_KEYS, keep="last"))
        return Change(whole, changed, write=not whole.equals(stored))

    def write(
        self, name: str, change: Change, own: ColumnFile, *, seen: datetime, source: str
    ) -> None:
        """Keep the actions, and what they were before."""
        sweep(self._folder, name)
        path = self._path(name)
        moves = path is not None and path.suffix != own.suffix
        if not change.write and not moves:
            return
        lines = revisions.of_actions(change.revised, seen=seen, source=source)
        revisions.add(self._folder / f"{name}{revisions.SUFFIX}", revisions.ACTIONS, lines)
        self._replace(name, change.table, own)

    def convert(self, symbol: str, name: str, own: ColumnFile) -> None:
        """Write the actions anew in this format."""
        path = self._path(name)
        if path is not None and path.suffix != own.suffix:
            self._replace(name, self.read(symbol, name), own)

    def _replace(self, name: str, actions: pd.DataFrame, own: ColumnFile) -> None:
        columns: Columns = {
            "session": actions["session"].to_numpy().astype("datetime64[D]"),
            "kind": actions["kind"].to_numpy(dtype=object),
            "value": actions["value"].to_numpy(dtype=np.float64),
        }
        replace_file(self._folder / f"{name}{own.suffix}", lambda part: own.write(part, columns))
        for suffix in self._formats:
            if suffix != own.suffix:
                (self._folder / f"{name}{suffix}").unlink(missing_ok=True)

    def _path(self, name: str) -> Path | None:
        """Return the file that counts: of two formats, the one written last."""
        paths = [self._folder / f"{name}{suffix}" for suffix in self._formats]
        there = [path for path in paths if path.is_file()]
        return max(there, key=lambda path: path.stat().st_mtime_ns) if there else None
