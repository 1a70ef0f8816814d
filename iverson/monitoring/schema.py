# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL of the journal: its tables, which only grow, and the questions asked of them."""

from __future__ import annotations

from datetime import date
from typing import Any, TypedDict

from iverson.errors import DataError
from iverson.monitoring.chain import Row
from iverson.monitoring.codec import session_text
from iverson.monitoring.kinds import KINDS, Kind

APPLICATION = 0x49564A31  # "IVJ1"
TABLES = (
    """CREATE TABLE events (
        seq INTEGER PRIMARY KEY, run TEXT NOT NULL, at TEXT, session TEXT, kind TEXT NOT NULL,
        symbol TEXT, payload TEXT NOT NULL, previous TEXT NOT NULL, hash TEXT NOT NULL
    ) STRICT""",
    """CREATE TABLE head (
        one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL
    ) STRICT""",
    """CREATE TRIGGER events_are_not_updated BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    # INSERT OR REPLACE deletes without firing the trigger above.
    """CREATE TRIGGER events_are_not_replaced BEFORE INSERT ON events
    WHEN NEW.seq <= (SELECT seq FROM head)
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER head_moves_forward BEFORE UPDATE ON head WHEN NEW.seq < OLD.seq
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
    """CREATE TRIGGER head_stays BEFORE DELETE ON head
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END""",
)
INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
# As bytes: damaged text is not always valid UTF-8, and must be seen, not raised.
SELECT_BYTES = (
    f"SELECT seq, {', '.join(f'CAST({name} AS BLOB)' for name in Row._fields[1:])} FROM events"  # noqa: S608 (our own column names)
)


class Where(TypedDict, total=False):
    """Which rows to read: sessions `since` to `until`, both inclusive; one run; one symbol.

    `after` is the number of a row that was read already.
    Rows without a session (halts, notes) go by the UTC date of their `at`.
    """

    since: date | str | None
    until: date | str | None
    run: str | None
    symbol: str | None
    after: int | None


def select(
    kinds: tuple[Kind, ...], where: Where, *, columns: str = "seq, run, kind, payload"
) -> tuple[str, list[Any]]:
    """Ask for these columns of the rows of these kinds (none named: all), in order."""
    session = "coalesce(session, substr(at, 1, 10))"
    tests: list[tuple[str, list[Any]]] = []
    for kind in kinds:
        if kind not in KINDS:
            raise DataError(f"the journal has no kind {kind!r}; it has {', '.join(KINDS)}")
    if kinds:
        tests.append((f"kind IN ({', '.join('?' * len(kinds))})", list(kinds)))
    if (since := where.get("since")) is not None:
        tests.append((f"{session} >= ?", [_session(since)]))
    if (until := where.get("until")) is not None:
        tests.append((f"{session} <= ?", [_session(until)]))
    if (run := where.get("run")) is not None:
        tests.append(("run = ?", [run]))
    if (symbol := where.get("symbol")) is not None:
        tests.append(("symbol = ?", [symbol]))
    if (after := where.get("after")) is not None:
        tests.append(("seq > ?", [after]))
    clause = " AND ".join(test for test, _ in tests) or "TRUE"
    return (
        f"SELECT {columns} FROM events WHERE {clause} ORDER BY seq",  # noqa: S608 (our own words; values are bound)
        [bound for _, several in tests for bound in several],
    )


def _session(given: date | str) -> str:
    if not isinstance(given, str):
        return session_text(given)
    try:
        return date.fromisoformat(given).isoformat()
    except ValueError as error:
        raise DataError(f"{given!r} is not a date; expected one like 2024-01-31") from error
