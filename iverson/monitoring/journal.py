# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: every signal, verdict, order, fill and dollar of a run, in one SQLite file.

`events` is append-only and chained by hashes (`chain.py`); `head` repeats the number and the hash
of the last row, so that a cut tail is seen too. To notice a forger, keep `Journal.head` somewhere
else. The state of an account is rebuilt from the rows (`replay.py`), never stored. The journal
reads no clock and no environment: the same appends give the same bytes on disk. This is the only
file that knows sqlite3.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from iverson.errors import DataError, IversonError
from iverson.monitoring.chain import EMPTY, Head, Row, link
from iverson.monitoring.kinds import Kind, Value
from iverson.monitoring.reading import Reading
from iverson.monitoring.schema import APPLICATION, INSERT, SELECT_BYTES, TABLES, Where, select
from iverson.monitoring.sentences import sentence

SCHEMA = 1
# Each takes a schema to the next: {1: _add_account_column}. Rows of `events` keep their bytes.
MIGRATIONS: dict[int, Callable[[sqlite3.Connection], None]] = {}


class Journal(Reading):
    """Append frozen values to a SQLite file and read them back, as values or as DataFrames.

    `path` None keeps the journal in memory. One writer at a time; any number of readers
    (`read_only=True`, which never creates or changes a file). `durable=False` lets the operating
    system write when it likes: for backtests, where a power cut costs only a repetition.
    `wait_seconds` is how long a locked file is waited for. Close it, or use it in a `with`: a
    closed file stands alone, without -wal and -shm files beside it.

    Raises
    ------
    DataError
        The file is not a journal, has a newer schema, or its last row is damaged.
    IversonError
        The file is locked or cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        read_only: bool = False,
        durable: bool = True,
        wait_seconds: float = 5.0,
    ) -> None:
        self.path = None if path is None else Path(path)
        self.read_only = read_only
        self._wait_seconds = wait_seconds
        self._lock = threading.RLock()
        self._in_transaction = False
        self._doomed = False
        self._write_ahead = False
        self._head = EMPTY
        with self._translated():
            self._connection = self._connect(read_only=read_only)
            try:
                self._prepare(durable=durable)
                if not read_only:
                    self._check_tail()
            except BaseException:
                self._connection.close()
                raise

    def append(self, run: str, value: Value) -> int:
        """Append one value and return its number; on disk when this returns."""
        with self.transaction():
            self.append_many(run, (value,))
            return self._head.seq

    def append_many(self, run: str, values: Iterable[Value]) -> int:
        """Append all of the values or none, in one transaction, and return how many."""
        with self.transaction(), self._translated():
            before = self._head.seq
            try:
                for value in values:
                    row = link(self._head, run, value)
                    self._connection.execute(INSERT, row)
                    self._head = row.head
            except BaseException:
                self._doomed = True  # an outer block that swallows this cannot keep half of it
                raise
            return self._head.seq - before

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep all appends of the block, or none when it raises; an inner block joins the outer."""
        with self._lock:
            if self._in_transaction:
                yield
                return
            with self._translated():
                self._begin()
            try:
                yield
                with self._translated():
                    self._commit()
            finally:
                self._in_transaction = False
                with self._translated():
                    self._roll_back()

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it; closing twice is harmless."""
        with self._lock:
            try:
                if self._write_ahead:
                    # Readers may hold the file: then the log stays, and the next writer folds it.
                    with suppress(sqlite3.OperationalError, sqlite3.ProgrammingError):
                        self._connection.execute("PRAGMA busy_timeout = 0")
                        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                        self._connection.execute("PRAGMA journal_mode = DELETE").fetchall()
            finally:
                self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Journal({'' if self.path is None else repr(str(self.path))})"

    @property
    def head(self) -> Head:
        """Number and hash of the last row: sign or send these to make the past unforgeable."""
        with self._lock, self._translated():
            return self._head if self._in_transaction else self._read_head()

    # Opening

    def _connect(self, *, read_only: bool) -> sqlite3.Connection:
        if self.path is None:
            target = "file::memory:"
        else:
            if self.path.is_dir():
                raise DataError(f"{self.path} cannot be opened; it is a directory")
            if read_only and not self.path.exists():
                raise DataError(f"there is no journal at {self.path}; expected a file")
            mode = "ro" if read_only else "rwc"
            target = f"{self.path.absolute().as_uri()}?mode={mode}"
        return sqlite3.connect(
            target,
            uri=True,
            timeout=self._wait_seconds,
            isolation_level=None,
            check_same_thread=False,
        )

    def _prepare(self, *, durable: bool) -> None:
        execute = self._connection.execute
        if not self.read_only:
            # Zeroed free space and a fixed layout make equal appends equal files.
            execute("PRAGMA page_size = 4096")
            execute("PRAGMA auto_vacuum = NONE")
            execute("PRAGMA secure_delete = ON").fetchall()
            execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
            if self._is_fresh():
                self._create()
        if self._pragma("application_id") != APPLICATION:
            raise DataError(f"{self._name} is not an Iverson journal; choose another file")
        version = self._pragma("user_version")
        if version > SCHEMA:
            raise DataError(
                f"{self._name} has schema {version}, this Iverson knows up to {SCHEMA}; "
                "update Iverson"
            )
        if version < SCHEMA:
            if self.read_only:
                raise DataError(
                    f"{self._name} has the older schema {version}; open it once for writing, "
                    "which keeps a copy and brings it up to date"
                )
            self._migrate()

    def _is_fresh(self) -> bool:
        marks = self._pragma("application_id"), self._pragma("user_version")
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        return (*marks, tables) == (0, 0, 0)

    def _create(self) -> None:
        with self._block("IMMEDIATE"):
            if not self._is_fresh():  # another writer came first
                return
            for statement in TABLES:
                self._connection.execute(statement)
            self._connection.execute("INSERT INTO head VALUES (1, ?, ?)", EMPTY)
            self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
            self._connection.execute(f"PRAGMA user_version = {SCHEMA}")

    def _migrate(self) -> None:
        with self._block("IMMEDIATE"):
            version = self._pragma("user_version")
            if self.path is not None:
                backup = self.path.with_name(f"{self.path.name}.schema-{version}")
                # Through a second connection: SQLite cannot copy from one that is writing, and
                # our lock keeps every other writer out meanwhile.
                source, copy = self._connect(read_only=True), sqlite3.connect(backup)
                try:
                    source.backup(copy)
                finally:
                    copy.close()
                    source.close()
            for step in range(version, SCHEMA):
                if step not in MIGRATIONS:
                    raise DataError(f"{self._name} has schema {version}, which cannot be read")
                MIGRATIONS[step](self._connection)
            self._connection.execute(f"PRAGMA user_version = {SCHEMA}")

    def _check_tail(self) -> None:
        with self._snapshot() as head:
            row = next(self._stored("ORDER BY seq DESC LIMIT 1"), None)
        sound = head == EMPTY if row is None else head == row.head and row.is_sound()
        if not sound:
            raise DataError(
                f"{self._name} is damaged at its end (row {head.seq if head else '?'}); keep the "
                "file, do not trade on it, and see `iverson journal verify`"
            )

    # Inside

    def _begin(self) -> None:
        if self.read_only:
            raise IversonError(f"{self._name} is open for reading only; nothing was written")
        if not self._write_ahead:
            self._connection.execute("PRAGMA journal_mode = WAL").fetchall()
            self._write_ahead = True
        self._connection.execute("BEGIN IMMEDIATE")
        self._in_transaction, self._doomed = True, False
        self._head = self._read_head()

    def _commit(self) -> None:
        if self._doomed:
            raise IversonError(f"an append to {self._name} failed; its transaction was undone")
        self._connection.execute("UPDATE head SET seq = ?, hash = ?", self._head)
        self._connection.execute("COMMIT")

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @contextmanager
    def _block(self, kind: str) -> Iterator[None]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield
            self._connection.execute("COMMIT")
        finally:
            self._roll_back()

    @contextmanager
    def _snapshot(self) -> Iterator[Head | None]:
        with self._lock, self._translated():
            if self._in_transaction:
                yield self._head
                return
            with self._block("DEFERRED"):
                row = self._connection.execute(
                    "SELECT seq, CAST(hash AS BLOB) FROM head"
                ).fetchone()
                yield None if row is None else Head(*map(_text, row))

    def _read_head(self) -> Head:
        row = self._connection.execute("SELECT seq, hash FROM head").fetchone()
        if row is None:
            raise DataError(f"{self._name} has lost its head row; keep the file and do not trade")
        return Head(*row)

    def _stored(self, order: str) -> Iterator[Row]:
        with self._lock, self._translated():
            for stored in self._connection.execute(f"{SELECT_BYTES} {order}"):
                yield Row(*map(_text, stored))

    def _select(self, kinds: tuple[Kind, ...], where: Where) -> list[tuple[int, str, str, str]]:
        return list(self._each(kinds, where))

    def _each(self, kinds: tuple[Kind, ...], where: Where) -> Iterator[tuple[int, str, str, str]]:
        with self._lock, self._translated():
            yield from self._connection.execute(*select(kinds, where))

    def _runs(self, kinds: tuple[Kind, ...], where: Where) -> Iterator[tuple[str]]:
        with self._lock, self._translated():
            yield from self._connection.execute(*select(kinds, where, columns="run"))

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @property
    def _name(self) -> str:
        return "the journal" if self.path is None else str(self.path)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn SQLite's errors into sentences."""
        try:
            yield
        except (sqlite3.Error, UnicodeError) as error:
            raise sentence(error, self._name, self._wait_seconds) from error


def _text(stored: Any) -> Any:
    return stored.decode("utf-8", "surrogateescape") if isinstance(stored, bytes) else stored
