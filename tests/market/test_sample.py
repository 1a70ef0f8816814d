# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundled sample is what its README says, and can be rebuilt from its source."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from iverson.errors import MissingBars
from iverson.market import sample

BARS = {"AAPL": 3270, "FB": 196, "GOOG": 2148, "IBM": 3270, "MSFT": 3270}


def test_the_sample_holds_five_symbols() -> None:
    assert {symbol: len(bars) for symbol, bars in sample.load().items()} == BARS


def test_apple_is_raw_with_a_factor_of_four_at_the_end() -> None:
    apple = sample.load(["AAPL"])["AAPL"]

    ex = int(np.flatnonzero(apple.session == np.datetime64("2000-06-21"))[0])
    assert apple.close[0] == 130.31
    assert apple.factor[[0, ex - 1, ex, -1]].tolist() == [1.0, 1.0, 2.0, 4.0]
    assert apple.dividend.sum() == pytest.approx(3 * 2.65)
    assert str(apple.at[-1]) == "2013-03-01T21:00:00.000000000"


def test_the_special_dividend_of_microsoft_falls_on_its_ex_date() -> None:
    microsoft = sample.load(["MSFT"])["MSFT"]

    assert microsoft.dividend[microsoft.session == np.datetime64("2004-11-15")].tolist() == [3.08]


def test_an_unknown_symbol_is_refused() -> None:
    with pytest.raises(MissingBars, match=r"did you mean AAPL\?"):
        sample.load(["APPL"])


def test_a_sample_that_is_not_there_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sample, "DIRECTORY", tmp_path)
    sample.rows.cache_clear()

    with pytest.raises(MissingBars, match=r"the bundled sample is not at .* run from a checkout"):
        sample.load()


def test_the_sample_is_rebuilt_from_its_source(tmp_path: Path) -> None:
    pytest.importorskip("bokeh_sampledata")
    build = runpy.run_path(str(sample.DIRECTORY / "build.py"))["build"]

    build(tmp_path)

    for name in ("bars.parquet", "actions.parquet"):
        kept, rebuilt = sample.DIRECTORY / name, tmp_path / name
        pd.testing.assert_frame_equal(pd.read_parquet(kept), pd.read_parquet(rebuilt))
        if _writer(kept) == _writer(rebuilt):
            assert kept.read_bytes() == rebuilt.read_bytes()


def _writer(path: Path) -> tuple[str, object]:
    from pyarrow import parquet

    metadata = parquet.read_metadata(path)
    return metadata.created_by, metadata.metadata
