# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal keeps what it was given, exactly, and notices when anybody else touched it."""

from __future__ import annotations

import io
import json
import math
import sqlite3
import threading
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.book import Halt
from iverson.errors import DataError, IversonError
from iverson.model import (
    Answer,
    CashFlow,
    Denial,
    Execution,
    Fill,
    Intent,
    OrderEvent,
    Signal,
    Stage,
    Trade,
    Verdict,
)
from iverson.monitoring import journal as module
from iverson.monitoring.chain import GENESIS, Head, verify_json_lines
from iverson.monitoring.codec import build
from iverson.monitoring.events import Alarm, Command, Drill, Heartbeat, Step
from iverson.monitoring.journal import Journal
from iverson.monitoring.kinds import KINDS, Value
from iverson.monitoring.record import EquityRow, FoldRow, Note, Release, RunRow, TrialRow

RUN = "r1"
AT = datetime(2024, 1, 2, 21, tzinfo=UTC)
DAY = date(2024, 1, 2)
SIGNAL = Signal(AT, DAY, "AAPL", "long", 3, 100.0, 95.0, None, 5, 31.5, "rsi")
VALUES: tuple[Value, ...] = (
    RunRow("rsi", "Rsi", {"period": 14}, ("AAPL",), "ab12", 7, Stage.BACKTEST, 1e5, {"np": "2"}),
    SIGNAL,
    Verdict(SIGNAL, True, 40, "risk", "bounded by 2 %", 200.0),
    OrderEvent(AT, DAY, "o1", "AAPL", "buy", "entry", "limit", "accepted", 40, math.nan),
    Fill(AT, DAY, "o1", "AAPL", "buy", "entry", 40, 100.01, 1.0, 0.01),
    CashFlow(AT, DAY, "AAPL", "dividend", 9.6),
    Trade(
        "AAPL", "long", 40, AT, DAY, 100.0, AT, DAY, 105.0, 199.0, 2.0, 0.02, 9.6, 3, "target",
        3, 200.0, 95.0, math.nan, False, "oversold", "rsi", "o1",
    ),
    EquityRow(AT, DAY, 96_000.0, 100_000.0, 4_000.0, 1),
    Halt("daily loss", "lost 3 %", AT, None, True, 0.03, 0.031),
    Release(AT, DAY, "daily loss", "looked at it"),
    FoldRow(1, DAY, DAY, DAY, DAY, {"period": 7}, 9, 0.2, math.nan),
    TrialRow(AT, "mine:Rsi", "c0de", "c0nd", "da7a", {"period": 7}, DAY, DAY, 9, 0.2, 0.5, "eJwD"),
    Intent(AT, DAY, "iv1-a", "AAPL-1", "AAPL", "entry", 1, '{"qty":"40"}', None),
    Answer(AT, DAY, "iv1-a", "AAPL", "accepted", "", "v-1", 1),
    Execution(AT, DAY, "v-1:40", "v-1", "AAPL-1", "AAPL", "buy", "entry", 40.0, 100.01),
    Alarm(AT, "out of sync", "10 shares nobody knows of", "AAPL"),
    Heartbeat(AT, Stage.PAPER, AT + timedelta(days=1), "woke"),
    Step(AT, DAY, 1, 0.015, "12 trades since the last step"),
    Command(AT, "/halt", "telegram 1", "halted"),
    Drill(AT, "far limit", True, "placed and cancelled in 0.3 s", "AAPL"),
    Note(AT, "hello", "AAPL"),
)  # fmt: skip


def equity(day: int, cash: float = 1.0) -> EquityRow:
    at = AT + timedelta(days=day)
    return EquityRow(at, at.date(), cash, cash, 0.0, 0)


def same(left: Any, right: Any) -> bool:
    """Equal in value and type, NaN equal to NaN."""
    if is_dataclass(left):
        return type(left) is type(right) and all(
            same(getattr(left, part.name), getattr(right, part.name)) for part in fields(left)
        )
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return repr(left) == repr(right)
    return type(left) is type(right) and bool(left == right)


def written(path: Path, *values: Value) -> Path:
    with Journal(path, durable=False) as journal:
        journal.append_many(RUN, values)
    return path


def tamper(path: Path, *statements: str) -> None:
    """Change the file as somebody who knows SQLite could."""
    raw = sqlite3.connect(path)
    triggers = [
        name for (name,) in raw.execute("SELECT name FROM sqlite_schema WHERE type='trigger'")
    ]
    for name in triggers:
        raw.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        raw.execute(statement)
    raw.commit()
    raw.close()


# Keeping


def test_every_kind_is_read_back_as_it_was_written() -> None:
    with Journal() as journal:
        journal.append_many(RUN, VALUES)

        assert {type(value) for value in VALUES} == set(KINDS.values())
        assert same(journal.values(), list(VALUES))
        for kind in KINDS:
            expected = [value for value in VALUES if type(value) is KINDS[kind]]
            assert same(journal.values(kind), expected)


PRICES = st.floats(allow_nan=True, allow_infinity=True)
WORDS = st.text(max_size=12)
INSTANTS = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - the zone comes from `timezones`
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001 (naive on purpose)
    timezones=st.just(UTC),
)
DAYS = st.dates(min_value=date(1000, 1, 1))
SIGNALS = st.builds(
    Signal,
    at=INSTANTS,
    session=DAYS,
    symbol=WORDS,
    side=st.sampled_from(["long", "short"]),
    confidence=st.integers() | PRICES,
    limit=PRICES,
    stop=PRICES,
    target=st.none() | PRICES,
    max_sessions=st.none() | st.integers(),
    reason=WORDS | PRICES | st.sampled_from(["inf", "nan", "null"]),
    strategy=WORDS,
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | PRICES | WORDS | DAYS | INSTANTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(WORDS, inner, max_size=3)
    ),
    max_leaves=6,
)
ANY_VALUE: st.SearchStrategy[Value] = st.one_of(
    SIGNALS,
    st.builds(
        Verdict, SIGNALS, st.booleans(), st.integers(), WORDS, WORDS, PRICES, PRICES, st.booleans()
    ),
    st.builds(
        Fill, INSTANTS, DAYS, WORDS, WORDS, st.just("buy"), st.just("stop"),
        PRICES, PRICES, PRICES, PRICES, st.booleans(),
    ),
    st.builds(Halt, WORDS, WORDS, INSTANTS, st.none() | INSTANTS, st.booleans(), PRICES, PRICES),
    st.builds(
        RunRow, WORDS, WORDS, st.dictionaries(WORDS, PLAIN, max_size=4),
        st.lists(WORDS, max_size=3).map(tuple), WORDS, st.none() | st.integers(),
        st.sampled_from(Stage), PRICES, st.dictionaries(WORDS, WORDS, max_size=2),
        st.none() | INSTANTS,
    ),
    st.builds(Note, INSTANTS, WORDS, WORDS),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(ANY_VALUE, max_size=6))
def test_any_value_survives_the_journal_exactly(values: list[Value]) -> None:
    with Journal() as journal:
        journal.append_many(RUN, values)

        assert same(journal.values(), values)
        assert journal.verify() is None


def test_numpy_scalars_and_other_time_zones_are_stored_as_plain_utc() -> None:
    eastern = datetime(2024, 1, 2, 16, tzinfo=timezone(timedelta(hours=-5)))
    stamp: Any = pd.Timestamp("2024-01-02 21:00", tz="UTC")
    size: Any = np.int64(40)
    with Journal() as journal:
        journal.append(RUN, EquityRow(eastern, DAY, np.float64(1.5), 2.0, 0.5, 0))
        journal.append(RUN, EquityRow(stamp, DAY, size, 2.0, 0.5, 0))

        expected = [EquityRow(AT, DAY, 1.5, 2.0, 0.5, 0), EquityRow(AT, DAY, 40, 2.0, 0.5, 0)]
        assert same(journal.values(), expected)


def test_denial_is_read_back_as_its_words() -> None:
    denied = Verdict(SIGNAL, False, 0, "heat", Denial("too hot", limit=0.06, value=0.08))
    with Journal() as journal:
        journal.append(RUN, denied)

        assert journal.values("verdict") == [denied]


def test_instant_without_time_zone_is_refused() -> None:
    with Journal() as journal:
        with pytest.raises(DataError, match="without a time zone"):
            journal.append(RUN, EquityRow(datetime(2024, 1, 2), DAY, 1.0, 1.0, 0.0, 0))  # noqa: DTZ001 (naive on purpose)

        assert journal.values() == []


def test_what_is_not_a_row_is_refused_by_name() -> None:
    position: Any = "AAPL"
    with Journal() as journal, pytest.raises(TypeError, match="a str cannot be journaled"):
        journal.append(RUN, position)


def test_lone_surrogates_are_kept_in_words_and_refused_in_a_symbol() -> None:
    with Journal() as journal:
        journal.append(RUN, Note(AT, "\udc80"))
        with pytest.raises(DataError, match="Unicode"):
            journal.append(RUN, Note(AT, "x", "\udc80"))

        assert journal.values() == [Note(AT, "\udc80")]


# Transactions


def test_append_many_keeps_all_or_nothing() -> None:
    naive = EquityRow(datetime(2024, 1, 2), DAY, 1.0, 1.0, 0.0, 0)  # noqa: DTZ001 (naive on purpose)
    with Journal() as journal:
        journal.append(RUN, equity(0))
        with pytest.raises(DataError):
            journal.append_many(RUN, [equity(1), naive])
        journal.append(RUN, equity(2))

        assert journal.values() == [equity(0), equity(2)]
        assert journal.verify() is None


def test_block_that_raises_leaves_nothing() -> None:
    with Journal() as journal:
        with pytest.raises(InterruptedError), journal.transaction():  # noqa: PT012 (one block)
            journal.append(RUN, equity(0))
            raise InterruptedError

        assert (journal.values(), journal.verify(), journal.head) == ([], None, Head(0, GENESIS))


def test_failed_append_cannot_be_swallowed_by_the_block_around_it() -> None:
    naive = EquityRow(datetime(2024, 1, 2), DAY, 1.0, 1.0, 0.0, 0)  # noqa: DTZ001 (naive on purpose)
    with Journal() as journal:
        with (
            pytest.raises(IversonError, match="undone"),
            journal.transaction(),
            pytest.raises(DataError),
        ):
            journal.append_many(RUN, [equity(1), naive])

        assert journal.values() == []


def test_inner_block_joins_the_outer_and_is_verified_inside_it() -> None:
    with Journal() as journal:
        with journal.transaction():
            journal.append(RUN, equity(0))
            with journal.transaction():
                assert journal.append_many(RUN, [equity(1), equity(2)]) == 2
            assert journal.verify() is None
            assert journal.head.seq == 3

        assert journal.verify() is None


def test_threads_may_share_a_journal() -> None:
    with Journal() as journal:
        writers = [
            threading.Thread(target=lambda: [journal.append(RUN, equity(i)) for i in range(50)])
            for _ in range(4)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()

        assert (len(journal.values()), journal.verify()) == (200, None)


# DataFrames


@pytest.mark.parametrize("kind", KINDS)
def test_empty_journal_gives_the_same_columns_and_types_as_a_full_one(kind: str) -> None:
    name = kind if kind == "equity" else f"{kind}s"
    with Journal() as empty, Journal() as full:
        full.append_many(RUN, VALUES)
        nothing, something = getattr(empty, name)(), getattr(full, name)()

    assert (len(nothing), len(something)) == (0, 1)
    pd.testing.assert_series_equal(nothing.dtypes, something.dtypes)
    if kind != "verdict":
        columns = ["run", *(part.name for part in fields(KINDS[kind]))]
        assert list(something.columns) == columns


def test_frames_have_utc_instants_and_session_dates() -> None:
    with Journal() as journal:
        journal.append_many(RUN, VALUES)
        fills = journal.fills()

    assert str(fills["at"].dtype) == "datetime64[us, UTC]"
    assert str(fills["session"].dtype) == "datetime64[s]"
    assert fills.loc[5, "at"] == pd.Timestamp(AT)
    assert fills.loc[5, "price"] == 100.01
    assert fills.index.name == "seq"


def test_verdict_frame_has_the_signal_and_the_answer_side_by_side() -> None:
    with Journal() as journal:
        journal.append_many(RUN, VALUES)
        (row,) = journal.verdicts().to_dict("records")

    assert (row["symbol"], row["limit"], row["reason"]) == ("AAPL", 100.0, 31.5)
    assert (row["approved"], row["size"], row["rule"]) == (True, 40, "risk")
    assert (row["verdict_reason"], row["verdict_limit"]) == ("bounded by 2 %", 200.0)


def test_faulty_signal_is_shown_as_it_was() -> None:
    faulty: Any = 2.5
    with Journal() as journal:
        journal.append(RUN, Signal(AT, DAY, "A", "long", faulty, math.nan, math.inf))
        journal.append(RUN, SIGNAL)
        frame = journal.signals()

    assert frame["confidence"].tolist() == [2.5, 3]
    assert math.isnan(frame["limit"].iloc[0])
    assert frame["stop"].iloc[0] == math.inf


def test_frames_are_cut_by_session_run_and_symbol() -> None:
    with Journal() as journal:
        journal.append_many("a", [equity(day) for day in range(5)])
        journal.append_many("b", [equity(day) for day in range(5)])
        journal.append("b", CashFlow(AT, DAY, "MSFT", "dividend", 1.0))
        journal.append("b", Halt("loss", "", AT + timedelta(days=2)))

        assert len(journal.equity(since="2024-01-04")) == 6
        assert len(journal.equity(since=date(2024, 1, 4), until="2024-01-05", run="a")) == 2
        assert len(journal.cash_flows(symbol="AAPL")) == 0
        assert len(journal.cash_flows(symbol="MSFT")) == 1
        assert len(journal.halts(since="2024-01-04", until="2024-01-04")) == 1
        assert len(journal.halts(since="2024-01-05")) == 0
        with pytest.raises(DataError, match="2024-01-31"):
            journal.equity(since="yesterday")


def test_unknown_kind_is_named() -> None:
    kind: Any = "fils"
    with Journal() as journal, pytest.raises(DataError, match="no kind 'fils'"):
        journal.values(kind)


# Export


def test_export_lines_are_canonical_and_carry_the_chain(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    with Journal() as journal:
        journal.append_many(RUN, VALUES)
        assert journal.export_json_lines(target) == len(VALUES)
        stream = io.StringIO()
        journal.export_json_lines(stream)
        head = journal.head

    lines = target.read_text(encoding="ascii").splitlines()
    assert stream.getvalue().splitlines() == lines
    for line in lines:
        assert line == json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"))
    assert verify_json_lines(lines, head=head) is None
    assert verify_json_lines(lines[:-1]) is None
    assert verify_json_lines(lines[:-1], head=head) == len(VALUES)
    assert verify_json_lines(lines[1:]) == 1
    assert verify_json_lines([*lines[:3], *lines[4:]]) == 4
    assert verify_json_lines([*lines[:4], lines[4].replace("100.01", "100.02")]) == 5
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_export_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("old", encoding="ascii")
    path = written(tmp_path / "j.db", *VALUES)
    tamper(path, "UPDATE events SET payload = CAST(x'7bff7d' AS TEXT) WHERE seq = 9")
    with Journal(path, read_only=True) as journal, pytest.raises(DataError, match="row 9"):
        journal.export_json_lines(target)

    assert target.read_text(encoding="ascii") == "old"
    assert sorted(found.name for found in tmp_path.iterdir()) == ["j.db", "out.jsonl"]


def test_export_into_a_missing_directory_is_one_sentence(tmp_path: Path) -> None:
    with Journal() as journal, pytest.raises(IversonError, match="cannot be written"):
        journal.export_json_lines(tmp_path / "no" / "out.jsonl")


# Damage


def test_append_only_is_enforced_by_the_file_itself(tmp_path: Path) -> None:
    path = written(tmp_path / "j.db", *VALUES)
    raw = sqlite3.connect(path)
    try:
        for statement in (
            "UPDATE events SET symbol = 'MSFT'",
            "DELETE FROM events WHERE seq = 12",
            "INSERT OR REPLACE INTO events VALUES (3, '', '', '', '', '', '', '', '')",
            "UPDATE head SET seq = 1",
            "DELETE FROM head",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                raw.execute(statement)
    finally:
        raw.close()


def test_each_flipped_byte_of_the_rows_is_found_at_its_row(tmp_path: Path) -> None:
    path = written(tmp_path / "j.db", *VALUES)
    good = path.read_bytes()
    raw = sqlite3.connect(path)
    payloads = [text.encode() for (text,) in raw.execute("SELECT payload FROM events ORDER BY seq")]
    raw.close()
    copy = tmp_path / "bad.db"
    tried = 0
    for seq in (3, 5, 9, 12):
        start = good.index(payloads[seq - 1])
        for offset in range(start, start + len(payloads[seq - 1])):
            bad = bytearray(good)
            bad[offset] ^= 1 << (offset % 8)
            copy.write_bytes(bad)
            with Journal(copy, read_only=True) as journal:
                assert journal.verify() == seq
            tried += 1
    assert tried > 500


@pytest.mark.parametrize("column", ["run", "at", "session", "kind", "symbol", "previous", "hash"])
def test_changed_column_is_found(tmp_path: Path, column: str) -> None:
    path = written(tmp_path / "j.db", *VALUES)
    tamper(path, f"UPDATE events SET {column} = {column} || 'x' WHERE seq = 4")  # noqa: S608 (our own words)
    with Journal(path, read_only=True) as journal:
        assert journal.verify() == 4


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("DELETE FROM events WHERE seq = 6", 6),
        ("DELETE FROM events WHERE seq = 1", 1),
        ("DELETE FROM events WHERE seq > 10", 11),
        ("DELETE FROM events", 1),
        ("UPDATE head SET seq = 10", 11),
        ("UPDATE head SET hash = 'x'", len(VALUES)),
        ("DELETE FROM head", len(VALUES) + 1),
        ("UPDATE events SET seq = 100 WHERE seq = 7", 7),
    ],
)
def test_missing_rows_are_found(tmp_path: Path, statement: str, broken: int) -> None:
    path = written(tmp_path / "j.db", *VALUES)
    tamper(path, statement)
    with Journal(path, read_only=True) as journal:
        assert journal.verify() == broken


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM events WHERE seq > 10",
        "DELETE FROM head",
        "UPDATE head SET hash = 'x'",
        f"UPDATE events SET payload = replace(payload, 'ello', 'ullo') WHERE seq = {len(VALUES)}",  # noqa: S608 (our own words)
    ],
)
def test_damaged_tail_is_not_written_to(tmp_path: Path, statement: str) -> None:
    path = written(tmp_path / "j.db", *VALUES)
    tamper(path, statement)
    with pytest.raises(DataError, match=r"damaged|lost its head"):
        Journal(path)


def test_reading_a_damaged_payload_is_one_sentence(tmp_path: Path) -> None:
    path = written(tmp_path / "j.db", *VALUES)
    tamper(path, "UPDATE events SET payload = '{' WHERE kind = 'fill'")
    with Journal(path, read_only=True) as journal:
        for read in (journal.fills, journal.values):
            with pytest.raises(DataError, match="cannot be read"):
                read()


# Schema


def test_newer_schema_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "j.db", *VALUES)
    tamper(path, "PRAGMA user_version = 2")
    with pytest.raises(DataError, match="update Iverson"):
        Journal(path)


def add_account(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE head ADD COLUMN account TEXT")


def test_older_schema_is_migrated_and_a_copy_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "j.db", *VALUES)
    monkeypatch.setattr(module, "SCHEMA", 2)
    monkeypatch.setitem(module.MIGRATIONS, 1, add_account)

    with pytest.raises(DataError, match="older schema 1"):
        Journal(path, read_only=True)
    with Journal(path) as journal:
        assert same(journal.values(), list(VALUES))
        assert journal.verify() is None
    monkeypatch.setattr(module, "SCHEMA", 1)
    with Journal(tmp_path / "j.db.schema-1", read_only=True) as copy:
        assert copy.verify() is None


def test_migration_that_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "j.db", *VALUES)
    monkeypatch.setattr(module, "SCHEMA", 3)
    monkeypatch.setitem(module.MIGRATIONS, 1, add_account)
    with pytest.raises(DataError, match="cannot be read"):
        Journal(path)
    monkeypatch.setattr(module, "SCHEMA", 1)
    with Journal(path) as journal:
        assert journal.verify() is None
        journal.append(RUN, equity(1))


def test_row_without_a_newer_field_gets_its_default_and_unknown_fields_are_refused() -> None:
    known = {"at": AT.isoformat(), "text": "hello"}

    assert build(Note, known) == Note(AT, "hello")
    with pytest.raises(DataError, match="update it"):
        build(Note, {**known, "by": "me"})
