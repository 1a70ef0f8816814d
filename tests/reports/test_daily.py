# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily report beside a week worked out by hand."""

from __future__ import annotations

import csv
import math
from datetime import date, timedelta
from pathlib import Path

import pytest

from iverson.errors import ConfigError, DataError
from iverson.model import CashFlow
from iverson.monitoring.events import Alarm
from iverson.monitoring.journal import Journal
from iverson.reports.daily import daily
from iverson.reports.page import Page, Section
from tests.reports.week import (
    FRI,
    MON,
    RUN,
    THU,
    TUE,
    WED,
    at,
    fill,
    journal,
    mark,
    run_row,
    trade,
    values,
)

ANSWERS = Path(__file__).parents[1] / "answers" / "daily_report.csv"
RESULT = (
    *("equity_usd", "net_pnl_usd", "realised_pnl_usd", "open_pnl_change_usd", "other_pnl_usd"),
    *("open_pnl_usd", "deposits_usd", "return_fraction", "drawdown_fraction", "closed"),
    "trades_to_date",
)


def answers() -> list[dict[str, str]]:
    lines = ANSWERS.read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def page(session: date | str | None) -> Page:
    with journal() as opened:
        return daily(opened, session=session)


def section(found: Page, name: str) -> Section:
    return next(one for one in found.sections if one.id == name)


def number(text: str) -> float:
    return float(text) if text else math.nan


@pytest.mark.parametrize("row", answers(), ids=lambda row: row["session"])
def test_a_session_is_as_worked_out_by_hand(row: dict[str, str]) -> None:
    found = page(row["session"])
    result, slippage = section(found, "result").facts, section(found, "slippage").facts
    denied = section(found, "denied_signals").facts

    for name in RESULT:
        assert result[name] == pytest.approx(number(row[name]), abs=5e-9), name
    for name in ("usd", "bps", "model_usd"):
        expected = number(row[f"slippage_{name}"])
        assert slippage[name] == pytest.approx(expected, abs=1e-5, nan_ok=True), name
    positions = section(found, "open_positions").facts
    assert positions["planned_loss_usd"] == pytest.approx(number(row["planned_loss_usd"]))
    assert denied["signals"] == int(row["signals"])
    assert denied["denied"] == int(row["denied"])
    assert section(found, "entries").facts["orders_ended"] == int(row["orders_ended"])


def test_denials_are_counted_by_rule() -> None:
    assert section(page(MON), "denied_signals").facts["by_rule"] == {"size": 1, "stop distance": 1}


def test_entries_tell_filled_from_partly_and_leave_out_the_rejected() -> None:
    tuesday, wednesday, thursday = (section(page(day), "entries") for day in (TUE, WED, THU))

    assert tuesday.facts["filled"] == 1
    assert tuesday.facts["working"] == 1
    assert wednesday.facts["partly"] == 1
    assert wednesday.facts["fill_rate_to_date_fraction"] == 1.0
    assert thursday.facts["rejected"] == 1
    assert math.isnan(thursday.facts["fill_rate_fraction"])
    assert thursday.facts["fill_rate_to_date_fraction"] == 1.0


def test_trades_have_entry_exit_reason_profit_and_multiple_of_risk() -> None:
    (closed,) = section(page(FRI), "trades").facts["closed"]

    assert closed["symbol"] == "KO"
    assert closed["entry_usd"] == 50.0
    assert closed["exit_usd"] == 52.0
    assert closed["exit_reason"] == "time limit"
    assert closed["pnl_usd"] == pytest.approx(29.90)
    assert closed["r_multiple"] == pytest.approx(29.90 / 30)


def test_an_open_position_has_its_stop_and_what_that_plans_to_lose() -> None:
    (held,) = section(page(TUE), "open_positions").facts["positions"]

    assert held["symbol"] == "AAPL"
    assert held["stop_usd"] == 95.0
    assert held["planned_loss_usd"] == pytest.approx(20 * (99.50 - 95.0))


def test_a_position_without_a_stop_is_said_aloud() -> None:
    with Journal() as opened:
        bare = fill(MON, "KO", "entry", 10, 50.0, 0.0)
        opened.append_many(RUN, [run_row(), bare, mark(MON, 9_500.0, 500.0)])
        positions = section(daily(opened), "open_positions")

    assert positions.lines == ("NO STOP works for KO",)
    assert math.isnan(positions.facts["positions"][0]["planned_loss_usd"])
    assert positions.facts["planned_loss_usd"] == 0.0


def test_incidents_are_alarms_halts_rejections_and_commands_each_once() -> None:
    wednesday, thursday = (section(page(day), "incidents").facts for day in (WED, THU))

    assert [one["kind"] for one in wednesday["incidents"]] == ["alarm", "halt"]
    assert [one["rule"] for one in wednesday["halts_in_force"]] == ["daily loss halt"]
    assert [one["kind"] for one in thursday["incidents"]] == ["order rejected", "command"]
    assert thursday["halts_in_force"] == []  # it ended at Thursday's close


def test_what_happens_on_a_day_without_a_session_belongs_to_the_next() -> None:
    saturday, monday = FRI + timedelta(days=1), FRI + timedelta(days=3)
    with journal() as opened:
        late = [
            CashFlow(at(saturday), saturday, "", "deposit", 100.0),
            Alarm(at(saturday), "heartbeat", "silent"),
            mark(monday, 11_021.60, 0.0),
        ]
        opened.append_many(RUN, late)
        friday, found = daily(opened, session=FRI), daily(opened)

    assert section(friday, "incidents").facts["count"] == 0
    assert section(found, "incidents").facts["count"] == 1
    assert section(found, "result").facts["net_pnl_usd"] == pytest.approx(0.0)
    assert section(found, "result").facts["deposits_usd"] == 100.0
    assert section(found, "data").facts["sessions_missed"] == 0


def test_money_that_is_heard_of_late_belongs_to_the_session_that_has_it() -> None:
    late = [
        # A date alone is its midnight, which is still Thursday's session by the calendar.
        CashFlow(at(FRI, 5), THU, "", "deposit", 500.0),
        CashFlow(at(FRI, 5), THU, "KO", "dividend", 3.0),
        fill(THU, "KO", "target", 15, 52.0, 0.0),  # executed on Thursday, booked on Friday
        trade("KO", 15, (WED, 50.0), (THU, 52.0), pnl=32.95, risk=30.0, exit_reason="target"),
    ]
    rows = values()
    rows = [*rows[: rows.index(mark(THU, 10_141.65, 772.50)) + 1], *late]
    with Journal() as opened:
        opened.append_many(RUN, [run_row(), *rows])
        thursday = daily(opened)
        opened.append(RUN, mark(FRI, 10_141.65 + 500.0 + 3.0 + 780.0, 0.0))
        again, friday = daily(opened, session=THU), daily(opened)

    for found in (thursday, again):
        assert section(found, "result").facts["net_pnl_usd"] == pytest.approx(6.50)
        assert section(found, "result").facts["open_pnl_usd"] == pytest.approx(22.45)
        assert section(found, "trades").facts["closed"] == []
    result = section(friday, "result").facts
    assert result["deposits_usd"] == 500.0
    assert result["net_pnl_usd"] == pytest.approx(780.0 - 772.50 + 3.0)
    assert result["realised_pnl_usd"] == pytest.approx(32.95)
    assert result["other_pnl_usd"] == pytest.approx(0.0)
    assert section(friday, "slippage").facts["fills"][0]["price_usd"] == 52.0


def test_a_loss_on_the_first_day_is_a_drawdown_from_the_cash_it_began_with() -> None:
    with Journal() as opened:
        opened.append_many(RUN, [run_row(10_000.0), mark(MON, 9_900.0, 0.0)])
        result = section(daily(opened), "result").facts

    assert result["drawdown_fraction"] == pytest.approx(-0.01)
    assert result["max_drawdown_fraction"] == pytest.approx(-0.01)


def test_sessions_that_left_no_mark_are_counted() -> None:
    with Journal() as opened:
        rows = [run_row(), mark(MON, 10_000.0, 0.0), mark(THU, 10_000.0, 0.0)]
        opened.append_many(RUN, rows)
        data = section(daily(opened), "data")

    assert data.facts["sessions_missed"] == 2
    assert data.on_phone
    assert data.phone == ("2 sessions before this one left no mark",)


def test_a_day_without_a_trade_says_so_in_one_line() -> None:
    trades = section(page(MON), "trades")

    assert trades.lines == ("No trade was closed and none was opened.",)
    assert trades.table is None
    assert trades.chart is None


def test_a_few_trades_are_called_insufficient_data() -> None:
    (line,) = (one for one in section(page(FRI), "result").lines if "Win rate" in one)

    assert line == "Win rate 1 of 1 won; to date 50% (insufficient data, n=2)"


def test_a_page_of_the_past_knows_nothing_of_what_came_later() -> None:
    with journal() as opened:
        later = daily(opened, session=WED)
    with Journal() as cut:
        rows = values()
        cut.append_many(RUN, [run_row(), *rows[: rows.index(mark(WED, 9_142.65, 765.0)) + 1]])
        then = daily(cut)

    assert [(s.title, s.lines, s.table, s.facts) for s in later.sections] == [
        (s.title, s.lines, s.table, s.facts) for s in then.sections
    ]
    assert later.headline == then.headline


def test_the_headline_is_the_day_in_one_sentence() -> None:
    assert page(WED).headline == "−$122.25 (−1.22%), 1 trade closed, equity $9,907.65"
    assert page(THU).headline == "+$6.50 (+0.06%), no trade closed, equity $10,914.15"


def test_the_last_session_is_the_default() -> None:
    assert page(None).last == FRI


def test_wrong_sessions_and_empty_journals_are_one_sentence() -> None:
    with pytest.raises(DataError, match=r"has no session 2026-03-07; choose one from 2026-03-02"):
        page("2026-03-07")
    with pytest.raises(ConfigError, match="session is 'today'; expected a date, as 2026-11-27"):
        page("today")
    with Journal() as empty, pytest.raises(DataError, match="the journal has no run yet"):
        daily(empty)
    with Journal() as opened:
        opened.append_many(RUN, [run_row()])
        with pytest.raises(DataError, match="noted no equity"):
            daily(opened)
        with pytest.raises(DataError, match=f"no run 'other'; it has {RUN}"):
            daily(opened, run="other")
