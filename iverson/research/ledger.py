# SPDX-License-Identifier: GPL-3.0-or-later
"""The trial ledger: every parameter set that was ever evaluated, so that luck can be counted.

It is a journal (append-only, chained by hashes), so rows that were taken out are noticed. A trial
is told apart by the strategy's code, its parameters, the conditions of the run (rules, sizing,
costs, cash), the bars and the range; evaluated again, it is there once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iverson.errors import DataError
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import TrialRow

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trials:
    """What a ledger knows of one strategy.

    `sound` is False when rows of the file were changed or taken out: then every count is a lower
    bound. `on_these_bars` counts the trials of any strategy on the same bars.
    """

    rows: tuple[TrialRow, ...]
    sound: bool
    on_these_bars: int

    @property
    def count(self) -> int:
        """Different (code, conditions, parameters): the number of ideas that were tried."""
        return len({_idea(row) for row in self.rows})


NO_TRIALS = Trials((), sound=True, on_these_bars=0)


class Ledger:
    """The trials in one file, which is made when the first is added."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def add(self, rows: Iterable[TrialRow]) -> int:
        """Append the trials that are not there yet, all or none; return how many were new.

        Raises
        ------
        DataError, IversonError: the file is damaged at its end, locked, or cannot be written.
        """
        named = {_name(row): row for row in rows}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with Journal(self.path, durable=False) as journal, journal.transaction():
            known = journal.run_names(
                "trial", **({"run": next(iter(named))} if len(named) == 1 else {})
            )
            fresh = {name: row for name, row in named.items() if name not in known}
            for name, row in fresh.items():
                journal.append(name, row)
        return len(fresh)

    def of(self, strategy: str, *, data: str = "") -> Trials:
        """Return the trials of one strategy ("module:Class"); none when there is no file."""
        if not self.path.exists():
            return NO_TRIALS
        with Journal(self.path, read_only=True) as journal:
            sound = journal.verify() is None
            frame = journal.trials()
            rows = journal.values("trial", symbol=strategy)
        return Trials(
            tuple(row for row in rows if isinstance(row, TrialRow)),
            sound=sound,
            on_these_bars=int((frame["data"] == data).sum()),
        )


def pack(returns: Sequence[float] | Floats) -> str:
    """Write daily returns exactly as text: little-endian doubles, deflated, in base 64."""
    return base64.b64encode(zlib.compress(np.asarray(returns, dtype="<f8").tobytes())).decode()


def unpack(text: str) -> Floats:
    """Read what `pack` wrote; shape (sessions,).

    Raises
    ------
    DataError: the text is no packed returns.
    """
    try:
        return np.frombuffer(zlib.decompress(base64.b64decode(text, validate=True)), dtype="<f8")
    except (ValueError, zlib.error) as error:
        raise DataError(f"a trial's returns cannot be read ({error}); keep the file") from error


def comparable(rows: Sequence[TrialRow]) -> list[TrialRow]:
    """Return the trials whose returns stand side by side.

    Trials without returns are left out, and so are those that ran over other sessions than most:
    a symbol that trades on days when the others do not joins later after a longer warm-up.
    """
    lengths = {id(row): len(unpack(row.returns)) for row in rows if row.returns}
    usual = Counter(lengths.values()).most_common(1)
    return [row for row in rows if row.returns and lengths[id(row)] == usual[0][0]]


def matrix(rows: Sequence[TrialRow]) -> Floats:
    """Put the returns of the comparable trials side by side; shape (sessions, trials)."""
    columns = [unpack(row.returns) for row in comparable(rows)]
    return np.column_stack(columns) if columns else np.empty((0, 0))


def alike(rows: Iterable[TrialRow], one: TrialRow) -> tuple[TrialRow, ...]:
    """Return the trials over the same bars and sessions as one, of any code and conditions."""
    span = (one.data, one.first, one.last)
    return tuple(row for row in rows if (row.data, row.first, row.last) == span)


def _idea(row: TrialRow) -> str:
    return _digest(row.source, row.conditions, row.parameters)


def _name(row: TrialRow) -> str:
    return _digest(
        row.strategy, row.source, row.conditions, row.data, row.parameters, row.first, row.last
    )


def _digest(*parts: Any) -> str:
    plain = [dict(part) if isinstance(part, Mapping) else part for part in parts]
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:24]
