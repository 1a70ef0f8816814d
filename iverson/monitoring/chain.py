# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain: each row carries the SHA-256 of the row before it and of itself.

So a changed byte, a missing row and, with the head kept elsewhere, a cut tail are all seen. This
guards against damage, not against a forger who recomputes the whole chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple

from iverson.monitoring.codec import at_text, encode, session_text
from iverson.monitoring.kinds import Value, kind_of, stamps_of

GENESIS = "0" * 64


class Head(NamedTuple):
    """The number and the hash of the last row; (0, "000...") in an empty journal."""

    seq: int
    hash: str


EMPTY = Head(0, GENESIS)


class Row(NamedTuple):
    """One row as it is stored: the stamps of a value and its JSON, between two hashes."""

    seq: int
    run: str
    at: str | None
    session: str | None
    kind: str
    symbol: str | None
    payload: str
    previous: str
    hash: str

    @property
    def head(self) -> Head:
        """What the head is when this row is the last."""
        return Head(self.seq, self.hash)

    @property
    def line(self) -> str:
        """The row as canonical JSON, its hash included."""
        return _text(self[:-1], self.hash)

    def is_sound(self) -> bool:
        """Whether the hash is that of the row."""
        return self.hash == _sha256(_text(self[:-1]))

    def follows(self, head: Head) -> bool:
        """Whether this sound row is the next one."""
        return (self.seq, self.previous) == (head.seq + 1, head.hash) and self.is_sound()


def link(head: Head, run: str, value: Value) -> Row:
    """Make the row of a value that comes after `head`."""
    kind = kind_of(value)
    at, session, symbol = stamps_of(kind, value)
    unsigned = (
        head.seq + 1,
        run,
        None if at is None else at_text(at),
        None if session is None else session_text(session),
        kind,
        symbol,
        encode(value),
        head.hash,
    )
    return Row(*unsigned, _sha256(_text(unsigned)))


def verify_json_lines(lines: Iterable[str], *, head: Head | None = None) -> int | None:
    """Recompute the chain of an export, without SQLite.

    Returns
    -------
    The number of the first line that is damaged or missing, or None. Lines cut off the end are
    seen only when `head`, kept from the journal, is given.
    """
    last = EMPTY
    for line in lines:
        try:
            fields = json.loads(line)
            row = Row(**{**fields, "payload": _canonical(fields["payload"])})
            sound = row.follows(last) and _canonical(fields) == line.rstrip("\n")
        except (ValueError, KeyError, TypeError):
            sound = False
        if not sound:
            return last.seq + 1
        last = row.head
    if head is None or last == head:
        return None
    return min(last.seq, head.seq) + 1


_Unsigned = tuple[int, str, str | None, str | None, str, str | None, str, str]


def _text(unsigned: _Unsigned, digest: str | None = None) -> str:
    seq, run, at, session, kind, symbol, payload, previous = unsigned
    hashed = "" if digest is None else f'"hash":{quote(digest)},'
    return (
        f'{{"at":{_quoted(at)},{hashed}"kind":{_quoted(kind)},"payload":{payload},'
        f'"previous":{_quoted(previous)},"run":{_quoted(run)},"seq":{seq},'
        f'"session":{_quoted(session)},"symbol":{_quoted(symbol)}}}'
    )


def _quoted(text: str | None) -> str:  # damage can make NULL of any column
    return "null" if text is None else quote(text)


def _sha256(text: str) -> str:
    # Damaged text may hold what is not UTF-8: then the hash is simply another one.
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _canonical(parsed: Any) -> str:
    return json.dumps(parsed, sort_keys=True, separators=(",", ":"))
