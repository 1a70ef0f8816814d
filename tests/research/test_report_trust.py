# SPDX-License-Identifier: GPL-3.0-or-later
"""The chapters and pictures on whether to believe a result."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import iverson as iv
from iverson.monitoring.record import Record
from iverson.research import charts_regimes
from iverson.research.calibration import calibration
from iverson.research.charts_style import svg
from iverson.research.lint import lint
from iverson.research.regimes import regimes
from iverson.research.regimes_table import by_regime
from iverson.research.report_facts import Facts
from iverson.research.report_parts import Picture, Table, money, number, percent
from iverson.research.report_trust import confidence, market_regimes, warnings
from iverson.testing import bars

SESSIONS = 900
CHAPTERS = (warnings, market_regimes, confidence)


class Dip(iv.Strategy):
    params = dict(fall=0.001, max_sessions=1)
    warm_up = 65

    def entry(self, data):
        fallen = data.close < data.close(-1) * (1 - self.p.fall)
        return iv.Long(
            confidence=fallen * (2 + (data.close < data.close(-2))),
            limit=data.close,
            stop=data.close * 0.96,
            target=data.close * 1.03,
        )


def wave(symbol: str, seed: int):
    steps = np.random.default_rng(seed).normal(0.0003, 0.012, SESSIONS)
    words = " ".join(f"{price:.2f}" for price in 100 * np.exp(np.cumsum(steps)))
    return bars(words, symbol=symbol, start=pd.Timestamp("2010-01-04").date())


@pytest.fixture(scope="module")
def result():
    held = {symbol: wave(symbol, seed) for symbol, seed in (("ONE", 1), ("TWO", 2))}
    return iv.System(Dip, list(held), bars=held).walk_forward(
        grid=dict(fall=[0.0005, 0.001, 0.002]), in_sample=250, out_of_sample=120, minimum_trades=5
    )


@pytest.fixture(scope="module")
def facts(result):
    return Facts(result)


@pytest.fixture(scope="module")
def table(result):
    return by_regime(result, regimes(result.bars), seed=result.plan.seed)


def table_of(section) -> Table:
    return next(part for part in section.parts if isinstance(part, Table))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_each_chapter_is_text_in_full_rows_and_the_same_again(chapter, facts):
    section = chapter(facts)

    found = [part for part in section.parts if isinstance(part, Table)]
    cells = [cell for part in found for row in part.rows for cell in row]
    assert all({len(row) for row in part.rows} == {len(part.head)} for part in found)
    assert cells
    assert all(isinstance(cell, str) and "nan" not in cell for cell in cells)
    assert re.fullmatch(r"[a-z-]+", section.id)
    assert all(words.strip() for words in section.words)
    for part in section.parts:
        if isinstance(part, Picture):
            assert part.address.startswith("data:image/svg+xml")
    assert chapter(facts) == section


def test_the_warnings_are_the_lints_with_their_numbers(facts, result):
    rows = table_of(warnings(facts)).rows
    found = lint(result)

    assert [row[:2] for row in rows] == [(one.kind, one.sentence) for one in found]
    assert ("survivorship", "0", "1") in [(row[0], *row[2:]) for row in rows]
    assert warnings(facts).words[0].startswith(f"{len(found)} finding")


def test_a_result_without_a_finding_says_so(facts, monkeypatch):
    monkeypatch.setattr("iverson.research.report_trust.lint", lambda result: [])

    section = warnings(facts)

    assert section.words[0].startswith("0 findings")
    assert section.parts == ()


def test_the_regimes_stand_as_measured(facts, table):
    held, made = (
        {row[0]: row for row in part.rows}
        for part in market_regimes(facts).parts
        if isinstance(part, Table)
    )

    assert list(held) == list(made) == [f"{kind}: {state}" for kind, state in table.index]
    for kind, state in table.index:
        name, own = f"{kind}: {state}", table.loc[(kind, state)]
        assert held[name][1] == f"{own['sessions']:,.0f}"
        assert held[name][2] == percent(own["return_a_year"])
        assert held[name][6] == number(own["sharpe"])
        assert made[name][1] == f"{own['trades']:,.0f}"
        assert made[name][4] == money(own["pnl"])


def test_the_confidence_chapter_says_the_verdict_and_shows_flat_sizing(facts, result):
    section = confidence(facts)
    found = calibration(result.trades, seed=result.plan.seed)

    assert section.words == tuple(found.sentences())
    assert money(found.flat) in section.words[1]
    assert [row[0] for row in table_of(section).rows] == [str(step) for step in found.steps.index]


def test_trades_left_out_are_counted(facts, result):
    first = result.record.trades[0]
    plain = replace(first, confidence=0)
    values = [plain if value is first else value for value in result.record.values]
    judged = {"worst": replace(result.judged["worst"], record=Record(values=values))}

    section = confidence(Facts(replace(result, judged=judged)))

    assert "1 trade without a confidence" in section.after[-1]


def test_each_regime_has_its_bar_and_its_limits(table):
    figure = charts_regimes.regimes_chart(table)

    known = int(table["sharpe"].notna().sum())
    for axes in figure.axes:
        limits = [len(c.get_segments()) for c in axes.collections if "limits" in c.get_label()]
        assert len(axes.patches) == len(table)
        assert limits == [known]
        assert len(axes.texts) == len(table) - known
    widths = [bar.get_width() for bar in figure.axes[1].patches]
    assert widths == pytest.approx(table["sharpe"].fillna(0.0).tolist())


def test_a_regime_with_too_few_sessions_says_so_instead_of_a_bar(table):
    short = table.copy()
    short.loc[short.index[0], ["return_a_year", "return_a_year_low", "sharpe", "sharpe_low"]] = (
        math.nan
    )

    figure = charts_regimes.regimes_chart(short)

    assert [text.get_text()[:17] for text in figure.axes[0].texts] == ["insufficient data"]
    assert figure.axes[0].patches[0].get_width() == 0


def test_each_step_has_its_point_with_limits_where_there_are_any():
    multiples = {2: [1.5, -1.0] * 20, 3: [1.5, -1.0] * 10, 5: [1.5, -1.0]}
    rows = [(step, 50 * r, 50.0, r) for step, own in multiples.items() for r in own]
    trades = pd.DataFrame(rows, columns=["confidence", "pnl", "risk", "r_multiple"])
    found = calibration(trades)

    figure = charts_regimes.calibration_chart(found)

    means = [trades["pnl"].gt(0).mean(), trades["r_multiple"].mean(), trades["pnl"].mean()]
    for axes, name, limits, mean in zip(
        figure.axes, ("hit_rate", "mean_r", "mean_pnl"), (3, 2, 2), means, strict=True
    ):
        points = next(c for c in axes.collections if c.get_label() == name)
        drawn = next(c for c in axes.collections if c.get_label() == f"{name} limits")
        assert points.get_offsets().tolist() == [
            [step, pytest.approx(value)] for step, value in found.steps[name].items()
        ]
        assert len(drawn.get_segments()) == limits
        assert axes.lines[0].get_ydata()[0] == pytest.approx(mean)


def test_pictures_of_nothing_say_so_and_pictures_repeat_to_the_byte(table):
    nothing = calibration(pd.DataFrame(columns=["confidence", "pnl", "risk", "r_multiple"]))

    empty = charts_regimes.calibration_chart(nothing)

    assert "no trades with a confidence" in empty.axes[0].texts[0].get_text()
    assert "no sessions" in charts_regimes.regimes_chart(table.iloc[:0]).axes[0].texts[0].get_text()
    assert svg(charts_regimes.regimes_chart(table)) == svg(charts_regimes.regimes_chart(table))
