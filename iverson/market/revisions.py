# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions: what a stored bar or action was, what it became, and when that was seen.

A CSV beside the file it belongs to, one line a change, oldest first. It is never rewritten but to
be added to, so that any earlier state of the stored rows can be told from it.

    bars/1d/AAPL.revisions.csv      stamp, seen, source, open_was .. volume_was, open .. volume
    actions/AAPL.revisions.csv      stamp, seen, source, kind, value_was, value
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pandas as pd

from iverson.market.files import Columns, replace_file
from iverson.market.store_rows import VALUES, stamps_of

BARS = ("stamp", "seen", "source", *(f"{name}_was" for name in VALUES), *VALUES)
ACTIONS = ("stamp", "seen", "source", "kind", "value_was", "value")
SUFFIX = ".revisions.csv"
Lines = list[list[str]]


def of_bars(before: Columns, after: Columns, *, seen: datetime, source: str) -> Lines:
    """Return one line for each row that changed; numbers are written exactly."""
    when = seen.isoformat(timespec="seconds")
    lines = []
    for row, stamp in enumerate(stamps_of(after)):
        was = [repr(float(before[name][row])) for name in VALUES]
        becomes = [repr(float(after[name][row])) for name in VALUES]
        lines.append([stamp, when, source, *was, *becomes])
    return lines


def of_actions(changed: pd.DataFrame, *, seen: datetime, source: str) -> Lines:
    """Return one line for each action whose value changed: columns value_old and value_new."""
    when = seen.isoformat(timespec="seconds")
    return [
        [f"{session:%Y-%m-%d}", when, source, str(kind), repr(float(was)), repr(float(becomes))]
        for session, kind, was, becomes in zip(
            changed["session"],
            changed["kind"],
            changed["value_old"],
            changed["value_new"],
            strict=True,
        )
    ]


def sentences(before: Columns, after: Columns, *, most: int = 20) -> tuple[str, ...]:
    """Say of each row that changed, up to `most`, what it was and what it is now."""
    stamps = stamps_of(after)
    found = []
    for row, stamp in enumerate(stamps[:most]):
        parts = [
            f"{name} was {before[name][row]:.10g} and is now {after[name][row]:.10g}"
            for name in VALUES
            if before[name][row] != after[name][row]
        ]
        found.append(f"{stamp}: {', '.join(parts)}")
    if len(stamps) > most:
        found.append(f"{len(stamps) - most} more; all of them are in the revisions")
    return tuple(found)


def add(path: Path, header: Sequence[str], lines: Lines) -> None:
    """Add lines, whole or not at all; a change that is the last of its stamp is there already.

    That happens when a write was interrupted after its revisions and is done again.
    """
    if not lines:
        return
    known = _lines(path)
    identity = [index for index, name in enumerate(header) if name not in ("seen", "source")]
    last = {(line[0], *line[3:4]) if "kind" in header else line[0]: line for line in known}
    new = []
    for line in lines:
        key = (line[0], *line[3:4]) if "kind" in header else line[0]
        before = last.get(key)
        if before is None or [before[i] for i in identity] != [line[i] for i in identity]:
            new.append(line)
    if not new:
        return

    def write(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(header)
            writer.writerows([*known, *new])

    replace_file(path, write)


def read(path: Path, header: Sequence[str]) -> pd.DataFrame:
    """Return the lines as a table: stamp and seen as text, numbers as float64."""
    frame = pd.DataFrame(_lines(path), columns=list(header), dtype="str")
    numbers = [name for name in header if name not in ("stamp", "seen", "source", "kind")]
    return frame.astype(dict.fromkeys(numbers, "float64"))


def count(path: Path) -> int:
    """Return how many revisions there are."""
    return len(_lines(path))


def _lines(path: Path) -> Lines:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [line for line in list(csv.reader(file))[1:] if line]
