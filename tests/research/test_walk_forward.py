# SPDX-License-Identifier: GPL-3.0-or-later
"""Walk-forward: what is tuned, what is judged, what goes from fold to fold."""

from __future__ import annotations

import itertools
import math
from datetime import date
from pathlib import Path

import backtrader as bt
import numpy as np
import pytest

import iverson as iv
from iverson.errors import ConfigError, MissingBars, UnknownParameter
from iverson.market import sample
from iverson.market.calendar import new_york
from iverson.monitoring.metrics import cagr
from iverson.monitoring.record import EquityRow
from iverson.monitoring.replay import rebuild_equity, replay
from iverson.research.walk_result import WalkForward

SYMBOLS = ["AAPL", "IBM", "MSFT"]
GRID = dict(fast=[3, 5], slow=[10, 15])


class Pullback(iv.Strategy):
    """Buy a close between a short and a long average."""

    params = dict(fast=5, slow=15, max_sessions=2)

    def entry(self, data):
        fast, slow = (bt.ind.SMA(data, period=n) for n in (self.p.fast, self.p.slow))
        dip = bt.And(data.close < fast, data.close > slow)
        return iv.Long(
            confidence=bt.If(dip, 3, 0),
            limit=data.close,
            stop=iv.atr_stop(data, period=5),
            target=data.close * 1.03,
        )


SYSTEM = iv.System(Pullback, SYMBOLS)


def walk(**options: object) -> WalkForward:
    usual: dict[str, object] = dict(in_sample="1y", out_of_sample="6mo", grid=GRID)
    return SYSTEM.walk_forward("2005", "2007-06", **{**usual, **options})


@pytest.fixture(scope="module")
def result() -> WalkForward:
    return walk()


def test_out_of_sample_spans_follow_their_in_sample_and_tile(result: WalkForward) -> None:
    """No session is judged twice, none is judged by parameters that saw it."""
    folds = [one.fold for one in result.results]

    assert all(fold.in_sample.last < fold.out_of_sample.first for fold in folds)
    calendar = new_york()
    for one, other in itertools.pairwise(folds):
        assert calendar.offset(one.out_of_sample.last, 1) == other.out_of_sample.first


def test_chosen_parameters_have_the_highest_in_sample_score(result: WalkForward) -> None:
    for one in result.results:
        assert one.chosen is not None
        assert one.chosen.score == max(score.score for score in one.scores)
        assert len(one.scores) == math.prod(len(values) for values in GRID.values())


def test_in_sample_score_equals_a_backtest_of_the_same_span(result: WalkForward) -> None:
    """The search has no arithmetic of its own."""
    one = result.results[0]
    span = one.fold.in_sample
    assert one.chosen is not None

    run = SYSTEM.with_params(**one.chosen.params).backtest(span.first, span.last)

    assert len(run.trades) == one.chosen.trades
    assert run.equity.iloc[-1] / run.start - 1 == pytest.approx(one.chosen.total_return, abs=1e-12)


def test_first_fold_out_of_sample_equals_a_backtest_of_the_same_span(result: WalkForward) -> None:
    one = result.results[0]
    span = one.fold.out_of_sample
    assert one.chosen is not None

    run = SYSTEM.with_params(**one.chosen.params).backtest(span.first, span.last)

    judged = result.judged["worst"].by_fold[0].record
    assert run.record.values == judged.values


def test_out_of_sample_folds_are_one_account(result: WalkForward) -> None:
    """Each fold starts with what the one before ended with; equity is never reset."""
    starts = [one.start for one in result.results]
    ends = [one.end for one in result.results]

    assert starts[0] == SYSTEM.cash
    assert starts[1:] == ends[:-1]
    assert result.equity.iloc[-1] == ends[-1]


def test_positions_are_closed_at_the_border_unless_carried(result: WalkForward) -> None:
    lasts = {one.fold.out_of_sample.last for one in result.results}
    held = {row.session: row.positions for row in result.record.of(EquityRow)}
    assert all(held[last] == 0 for last in lasts)

    carried = walk(at_border="carry")

    assert "fold end" not in set(carried.trades["exit_reason"].iloc[:-1])
    assert carried.start == result.start


def test_journal_replays_to_the_recorded_cash_on_every_bar(result: WalkForward) -> None:
    """Fills and cash flows alone rebuild the book."""
    values = result.record.values

    assert rebuild_equity(values, cash=result.start) == []
    book = replay(values, cash=result.start)
    assert book.positions == {}
    assert book.cash == pytest.approx(result.equity.iloc[-1], abs=0.005)


def test_carried_account_replays_too() -> None:
    carried = walk(at_border="carry")

    assert rebuild_equity(carried.record.values, cash=carried.start) == []


def test_every_entry_fill_has_an_approved_verdict(result: WalkForward) -> None:
    approved = {
        f"{v.signal.symbol}-{v.signal.at:%Y%m%dT%H%M}-{v.signal.side}-entry": v.size
        for v in result.record.verdicts
        if v.approved
    }
    entries = [fill for fill in result.record.fills if fill.leg == "entry"]

    assert entries
    for fill in entries:
        assert fill.size <= approved[fill.order_id]


def test_same_walk_forward_twice_journals_the_same_bytes(tmp_path: Path) -> None:
    walk(journal=tmp_path / "one.db")
    walk(journal=tmp_path / "two.db")

    assert (tmp_path / "one.db").read_bytes() == (tmp_path / "two.db").read_bytes()


def test_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    walk(journal=tmp_path / "one.db", jobs=1)
    walk(journal=tmp_path / "two.db", jobs=2)

    assert (tmp_path / "one.db").read_bytes() == (tmp_path / "two.db").read_bytes()


def test_random_search_draws_the_asked_number_by_seed() -> None:
    one, same, other = (
        walk(trials=3, seed=seed, out_of_sample="1y", grid=dict(fast=[2, 3, 4, 5], slow=[10, 15]))
        for seed in (7, 7, 8)
    )

    assert one.trials == 3
    assert one.plan.sets == same.plan.sets
    assert one.plan.sets != other.plan.sets


def test_purge_sessions_lie_between_and_are_not_searched() -> None:
    purged = walk(purge=5, out_of_sample="1y")

    for one in purged.results:
        assert one.fold.purge is not None
        assert one.fold.purge.sessions == 5
        assert one.fold.in_sample.last < one.fold.purge.first
        assert one.fold.purge.last < one.fold.out_of_sample.first


def test_anchored_in_sample_starts_at_the_same_session() -> None:
    anchored = walk(anchored=True)

    assert len({one.fold.in_sample.first for one in anchored.results}) == 1


def test_fold_without_enough_trades_stands_aside() -> None:
    """Nobody qualifies: no entry, every signal denied and journaled, cash untouched."""
    idle = walk(minimum_trades=10_000)

    assert [one.chosen for one in idle.results] == [None] * len(idle.results)
    assert len(idle.trades) == 0
    assert set(idle.denied["rule"]) == {"stand aside"}
    assert (idle.equity == idle.start).all()


def test_later_bars_change_no_earlier_fold() -> None:
    """Cutting the data after the first fold leaves its scores and trades as they were."""
    whole = walk()
    first = whole.results[0]
    last = first.fold.out_of_sample.last
    cut = {
        symbol: bars[: int(np.searchsorted(bars.session, np.datetime64(last), side="right"))]
        for symbol, bars in sample.load(SYMBOLS).items()
    }

    again = iv.System(Pullback, SYMBOLS, bars=cut).walk_forward(
        "2005", in_sample="1y", out_of_sample="6mo", grid=GRID
    )

    assert again.results[0].scores == first.scores
    assert again.record.values == whole.judged["worst"].by_fold[0].record.values


def test_efficiency_is_out_of_sample_over_mean_in_sample_growth(result: WalkForward) -> None:
    mean = np.mean([one.chosen.cagr for one in result.results if one.chosen])
    first, last = result.equity.index[0].date(), result.equity.index[-1].date()
    path = np.array([result.start, result.equity.iloc[-1]])
    before = new_york().offset(first, -1)

    expected = cagr(path, (last - before).days / 365.25) / mean

    assert result.efficiency == pytest.approx(expected, rel=0.02) or mean <= 0


def test_warm_up_longer_than_in_sample_is_refused() -> None:
    with pytest.raises(ConfigError, match="shorter than the warm-up of"):
        SYSTEM.walk_forward("2005", "2007", in_sample="3mo", out_of_sample="3mo", grid=GRID)


def test_grid_key_that_is_no_parameter_is_answered_with_did_you_mean() -> None:
    with pytest.raises(UnknownParameter, match="did you mean 'fast'"):
        walk(grid=dict(fasst=[1, 2]))


def test_unknown_objective_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="choose one of cagr, calmar"):
        walk(objective="sharp")


def test_border_that_is_neither_close_nor_carry_is_refused() -> None:
    with pytest.raises(ConfigError, match="'close'"):
        walk(at_border="hold")


def test_too_few_bars_for_the_warm_up_is_one_sentence() -> None:
    short = {symbol: bars[:40] for symbol, bars in sample.load(["IBM"]).items()}
    with pytest.raises(MissingBars, match="bars of warm-up"):
        iv.System(Pullback, ["IBM"], bars=short).walk_forward(grid=GRID)


def test_range_without_bars_names_the_range_there_is() -> None:
    with pytest.raises(ConfigError, match="there are bars from 2000-03-01"):
        SYSTEM.walk_forward(date(1990, 1, 1), date(1991, 1, 1), grid=GRID)
