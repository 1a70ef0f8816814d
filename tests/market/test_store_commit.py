# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars and passport change together: whatever step a write ends at, one state is there."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from iverson.errors import BadBars
from iverson.market import actions as table
from iverson.market import revisions, store, store_actions, store_passport
from iverson.market.files import NpzFile, ParquetFile, replace_file
from iverson.market.store import Store

FrameMaker = Callable[..., pd.DataFrame]
OLD, NEW = [100.0, 101.0, 102.0], [100.0, 101.0, 102.5, 103.0]
SEEN = datetime(2021, 3, 9, 12, tzinfo=UTC)
MODULES = (store, store_actions, store_passport, revisions)


class PowerCut(BaseException):
    """The machine stops: nothing that would clean up may be relied on."""


def cut_after(steps: int, patch: pytest.MonkeyPatch) -> None:
    """Let `steps` files be replaced, then stop before the next one."""
    done = []

    def replace(path: Path, write: Callable[[Path], None]) -> None:
        if len(done) == steps:
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / f".{path.name}.abc.part").write_text("half")
            raise PowerCut
        replace_file(path, write)
        done.append(path)

    for module in MODULES:
        patch.setattr(module, "replace_file", replace)


def second_write(shelf: Store, daily: FrameMaker) -> None:
    shelf.write(
        daily(NEW), symbol="AAA", interval="1d", feed="sip", revise=True, seen=SEEN,
        actions=table.table([("AAA", "2021-03-03", "dividend", 0.25)]),
    )  # fmt: skip


@pytest.mark.parametrize("start", [ParquetFile(), NpzFile()], ids=["parquet", "npz"])
@pytest.mark.parametrize("steps", range(7))
def test_a_write_cut_off_at_any_file_leaves_a_sound_store_and_can_be_done_again(
    tmp_path: Path, daily: FrameMaker, start: ParquetFile | NpzFile, steps: int
) -> None:
    Store(tmp_path, column_file=start).write(
        daily(OLD), symbol="AAA", interval="1d", feed="sip", seen=SEEN
    )
    shelf = Store(tmp_path, column_file=NpzFile())

    with pytest.MonkeyPatch.context() as patch:
        cut_after(steps, patch)
        try:
            second_write(shelf, daily)
            cut = False
        except PowerCut:
            cut = True

    assert cut == (steps < 5)  # actions, revisions, passport, bars, passport
    assert shelf.verify() == []
    assert shelf.read("AAA").close.tolist() in (OLD, NEW)
    assert shelf.passport("AAA")["bars"] == len(shelf.read("AAA"))
    second_write(shelf, daily)
    assert shelf.read("AAA").close.tolist() == NEW
    assert len(shelf.revisions("AAA")) == 1
    assert list(tmp_path.rglob("*.part")) == []
    names = sorted(path.name for path in (tmp_path / "bars" / "1d").iterdir())
    assert names == ["AAA.json", "AAA.npz", "AAA.revisions.csv"]


@pytest.mark.parametrize("steps", range(3))
def test_a_first_write_that_is_cut_off_leaves_nothing_or_all(
    tmp_path: Path, daily: FrameMaker, steps: int
) -> None:
    shelf = Store(tmp_path)

    with pytest.MonkeyPatch.context() as patch:
        cut_after(steps, patch)
        with pytest.raises(PowerCut):
            shelf.write(daily(OLD), symbol="AAA", interval="1d")

    assert shelf.symbols() == ([] if steps < 2 else ["AAA"])
    assert shelf.verify() == []


def test_bars_changed_outside_are_found(tmp_path: Path, daily: FrameMaker) -> None:
    shelf = Store(tmp_path)
    shelf.write(daily(OLD), symbol="AAA", interval="1d")
    shelf.write(daily(NEW, symbol="BBB"), symbol="BBB", interval="1d")
    folder = tmp_path / "bars" / "1d"
    (folder / "AAA.parquet").write_bytes((folder / "BBB.parquet").read_bytes())
    (folder / "BBB.json").unlink()
    (folder / "CCC.parquet").write_bytes(b"PAR1")

    found = shelf.verify()

    assert ["is not what its passport describes" in found[0], len(found)] == [True, 3]
    assert "has no passport" in found[1]
    assert "cannot be read" in found[2]


def test_a_passport_that_is_none_is_one_sentence(tmp_path: Path, daily: FrameMaker) -> None:
    shelf = Store(tmp_path)
    shelf.write(daily(OLD), symbol="AAA", interval="1d")
    for text in ("{", "[]"):
        (tmp_path / "bars" / "1d" / "AAA.json").write_text(text)

        with pytest.raises(BadBars, match="is no passport"):
            shelf.read("AAA")


def test_a_passport_cannot_point_out_of_its_folder(tmp_path: Path, daily: FrameMaker) -> None:
    shelf = Store(tmp_path / "store")
    shelf.write(daily(OLD), symbol="AAA", interval="1d")
    path = tmp_path / "store" / "bars" / "1d" / "AAA.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"file": "../../../other.parquet"}))
    (tmp_path / "other.parquet").write_bytes(b"secret")

    assert shelf.read("AAA").close.tolist() == OLD


def test_feeds_and_adjustments_do_not_mix(tmp_path: Path, daily: FrameMaker) -> None:
    shelf = Store(tmp_path)
    shelf.write(daily(OLD), symbol="AAA", interval="1d", feed="sip", asof="2021-03-04")

    for options, words in (
        ({"feed": "iex"}, "feed 'sip', these have 'iex'"),
        ({"feed": ""}, "feed 'sip', these have 'unknown'"),
        ({"feed": "sip", "adjustment": "split"}, "adjustment 'raw', these have 'split'"),
        ({"feed": "sip", "asof": "-"}, "one follows renamings"),
    ):
        with pytest.raises(BadBars, match=words):
            shelf.write(daily(NEW), symbol="AAA", interval="1d", revise=True, **options)
    shelf.write(daily(OLD), symbol="AAA", interval="1d", feed="SIP", asof="2021-03-05")

    assert shelf.read("AAA").close.tolist() == OLD
    assert shelf.passport("AAA")["asof"] == "2021-03-05"


def test_origin_and_covered_sessions_survive_later_rows(tmp_path: Path, daily: FrameMaker) -> None:
    shelf = Store(tmp_path)
    span = (date(2021, 2, 1), date(2021, 3, 3))
    shelf.write(daily(OLD), symbol="AAA", interval="1d", source="one", covered=span, hours="all")

    shelf.write(daily([*OLD, 104.0]), symbol="AAA", interval="1d", source="two")

    record = shelf.passport("AAA")
    assert (record["source"], record["hours"]) == ("one; two", "all")
    assert record["covered"] == ["2021-02-01", "2021-03-03"]


def test_every_revision_is_kept_in_order(tmp_path: Path, daily: FrameMaker) -> None:
    shelf = Store(tmp_path)
    for last in (102.0, 102.5, 102.0, 102.5):
        shelf.write(
            daily([*OLD[:2], last]), symbol="AAA", interval="1d", revise=True, seen=SEEN,
            source="x",
        )  # fmt: skip

    kept = shelf.revisions("AAA")

    assert kept[["close_was", "close"]].to_numpy().tolist() == [
        [102.0, 102.5], [102.5, 102.0], [102.0, 102.5],
    ]  # fmt: skip
    assert kept["stamp"].tolist() == ["2021-03-03"] * 3
    assert shelf.passport("AAA")["revisions"] == 3
