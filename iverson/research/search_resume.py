# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search has done, kept in a file: a search that was ended goes on from there.

One line of JSON for each finished batch, written and synced when it is done. A batch is known by
the digest of all that decides its scores (code, bars, setup, parameter sets, span, objective), so
that one file serves any number of searches and nothing stale is ever taken. Floats are written as
Python's `repr` and read back to the same bits; nothing in the file is executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.research.backtest import Setup
from iverson.research.search import Score, Task
from iverson.research.search_code import code_of
from iverson.research.search_scores import NUMBERS, WHOLE
from iverson.research.search_worker import Load
from iverson.research.several import shape_of

HEADER = b'{"file": "finished batches of Iverson searches", "form": 1}\n'


class Finished:
    """The finished batches of a search that has no file: none."""

    def keys(self, tasks: Sequence[Task]) -> list[str]:
        """Return the names under which these batches are kept."""
        return [""] * len(tasks)

    def found(self, key: str, task: Task) -> list[Score] | None:  # noqa: ARG002 (as in Kept)
        """Return the scores of a batch that was finished, None of one that was not."""
        return None

    def add(self, key: str, scores: Sequence[Score]) -> None:
        """Keep the scores of a batch, on the disk when this returns."""


class Kept(Finished):
    """The finished batches in a file; only their keys and places are held in memory."""

    def __init__(
        self, file: IO[bytes], path: Path | str, setup: Setup, bars: Mapping[str, Bars]
    ) -> None:
        self.file = file
        self.path = path
        self.common = _common(setup, bars)
        self.places: dict[str, tuple[int, int]] = {}  # where the line begins, which line it is
        begin = file.tell()
        for count, line in enumerate(file, start=2):
            self.places[_read(line, path, count)[0]] = (begin, count)
            begin += len(line)

    def keys(self, tasks: Sequence[Task]) -> list[str]:
        """Return the digest of each batch."""
        return _keys(self.common, tasks)

    def found(self, key: str, task: Task) -> list[Score] | None:
        """Read the scores of a batch, if it is there."""
        if key not in self.places:
            return None
        begin, count = self.places[key]
        self.file.seek(begin)
        _, rows = _read(self.file.readline(), self.path, count)
        return _scores(rows, task, self.path, count)

    def add(self, key: str, scores: Sequence[Score]) -> None:
        """Append a line, wherever the file was read last."""
        rows = [[_plain(score, name) for name in NUMBERS] for score in scores]
        self.file.write(json.dumps({"batch": key, "scores": rows}).encode() + b"\n")
        self.file.flush()
        os.fsync(self.file.fileno())


@contextmanager
def finished(path: Path | str | None, setup: Setup, bars: Mapping[str, Bars]) -> Iterator[Finished]:
    """Open a file of finished batches, None for none; makes it when it is not there.

    A last line that was cut off in writing is dropped.

    Raises
    ------
    ConfigError: the file is another kind of file, or was damaged; a strategy without a source file.
    OSError: the file cannot be written.
    """
    if path is None:
        yield Finished()
        return
    with Path(path).open("a+b") as file:
        _begin(file, path)
        yield Kept(file, path, setup, bars)


def batch_keys(tasks: Sequence[Task], bars: Mapping[str, Bars]) -> list[str]:
    """Return the digest of each batch: of all that decides its scores."""
    return _keys(_common(tasks[0].setup, bars), tasks)


def _common(setup: Setup, bars: Mapping[str, Bars]) -> tuple[str, ...]:
    settings = {
        one.name: getattr(setup, one.name) for one in fields(setup) if one.name != "strategy"
    }
    code = code_of(setup)
    name = setup.strategy.__qualname__ + shape_of(setup.strategy)
    return code, name, Load.of(bars).digest, _digest(settings)


def _keys(common: tuple[str, ...], tasks: Sequence[Task]) -> list[str]:
    digests: dict[int, str] = {}  # spans share their sets
    keys = []
    for task in tasks:
        sets = digests.get(id(task.sets))
        if sets is None:
            sets = digests[id(task.sets)] = _digest(tuple(task.sets))
        facts = (common, sets, task.first, task.last, task.objective, task.minimum_trades)
        keys.append(hashlib.sha256(repr(facts).encode()).hexdigest())
    return keys


def _digest(value: Any) -> str:
    import joblib

    try:
        return str(joblib.hash(value, hash_name="sha1"))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"a parameter, rule or cost cannot be written down ({error}), so a search with it "
            "cannot be resumed; use plain values, or classes of a module"
        ) from error


def _begin(file: IO[bytes], path: Path | str) -> None:
    """Stand after the header, which is written into an empty file, and drop a torn last line."""
    file.seek(0)
    head = file.readline()
    if head != HEADER and not HEADER.startswith(head):
        raise ConfigError(
            f"{path} holds something else than finished batches; give --resume another file"
        )
    if head != HEADER:
        file.truncate(0)
        file.write(HEADER)
        file.flush()
        os.fsync(file.fileno())
    else:
        end = file.seek(0, os.SEEK_END)
        if (whole := _end_of_last_line(file, end)) < end:
            file.truncate(whole)
    file.seek(len(HEADER))


def _end_of_last_line(file: IO[bytes], end: int) -> int:
    """Return the length of the file up to its last newline before `end`."""
    block = 65536
    while end > 0:
        begin = max(0, end - block)
        file.seek(begin)
        found = file.read(end - begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _read(line: bytes, path: Path | str, count: int) -> tuple[str, list[list[Any]]]:
    try:
        told = json.loads(line)
        return str(told["batch"]), list(told["scores"])
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, count) from error


def _scores(rows: list[Any], task: Task, path: Path | str, count: int) -> list[Score]:
    good = len(rows) == len(task.sets) and all(
        isinstance(row, list)
        and len(row) == len(NUMBERS)
        and all(
            isinstance(value, int if name in WHOLE else float) and not isinstance(value, bool)
            for name, value in zip(NUMBERS, row, strict=True)
        )
        for row in rows
    )
    if not good:
        raise _damaged(path, count)
    return [
        Score(params=params, **dict(zip(NUMBERS, row, strict=True)))
        for params, row in zip(task.sets, rows, strict=True)
    ]


def _damaged(path: Path | str, count: int) -> ConfigError:
    return ConfigError(
        f"line {count} of {path} is no finished batch; the file was damaged: delete it, or that "
        "line, and run the search again"
    )


def _plain(score: Score, name: str) -> float | int:
    value = getattr(score, name)
    return int(value) if name in WHOLE else float(value)
