# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import iverson as iv
from iverson.book import Halt
from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.research import charts
from iverson.research.charts_search import cells, view
from iverson.research.charts_style import make_figure, svg
from iverson.research.results import Run

SESSIONS = 500
NAMES = ("ONE", "A$B$ <&>")


def wave(symbol: str, *, seed: int, split: int | None = None) -> Bars:
    generator = np.random.default_rng(seed)
    first = new_york().ordinal(pd.Timestamp("2010-01-04").date())
    sessions = new_york().sessions[first : first + SESSIONS].copy()
    close = 50 * np.exp(np.cumsum(generator.normal(0, 0.015, SESSIONS)))
    opened = np.r_[close[0], close[:-1]] * np.exp(generator.normal(0, 0.004, SESSIONS))
    reach = np.exp(np.abs(generator.normal(0, 0.008, (2, SESSIONS))))
    factor = np.ones(SESSIONS)
    if split is not None:
        factor[split:] = 2.0
    prices = [opened, np.maximum(opened, close) * reach[0],
              np.minimum(opened, close) / reach[1], close]  # fmt: skip
    return Bars(
        symbol, "1d", new_york().closes(sessions), sessions,
        *(np.round(price / factor, 2) for price in prices),
        np.full(SESSIONS, 1e7), factor, np.zeros(SESSIONS),
    )  # fmt: skip


class Dip(iv.Strategy):
    params = dict(fall=0.01, reward=1.5, stop=0.03)
    warm_up = 65

    def entry(self, data):
        return iv.Long(
            confidence=(data.close < data.close(-1) * (1 - self.p.fall)) * 5,
            limit=data.close,
            stop=data.close * (1 - self.p.stop),
            target=data.close * (1 + self.p.reward * self.p.stop),
        )


BARS = {NAMES[0]: wave(NAMES[0], seed=1, split=300), NAMES[1]: wave(NAMES[1], seed=2)}
SYSTEM = iv.System(Dip, symbols=NAMES, bars=BARS, costs=Costs())
SPANS = dict(in_sample=180, out_of_sample=80, minimum_trades=3)
ONE_FOLD = dict(end="2011-05-31", **SPANS)


@pytest.fixture(scope="module")
def run():
    return SYSTEM.backtest()


@pytest.fixture(scope="module")
def result():
    return SYSTEM.walk_forward(grid=dict(fall=[0.005, 0.01, 0.04], reward=[1.0, 2.0]), **SPANS)


def markers(figure, start: str) -> int:
    axes = figure.axes[0]
    return sum(len(c.get_offsets()) for c in axes.collections if c.get_label().startswith(start))


@pytest.mark.parametrize("symbol", NAMES)
def test_each_trade_has_one_entry_and_one_exit(run, symbol):
    trades = run.trades[run.trades["symbol"] == symbol]

    figure = charts.price_chart(run, symbol, first="2010-01-04", last="2012-12-31")

    assert len(trades) > 3
    assert markers(figure, "entry") == len(trades)
    assert markers(figure, "exit") == len(trades)
    for reason, count in trades["exit_reason"].value_counts().items():
        assert markers(figure, f"exit: {reason} ({count})") == count


def test_stop_and_target_levels_span_each_holding(run):
    trades = run.trades[run.trades["symbol"] == NAMES[1]]

    axes = charts.price_chart(run, NAMES[1], first="2010-01-04", last="2012-12-31").axes[0]

    for column in ("stop", "target"):
        drawn = next(c for c in axes.collections if c.get_label() == f"{column} level")
        heights = [segment[0][1] for segment in drawn.get_segments()]
        assert heights == pytest.approx(trades[column].tolist())


def test_prices_are_adjusted_through_a_split_and_the_axis_says_so(run):
    figure = charts.price_chart(run, NAMES[0], first="2010-01-04", last="2012-12-31")
    axes = figure.axes[0]

    close = next(line for line in axes.lines if line.get_label() == "close").get_ydata()
    one = BARS[NAMES[0]]
    start = int(np.searchsorted(one.session, np.datetime64("2010-01-04")))
    assert close == pytest.approx((one.close * one.factor / 2.0)[start:])
    assert "split-adjusted" in axes.get_ylabel()
    assert "raw" in charts.price_chart(run, NAMES[1]).axes[0].get_ylabel()


def test_a_trade_held_through_a_split_is_drawn_where_it_was_made(run):
    one = BARS[NAMES[0]]
    before, after = one.session[298].item(), one.session[302].item()
    entry, left = float(one.close[298]) / 2.0, float(one.close[302])  # both in later shares
    trade = replace(
        run.record.trades[0], symbol=NAMES[0], entry_session=before, exit_session=after,
        entry=entry, exit=left, stop=entry * 0.97,
    )  # fmt: skip
    held = replace(run, record=replace(run.record, values=[*run.record.equity, trade]))

    axes = charts.price_chart(held, NAMES[0], first=one.session[250].item()).axes[0]

    drawn = {c.get_label(): c for c in axes.collections}
    assert drawn["entry, long"].get_offsets()[0][1] == pytest.approx(entry)
    assert drawn[f"exit: {trade.exit_reason} (1)"].get_offsets()[0][1] == pytest.approx(left)
    assert drawn["stop level"].get_segments()[0][0][1] == pytest.approx(entry * 0.97)


def test_the_default_is_the_most_traded_symbol_in_its_busiest_months(run, result):
    most = run.trades["symbol"].value_counts().index[0]

    assert charts.price_chart(run).axes[0].get_title(loc="left").startswith(most)
    assert charts.price_chart(result).axes[0].get_title(loc="left")


def test_an_unknown_symbol_and_an_empty_span_are_refused_in_a_sentence(run):
    with pytest.raises(ConfigError, match="no bars of 'TWO' here; there are ONE"):
        charts.price_chart(run, "TWO")
    with pytest.raises(ConfigError, match="ONE has no bar from 1990"):
        charts.price_chart(run, "ONE", first="1990-01-02", last="1990-02-01")


def test_a_run_without_trades_can_be_drawn():
    never = SYSTEM.with_params(fall=0.9).backtest()

    assert markers(charts.price_chart(never), "entry") == 0
    for figure in (charts.exits_chart(never.trades), charts.denials_chart(never.denied),
                   charts.monthly_chart(never), charts.equity_chart(never)):  # fmt: skip
        assert svg(figure)


def test_equity_is_drawn_with_its_drawdown_and_beside_the_benchmark(result):
    flat = pd.Series(result.start, index=result.equity.index)

    figure = charts.equity_chart(result, flat, log_scale=True)

    upper, lower, both = figure.axes
    assert upper.lines[0].get_ydata() == pytest.approx(result.equity.to_numpy())
    assert upper.get_yscale() == "log"
    assert lower.lines[0].get_ydata().min() == pytest.approx(result.metrics["max_drawdown"].value)
    assert both.lines[0].get_ydata() == pytest.approx(flat.to_numpy())


def test_halts_are_shaded_until_they_end(run):
    at = run.record.equity[50].at
    halt = Halt("drawdown halt", "so", since=at, latched=True)
    record = replace(run.record, values=[*run.record.values, halt])

    spans = charts.halt_spans(replace(run, record=record))

    assert spans == [(pd.Timestamp(at.date()), run.equity.index[-1])]


def test_the_scatter_has_a_point_for_each_fold(result):
    axes = charts.efficiency_scatter(result).axes[0]

    points = axes.collections[0].get_offsets()
    chosen = [one for one in result.results if one.chosen is not None]
    expected = [(one.chosen.cagr, one.out_of_sample_return) for one in chosen]
    assert np.asarray(points).tolist() == pytest.approx(np.array(expected))


def test_heat_maps_show_every_score_and_box_the_chosen(result):
    figure = charts.heat_maps(result)
    maps = figure.axes[: len(result.results)]

    for axes, fold in zip(maps, result.results, strict=True):
        assert len(axes.texts) == 6
        assert len(axes.patches) == (fold.chosen is not None)
        if fold.chosen is not None:
            box = axes.patches[0]
            row, column = round(box.get_y() + 0.46), round(box.get_x() + 0.46)
            falls, rewards = view(result).values
            params = fold.chosen.params
            assert (falls[row], rewards[column]) == (params["fall"], params["reward"])
    few = [score for fold in result.results for score in fold.scores if np.isneginf(score.score)]
    words = [text.get_text() for axes in maps for text in axes.texts]
    assert words.count("few") == len(few)


def test_further_parameters_are_hidden_behind_the_best():
    grid = dict(fall=[0.005, 0.01], reward=[1.0, 1.5, 2.0], stop=[0.02, 0.03, 0.04])
    result = SYSTEM.walk_forward(grid=grid, **ONE_FOLD)

    drawn = view(result)
    fold = result.results[0]
    best = max(
        s.score for s in fold.scores if (s.params["reward"], s.params["stop"]) == (1.5, 0.04)
    )
    assert drawn.names == ("reward", "stop")
    assert drawn.hidden == ("fall",)
    assert cells(fold, drawn)[1, 2] == best
    assert "best over fall" in charts.heat_map_words(result)


def test_one_parameter_is_a_line_and_none_a_sentence():
    one = SYSTEM.walk_forward(grid=dict(fall=[0.005, 0.01, 0.04]), **ONE_FOLD)
    none = SYSTEM.walk_forward(**ONE_FOLD)

    assert len(charts.heat_maps(one).axes[0].lines[0].get_xdata()) == 3
    assert svg(charts.heat_maps(none))
    assert charts.heat_map_words(none).startswith("Nothing was searched")


def test_monthly_returns_compound_to_the_total(run: Run):
    table = charts.monthly_returns(run)

    total = (1 + table["year"]).prod() - 1
    assert total == pytest.approx(run.metrics["total_return"].value)


def test_bars_count_denials_and_exits(run):
    counts = run.denied["rule"].value_counts()
    widths = [bar.get_width() for bar in charts.denials_chart(run.denied).axes[0].patches]
    assert sorted(widths) == sorted(counts)

    left, right = charts.exits_chart(run.trades).axes
    assert sum(bar.get_width() for bar in left.patches) == len(run.trades)
    made = sum(bar.get_width() for bar in right.patches)
    assert made == pytest.approx(run.trades["pnl"].sum())


def test_a_picture_is_the_same_text_each_time_and_leaves_no_trace(run):
    before = dict(mpl.rcParams)

    first, second = (svg(charts.price_chart(run, NAMES[1])) for _ in range(2))

    assert first == second
    assert "<script" not in first
    assert dict(mpl.rcParams) == before


def test_letters_without_a_glyph_are_drawn_without_a_warning(run):
    frame = pd.DataFrame({"rule": ["\u5927"]})

    assert svg(charts.denials_chart(frame))


def test_notebook_shows_a_figure_that_pyplot_does_not_know() -> None:
    assert make_figure(1.0)._repr_png_().startswith(b"\x89PNG")
