# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars come from the user's store first, and the passport says what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from iverson.errors import BadBars, ConfigError, MissingBars
from iverson.market.source import load_bars, passport
from iverson.market.store import Store

FrameMaker = Callable[..., pd.DataFrame]


@pytest.fixture
def store(tmp_path: Path, daily: FrameMaker) -> Store:
    store = Store(tmp_path)
    frame = daily([100.0, 101.0, 102.0, 103.0], symbol="IBM").drop(index=2)
    store.write(frame, symbol="IBM", interval="1d", source="ibm.csv", feed="IEX")
    return store


def test_the_store_comes_before_the_sample(store: Store) -> None:
    bars = load_bars(["IBM", "AAPL"], store=store)

    assert {symbol: len(own) for symbol, own in bars.items()} == {"IBM": 3, "AAPL": 3270}


def test_a_directory_is_as_good_as_a_store(store: Store) -> None:
    assert len(load_bars(["IBM"], store=store.path)["IBM"]) == 3


def test_a_symbol_in_neither_is_missing(store: Store) -> None:
    with pytest.raises(MissingBars, match=r"ZZZ has no 1d bars in .* or the bundled sample"):
        load_bars(["ZZZ"], store=store)


def test_the_sample_is_daily_only(store: Store) -> None:
    with pytest.raises(MissingBars, match="AAPL has no 5m bars"):
        load_bars(["AAPL"], interval="5m", store=store)
    with pytest.raises(ConfigError, match="interval is 'daily'"):
        load_bars(["AAPL"], interval="daily", store=store)


def test_the_passport_describes_both_sources(store: Store) -> None:
    result = passport(load_bars(["IBM", "FB"], store=store), store=store)

    assert result.symbols == ("FB", "IBM")
    assert result.source.startswith("bundled sample")
    assert result.source.endswith("; ibm.csv")
    assert result.feed == "consolidated, daily; IEX"
    assert result.adjustment.startswith("raw prices")
    assert (result.first, result.last) == ("2012-05-18", "2021-03-04")
    assert dict(result.bars) == {"FB": 196, "IBM": 3}
    assert dict(result.gaps) == {"FB": 0, "IBM": 1}


def test_the_digest_depends_on_the_bars_and_not_on_their_order(store: Store) -> None:
    bars = load_bars(["IBM", "FB"], store=store)
    turned = dict(reversed(bars.items()))
    shorter = bars | {"FB": bars["FB"][:-1]}

    digests = [passport(each, store=store).digest for each in (bars, turned, shorter)]

    assert digests[0] == digests[1]
    assert digests[0] != digests[2]


def test_rows_are_printable_pairs(store: Store) -> None:
    rows = dict(passport(load_bars(["IBM"], store=store), store=store).rows())

    assert rows["symbols"] == "IBM"
    assert rows["bars"] == "IBM 3"
    assert rows["missing sessions"] == "IBM 1"


def test_no_bars_have_no_passport() -> None:
    with pytest.raises(BadBars, match="no bars to describe"):
        passport({})
