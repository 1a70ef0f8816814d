# SPDX-License-Identifier: GPL-3.0-or-later
"""Parquet and NPZ hold the same, one is turned into the other, and neither needs the other."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.errors import BadBars, ConfigError
from iverson.market import actions as table
from iverson.market import files
from iverson.market.files import NpzFile, ParquetFile, column_file
from iverson.market.store import Store

FrameMaker = Callable[..., pd.DataFrame]
CLOSES = [100.0, 101.0, 51.0, 52.0, 51.5]
ACTIONS = table.table(
    [("AAA", "2021-03-03", "split", 2.0), ("AAA", "2021-03-04", "dividend", 0.25)]
)
BOTH = [ParquetFile(), NpzFile()]
TOP = Path(__file__).resolve().parents[2]


def filled(path: Path, file: files.ColumnFile | None, daily: FrameMaker) -> Store:
    store = Store(path, column_file=file)
    store.write(daily(CLOSES), symbol="AAA", interval="1d", actions=ACTIONS, feed="sip")
    return store


def names(store: Store) -> list[str]:
    return sorted(path.name for path in store.path.rglob("AAA*"))


def test_both_formats_hold_the_same(tmp_path: Path, daily: FrameMaker) -> None:
    one, two = (filled(tmp_path / file.suffix[1:], file, daily) for file in BOTH)

    assert one.read("AAA").digest == two.read("AAA").digest
    assert one.passport("AAA")["digest"] == two.passport("AAA")["digest"]
    assert one.actions("AAA").equals(two.actions("AAA"))
    assert names(one) == ["AAA.json", "AAA.parquet", "AAA.parquet"]
    assert names(two) == ["AAA.json", "AAA.npz", "AAA.npz"]


def test_minutes_keep_their_instants_in_both(tmp_path: Path, minutes: FrameMaker) -> None:
    found = []
    for file in BOTH:
        store = Store(tmp_path / file.suffix[1:], column_file=file)
        store.write(minutes(), symbol="AAA", interval="1m")
        found.append((store.columns("AAA", "1m"), store.read("AAA", "1m").digest))

    (one, digest), (two, other) = found
    assert digest == other
    assert {name: values.dtype for name, values in one.items()} == {
        name: values.dtype for name, values in two.items()
    }


numbers = st.floats(allow_nan=True, allow_infinity=False)


@settings(max_examples=30)
@given(values=st.lists(st.tuples(numbers, st.integers(-(2**40), 2**40)), max_size=20))
def test_any_columns_survive_npz(values: list[tuple[float, int]]) -> None:
    columns = {
        "close": np.array([value for value, _ in values], dtype=np.float64),
        "at": np.array([at for _, at in values], dtype="datetime64[ns]"),
        "kind": np.array(["split"] * len(values), dtype=object),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "columns.npz"
        NpzFile().write(path, columns)
        found = NpzFile().read(path)

    assert found["close"].tobytes() == columns["close"].tobytes()
    assert found["at"].tolist() == columns["at"].tolist()
    assert found["kind"].tolist() == columns["kind"].tolist()


def test_npz_is_read_by_numpy_itself_and_is_the_same_every_time(
    tmp_path: Path, daily: FrameMaker
) -> None:
    one, two = (filled(tmp_path / name, NpzFile(), daily) for name in ("one", "two"))
    paths = [store.path / "bars" / "1d" / "AAA.npz" for store in (one, two)]

    with np.load(paths[0], allow_pickle=False) as archive:
        assert archive["close"].tolist() == CLOSES
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_a_pickle_in_an_npz_is_not_run(tmp_path: Path, daily: FrameMaker) -> None:
    store = filled(tmp_path, NpzFile(), daily)
    np.savez(
        tmp_path / "bars" / "1d" / "AAA.npz",
        session=np.array([object()], dtype=object),
        allow_pickle=True,
    )

    with pytest.raises(BadBars, match="cannot be read"):
        store.columns("AAA")


@pytest.mark.parametrize(("start", "end"), [(BOTH[0], BOTH[1]), (BOTH[1], BOTH[0])])
def test_a_store_is_turned_into_the_other_format_without_a_change(
    tmp_path: Path, daily: FrameMaker, start: files.ColumnFile, end: files.ColumnFile
) -> None:
    before = filled(tmp_path, start, daily)
    bars, record = before.read("AAA"), before.passport("AAA")

    after = Store(tmp_path, column_file=end)
    after.convert("AAA")

    assert names(after) == ["AAA.json", f"AAA{end.suffix}", f"AAA{end.suffix}"]
    assert after.read("AAA").digest == bars.digest
    assert after.passport("AAA") | {"file": record["file"]} == record
    assert after.verify() == []


def test_a_store_keeps_its_format_unless_told(tmp_path: Path, daily: FrameMaker) -> None:
    filled(tmp_path, NpzFile(), daily)

    store = Store(tmp_path)
    store.write(daily(CLOSES, symbol="BBB"), symbol="BBB", interval="1d")

    assert sorted(path.suffix for path in (tmp_path / "bars" / "1d").iterdir()) == [
        ".json", ".json", ".npz", ".npz",
    ]  # fmt: skip


def test_writing_in_another_format_replaces_the_file(tmp_path: Path, daily: FrameMaker) -> None:
    filled(tmp_path, ParquetFile(), daily)

    store = filled(tmp_path, NpzFile(), daily)

    assert names(store) == ["AAA.json", "AAA.npz", "AAA.npz"]
    assert store.actions("AAA")["value"].tolist() == [2.0, 0.25]


WITHOUT_PYARROW = """
import sys
sys.modules["pyarrow"] = None  # as if it were not installed
from iverson.cli.main import main
main(sys.argv[1:])
"""


def without_pyarrow(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_PYARROW, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(TOP)},
    )


def test_without_pyarrow_npz_is_written_and_parquet_is_one_sentence(
    tmp_path: Path, daily: FrameMaker
) -> None:
    (tmp_path / "AAA.csv").write_text(
        "Date,Open,High,Low,Close,Volume\n2021-03-01,9,9,9,9,1\n2021-03-02,9,9,9,9,1\n"
    )
    filled(tmp_path / "parquet", ParquetFile(), daily)

    imported = without_pyarrow("bars", "import", "AAA.csv", "--store", "own", folder=tmp_path)
    adjusted = without_pyarrow("bars", "adjust", "AAA", "--store", "own", folder=tmp_path)
    refused = without_pyarrow("bars", "adjust", "AAA", "--store", "parquet", folder=tmp_path)

    assert (imported.returncode, adjusted.returncode, refused.returncode) == (0, 0, 2)
    assert names(Store(tmp_path / "own")) == ["AAA.json", "AAA.npz"]
    assert adjusted.stdout.count("9.000000") == 8
    assert "needs pyarrow, which is not installed" in refused.stderr
    assert "iverson bars convert npz" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_name_of_no_format_is_one_sentence() -> None:
    assert column_file("auto") is None
    with pytest.raises(ConfigError, match="expected auto, parquet or npz"):
        column_file("feather")
