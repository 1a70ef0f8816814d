# SPDX-License-Identifier: GPL-3.0-or-later
"""The outbox of alerts: what is to be told, in an SQLite file of its own beside the journal.

    iverson.db -> iverson.db.alerts

An alert is here before anything is sent, and what became of it is written down before anything else
is: queued, sending, sent, failed (refused, tried again), unsure (perhaps told, not told again) or
dropped (too old to matter). A process may be killed at any instruction. What was being sent then
may have arrived or not: critical alerts are told again and say so, others are not. Being another
file than the journal, it can never keep the journal waiting. Reads no clock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from iverson.errors import DataError, IversonError
from iverson.market.files import locked_if_free
from iverson.monitoring.alerts import Alert
from iverson.monitoring.gathering import HOUR, Draft, Waiting, next_message
from iverson.monitoring.outbox_schema import (
    APPLICATION,
    INSERT,
    OLD,
    SELECT,
    SELECT_WAITING,
    TABLES,
    WAITS,
    Told,
    instant_of,
    row_of,
    seconds_of,
    told_of,
    waiting_of,
)

DROPPED_AFTER = timedelta(days=1)  # for what is not critical
LATE_AFTER = timedelta(minutes=15)  # then another way of telling is due
FIRST_WAIT, LONGEST_WAIT = 5.0, 300.0  # seconds until the next try; it doubles in between
REFUSED_WAIT = 900.0  # seconds until what was refused is tried again


@dataclass(frozen=True, slots=True)
class Sending:
    """A message that is on its way: its number here and what it says."""

    number: int
    draft: Draft


def path_of(journal: Path | str) -> Path:
    """Return the outbox of a journal."""
    journal = Path(journal)
    return journal.with_name(f"{journal.name}.alerts")


class Outbox:
    """Alerts on their way to a person; see the module.

    Parameters
    ----------
    start: of a new outbox: a journal, by the hash of its first row, and the number of its last row;
        what was written before is not told any more.
    read_only: never makes or changes the file.

    Raises
    ------
    DataError: the file is no outbox, or cannot be read.
    IversonError: it is locked or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        *,
        start: tuple[str, int] | None = None,
        read_only: bool = False,
        wait_seconds: float = 5.0,
    ) -> None:
        self.path = path
        with self._translated():
            if read_only and not path.exists():
                raise DataError(f"there is no outbox at {path}; nothing was told yet")
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}",
                uri=True, timeout=wait_seconds, isolation_level=None, check_same_thread=False,
            )  # fmt: skip
            try:
                if not read_only:
                    self._connection.execute("PRAGMA synchronous = FULL")
                    self._create(start)
                if self._pragma("application_id") != APPLICATION:
                    raise DataError(f"{path} is not an outbox of Iverson's; move it away")
            except BaseException:
                self._connection.close()
                raise

    # What comes in

    def place(self, journal: str) -> tuple[int, int]:
        """Return where reading of a journal began and the last row that was read."""
        row = self._one("SELECT began, seq FROM places WHERE journal = ?", journal)
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    def queue(
        self, alerts: Iterable[tuple[Alert, bool]], *, journal: str, seq: int, now: datetime
    ) -> int:
        """Take in alerts, each with whether it is silent, and how far the journal is read by now.

        All or nothing, in one transaction; an alert that is known already is not taken again.
        Returns how many were new.
        """
        rows = [row_of(one, journal, silent=silent, now=now) for one, silent in alerts]
        with self._written("queue") as execute:
            before = self._connection.total_changes
            for row in rows:
                execute(INSERT, *row)
            new = self._connection.total_changes - before
            execute(
                "INSERT INTO places VALUES (?, 0, ?) ON CONFLICT (journal) DO UPDATE SET"
                " seq = max(seq, excluded.seq)",
                journal, seq,
            )  # fmt: skip
        return new

    # What goes out

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Hold the right to send, which one process has at a time; yields whether it is held.

        What a process that has ended left in the sending is settled first.
        """
        with locked_if_free(self.path.with_name(f"{self.path.name}.lock")) as held:
            if held:
                self._settle_left()
            yield held

    def begin(
        self, now: datetime, *, ending: bool = False, at_once: bool = False
    ) -> Sending | None:
        """Choose what may be sent now and write down that it is being sent; None when nothing may.

        `at_once` does not wait for the next try; `ending` waits for nothing to come together.
        """
        self._drop_old(now)
        waiting = self._waiting()
        if not waiting or (not at_once and self.wait(now) > 0):
            return None
        (lost,) = self._one(
            "SELECT count(*) FROM alerts WHERE state = 'dropped' AND sending IS NULL"
        ) or (0,)
        since = seconds_of(now - HOUR)
        sent = self._all(
            "SELECT sent FROM messages WHERE sent > ? AND sent <= ? ORDER BY sent",
            since,
            seconds_of(now),
        )
        draft = next_message(
            waiting, now=now, sent=[instant_of(one) for (one,) in sent], lost=lost,
            ending=ending or at_once,
        )  # fmt: skip
        if draft is None:
            return None
        with self._written("begin") as execute:
            execute("INSERT INTO messages (begun) VALUES (?)", seconds_of(now))
            ((number,),) = execute("SELECT last_insert_rowid()").fetchall()
            self._move(execute, draft.keys, "state = 'sending', sending = ?", number)
            if lost:
                execute(
                    "UPDATE alerts SET sending = ? WHERE state = 'dropped' AND sending IS NULL",
                    number,
                )
        return Sending(number, draft)

    def sent(self, sending: Sending, message: int, *, now: datetime) -> None:
        """Write down that a message has arrived, and Telegram's number of it."""
        with self._written("sent") as execute:
            execute(
                "UPDATE messages SET sent = ?, message = ? WHERE id = ?",
                seconds_of(now), message, sending.number,
            )  # fmt: skip
            execute(
                "UPDATE alerts SET state = 'sent', attempts = attempts + 1, reason = ''"
                " WHERE sending = ? AND state = 'sending'",
                sending.number,
            )

    def undelivered(
        self,
        sending: Sending,
        reason: str,
        *,
        now: datetime,
        retry_after: float | None = None,
        permanent: bool = False,
        unsure: bool = False,
    ) -> None:
        """Write down that a message did not arrive, or that nobody knows (`unsure`)."""
        with self._written("undelivered") as execute:
            if unsure:
                self._leave_unsure(execute, sending.number)
            tries = execute(
                "SELECT max(attempts) FROM alerts WHERE sending = ?", sending.number
            ).fetchone()[0]
            wait = REFUSED_WAIT if permanent else FIRST_WAIT * 2 ** min(tries or 0, 10)
            wait = min(wait, max(LONGEST_WAIT, REFUSED_WAIT if permanent else 0.0))
            execute(
                "UPDATE alerts SET state = CASE state WHEN 'sending' THEN ? ELSE state END,"
                " attempts = attempts + 1, next_try = ?, reason = ?, sending = CASE state WHEN"
                " 'unsure' THEN sending ELSE NULL END WHERE sending = ?",
                "failed" if permanent else "queued",
                seconds_of(now) + (wait if retry_after is None else max(retry_after, 1.0)),
                reason,
                sending.number,
            )  # fmt: skip

    def wait(self, now: datetime) -> float:
        """Return the seconds until the next try; 0 when one may be made now."""
        row = self._one("SELECT max(next_try) FROM alerts WHERE state IN (?, ?)", *WAITS)
        return 0.0 if row is None or row[0] is None else max(0.0, float(row[0]) - seconds_of(now))

    # What people see

    def late(self, now: datetime) -> list[Told]:
        """Return what has waited for more than a quarter of an hour and was not called late yet."""
        return [
            one
            for one in self._told("a.late = 0 AND a.state IN ('queued', 'sending', 'failed')")
            if now - one.since > LATE_AFTER
        ]

    def called_late(self, late: Sequence[Told]) -> None:
        """Write down that these were told another way."""
        with self._written("late") as execute:
            self._move(execute, [one.key for one in late], "late = 1")

    def counts(self) -> dict[str, int]:
        """Return how many alerts are in each state."""
        return dict(self._all("SELECT state, count(*) FROM alerts GROUP BY state ORDER BY state"))

    def rows(self) -> list[Told]:
        """Return all that it has, in the order in which it came."""
        return self._told("TRUE")

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Inside

    def _create(self, start: tuple[str, int] | None) -> None:
        with self._written("create") as execute:
            ((tables,),) = execute("SELECT count(*) FROM sqlite_schema").fetchall()
            if tables or self._pragma("application_id"):
                return
            for statement in TABLES:
                execute(statement)
            if start is not None:
                execute("INSERT INTO places VALUES (?, ?, ?)", start[0], start[1], start[1])

    def _waiting(self) -> list[Waiting]:
        return [waiting_of(*row) for row in self._all(SELECT_WAITING, *WAITS)]

    def _drop_old(self, now: datetime) -> None:
        old = seconds_of(now - DROPPED_AFTER)
        if self._one(f"SELECT 1 FROM alerts WHERE {OLD} LIMIT 1", old):  # noqa: S608 (our own words)
            with self._written("drop") as execute:
                execute(f"UPDATE alerts SET state = 'dropped' WHERE {OLD}", old)  # noqa: S608 (the same)

    def _settle_left(self) -> None:
        left = self._all("SELECT DISTINCT sending FROM alerts WHERE state = 'sending'")
        for (number,) in left:
            with self._written("settle") as execute:
                self._leave_unsure(execute, number)
                execute(
                    "UPDATE alerts SET state = 'queued', sending = NULL"
                    " WHERE sending = ? AND state = 'sending'",
                    number,
                )

    def _leave_unsure(self, execute: Any, number: int) -> None:
        """Keep what is critical to be told again, and nothing else."""
        execute(
            "UPDATE alerts SET state = 'unsure' WHERE sending = ? AND state = 'sending'"
            " AND NOT critical",
            number,
        )
        execute("UPDATE alerts SET unsure = 1 WHERE sending = ? AND state = 'sending'", number)

    def _move(self, execute: Any, keys: Iterable[str], change: str, *values: Any) -> None:
        for key in keys:
            execute(f"UPDATE alerts SET {change} WHERE key = ?", *values, key)  # noqa: S608 (our own words)

    def _told(self, where: str) -> list[Told]:
        return [told_of(*row) for row in self._all(f"{SELECT} WHERE {where} ORDER BY a.since")]

    @contextmanager
    def _written(self, what: str) -> Iterator[Any]:  # noqa: ARG002 (the name of the write, for tests)
        """Write all of the block or nothing; on the disk when it ends."""

        def execute(statement: str, *values: Any) -> sqlite3.Cursor:
            return self._connection.execute(statement, values)

        with self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield execute
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    with suppress(sqlite3.Error):
                        self._connection.execute("ROLLBACK")

    def _one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        rows = self._all(statement, *values)
        return rows[0] if rows else None

    def _all(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._translated():
            return self._connection.execute(statement, values).fetchall()

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn SQLite's errors into sentences."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorname", None) or ""
            if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
                raise DataError(
                    f"{self.path} is not an outbox of Iverson's; move it away"
                ) from error
            raise IversonError(f"{self.path} cannot be used ({error}); alerts wait") from error
