# SPDX-License-Identifier: GPL-3.0-or-later
"""The SQL of the outbox: its tables, what is asked of them, and their rows as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from iverson.monitoring.alerts import Alert
from iverson.monitoring.gathering import Waiting

APPLICATION = 0x49564F31  # "IVO1"
# What has waited too long to matter; reports still do, and of many the last few are told.
OLD = "state IN ('queued', 'failed') AND NOT critical AND kind NOT LIKE '% report' AND since < ?"
WAITS = ("queued", "failed")  # the states of what is to be sent
TABLES = (
    """CREATE TABLE alerts (
        key TEXT PRIMARY KEY, journal TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
        critical INTEGER NOT NULL, silent INTEGER NOT NULL, text TEXT NOT NULL, line TEXT NOT NULL,
        batch TEXT NOT NULL, state TEXT NOT NULL, unsure INTEGER NOT NULL DEFAULT 0,
        since REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_try REAL NOT NULL DEFAULT 0,
        late INTEGER NOT NULL DEFAULT 0, sending INTEGER, reason TEXT NOT NULL DEFAULT ''
    ) STRICT""",
    "CREATE INDEX alerts_that_wait ON alerts (state)",
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY, begun REAL NOT NULL, sent REAL, message INTEGER
    ) STRICT""",
    "CREATE TABLE places (journal TEXT PRIMARY KEY, began INTEGER NOT NULL, seq INTEGER NOT NULL)",
    f"PRAGMA application_id = {APPLICATION}",
    "PRAGMA user_version = 1",
)
INSERT = (
    "INSERT OR IGNORE INTO alerts (key, journal, seq, kind, critical, silent, text, line, batch,"
    " state, since) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SELECT_WAITING = (
    "SELECT key, seq, kind, text, line, batch, since, silent, unsure FROM alerts"
    " WHERE state IN (?, ?) ORDER BY since, rowid"
)
SELECT = (
    "SELECT a.key, a.kind, a.critical, a.text, a.state, a.since, a.attempts, a.next_try, m.sent,"
    " m.message, a.reason FROM alerts a LEFT JOIN messages m ON m.id = a.sending"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What the outbox has of one alert, for people."""

    key: str
    kind: str
    critical: bool
    text: str
    state: str
    since: datetime
    attempts: int
    next_try: datetime | None
    sent: datetime | None
    message: int | None
    reason: str


def row_of(alert: Alert, journal: str, *, silent: bool, now: datetime) -> tuple[object, ...]:
    """Return an alert as `INSERT` takes it, named by its journal's hash and its row there."""
    mark = journal[:12]
    batch = f"{mark}:{alert.group}" if alert.group else ""
    return (
        f"{mark}:{alert.key}", journal, alert.seq, alert.kind, alert.critical, silent, alert.text,
        alert.line, batch, "queued", seconds_of(now),
    )  # fmt: skip


def waiting_of(  # noqa: PLR0917 (a row)
    key: str,
    seq: int,
    kind: str,
    text: str,
    line: str,
    batch: str,
    since: float,
    silent: int,
    unsure: int,
) -> Waiting:
    """Return a row of `SELECT_WAITING` as a value."""
    at = instant_of(since)
    return Waiting(key, seq, kind, text, line, batch, at, bool(silent), bool(unsure))


def told_of(  # noqa: PLR0917 (a row)
    key: str,
    kind: str,
    critical: int,
    text: str,
    state: str,
    since: float,
    attempts: int,
    next_try: float,
    sent: float | None,
    message: int | None,
    reason: str,
) -> Told:
    """Return a row of `SELECT` as a value."""
    due = instant_of(next_try) if next_try and state in WAITS else None
    told = instant_of(sent) if sent is not None and state == "sent" else None
    at = instant_of(since)
    return Told(key, kind, bool(critical), text, state, at, attempts, due, told, message, reason)


def seconds_of(at: datetime) -> float:
    """Return an instant as it is stored: seconds since 1970 in UTC."""
    return at.timestamp()


def instant_of(seconds: float) -> datetime:
    """Return a stored instant."""
    return datetime.fromtimestamp(seconds, UTC)
