# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily report of a backtest, of a walk-forward and of a rehearsal, each from its journal."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import iverson as iv
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow
from iverson.reports import html, json, phone, terminal
from iverson.reports.daily import daily
from iverson.reports.journaled import read
from iverson.reports.page import Page
from strategies.rsi_reversion import RsiReversion

SYSTEM = iv.System(RsiReversion, ["AAPL", "IBM", "MSFT"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stages")


@pytest.fixture(scope="module")
def backtest(folder: Path) -> Path:
    SYSTEM.backtest("2005-01", "2005-06", journal=folder / "backtest.db")
    return folder / "backtest.db"


@pytest.fixture(scope="module")
def walked(folder: Path) -> Path:
    SYSTEM.walk_forward(
        "2004", "2005-03", in_sample="9mo", out_of_sample="3mo", grid=dict(period=[7, 14]),
        minimum_trades=1, jobs=1, journal=folder / "walked.db",
    )  # fmt: skip
    return folder / "walked.db"


@pytest.fixture(scope="module")
def rehearsed(folder: Path) -> Path:
    SYSTEM.rehearse("2005-03-01", "2005-03-10", journal=folder / "rehearsed.db")
    return folder / "rehearsed.db"


def facts(page: Page, name: str):
    return next(one for one in page.sections if one.id == name).facts


def adds_up(path: Path) -> list[Page]:
    """Make every day's page and lay their sums beside what the journal says of the whole run."""
    with Journal(path, read_only=True) as journal:
        told = read(journal)
        pages = [daily(journal, session=session) for session in told.sessions]
        equity = journal.equity()["equity"]
        trades = journal.trades()
    days = [facts(page, "result") for page in pages]

    made = math.fsum(day["net_pnl_usd"] for day in days)
    assert made == pytest.approx(equity.iloc[-1] - told.run.cash, abs=1e-6)
    realised = math.fsum(day["realised_pnl_usd"] for day in days)
    assert realised == pytest.approx(trades["pnl"].sum() if len(trades) else 0.0, abs=1e-6)
    assert sum(day["closed"] for day in days) == len(trades)
    for day in days:
        parts = day["realised_pnl_usd"] + day["open_pnl_change_usd"] + day["other_pnl_usd"]
        assert parts == pytest.approx(day["net_pnl_usd"], abs=1e-6)
        assert day["other_pnl_usd"] == pytest.approx(0.0, abs=1e-6)
    return pages


def test_the_days_of_a_backtest_add_up_to_it(backtest: Path) -> None:
    pages = adds_up(backtest)

    assert {page.subtitle.split(" · ")[0] for page in pages} == {"backtest"}
    slippage = [facts(page, "slippage") for page in pages]
    assert sum(one["priced_fills"] for one in slippage) > 0
    assert {one["model_usd"] for one in slippage} == {0.0}  # the model made these fills


def test_the_deepest_drawdown_of_the_last_day_is_the_runs(backtest: Path) -> None:
    deepest = SYSTEM.backtest("2005-01", "2005-06").metrics.max_drawdown.value
    with Journal(backtest, read_only=True) as journal:
        result = facts(daily(journal), "result")

    assert result["max_drawdown_fraction"] == pytest.approx(deepest)


def test_the_denials_of_all_days_are_the_runs(backtest: Path) -> None:
    run = SYSTEM.backtest("2005-01", "2005-06")
    counted: dict[str, int] = {}
    with Journal(backtest, read_only=True) as journal:
        for session in read(journal).sessions:
            found = facts(daily(journal, session=session), "denied_signals")
            for rule, count in found["by_rule"].items():
                counted[rule] = counted.get(rule, 0) + count

    assert counted == run.denied["rule"].value_counts().to_dict()


def test_the_days_of_a_walk_forward_add_up_to_it(walked: Path) -> None:
    pages = adds_up(walked)

    assert {page.subtitle.split(" · ")[0] for page in pages} == {"walk-forward"}
    with Journal(walked, read_only=True) as journal:
        assert set(journal.runs()["run"]) == {pages[0].run}  # one run, whatever its folds


def test_the_days_of_a_rehearsal_add_up_to_it(rehearsed: Path) -> None:
    pages = adds_up(rehearsed)

    assert {page.subtitle for page in pages} == {"rehearsal · run rehearse-RsiReversion"}
    assert {facts(page, "data")["sessions_missed"] for page in pages} == {0}


@pytest.mark.parametrize("kind", ["backtest", "walked", "rehearsed"])
def test_every_way_to_show_it_works_on_every_stage(
    kind: str, request: pytest.FixtureRequest
) -> None:
    with Journal(request.getfixturevalue(kind), read_only=True) as journal:
        page = daily(journal)
        first = next(value for value in journal.values() if isinstance(value, EquityRow))
        begun = daily(journal, session=first.session)

    for one in (page, begun):
        assert terminal.render(one).startswith("RsiReversion, ")
        assert html.render(one).count("<figure") >= 1
        assert bool(phone.render(one).photos) == (one is page)  # one session is no curve
        assert json.render(one).startswith("{")
