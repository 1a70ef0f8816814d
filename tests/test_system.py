# SPDX-License-Identifier: GPL-3.0-or-later
"""System: frozen, deterministic, readable dates, and one account whatever the shape of the code."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError
from datetime import date, datetime
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

import iverson as iv
from iverson.errors import ConfigError, UnknownParameter
from iverson.market import sample
from iverson.research.days import read_day
from iverson.research.results import Run
from strategies.rsi_reversion import RsiReversion

SYMBOLS = ["AAPL", "IBM"]
BARS = {symbol: bars[1200:1500] for symbol, bars in sample.load(["AAPL", "IBM", "MSFT"]).items()}


class Dip(iv.Strategy):
    """Buy a close below its average."""

    params = dict(period=5, max_sessions=2)

    def entry(self, data):
        dip = data.close < bt.ind.SMA(data, period=self.p.period)
        return iv.Long(
            confidence=bt.If(dip, 3, 0),
            limit=data.close,
            stop=data.close * 0.97,
            target=data.close * 1.03,
        )


SYSTEM = iv.System(Dip, SYMBOLS, bars=BARS)


@pytest.fixture(scope="module")
def run() -> Run:
    return SYSTEM.backtest()


def test_with_makes_another_system_and_leaves_the_first() -> None:
    others = [
        SYSTEM.with_params(period=3),
        SYSTEM.with_rules(iv.rules.LongOnly()),
        SYSTEM.with_costs(iv.Costs.none()),
    ]

    assert [dict(one.params) for one in others] == [{"period": 3}, {}, {}]
    assert [len(tuple(one.rules)) for one in others] == [8, 1, 8]
    assert others[2].costs == iv.Costs.none()
    assert (dict(SYSTEM.params), SYSTEM.costs) == ({}, iv.Costs())
    with pytest.raises(FrozenInstanceError):
        SYSTEM.cash = 5.0


def test_parameters_are_the_systems_own() -> None:
    """A dict that its maker changes later changes no system."""
    given = dict(period=3)
    system = iv.System(Dip, SYMBOLS, bars=BARS, params=given)
    given["period"] = 99

    assert system.params["period"] == 3


def test_unknown_parameter_is_answered_with_did_you_mean() -> None:
    with pytest.raises(UnknownParameter, match="did you mean 'period'"):
        SYSTEM.with_params(perod=3)
    with pytest.raises(UnknownParameter, match="did you mean 'period'"):
        SYSTEM.backtest(perod=3)


def test_desk_is_handed_over_by_the_run_and_no_parameter() -> None:
    with pytest.raises(UnknownParameter, match="'desk'; it has entry_minutes, entry_sessions"):
        SYSTEM.with_params(desk=1)


@pytest.mark.parametrize(
    ("day", "last", "expected"),
    [
        ("2005", False, date(2005, 1, 1)),
        ("2005", True, date(2005, 12, 31)),
        (2005, True, date(2005, 12, 31)),
        ("2004-02", False, date(2004, 2, 1)),
        ("2004-02", True, date(2004, 2, 29)),
        ("2005-2", True, date(2005, 2, 28)),
        ("2005-03-31", True, date(2005, 3, 31)),
        (date(2005, 3, 31), True, date(2005, 3, 31)),
        (datetime(2005, 3, 31, 16), True, date(2005, 3, 31)),  # noqa: DTZ001 (as users write)
        (pd.Timestamp("2005-03-31"), False, date(2005, 3, 31)),
        (np.datetime64("2005-03-31"), False, date(2005, 3, 31)),
    ],
)
def test_days_are_read(day: str, last: bool, expected: date) -> None:
    assert read_day(day, last=last) == expected
    assert type(read_day(day, last=last)) is date


@pytest.mark.parametrize(
    "day", ["", "05", "2005-13", "2005-00", "2005-02-30", "31.03.2005", "2005-03-31-1", "x", 5, 1.5]
)
def test_days_that_are_none_are_refused(day: str) -> None:
    with pytest.raises(ConfigError, match=r"is no date; write 2005, 2005-03 or 2005-03-31"):
        read_day(day, last=True)


def test_range_is_inclusive_and_warm_up_comes_before(run: Run) -> None:
    cut = SYSTEM.backtest("2005-04", "2005-05")

    assert (cut.first, cut.last) == (date(2005, 4, 1), date(2005, 5, 31))
    assert run.first == BARS["AAPL"].session[run.warm_up].item()
    assert any("warm-up come first" in note for note in run.notes)


def test_same_system_gives_the_same_run_twice(run: Run) -> None:
    assert SYSTEM.backtest().record.values == run.record.values


def test_order_of_symbols_breaks_ties() -> None:
    """With one slot, the symbol named first gets it."""
    for symbols in (["AAPL", "IBM"], ["IBM", "AAPL"]):
        system = iv.System(Always, symbols, bars=BARS, rules=[iv.rules.MaxPositions(limit=1)])
        first = system.backtest().record.verdicts[0]
        assert (first.signal.symbol, first.approved) == (symbols[0], True)


class Always(Dip):
    """Buy every close."""

    def entry(self, data):
        return iv.Long(confidence=3, limit=data.close, stop=data.close * 0.97)


def test_bars_that_were_given_are_used_and_only_those_asked_for(run: Run) -> None:
    assert list(run.bars) == SYMBOLS
    assert run.bars["IBM"] is BARS["IBM"]
    with pytest.raises(ConfigError, match="given without FB"):
        iv.System(Dip, ["FB"], bars=BARS).backtest()


def test_sample_is_there_without_a_store(tmp_path: Path) -> None:
    found = iv.System(Dip, ["IBM"], store=tmp_path / "none").backtest("2005-01", "2005-03")

    assert found.passport.source.startswith("bokeh") or "sample" in found.passport.source.lower()
    assert [path.name for path in (tmp_path / "none").iterdir()] == ["trials.db"]


def test_faulty_signal_ends_the_run_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Inverted\(\), AAPL on 2005-.*must lie below the limit"):
        iv.System(Inverted, SYMBOLS, bars=BARS).backtest(journal=tmp_path / "x.db")

    assert list(tmp_path.iterdir()) == []


class Inverted(Dip):
    """Put the stop on the wrong side."""

    def entry(self, data):
        return iv.Long(confidence=3, limit=data.close, stop=data.close * 1.03)


def test_confidence_that_is_nan_or_zero_is_no_signal() -> None:
    """Lines that are not ready are silence, not a fault."""
    assert iv.System(Unready, SYMBOLS, bars=BARS).backtest().record.verdicts == []


class Unready(Dip):
    """NaN or 0 in turn, and prices that are NaN with them."""

    def entry(self, data):
        nan = data.close * float("nan")
        return iv.Long(confidence=bt.If(data.close > data.close(-1), nan, 0), limit=nan, stop=nan)


def test_class_defined_again_under_its_name_has_its_own_warm_up() -> None:
    """As in a notebook, where a cell is run again with other periods."""

    def define(length: int) -> type[iv.Strategy]:
        class Again(Dip):
            warm_up = length

        return Again

    runs = [iv.System(define(length), ["IBM"], bars=BARS).backtest() for length in (70, 90)]

    assert [one.warm_up for one in runs] == [70, 90]


SCRIPT = """
import backtrader as bt
import iverson as iv
from iverson.market import sample

BARS = {symbol: bars[1200:1485] for symbol, bars in sample.load(["AAPL", "IBM"]).items()}


class Below(bt.Indicator):
    lines = ("below",)
    params = dict(period=3)

    def __init__(self):
        self.lines.below = bt.ind.SMA(self.data, period=self.p.period) - self.data


class Dip(iv.Strategy):
    params = dict(period=5, max_sessions=2)

    def __init__(self):
        super().__init__()

    def entry(self, data):
        return iv.Long(confidence=bt.If(Below(data, period=self.p.period) > 0, 3, 0),
                       limit=data.close, stop=data.close * 0.97)


class Mondays(iv.RiskRule):
    params = dict(day=0)

    def deny(self, signal, book):
        return "no Mondays" if signal.session.weekday() == self.p.day else None


system = iv.System(Dip, ["AAPL", "IBM"], bars=BARS, rules=[Mondays(), *iv.rules.standard()])
one, two = (
    system.walk_forward(in_sample="6mo", out_of_sample="3mo", grid=dict(period=list(range(2, 9))),
                        jobs=jobs)
    for jobs in (1, 2)
)
assert [r.scores for r in one.results] == [r.scores for r in two.results]
assert one.record.values == two.record.values
assert "mondays" in set(one.denied["rule"])
print("equal")
"""
# Backtrader calls it, and Python deprecates it from 3.12.
UTCNOW = "ignore:datetime.datetime.utcnow:DeprecationWarning"


@pytest.mark.skipif(sys.platform != "linux", reason="needs fork")
def test_strategy_of_a_script_or_notebook_is_searched_over_processes(tmp_path: Path) -> None:
    """Classes of `__main__`: strategy, indicator and rule, with their parameters and lines."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", UTCNOW, "-c", SCRIPT],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        cwd=tmp_path,
    )

    assert (done.stdout, done.stderr) == ("equal\n", "")


def test_numbers_of_numpys_are_parameters_like_any_other(tmp_path: Path) -> None:
    """`np.arange` and `np.linspace` are how grids are typed."""
    system = iv.System(RsiReversion, ["IBM"], store=tmp_path)
    plain = system.backtest("2005", "2006", oversold=35, stop_atrs=1.5)
    numpys = system.backtest("2005", "2006", oversold=np.int64(35), stop_atrs=np.float64(1.5))
    assert plain.record.values == numpys.record.values
    walked = [
        system.walk_forward(
            "2004", "2006", in_sample="1y", out_of_sample="6mo", grid=dict(oversold=values)
        )
        for values in ([30.0, 35.0], list(np.linspace(30, 35, 2)), np.linspace(30, 35, 2))
    ]
    assert walked[0].record.values == walked[1].record.values == walked[2].record.values
    assert type(walked[1].results[0].scores[0].params["oversold"]) is float
