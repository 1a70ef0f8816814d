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
import math
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
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

    `count` is the number of ideas that were tried: different (code, conditions, parameters).
    `on_these_bars` counts those of any strategy on the same bars. `rows` are the strategy's trials
    over the same bars and sessions, which can be compared. `sound` is False when rows of the file
    were changed or taken out: then the counts are lower bounds.
    """

    count: int
    on_these_bars: int
    rows: tuple[TrialRow, ...]
    sound: bool


NO_TRIALS = Trials(count=0, on_these_bars=0, rows=(), sound=True)


class Ledger:
    """The trials in one file, which is made when the first is added.

    A trial's name tells what it is without its row being read: idea, strategy, bars, range.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def add(self, rows: Iterable[TrialRow]) -> int:
        """Append the trials that are not there yet, all or none; return how many were new.

        Raises
        ------
        DataError, IversonError: the file is damaged at its end, locked, or cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = 0
        with Journal(self.path, durable=False) as journal, journal.transaction():
            known = journal.run_names("trial")
            for row in rows:
                name = "-".join(_name(row))
                if name not in known:
                    known.add(name)
                    journal.append(name, row)
                    fresh += 1
        return fresh

    def of(self, one: TrialRow) -> Trials:
        """Return what is known of this trial's strategy; nothing when there is no file."""
        if not self.path.exists():
            return NO_TRIALS
        _, strategy, data, _ = _name(one)
        with Journal(self.path, read_only=True) as journal:
            sound = journal.verify() is None
            names = [name.split("-") for name in journal.run_names("trial")]
            rows = journal.values("trial", symbol=one.strategy, since=one.last, until=one.last)
        span = (one.data, one.first, one.last)
        return Trials(
            count=len({name[0] for name in names if name[1] == strategy}),
            on_these_bars=len({tuple(name[:2]) for name in names if name[2] == data}),
            rows=tuple(
                row
                for row in rows
                if isinstance(row, TrialRow) and (row.data, row.first, row.last) == span
            ),
            sound=sound,
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


def best_column(returns: Floats) -> int:
    """Return the trial with the highest Sharpe ratio, the first of equals; idle ones come last."""
    if not returns.size:
        return 0
    deviation = returns.std(axis=0, ddof=1)
    nothing = np.full(returns.shape[1], -math.inf)
    ratios = np.divide(returns.mean(axis=0), deviation, out=nothing, where=deviation > 0)
    return int(ratios.argmax())


def _name(row: TrialRow) -> tuple[str, str, str, str]:
    """Name a trial's idea, strategy, bars and range, each by a digest."""
    return (
        _digest(row.source, row.conditions, dict(row.parameters)),
        _digest(row.strategy),
        _digest(row.data),
        _digest(row.first, row.last),
    )


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
