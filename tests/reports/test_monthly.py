# SPDX-License-Identifier: GPL-3.0-or-later
"""The monthly review: a month worked out by hand, drift against an expectation, every stage."""

from __future__ import annotations

import json as json_of_python
import math
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import iverson as iv
from iverson.errors import ConfigError, DataError
from iverson.market.bars import Bars
from iverson.monitoring.events import Step
from iverson.monitoring.journal import Journal
from iverson.monitoring.metrics import sharpe
from iverson.reports import html, json, phone
from iverson.reports.expectation import Expectation, read_expectation
from iverson.reports.monthly import monthly
from iverson.reports.monthly_drift import percentile_words
from iverson.reports.page import Page, Section
from iverson.research.regimes import regimes
from iverson.testing import noise
from tests.reports.hand_made import (
    CASH,
    SETTINGS,
    account,
    accounts,
    close,
    deposit,
    journal_of,
    sessions,
    told_of,
    trade,
)

START = date(2026, 9, 1)
DAYS = sessions(START, 63)  # September to November
BAD = "<script>alert(1)</script> & \u202e/stop\nhttps://evil.example @all"


def page_of(values: list[Any], **options: Any) -> Page:
    settings = options.pop("settings", SETTINGS)
    with journal_of(values, settings) as journal:
        return monthly(journal, **{"resamples": 100, **options})


def section(page: Page, title: str) -> Section:
    return next(one for one in page.sections if one.title == title)


def walked(seed: int, *, mean: float = 0.0004) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 0.006, len(DAYS))


def grown(returns: np.ndarray) -> list[Any]:
    return accounts(START, (CASH * np.cumprod(1 + returns)).tolist())


def test_month_is_the_one_worked_out_by_hand() -> None:
    last_of_october = sessions(date(2026, 10, 30), 1)[0]
    first, second, third = sessions(date(2026, 11, 2), 3)
    values = [
        account(last_of_october, 10_100.0),
        trade(first, 80.0, commission=1.0, spread=3.0, dividends=2.0),
        account(first, 10_180.0),
        deposit(second, 1_000.0),
        trade(second, -30.0, symbol="OTHER", commission=0.5, spread=0.0),
        account(second, 11_150.0),
        account(third, 11_160.0, held=900.0, positions=1),
    ]
    page = page_of(values)
    facts = section(page, "Profit and loss").facts

    assert page.title == "Mine, November 2026"
    assert page.headline.startswith("+$60.00 (+0.")
    assert facts["gross_usd"] == pytest.approx(80 + 1 + 3 - 2 - 30 + 0.5)
    assert (facts["commission_and_fees_usd"], facts["spread_usd"]) == (1.5, 3.0)
    assert (facts["dividends_usd"], facts["net_of_closed_trades_usd"]) == (2.0, 50.0)
    assert facts["open_positions_and_cash_usd"] == pytest.approx(10.0)
    assert (facts["profit_usd"], facts["deposits_usd"]) == (pytest.approx(60.0), 1_000.0)
    by_symbol = section(page, "By symbol").facts
    assert {name: one["pnl_usd"] for name, one in by_symbol.items()} == {
        "TEST": 80.0, "OTHER": -30.0,
    }  # fmt: skip
    by_exit = section(page, "By way out").facts
    assert {name: one["trades"] for name, one in by_exit.items()} == {"target": 1, "stop": 1}
    months = section(page, "Months").facts
    assert {name: one["pnl_usd"] for name, one in months.items()} == {
        "2026-10": pytest.approx(100.0), "2026-11": pytest.approx(60.0),
    }  # fmt: skip


def test_sharpe_of_the_month_is_that_of_its_returns_and_never_enough() -> None:
    returns = walked(1)
    page = page_of(grown(returns), month="2026-10")
    october = [returns[n] for n, day in enumerate(DAYS) if day.month == 10]
    facts = section(page, "Metrics to date").facts

    assert facts["sharpe_of_month"]["value"] == pytest.approx(sharpe(np.array(october)))
    assert facts["sharpe_of_month"]["observations"] == len(october)
    assert not facts["sharpe_of_month"]["enough"]
    assert facts["sharpe"]["observations"] == sum(day.month <= 10 for day in DAYS)


def test_run_that_does_what_was_expected_is_inside_and_one_that_lost_its_edge_is_not() -> None:
    pool = walked(2, mean=0.001)
    same = section(
        page_of(grown(walked(3, mean=0.001)), expectation=pool), "Against the walk-forward"
    )
    lost = section(
        page_of(grown(walked(3, mean=-0.004)), expectation=pool), "Against the walk-forward"
    )

    assert same.facts["inside"]
    assert same.facts["enough"]
    assert same.lines[0].startswith("Inside the band: ")
    assert not lost.facts["inside"]
    assert lost.lines[0].startswith("Outside the band: ")
    assert lost.facts["percentile"] < 0.025
    assert lost.facts["return_fraction"] == pytest.approx(np.prod(1 + walked(3, mean=-0.004)) - 1)


def test_short_run_is_placed_and_not_judged() -> None:
    found = section(
        page_of(grown(walked(4))[:20], expectation=walked(2)), "Against the walk-forward"
    )

    assert found.lines[0].startswith("Insufficient data for a judgement: ")
    assert found.facts["enough"] is False
    few = section(page_of(grown(walked(4)), expectation=walked(2)[:19]), "Against the walk-forward")
    assert few.lines == ("Insufficient data: the expectation has fewer than 20 sessions.",)


def test_without_an_expectation_no_drift_is_told() -> None:
    found = section(page_of(grown(walked(4))), "Against the walk-forward")

    assert found.facts == {"given": False}
    assert found.chart is None


def test_trades_are_laid_beside_expected_trades_and_only_described(tmp_path: Path) -> None:
    path = tmp_path / "walked.db"
    with Journal(path, durable=False) as journal:
        expected = [trade(day, 50.0 if n % 2 else -50.0) for n, day in enumerate(DAYS[:40])]
        journal.append_many("walked", [SETTINGS, *expected, *grown(walked(5))])
    with Journal(path, read_only=True) as journal:
        expectation = read_expectation(journal)
    live = [*(trade(day, 60.0) for day in DAYS[:10]), *grown(walked(5))]

    found = section(page_of(live, expectation=expectation), "Against the walk-forward")

    compared = found.facts["compared"]
    assert list(compared) == ["win rate", "mean R", "slippage", "fill rate"]
    assert (compared["win rate"]["live"], compared["win rate"]["expected"]) == (1.0, 0.5)
    assert compared["win rate"]["p_value_uncorrected"] < 0.05
    assert not compared["win rate"]["enough"]
    assert found.lines[0].startswith("Inside")  # whatever the rows below say
    assert "uncorrected" in found.note


def test_capped_sizes_are_no_drift() -> None:
    step = Step(close(START), START, 0, 0.01, "trading begins")
    found = section(
        page_of([step, *grown(walked(4))], expectation=walked(2)), "Against the walk-forward"
    )

    assert "capped by capital steps (now 1.0%)" in found.lines[1]


def test_expectation_from_made_up_bars_or_of_another_strategy_is_told() -> None:
    odd = replace(SETTINGS, strategy="Other", parameters={"feed": "SYNTHETIC"})
    expected = told_of(grown(walked(2)), odd)
    given = Expectation(expected.returns.to_numpy(), "walked", expected)

    found = section(page_of(grown(walked(4)), expectation=given), "Against the walk-forward")

    assert found.lines[1].startswith("The expectation rests on SYNTHETIC bars, made by a computer")
    assert found.lines[2] == "The expectation is of another strategy, Other."


def test_regimes_are_those_of_research_and_share_the_profit_out() -> None:
    made = noise("A B", seed=7, sessions=600, start=date(2024, 10, 1))
    returns = walked(8)
    page = page_of(grown(returns), bars=made, month="2026-11")
    facts = section(page, "Regimes of the market").facts
    labels = regimes(made).loc[pd.DatetimeIndex(DAYS)]
    pnl = np.diff(np.r_[CASH, CASH * np.cumprod(1 + returns)])

    for kind in ("volatility", "trend"):
        for state in labels[kind].unique():
            inside = (labels[kind] == state).to_numpy()
            found = facts[f"{kind}_{state}"]
            assert found["sessions"] == inside.sum()
            assert found["pnl_usd"] == pytest.approx(pnl[inside].sum())
            assert found["sessions_in_month"] == sum(
                there and day.month == 11 for there, day in zip(inside, DAYS, strict=True)
            )
    assert "This month, trend: " in section(page, "Regimes of the market").lines[1]


def test_regimes_see_nothing_after_the_month() -> None:
    made = noise("A B", seed=7, sessions=600, start=date(2024, 10, 1))
    cut = {symbol: one.between(date.min, date(2026, 10, 30)) for symbol, one in made.items()}
    whole, part = (
        section(page_of(grown(walked(8)), bars=bars, month="2026-10"), "Regimes of the market")
        for bars in (made, cut)
    )

    assert str(whole.facts) == str(part.facts)


def test_what_needs_bars_says_so() -> None:
    assert section(page_of(grown(walked(1))), "Regimes of the market").lines == (
        "No bars: the market of the month is not known.",
    )


def test_first_partial_month_and_a_month_without_trades() -> None:
    page = page_of(grown(walked(1))[15:], month="2026-09")

    assert "6 of 21 sessions" in page.subtitle
    assert "no trade closed" in page.headline
    assert section(page, "By symbol").lines == ("No trade was closed.",)


def test_run_of_one_session_can_be_drawn_and_read() -> None:
    made = noise("A B", seed=7, sessions=600, start=date(2024, 10, 1))
    page = page_of([account(START, 10_010.0)], expectation=walked(2), bars=made)

    assert len(phone.render(page).photos) == 3


def test_months_before_the_run_and_nonsense_are_refused() -> None:
    with pytest.raises(DataError, match="noted nothing in 2026-08"):
        page_of(grown(walked(1)), month="2026-08")
    with pytest.raises(ConfigError, match="is no month"):
        page_of(grown(walked(1)), month="2026-13")
    with pytest.raises(DataError, match="daily returns out of sample"):
        page_of(grown(walked(1)), expectation=[math.nan] * 30)


def test_later_rows_change_nothing_of_an_old_month() -> None:
    rows = grown(walked(1))
    until = sum(day.month == 9 for day in DAYS)
    options: dict[str, Any] = {"expectation": walked(2), "month": "2026-09"}
    early, late = page_of(rows[:until], **options), page_of(rows, **options)

    assert [str(one.facts) for one in early.sections] == [str(one.facts) for one in late.sections]


def test_same_seed_gives_the_same_page() -> None:
    values = [*(trade(day, 20.0 - n) for n, day in enumerate(DAYS[:40])), *grown(walked(1))]
    one, same, other = (
        str([replace(part, chart=None) for part in
             page_of(values, expectation=walked(2), seed=seed).sections])
        for seed in (1, 1, 2)
    )  # fmt: skip

    assert one == same
    assert one != other


def test_hostile_words_stay_words() -> None:
    values = [
        trade(DAYS[0], 10.0, symbol=BAD, exit_reason=BAD, reason=BAD, strategy=BAD),
        Step(close(DAYS[0]), DAYS[0], 0, 0.01, BAD),
        *grown(walked(1)),
    ]
    page = page_of(values, month="2026-09", expectation=walked(2))
    message, shown = phone.render(page), html.render(page)

    for text in (message.html, shown):
        assert "<script>alert" not in text
        assert "\u202e" not in text
    assert json_of_python.loads(json.render(page))["sections"]["capital_step"]["reason"] == BAD


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "1st"), (0.01, "1st"), (0.02, "2nd"), (0.03, "3rd"), (0.04, "4th"),
     (0.11, "11th"), (0.12, "12th"), (0.5, "50th"), (0.53, "53rd"), (1.0, "99th")],
)  # fmt: skip
def test_percentiles_read_as_people_say_them(share: float, words: str) -> None:
    assert percentile_words(share) == f"{words} percentile"


class Often(iv.Strategy):
    """Buy every close, leave a session later."""

    warm_up = 63
    params = dict(max_sessions=1, deep=0.03)

    def entry(self, data):
        return iv.Long(confidence=3, limit=data.close, stop=data.close * (1 - self.p.deep))


@pytest.fixture(scope="module")
def journals(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Bars]]:
    made = noise("A B C", seed=2, sessions=400)
    folder = tmp_path_factory.mktemp("monthly")
    system = iv.System(Often, list(made), bars=made, store=folder / "store")
    system.walk_forward(
        grid={"deep": [0.02, 0.03]}, in_sample="6mo", out_of_sample="2mo", minimum_trades=1,
        journal=folder / "walked.db",
    )  # fmt: skip
    system.backtest(journal=folder / "tested.db")
    return folder, made


def test_review_of_a_backtest_against_its_own_walk_forward(
    journals: tuple[Path, dict[str, Bars]],
) -> None:
    folder, made = journals
    with Journal(folder / "walked.db", read_only=True) as journal:
        expectation = read_expectation(journal)
        own = monthly(journal, expectation=expectation, bars=made, resamples=200)
    with Journal(folder / "tested.db", read_only=True) as journal:
        page = monthly(journal, expectation=expectation, bars=made, resamples=200)

    against_itself = section(own, "Against the walk-forward").facts
    assert against_itself["inside"]
    assert abs(against_itself["percentile"] - 0.5) < 0.2
    assert all(one["difference"] == 0 for one in against_itself["compared"].values())
    assert section(page, "Against the walk-forward").facts["sessions"] > 200
    assert section(page, "Metrics to date").facts["sharpe"]["enough"]
    assert phone.length(phone.render(page, photos=False).html) <= phone.TEXT_LIMIT


def test_charts_are_narrow_enough_for_a_telephone(
    journals: tuple[Path, dict[str, Bars]],
) -> None:
    folder, made = journals
    with Journal(folder / "tested.db", read_only=True) as journal:
        page = monthly(journal, expectation=walked(2), bars=made, resamples=100)
    charts = [one.chart() for one in page.sections if one.chart]

    assert len(charts) == 3
    for figure in charts:
        width, height = figure.get_size_inches()
        assert width <= 6.0
        assert height <= 2 * width
        sizes = [
            text.get_fontsize() for text in figure.findobj(lambda a: hasattr(a, "get_fontsize"))
        ]
        assert min(sizes) >= 9.0


def test_expectation_with_deposits_is_of_returns_not_dollars() -> None:
    values = [account(START, 10_000.0), deposit(DAYS[1], 10_000.0), account(DAYS[1], 20_000.0)]

    assert told_of(values).returns.tolist() == [0.0, 0.0]
