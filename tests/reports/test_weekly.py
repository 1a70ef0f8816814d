# SPDX-License-Identifier: GPL-3.0-or-later
"""The weekly digest: a week worked out by hand, weeks that are odd, and journals of every stage."""

from __future__ import annotations

import json as json_of_python
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import iverson as iv
from iverson.book import Halt
from iverson.errors import ConfigError, DataError
from iverson.market.calendar import new_york
from iverson.monitoring.journal import Journal
from iverson.monitoring.measured import Metric
from iverson.monitoring.metrics import max_drawdown, sharpe
from iverson.reports import html, json, phone
from iverson.reports.monthly import monthly
from iverson.reports.page import Page, Section
from iverson.reports.weekly import weekly
from iverson.reports.weekly_signals import judged
from iverson.testing import bars, noise
from tests.reports.hand_made import (
    CASH,
    RUN,
    SETTINGS,
    account,
    accounts,
    approved,
    close,
    denied,
    deposit,
    fill,
    journal_of,
    order,
    sessions,
    trade,
)
from tests.stages.trading_kit import system as trading_system

# Two weeks; the second has Thanksgiving, so that it trades on four days.
DAYS = sessions(date(2026, 11, 16), 9)
MON, TUE, WED, FRI = DAYS[5:]
EQUITY = [10_010, 10_020, 10_000, 9_990, 10_050, 10_100, 10_070, 10_570, 10_600]
ADDED = 500.0  # on Wednesday
BARS = bars("100 101 102 103", start=MON)
BAD = "<script>alert(1)</script> & \u202e/stop\nhttps://evil.example @all"


def by_hand() -> list[Any]:
    values: list[Any] = []
    for session, equity in zip(DAYS, EQUITY, strict=True):
        if session == WED:
            values.append(deposit(WED, ADDED))
        values += {
            DAYS[2]: [trade(DAYS[2], -50.0), denied(DAYS[2])],
            MON: [trade(MON, 100.0, risk=40.0), denied(MON, "correlation"), denied(MON)],
            FRI: [trade(FRI, -20.0), trade(FRI, 60.0, strategy="Other"), denied(FRI)],
        }.get(session, [])
        values.append(account(session, float(equity)))
    return values


def page_of(values: list[Any], **options: Any) -> Page:
    settings = options.pop("settings", SETTINGS)
    with journal_of(values, settings) as journal:
        return weekly(journal, **{"resamples": 100, **options})


def section(page: Page, title: str) -> Section:
    return next(one for one in page.sections if one.title == title)


def test_week_is_the_one_worked_out_by_hand() -> None:
    page = page_of(by_hand())
    facts = section(page, "The account").facts
    gained = [50.0, -30.0, 0.0, 30.0]

    assert (page.first, page.last) == (date(2026, 11, 23), date(2026, 11, 29))
    assert page.title == "Mine, week 2026-W48"
    assert page.subtitle == "paper · run hand-made · 2026-11-23 to 2026-11-29, 4 sessions"
    assert facts["before_usd"] == 10_050.0
    assert facts["deposits_usd"] == ADDED
    assert facts["sessions"] == dict(zip(map(str, (MON, TUE, WED, FRI)), gained, strict=True))
    assert facts["pnl_usd"] == pytest.approx(sum(gained))
    returns = [50 / 10_050, -30 / 10_100, 0.0, 30 / 10_570]
    assert facts["return_fraction"] == pytest.approx(np.prod(1 + np.array(returns)) - 1)
    assert (facts["worst_session"], facts["worst_session_pnl_usd"]) == (TUE, -30.0)
    assert page.headline == "+$50.00 (+0.48%), 3 trades closed, 2 won, equity $10,600.00"
    assert "+$500.00 deposited" in section(page, "The account").lines[0]


def test_strategies_have_their_trades_dollars_and_r() -> None:
    facts = section(page_of(by_hand()), "By strategy").facts

    assert facts["Mine"]["week"] == {
        "trades": 2, "pnl_usd": 80.0, "win_rate_fraction": 0.5,
        "mean_r": pytest.approx((100 / 40 - 20 / 50) / 2), "total_r": pytest.approx(2.1),
    }  # fmt: skip
    assert (facts["Mine"]["to_date"]["trades"], facts["Mine"]["to_date"]["pnl_usd"]) == (3, 30.0)
    assert facts["Other"]["week"]["pnl_usd"] == facts["Other"]["to_date"]["pnl_usd"] == 60.0


def test_metrics_are_those_of_plain_numbers_with_the_deposit_taken_out() -> None:
    gained = np.diff([CASH, *EQUITY])
    gained[7] -= ADDED
    begins = np.array([CASH, *EQUITY[:-1]])
    begins[7] += ADDED
    growth = np.cumprod(1 + gained / begins)
    facts = section(page_of(by_hand()), "Metrics to date").facts

    assert facts["sharpe"]["value"] == pytest.approx(sharpe(gained / begins))
    assert facts["max_drawdown"]["value"] == pytest.approx(max_drawdown(np.r_[1.0, growth]))
    years = (FRI - (DAYS[0] - timedelta(days=1))).days / 365.25
    assert facts["cagr"]["value"] == pytest.approx(growth[-1] ** (1 / years) - 1)
    assert facts["win_rate"]["value"] == 2 / 4
    assert facts["profit_factor"]["value"] == pytest.approx(160 / 70)
    assert not any(one["enough"] for one in facts.values())


def test_short_record_is_insufficient_whatever_it_shows() -> None:
    lines = section(page_of(by_hand()), "Metrics to date").phone

    assert lines is not None
    assert len(lines) == 5
    assert all(line.endswith(": insufficient data") for line in lines)
    assert not any("target" in line for line in lines)


def test_denials_are_counted_without_bars_and_not_judged() -> None:
    found = section(page_of(by_hand()), "What the rules saved or cost")

    assert found.lines == (
        "3 signals denied this week: max positions 2, correlation 1.",
        "No bars: the denied signals cannot be followed.",
    )


def test_night_cannot_be_told_of_a_position_without_bars() -> None:
    bought = approved(MON)
    entry = order(bought, MON, "entry", "accepted", 100.0)
    values = [
        *by_hand(), bought, entry, fill(entry, FRI, 100.0),
        account(FRI, 10_600.0, held=1_000.0, positions=1),
    ]  # fmt: skip

    assert section(page_of(values), "Risk").lines[-1] == "Stress loss: no bars."


def test_week_without_trades_is_a_week() -> None:
    page = page_of(accounts(DAYS[0], [10_000.0] * 9))

    assert page.headline == "$0.00 (0.00%), no trade closed, equity $10,000.00"
    assert section(page, "By strategy").lines == ("No trade has been closed yet.",)
    assert "0 signals denied" not in str(page)
    phone.render(page)


def test_first_week_is_partial_and_begins_from_the_runs_cash() -> None:
    page = page_of(accounts(DAYS[3], [10_040.0, 10_050.0]), week="2026-W47")

    assert page.subtitle.endswith("2 of 5 sessions")
    assert section(page, "The account").facts["before_usd"] == CASH
    assert section(page, "The account").facts["pnl_usd"] == 50.0


def test_week_in_which_nothing_was_noted_says_so() -> None:
    values = [account(DAYS[0], 10_000.0), account(sessions(DAYS[0], 15)[-1], 10_010.0)]
    page = page_of(values, week="2026-W48")

    assert page.headline == "No session of 2026-W48 was noted"
    assert phone.render(page).html


def test_run_of_one_session_can_be_drawn_and_read() -> None:
    page = page_of([denied(MON, stop=120.0), account(MON, 10_010.0)], bars={"TEST": BARS})

    (photo,) = phone.render(page).photos  # one session is no curve
    assert "rules" in photo.caption
    assert html.render(page).count("<figure") == 2
    assert "1 signal faulty, not followed." in section(page, "What the rules saved or cost").lines


def test_account_that_was_lost_is_told_without_a_ratio() -> None:
    values = accounts(DAYS[0], [10_000.0, 2_000.0, -50.0])
    page = page_of(values)

    assert "equity −$50.00" in page.headline
    closes = section(page, "Risk").facts["closes"]
    assert np.isnan(closes[str(DAYS[2])]["open_risk_fraction"])
    assert phone.render(page).html


def test_week_before_the_run_is_refused() -> None:
    with pytest.raises(DataError, match="noted nothing in 2026-W40"):
        page_of(by_hand(), week="2026-W40")


def test_later_rows_change_nothing_of_an_old_week() -> None:
    values = by_hand()
    until = next(n for n, one in enumerate(values) if getattr(one, "session", None) == MON)
    early, late = page_of(values[:until]), page_of(values, week="2026-W47")

    assert [one.facts for one in early.sections] == [one.facts for one in late.sections]
    assert early.headline == late.headline


def test_same_seed_gives_the_same_page() -> None:
    one, same, other = (
        str([replace(part, chart=None) for part in page_of(by_hand(), seed=seed).sections])
        for seed in (1, 1, 2)
    )

    assert one == same != other


def test_hostile_words_stay_words_on_telephone_page_and_in_json() -> None:
    at = close(MON)
    values = [
        trade(MON, 10.0, strategy=BAD, reason=BAD, exit_reason=BAD, symbol=BAD),
        denied(MON, BAD, reason=BAD),
        Halt(BAD, BAD, at, at + timedelta(days=1)),
        account(MON, 10_010.0),
    ]
    page = page_of(values, settings=replace(SETTINGS, strategy=BAD))

    message, shown = phone.render(page), html.render(page)
    for text in (message.html, shown):
        assert "<script>alert" not in text
        assert "\u202e" not in text
    assert "https://evil" not in message.html
    assert json_of_python.loads(json.render(page))


class Crowd(iv.Strategy):
    """Buy every close: more signals than slots."""

    warm_up = 63
    params = dict(max_sessions=1)

    def entry(self, data):
        return iv.Long(confidence=3, limit=data.close, stop=data.close * 0.98)


@pytest.fixture(scope="module")
def backtest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    made = noise("A B C D E F G", seed=3, sessions=180)
    path = tmp_path_factory.mktemp("weekly") / "a.db"
    iv.System(Crowd, list(made), bars=made).backtest(journal=path)
    return path, made


def test_weeks_of_a_backtest_add_up_to_its_profit(backtest: tuple[Path, Any]) -> None:
    path, made = backtest
    with Journal(path, read_only=True) as journal:
        rows = journal.equity()
        weeks = sorted({day.date() - timedelta(days=day.weekday()) for day in rows["session"]})
        pages = [weekly(journal, week=week, resamples=100) for week in weeks]
        trades = journal.trades()

    gained = [section(page, "The account").facts["pnl_usd"] for page in pages]
    assert sum(gained) == pytest.approx(rows["equity"].iloc[-1] - CASH)
    assert [page.first for page in pages] == weeks
    closed = [section(page, "By strategy").facts.get("Crowd") for page in pages]
    assert sum(one["week"]["trades"] for one in closed if one) == len(trades)
    assert sum(one["week"]["pnl_usd"] for one in closed if one) == pytest.approx(
        trades["pnl"].sum()
    )
    assert len(made) == 7


def test_digest_of_a_backtest_judges_rules_and_nights(backtest: tuple[Path, Any]) -> None:
    path, made = backtest
    with Journal(path, read_only=True) as journal:
        page = weekly(journal, bars=made, resamples=200)
    rules = section(page, "What the rules saved or cost").facts["rules"]

    assert {"max positions"} <= rules.keys()
    for one in rules.values():
        assert one["low_r"] <= one["total_r"] <= one["high_r"]
        assert one["says"] in ("saved", "cost", "undecided", "insufficient data")
    for one in section(page, "Risk").facts["closes"].values():
        assert 0 <= one["open_risk_fraction"] <= 0.06 + 0.01  # the rule, and a day's drift
        assert one["stress_loss_usd"] >= 0


def test_digest_of_a_rehearsal_is_a_digest(tmp_path: Path) -> None:
    made = trading_system(tmp_path)
    made.rehearse(date(2005, 3, 1), date(2005, 3, 11), journal=tmp_path / "iverson.db", seed=3)
    with Journal(tmp_path / "iverson.db", read_only=True) as journal:
        page = weekly(journal, week="2005-W10", resamples=100)
        month = monthly(journal, resamples=100)
        equity = journal.equity()

    before = equity[equity["session"] < "2005-03-07"]["equity"].iloc[-1]
    after = equity[equity["session"] <= "2005-03-11"]["equity"].iloc[-1]
    assert page.subtitle.startswith("rehearsal · run ")
    assert section(month, "Profit and loss").facts["profit_usd"] == pytest.approx(after - CASH)
    assert section(page, "The account").facts["pnl_usd"] == pytest.approx(after - before)
    assert phone.length(phone.render(page, photos=False).html) <= phone.TEXT_LIMIT


def test_charts_are_narrow_enough_for_a_telephone(backtest: tuple[Path, Any]) -> None:
    path, made = backtest
    with Journal(path, read_only=True) as journal:
        page = weekly(journal, bars=made, resamples=100)
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


@pytest.mark.parametrize(
    ("filled", "low", "high", "words"),
    [(30, -9.0, -1.0, "saved"), (30, 1.0, 9.0, "cost"), (30, -1.0, 1.0, "undecided"),
     (29, -9.0, -1.0, "insufficient data"), (30, np.nan, np.nan, "insufficient data")],
)  # fmt: skip
def test_rule_is_judged_by_its_interval_from_thirty_signals_on(
    filled: int, low: float, high: float, words: str
) -> None:
    assert judged({"filled": filled, "low": low, "high": high}) == words


def test_week_in_which_nothing_is_held_over_night_says_so() -> None:
    found = section(page_of(accounts(DAYS[0], [10_000.0] * 9)), "Risk")

    assert found.lines == ("Nothing was held, and no entry waited, at any close of the week.",)


def test_metric_without_enough_is_never_judged() -> None:
    from iverson.reports.five import says

    assert says(Metric("sharpe", 5.0, 4.0, 6.0, 59, enough=False, target=1.0)) == (
        "insufficient data"
    )
    assert says(Metric("sharpe", 5.0, 4.0, 6.0, 60, enough=True, target=1.0)) == "meets the target"


def test_too_few_resamples_are_refused() -> None:
    with pytest.raises(ConfigError, match="too few for a tail"):
        page_of(by_hand(), resamples=99)


def test_run_is_chosen_by_name() -> None:
    with journal_of(by_hand()) as journal:
        journal.append_many("later", [SETTINGS, account(MON, 9_000.0)])

        assert weekly(journal, resamples=100).run == "later"
        assert weekly(journal, run=RUN, resamples=100).headline.startswith("+$50.00")
        assert new_york().is_session(MON)
