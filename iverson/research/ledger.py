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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iverson.errors import DataError
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import TrialRow

Floats = NDArray[np.float64]


MOST_RETURNS = 2_000  # trials whose returns are compared: a matrix of 16 kB a session


@dataclass(frozen=True)
class Trials:
    """What a ledger knows of one strategy.

    `count` is the number of ideas that were tried: different (code, conditions, parameters).
    `on_these_bars` counts those of any strategy on the same bars. `rows` are the strategy's trials
    over the same bars and sessions with returns that can be compared, at most 2,000: of more, every
    n-th. `sound` is False when rows of the file were changed or taken out: then the counts are
    lower bounds.
    """

    count: int
    on_these_bars: int
    rows: tuple[TrialRow, ...]
    sound: bool


NO_TRIALS = Trials(count=0, on_these_bars=0, rows=(), sound=True)


class Ledger:
    """The trials in one file, which is made when the first is added.

    A trial's name tells what it is without its row being read: idea, strategy, bars, range. What
    is kept in memory of each trial is a digest of its name.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._known: set[bytes] = set()  # digests of the names up to row `_seen`
        self._seen = 0

    def add(self, rows: Iterable[TrialRow]) -> int:
        """Append the trials that are not there yet, all or none; return how many were new.

        Raises
        ------
        DataError, IversonError: the file is damaged at its end, locked, or cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh: set[bytes] = set()
        with Journal(self.path, durable=False) as journal, journal.transaction():
            self._known.update(
                map(_short, journal.each_run_name("trial", after=self._seen))
            )  # what others have added since
            for row in rows:
                name = "-".join(_name(row))
                digest = _short(name)
                if digest not in self._known and digest not in fresh:
                    fresh.add(digest)
                    journal.append(name, row)
            seen = journal.head.seq
        self._known |= fresh
        self._seen = seen
        return len(fresh)

    def of(self, one: TrialRow) -> Trials:
        """Return what is known of this trial's strategy; nothing when there is no file."""
        if not self.path.exists():
            return NO_TRIALS
        _, strategy, data, _ = _name(one)
        ideas: set[str] = set()
        on_these_bars: set[tuple[str, str]] = set()
        with Journal(self.path, read_only=True) as journal:
            sound = journal.verify() is None
            for name in journal.each_run_name("trial"):
                idea, whose, on, _ = name.split("-")
                if whose == strategy:
                    ideas.add(idea)
                if on == data:
                    on_these_bars.add((idea, whose))
            rows = _compared(partial(_alike, journal, one))
        return Trials(len(ideas), len(on_these_bars), rows, sound)


def _alike(journal: Journal, one: TrialRow) -> Iterator[TrialRow]:
    """Read the strategy's trials with returns over the same bars and range."""
    span = (one.data, one.first, one.last)
    for _, row in journal.each("trial", symbol=one.strategy, since=one.last, until=one.last):
        if isinstance(row, TrialRow) and row.returns and (row.data, row.first, row.last) == span:
            yield row


def _compared(read: Callable[[], Iterator[TrialRow]]) -> tuple[TrialRow, ...]:
    """Return the comparable trials, every n-th of more than `MOST_RETURNS`; reads them twice.

    Held at once are those that are returned; the first time a number of each is kept.
    """
    lengths = [len(unpack(row.returns)) for row in read()]
    usual = _usual(lengths)
    every = max(1, math.ceil(lengths.count(usual) / MOST_RETURNS))
    # what others add meanwhile comes last, and is left out
    alike = (row for length, row in zip(lengths, read(), strict=False) if length == usual)
    return tuple(islice(alike, 0, None, every))


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
    lengths = [len(unpack(row.returns)) if row.returns else None for row in rows]
    usual = _usual([length for length in lengths if length is not None])
    return [row for row, length in zip(rows, lengths, strict=True) if length == usual]


def _usual(lengths: Sequence[int]) -> int:
    """Return the most common length, the first met of equals; -1 of none."""
    return next((length for length, _ in Counter(lengths).most_common(1)), -1)


def matrix(rows: Sequence[TrialRow]) -> Floats:
    """Put the returns of the comparable trials side by side; shape (sessions, trials).

    8 bytes a session and trial: 52 MB for thirteen years of 2,000 trials.
    """
    alike = comparable(rows)
    if not alike:
        return np.empty((0, 0))
    found = np.empty((len(unpack(alike[0].returns)), len(alike)))
    for column, row in enumerate(alike):
        found[:, column] = unpack(row.returns)
    return found


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


def _short(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:16]


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]
