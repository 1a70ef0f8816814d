# SPDX-License-Identifier: GPL-3.0-or-later
"""The store gives back what was put in, adds what is new and refuses what silently changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.errors import BadBars, MissingBars
from iverson.market import actions as table
from iverson.market.calendar import new_york
from iverson.market.checks import Fault
from iverson.market.files import Columns, ParquetFile, replace_file
from iverson.market.store import Store

FrameMaker = Callable[..., pd.DataFrame]
CLOSES = [100.0, 101.0, 51.0, 52.0, 51.5]
ACTIONS = table.table(
    [("AAA", "2021-03-03", "split", 2.0), ("AAA", "2021-03-04", "dividend", 0.25)]
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_a_store_that_is_not_there_is_empty(store: Store) -> None:
    assert store.symbols() == []
    assert store.intervals() == []


def test_daily_bars_come_back_with_factor_dividend_and_closing_instant(
    store: Store, daily: FrameMaker
) -> None:
    store.write(daily(CLOSES), symbol="AAA", interval="1d", actions=ACTIONS)

    bars = store.read("AAA")

    assert bars.close.tolist() == CLOSES
    assert bars.factor.tolist() == [1.0, 1.0, 2.0, 2.0, 2.0]
    assert bars.dividend.tolist() == [0.0, 0.0, 0.0, 0.25, 0.0]
    assert str(bars.at[0]) == "2021-03-01T21:00:00.000000000"
    assert bars.session.dtype == np.dtype("datetime64[D]")


def test_minute_bars_share_the_actions_of_their_symbol(
    store: Store, daily: FrameMaker, minutes: FrameMaker
) -> None:
    store.write(daily(CLOSES), symbol="AAA", interval="1d", actions=ACTIONS)
    frame = pd.concat([minutes(session=f"2021-03-0{day}") for day in (2, 3, 4)])

    store.write(frame, symbol="AAA", interval="1m")
    bars = store.read("AAA", "1m")

    assert len(bars) == 3 * 390
    assert str(bars.at[0]) == "2021-03-02T14:31:00.000000000"
    assert bars.factor[[0, 389, 390, -1]].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert np.flatnonzero(bars.dividend).tolist() == [780]
    assert store.intervals() == ["1d", "1m"]


def test_importing_again_adds_only_new_rows(store: Store, daily: FrameMaker) -> None:
    frame = daily(CLOSES)
    store.write(frame.iloc[:3], symbol="AAA", interval="1d")

    written = store.write(frame.iloc[1:], symbol="AAA", interval="1d")

    assert (written.added, written.revised, written.unchanged) == (2, (), 2)
    assert store.read("AAA").close.tolist() == CLOSES


def test_a_changed_row_is_refused_and_nothing_changes(store: Store, daily: FrameMaker) -> None:
    store.write(daily(CLOSES), symbol="AAA", interval="1d")

    with pytest.raises(BadBars, match=r"1 stored bars would change, the first on 2021-03-05"):
        store.write(daily([*CLOSES[:4], 51.4]), symbol="AAA", interval="1d")

    assert store.read("AAA").close.tolist() == CLOSES


def test_a_changed_row_is_taken_and_named_when_it_is_a_revision(
    store: Store, daily: FrameMaker
) -> None:
    store.write(daily(CLOSES), symbol="AAA", interval="1d")

    written = store.write(daily([*CLOSES[:4], 51.4]), symbol="AAA", interval="1d", revise=True)

    assert written.revised == ("2021-03-05",)
    assert store.read("AAA").close[-1] == 51.4


def test_a_changed_action_is_refused_unless_it_is_a_revision(
    store: Store, daily: FrameMaker
) -> None:
    store.write(daily(CLOSES), symbol="AAA", interval="1d", actions=ACTIONS)
    other = table.table([("AAA", "2021-03-04", "dividend", 0.50)])

    with pytest.raises(BadBars, match=r"dividend of 0\.25 on 2021-03-04 would become 0\.5"):
        store.write(daily(CLOSES), symbol="AAA", interval="1d", actions=other)
    store.write(daily(CLOSES), symbol="AAA", interval="1d", actions=other, revise=True)

    assert store.actions("AAA")["value"].tolist() == [2.0, 0.5]


def test_an_import_without_actions_leaves_the_stored_ones(store: Store, daily: FrameMaker) -> None:
    store.write(daily(CLOSES), symbol="AAA", interval="1d", actions=ACTIONS)

    store.write(daily(CLOSES), symbol="AAA", interval="1d", actions=None)

    assert len(store.actions("AAA")) == 2


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan])
def test_rows_that_are_no_bars_are_refused(store: Store, daily: FrameMaker, value: float) -> None:
    frame = daily(CLOSES)
    frame.loc[2, "open"] = value

    with pytest.raises(BadBars, match="open is not a price above 0"):
        store.write(frame, symbol="AAA", interval="1d", actions=ACTIONS)

    assert store.symbols() == []
    assert store.actions("AAA").empty


def test_two_different_bars_of_one_session_are_refused(store: Store, daily: FrameMaker) -> None:
    frame = daily(CLOSES)
    twice = pd.concat([frame, frame.iloc[[2]].assign(volume=1.0)])

    with pytest.raises(BadBars, match="two different bars, the first on 2021-03-03"):
        store.write(twice, symbol="AAA", interval="1d")


def test_an_unknown_symbol_says_what_is_meant_or_there(store: Store, daily: FrameMaker) -> None:
    store.write(daily(CLOSES, symbol="AAPL"), symbol="AAPL", interval="1d")

    with pytest.raises(MissingBars, match=r"did you mean AAPL\?"):
        store.read("APPL")
    with pytest.raises(MissingBars, match="there are AAPL"):
        store.read("XYZ")
    with pytest.raises(MissingBars, match=r"there are none of any symbol.*SYNTHETIC ones to try"):
        store.read("AAPL", "5m")


def test_the_passport_tells_source_span_and_faults(store: Store, daily: FrameMaker) -> None:
    frame = daily(CLOSES)
    fault = Fault("AAA", frame["session"][0].date(), "stale", "x")

    store.write(
        frame, symbol="AAA", interval="1d", source="aaa.csv", feed="IEX", faults=[fault, fault]
    )
    passport = store.passport("AAA")

    digest = passport.pop("digest")
    assert passport == {
        "symbol": "AAA",
        "interval": "1d",
        "source": "aaa.csv",
        "feed": "IEX",
        "adjustment": "raw",
        "asof": "",
        "hours": "",
        "first": "2021-03-01",
        "last": "2021-03-05",
        "covered": None,
        "bars": 5,
        "faults": {"stale": 2},
        "revisions": 0,
        "file": "AAA.parquet",
    }
    assert len(digest) == 64


def test_the_digest_changes_with_any_number(tmp_path: Path, daily: FrameMaker) -> None:
    digests = []
    for number, close in enumerate((51.5, 51.5, 51.500001)):
        store = Store(tmp_path / str(number))
        store.write(daily([*CLOSES[:4], close]), symbol="AAA", interval="1d")
        digests.append(store.passport("AAA")["digest"])

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


@pytest.mark.parametrize("symbol", ["BRK.B", "BF-A", "^GSPC", "CON", "A/B", "../../X"])
def test_odd_symbols_stay_inside_the_store(store: Store, daily: FrameMaker, symbol: str) -> None:
    store.write(daily(CLOSES, symbol=symbol), symbol=symbol, interval="1d", actions=ACTIONS)

    assert store.symbols() == [symbol]
    assert store.read(symbol).symbol == symbol
    folder = store.path / "bars" / "1d"
    assert {path.parent for path in store.path.parent.rglob("*.parquet")} <= {
        folder,
        store.path / "actions",
    }
    assert "CON.parquet" not in {path.name for path in folder.iterdir()}


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def torn(part: Path) -> None:
        part.write_text("ne")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        replace_file(path, torn)

    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_another_file_format_can_take_the_place_of_parquet(
    tmp_path: Path, daily: FrameMaker
) -> None:
    class JsonFile(ParquetFile):
        suffix = ".columns"

        def write(self, path: Path, columns: object) -> None:
            assert isinstance(columns, dict)
            lists = {name: values.astype(str).tolist() for name, values in columns.items()}
            path.write_text(json.dumps(lists))

        def read(self, path: Path) -> Columns:
            kinds = {"session": "datetime64[D]", "kind": "str"}
            lists = json.loads(path.read_text())
            return {
                name: np.array(values, dtype="str").astype(kinds.get(name, "float64"))
                for name, values in lists.items()
            }

    store = Store(tmp_path, column_file=JsonFile())
    store.write(daily(CLOSES), symbol="AAA", interval="1d", actions=ACTIONS)
    usual = Store(tmp_path / "usual")
    usual.write(daily(CLOSES), symbol="AAA", interval="1d", actions=ACTIONS)

    assert store.symbols() == ["AAA"]
    assert store.read("AAA").digest == usual.read("AAA").digest
    assert store.passport("AAA")["digest"] == usual.passport("AAA")["digest"]


prices = st.floats(0.01, 1e6, allow_nan=False)


@settings(max_examples=25)
@given(
    rows=st.lists(st.tuples(prices, prices, st.floats(0, 1e10)), min_size=1, max_size=12),
    cut=st.integers(0, 12),
)
def test_any_bars_survive_the_round_trip_in_two_parts(
    rows: list[tuple[float, float, float]], cut: int
) -> None:
    sessions = new_york().between(
        pd.Timestamp("2021-03-01").date(), pd.Timestamp("2021-04-30").date()
    )
    frame = pd.DataFrame(
        {
            "session": sessions[: len(rows)].astype("datetime64[s]"),
            "open": [row[0] for row in rows],
            "high": [max(row[:2]) for row in rows],
            "low": [min(row[:2]) for row in rows],
            "close": [row[1] for row in rows],
            "volume": [row[2] for row in rows],
        }
    )
    with TemporaryDirectory() as folder:
        store = Store(folder)
        for part in (frame.iloc[cut:], frame.iloc[:cut]):
            if len(part):
                store.write(part, symbol="AAA", interval="1d")

        bars = store.read("AAA")

    for name in ("open", "high", "low", "close", "volume"):
        assert getattr(bars, name).tolist() == frame[name].tolist()
    assert bars.session.tolist() == sessions[: len(rows)].tolist()
