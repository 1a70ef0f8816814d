# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of headlines: a file that only grows, so that what was known when can be told for ever.

    news/headlines.jsonl    one line of JSON for each state of an item, chained by digests

A revision is another line; nothing is ever written over. Every line carries a digest of itself and
of all before it, so a changed or missing line is found on reading. A last line that was cut off in
writing is dropped. To be known at `t`, a state must have been seen by then.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from iverson.errors import DataError
from iverson.market.news import Headline
from iverson.market.news_merge import Known, merge

FOLDER = "news"
HEADER = b'{"file": "headlines seen by Iverson", "form": 1}\n'
_DIGITS = 16
_SUM = ',"sum":"'
_TAIL = len(_SUM) + _DIGITS + len('"}')
_NAMES = ("id", "revision", "seen", "observed", "published", "updated", "source", "symbols",
          "headline", "summary")  # fmt: skip


@dataclass(frozen=True)
class Added:
    """What one write did: new items, revisions of known ones, and repeats that were left out."""

    items: int
    revisions: int
    repeats: int


class NewsStore:
    """Headlines in a folder; a folder that is not there is an empty store."""

    def __init__(self, path: Path | str) -> None:
        self.folder = Path(path)
        self.path = self.folder / "headlines.jsonl"
        self._states: list[Headline] | None = None
        self._known: Known | None = None  # made when something is added
        self._end = 0  # bytes read
        self._sum = ""

    def __repr__(self) -> str:
        return f"NewsStore({str(self.folder)!r})"

    def __len__(self) -> int:
        return sum(state.revision == 0 for state in self._load())

    @property
    def digest(self) -> str:
        """The digest of all lines; "" for an empty store."""
        self._load()
        return self._sum

    def states(self) -> list[Headline]:
        """Return every state of every item, in the order in which they were written.

        Raises
        ------
        DataError: the file is another kind of file, or was changed by something else.
        """
        return list(self._load())

    def as_of(self, at: datetime) -> list[Headline]:
        """Return the items that were known at an instant, each in the state known then."""
        found: dict[str, Headline] = {}
        for state in self._load():
            if state.seen_at <= at:
                before = found.get(state.id)
                if before is None or state.revision > before.revision:
                    found[state.id] = state
        return list(found.values())

    def add(self, delivered: Iterable[Headline]) -> Added:
        """Append what is new; on the disk when this returns. Repeats are left out.

        `DataError` when another program wrote to the file since it was read; nothing is written.
        """
        listed = list(delivered)
        states = self._load()
        self._known = self._known or Known(states)
        new = merge(self._known, listed)
        try:
            self._append(new)
        except BaseException:
            self._states = self._known = None  # what is known has to be read anew
            raise
        states.extend(new)
        items = sum(state.revision == 0 for state in new)
        return Added(items, len(new) - items, len(listed) - len(new))

    def _append(self, states: list[Headline]) -> None:
        if not states:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            _lock(file)
            size = file.seek(0, os.SEEK_END)
            if size > self._end and not self._is_torn(file):
                raise DataError(
                    f"another program wrote to {self.path} meanwhile; run the command again"
                )
            file.truncate(self._end)
            total, lines = self._sum, [] if self._end else [HEADER]
            for state in states:
                line, total = _line(state, total)
                lines.append(line)
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())
            self._end, self._sum = file.tell(), total

    def _is_torn(self, file: IO[bytes]) -> bool:
        file.seek(self._end)
        return b"\n" not in file.read()

    def _load(self) -> list[Headline]:
        if self._states is None:
            self._end, self._sum = 0, ""
            self._states = list(self._read(self.path.read_bytes())) if self.path.is_file() else []
        return self._states

    def _read(self, content: bytes) -> Iterator[Headline]:
        whole = content[: content.rfind(b"\n") + 1]
        if not whole and HEADER.startswith(content):
            return
        if not whole.startswith(HEADER):
            raise DataError(f"{self.path} holds no headlines of Iverson's; move it away")
        self._end = len(whole)
        total = ""
        for number, line in enumerate(whole[len(HEADER) :].decode().split("\n")[:-1], start=2):
            body, written = line[:-_TAIL] + "}", line[-_TAIL:]
            total = _digest(total, body)
            if written != f'{_SUM}{total}"}}':
                raise DataError(
                    f"line {number} of {self.path} was changed, or one before it was taken out; "
                    "put the file back from a copy, or move it away and import the headlines again"
                )
            yield _state(json.loads(body))
        self._sum = total


def _line(state: Headline, total: str) -> tuple[bytes, str]:
    values = (
        state.id, state.revision, state.seen_at.isoformat(), state.observed,
        state.published_at.isoformat(), state.updated_at.isoformat(), state.source,
        state.symbols, state.headline, state.summary,
    )  # fmt: skip
    fields = dict(zip(_NAMES, values, strict=True))
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    total = _digest(total, body)
    return f'{body[:-1]}{_SUM}{total}"}}\n'.encode(), total


def _state(row: dict[str, Any]) -> Headline:
    return Headline(
        id=row["id"],
        seen_at=datetime.fromisoformat(row["seen"]),
        published_at=datetime.fromisoformat(row["published"]),
        updated_at=datetime.fromisoformat(row["updated"]),
        headline=row["headline"],
        source=row["source"],
        symbols=tuple(row["symbols"]),
        summary=row["summary"],
        observed=row["observed"],
        revision=row["revision"],
    )


def _digest(before: str, body: str) -> str:
    return hashlib.sha256(f"{before}{body}".encode()).hexdigest()[:_DIGITS]


def _lock(file: IO[bytes]) -> None:
    """Let one program write at a time, where the system can."""
    try:
        import fcntl
    except ImportError:  # Windows: the check of the length has to do
        return
    fcntl.flock(file, fcntl.LOCK_EX)
