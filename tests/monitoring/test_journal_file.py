# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal's file: crashes, locks, strangers, and the same bytes for the same appends."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import iverson
from iverson.errors import DataError, IversonError
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow

RUN = "r1"
AT = datetime(2024, 1, 2, 21, tzinfo=UTC)
ROOT = Path(iverson.__file__ or "").parents[1]


def rows(first: int, last: int) -> list[EquityRow]:
    days = [AT + timedelta(days=day) for day in range(first, last)]
    return [EquityRow(at, at.date(), 1.0, 1.0, 0.0, 0) for at in days]


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# Bytes


def write(path: Path, sizes: list[int], *, reopen: bool = False) -> bytes:
    journal = Journal(path, durable=False)
    done = 0
    for size in sizes:
        journal.append_many(RUN, rows(done, done + size))
        done += size
        if reopen:
            journal.close()
            journal = Journal(path, durable=False)
    journal.close()
    return path.read_bytes()


def test_same_appends_give_the_same_bytes(tmp_path: Path) -> None:
    sizes = [1, 500, 20, 1, 1, 700]
    first = write(tmp_path / "a.db", sizes)

    assert write(tmp_path / "b.db", sizes) == first
    assert names(tmp_path) == ["a.db", "b.db"]


def test_size_of_the_transactions_does_not_show_in_the_file(tmp_path: Path) -> None:
    assert write(tmp_path / "a.db", [400]) == write(tmp_path / "b.db", [7] * 57 + [1])


def test_same_sequence_of_openings_gives_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path / "a.db", [3, 30, 300], reopen=True)

    assert write(tmp_path / "b.db", [3, 30, 300], reopen=True) == first


def test_reading_does_not_change_the_file(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    before = write(path, [10])
    for read_only in (True, False):
        with Journal(path, read_only=read_only) as journal:
            assert len(journal.equity()) == 10
            assert journal.verify() is None

    assert path.read_bytes() == before
    assert names(tmp_path) == ["j.db"]


def test_name_with_odd_characters_is_a_plain_name(tmp_path: Path) -> None:
    path = tmp_path / "50% of?mode=ro#1.db"
    write(path, [1])

    assert names(tmp_path) == [path.name]


# Crashes

CRASH = """
import os, signal, sys
sys.path.insert(0, {root!r})
from datetime import UTC, datetime, timedelta
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow
at = datetime(2024, 1, 2, 21, tzinfo=UTC)
row = EquityRow(at, at.date(), 1.0, 1.0, 0.0, 0)
def dying(count):
    for _ in range(count):
        yield row
    {death}
journal = Journal(sys.argv[1], durable={durable})
journal.append_many("r1", [row] * 10)
journal.append("r1", row)
if {block}:
    with journal.transaction():
        journal.append_many("r1", [row] * 3000)
        journal.append_many("r1", dying(5))
journal.append_many("r1", dying(3000))
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("death", ["os._exit(9)", "os.kill(os.getpid(), signal.SIGKILL)"])
@pytest.mark.parametrize(("durable", "block"), [(True, False), (False, True)])
def test_crash_loses_the_open_transaction_and_nothing_else(
    tmp_path: Path, death: str, *, durable: bool, block: bool
) -> None:
    path = tmp_path / "j.db"
    script = CRASH.format(root=str(ROOT), death=death, durable=durable, block=block)
    died = subprocess.run([sys.executable, "-c", script, str(path)], check=False)

    assert died.returncode in (9, -signal.SIGKILL)
    with Journal(path, read_only=True) as journal:
        assert (len(journal.values()), journal.verify()) == (11, None)
    with Journal(path) as journal:
        journal.append_many(RUN, rows(0, 2))
        assert (len(journal.values()), journal.verify()) == (13, None)
    assert names(tmp_path) == ["j.db"]


# Company


def test_reader_beside_a_writer_sees_whole_transactions_only(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    Journal(path, durable=False).close()
    seen: list[int] = []
    faults: list[object] = []
    done = threading.Event()

    def read() -> None:
        with Journal(path, read_only=True) as reader:
            while True:
                last = done.is_set()
                seen.append(len(reader.values("equity")))
                faults.append(reader.verify())
                if last:
                    return

    watching = threading.Thread(target=read, daemon=True)
    with Journal(path, durable=False) as journal:
        watching.start()
        for turn in range(40):
            with journal.transaction():
                journal.append_many(RUN, rows(turn * 10, turn * 10 + 5))
                journal.append_many(RUN, rows(turn * 10 + 5, turn * 10 + 10))
        done.set()
        watching.join()

    assert set(faults) == {None}
    assert seen[-1] == 400
    assert seen == sorted(seen)
    assert {count % 10 for count in seen} == {0}


def test_two_writers_in_turn_continue_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal(path, durable=False) as one, Journal(path, durable=False) as two:
        for turn in range(5):
            one.append_many(RUN, rows(turn, turn + 3))
            two.append_many(RUN, rows(turn, turn + 3))
        assert one.verify() is None
    with Journal(path, read_only=True) as journal:
        assert (len(journal.values()), journal.verify()) == (30, None)


def test_locked_file_is_one_sentence_after_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with (
        Journal(path, durable=False) as holder,
        Journal(path, durable=False, wait_seconds=0.05) as waiting,
    ):
        holder.append_many(RUN, rows(0, 1))
        waiting.append_many(RUN, rows(1, 2))
        with holder.transaction():
            holder.append_many(RUN, rows(2, 3))
            with pytest.raises(IversonError, match=r"locked by another process.*0\.05 s"):
                waiting.append_many(RUN, rows(3, 4))
            assert len(waiting.values()) == 2
        waiting.append_many(RUN, rows(3, 4))
        assert (len(waiting.values()), waiting.verify()) == (4, None)


def test_exclusively_locked_file_cannot_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write(path, [1])
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("BEGIN EXCLUSIVE")
    try:
        for read_only in (True, False):
            with pytest.raises(IversonError, match="locked"):
                Journal(path, read_only=read_only, wait_seconds=0.05)
    finally:
        raw.close()


def test_closing_under_a_reader_neither_waits_nor_loses(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    journal = Journal(path, durable=False)
    journal.append_many(RUN, rows(0, 5))
    with Journal(path, read_only=True) as reader:
        assert len(reader.values()) == 5
        journal.close()
        assert len(reader.values()) == 5
    with Journal(path) as again:
        again.append_many(RUN, rows(5, 6))

    assert names(tmp_path) == ["j.db"]


def test_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with Journal(path, durable=False) as journal:
        journal.append_many(RUN, rows(0, 5))
        journal._connection.execute("PRAGMA max_page_count = 8").fetchall()
        with pytest.raises(IversonError, match="full"):
            journal.append_many(RUN, rows(5, 500))
        journal._connection.execute("PRAGMA max_page_count = 100000").fetchall()
        journal.append_many(RUN, rows(5, 6))
        assert (len(journal.values()), journal.verify()) == (6, None)


def test_reader_does_not_write_and_closed_journal_says_so(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write(path, [1])
    reader = Journal(path, read_only=True)
    with pytest.raises(IversonError, match="reading only"):
        reader.append(RUN, rows(0, 1)[0])
    reader.close()
    reader.close()
    with pytest.raises(IversonError, match="closed"):
        reader.values()


# Strangers


def other_database(path: Path) -> None:
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE events (seq INTEGER)")
    raw.commit()
    raw.close()


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("text", "is not an Iverson journal"),
        ("database", "is not an Iverson journal"),
        ("directory", "cannot be opened"),
        ("missing directory", r"cannot be opened|no journal at"),
    ],
)
def test_stranger_is_refused_in_one_sentence(
    tmp_path: Path, kind: str, sentence: str, *, read_only: bool
) -> None:
    path = tmp_path / "j.db"
    if kind == "text":
        path.write_text("date,close\n" * 200, encoding="ascii")
    elif kind == "database":
        other_database(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path = tmp_path / "no" / "j.db"
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(DataError, match=sentence) as raised:
        Journal(path, read_only=read_only)

    assert "\n" not in str(raised.value)
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all files")
def test_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write(path, [1])
    path.chmod(0)
    with pytest.raises(DataError, match="cannot be opened"):
        Journal(path, read_only=True)


def test_reader_of_a_missing_file_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no journal at"):
        Journal(tmp_path / "j.db", read_only=True)

    assert names(tmp_path) == []


def test_truncated_file_is_never_read_as_whole(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    good = write(path, [200])
    for keep in range(0, len(good) - 1, 3_001):
        path.write_bytes(good[:keep])
        try:
            with Journal(path, read_only=True) as journal:
                assert journal.verify() is not None
        except DataError:
            continue
