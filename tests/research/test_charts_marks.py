# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of bars that were made up carry it across them; pictures of others do not."""

from __future__ import annotations

import inspect
from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import iverson as iv
from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.synthesis import synthesize
from iverson.research import charts, charts_luck, charts_price, charts_regimes, charts_search
from iverson.research.charts_day import day_chart
from iverson.research.charts_style import MARK, make_figure, marked
from iverson.research.results import Run
from iverson.testing import noise
from strategies.opening_range import both_sides
from tests.minute_bars import PRICE, flat_at, quiet, sessions_from

DAYS = sessions_from(date(2024, 7, 1), 4)
MODULES = (charts, charts_luck, charts_price, charts_regimes, charts_search)


@cache
def run_on(feed: str) -> Run:
    minutes: dict[str, Bars] = {
        symbol: replace(synthesize(one), feed=feed)
        for symbol, one in noise("AAA BBB", seed=5, sessions=24).items()
    }
    system: iv.System = replace(both_sides, symbols=list(minutes), bars=minutes)
    return system.backtest(volume=0.5)


def marks(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


@pytest.mark.parametrize(("feed", "expected"), [("SYNTHETIC", [MARK]), ("sip", [])])
@pytest.mark.parametrize(
    "draw",
    [
        charts.equity_chart,
        charts.monthly_chart,
        charts.price_chart,
        lambda run: run.plot(),
        lambda run: charts.denials_chart(run.denied),
        lambda run: charts.exits_chart(run.trades),
        lambda run: charts.denials_chart(run.denied.iloc[:0]),
        lambda run: day_chart(run.bars["AAA"], run.last),
    ],
)
def test_every_picture_made_from_them_is_marked(draw: Any, feed: str, expected: list[str]) -> None:
    assert marks(draw(run_on(feed))) == expected


def test_no_chart_is_left_out() -> None:
    """Each public function that returns a figure looks at what it draws."""
    drawing = [
        function
        for module in MODULES
        for name, function in vars(module).items()
        if inspect.isfunction(function)
        and not name.startswith("_")
        and function.__annotations__.get("return") == "Figure"
        and name not in ("make_figure", "empty_figure")
    ]

    assert len({one.__name__ for one in drawing}) >= 9
    assert [one.__name__ for one in drawing if not hasattr(one, "__wrapped__")] == []


def test_a_mark_covers_all_that_is_drawn_inside_and_ends_with_it() -> None:
    with marked("one"):
        with marked(""):
            assert marks(make_figure()) == ["one"]
        with marked("two"):
            assert marks(make_figure()) == ["two"]
        assert marks(make_figure()) == ["one"]

    assert marks(make_figure()) == []


# -- a session of minutes --------------------------------------------------------------------------


def test_day_chart_draws_range_and_breakout() -> None:
    bars = quiet(DAYS, rows={(DAYS[1], "11:00"): flat_at(PRICE + 1)})
    price, volume = day_chart(bars, DAYS[1]).axes

    labels = price.get_legend_handles_labels()[1]
    assert "first close outside" in labels
    ten = next(line for line in price.lines if "high of the range" in str(line.get_label()))
    known = np.isfinite(np.asarray(ten.get_ydata(), dtype=float))
    assert np.asarray(ten.get_xdata())[known][0] == 10 * 60
    assert len(volume.patches) == 390


def test_day_chart_of_a_half_day_has_its_minutes() -> None:
    assert len(day_chart(quiet(DAYS), date(2024, 7, 3)).axes[1].patches) == 210


@pytest.mark.parametrize(
    ("session", "words"),
    [(date(2024, 7, 4), "no bars on 2024-07-04"), (DAYS[0], "none of a session")],
)
def test_day_chart_refuses_what_it_cannot_draw(session: date, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        day_chart(quiet(DAYS), session)


def test_day_chart_refuses_daily_bars() -> None:
    with pytest.raises(ConfigError, match="drawn of minute bars"):
        day_chart(noise("AAA", seed=1, sessions=5)["AAA"], "2024-01-03")


def test_price_chart_of_minutes_spans_days_not_months() -> None:
    axes = charts.price_chart(run_on("sip")).axes[0]
    first, last = axes.get_xlim()

    assert last - first < 8  # days
