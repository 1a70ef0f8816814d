# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rows are told, in which words, and which are not."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from iverson.book import Halt
from iverson.errors import ConfigError
from iverson.model import Answer, CashFlow, OrderEvent, Stage
from iverson.monitoring.alerts import GRACE, KIND_OF_ALARM, KINDS, STEP, Alert, Alerts, ways
from iverson.monitoring.events import Alarm, Command, Drill, Heartbeat, Step
from iverson.monitoring.message import plain
from iverson.monitoring.record import Note, Release
from tests.monitoring.rows import (
    AT,
    CASH,
    NAN,
    RUN,
    SESSION,
    account,
    alarm,
    approved,
    began,
    closed,
    denied,
    entry,
    later,
)

FOOT = "\npaper-Dip, 2026-03-02 10:30 New York"
PACKAGE = Path(__file__).parents[2] / "iverson"


def alerts_of(*values: Any) -> list[Alert]:
    told = Alerts()
    found = [told.take(number, RUN, value) for number, value in enumerate(values, start=1)]
    return [one for one in found if one is not None]


def texts(*values: Any) -> list[str]:
    return [plain(one.text) for one in alerts_of(*values)]


def test_entry_says_what_was_bought_and_what_is_planned() -> None:
    (one,) = alerts_of(began(), approved(), entry(100, 43.25))

    assert plain(one.text) == (
        "🔵 AAPL bought: 100 shares at $43.25\nstop $42.00, target $46.00, confidence 4 of 5" + FOOT
    )
    assert (one.key, one.kind, one.at, one.critical) == ("paper-Dip#3", "entry filled", AT, False)


def test_fills_of_one_order_are_one_group_whose_newest_says_all() -> None:
    first, second = alerts_of(approved(), entry(40, 43.0), entry(60, 44.0))

    average = (40 * 43.0 + 60 * 44.0) / 100
    assert f"100 shares at ${average:.2f} on average" in plain(second.text)
    assert "40 shares at $43.00\n" in plain(first.text)
    assert first.group == second.group
    assert first.group != alerts_of(entry(order="other"))[0].group


def test_exit_says_why_and_what_was_made() -> None:
    gained, lost = texts(closed(150.0), closed(-50.0, exit_reason="stop", risk=NAN))

    assert gained.splitlines()[0] == "✅ AAPL left by target: +$150.00 (+1.5 R)"
    assert gained.splitlines()[1] == "100 shares long, $43.25 to $44.75, 3 sessions"
    assert lost.splitlines()[0] == "🔻 AAPL left by stop: -$50.00"


def test_halts_and_their_end_are_told() -> None:
    until = later(3600)
    rows = (
        Halt("daily loss", "lost 3 %", AT, until=until),
        Halt("drawdown", "lost 15 %", AT, latched=True, flatten=True),
        Release(AT, SESSION, "daily loss", "its time is over"),
    )

    first, second, third = texts(*rows)

    assert "⛔ Halt (daily loss): lost 3 %\nno new entries until 2026-03-02 11:30 New York" in first
    assert "no new entries until somebody releases it; positions are left too" in second
    assert "Halt over (daily loss): its time is over" in third
    assert all(one.critical for one in alerts_of(*rows))


@pytest.mark.parametrize(("rule", "kind"), [*KIND_OF_ALARM.items(), ("exit", "alarm")])
def test_alarms_are_critical_and_of_a_kind(rule: str, kind: str) -> None:
    (one,) = alerts_of(Alarm(AT, rule, "something is wrong", "IBM"))

    assert (one.kind, one.critical) == (kind, True)
    assert plain(one.text) == f"{KINDS[kind].sign} Alarm (IBM, {rule}): something is wrong" + FOOT


def test_every_rule_that_alarms_in_the_source_is_told_as_critical() -> None:
    rules = {
        call.args[0].value
        for path in (PACKAGE / "execution").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in ("halt", "alarm")
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }

    assert rules >= {
        "out of sync",
        "keys",
        "unprotected",
        "exit",
        "doubt",
        "unknown status",
        "stop",
    }
    for rule in rules:
        (one,) = alerts_of(Alarm(AT, str(rule), "x"))
        assert one.critical


def test_alarm_and_the_halt_that_follows_are_one_group() -> None:
    first, second, other = alerts_of(
        alarm("the books differ", "out of sync"),
        Halt("out of sync", "the books differ", AT, latched=True),
        alarm("they still differ", "out of sync"),
    )

    assert first.group == second.group != other.group


def test_protection_repaired_is_told_and_other_notes_are_not() -> None:
    (one,) = alerts_of(Note(AT, "AAPL: 45 shares protected again"), Note(AT, "AAPL: expired"))

    assert (one.kind, one.critical) == ("protection", True)
    assert "Protection repaired: AAPL: 45 shares protected again" in plain(one.text)


def test_note_of_protection_has_the_words_that_are_looked_for() -> None:
    words = (PACKAGE / "execution" / "alpaca" / "protection.py").read_text(encoding="utf-8")

    assert 'shares protected again")' in words


def test_faulty_strategy_and_failed_drill_are_told() -> None:
    (fault,) = texts(denied(alert=True, reason="the sizing failed"))
    (failed,) = texts(
        Drill(AT, "kill switch", passed=False, evidence="orders still work"),
        Drill(AT, "lost stop", passed=True, evidence="repaired in 2 s"),
    )

    assert "AAPL: a signal could not be judged\nsize: the sizing failed" in fault
    assert "Drill failed: kill switch\norders still work" in failed


def test_everything_else_is_for_the_daily_report() -> None:
    assert (
        alerts_of(
            began(),
            denied(),
            approved(),
            approved().signal,
            replace(entry(), leg="stop", side="sell"),
            Answer(AT, SESSION, "n", "AAPL", "rejected", "no"),
            OrderEvent(AT, SESSION, "1", "AAPL", "buy", "entry", "limit", "canceled", 1.0, 1.0),
            Step(AT, SESSION, 1, 0.02, "up"),
            Command(AT, "/status", "telegram 7", "told"),
            CashFlow(AT, SESSION, "AAPL", "dividend", 10.0),
            account(CASH),
            Heartbeat(AT, Stage.PAPER, None),
        )
        == []
    )


@pytest.mark.parametrize("stage", list(Stage))
def test_only_what_trades_is_told(stage: Stage) -> None:
    told = alerts_of(began(stage), entry())

    assert bool(told) == (stage in (Stage.REHEARSE, Stage.PAPER, Stage.LIVE))


def steps(*equities: float, flows: Iterable[CashFlow] = ()) -> list[str]:
    rows = [*flows, *(account(equity) for equity in equities)]
    return [text.partition(" of what")[0] for text in texts(began(), *rows)]


def test_milestones_are_told_once_up_and_down() -> None:
    up, down = CASH * (1 + STEP), CASH * (1 - STEP)

    assert steps(CASH, up - 1, up, up + 1, CASH, up, down + 1, down, CASH, up, down) == [
        "📈 Equity +5%",
        "📉 Equity -5%",
    ]
    assert steps(CASH * 1.12, CASH * 1.07, CASH * 1.15) == ["📈 Equity +10%", "📈 Equity +15%"]


def test_deposit_is_no_milestone() -> None:
    deposit = CashFlow(AT, SESSION, "", "deposit", 2_000.0)

    assert steps(CASH + 2_000.0, flows=[deposit]) == []
    assert steps(CASH, flows=[deposit]) == ["📉 Equity -20%"]


@given(some.lists(some.floats(0.2, 3.0), max_size=60))
def test_milestone_is_never_told_twice_and_never_far_from_the_truth(path: list[float]) -> None:
    told = steps(*(CASH * part for part in path))

    assert len(told) == len(set(told))
    highest = max([1.0, *path])
    reached = [float(one.split("+")[1].rstrip("%")) for one in told if "+" in one]
    if highest >= 1 + STEP + 1e-6:
        assert abs(max(reached) - (highest - 1) * 100) <= 5 + 1e-6
    else:
        assert reached in ([], [5.0])


def test_missing_sign_of_life_is_told_once_whoever_notices() -> None:
    due = later(60)
    told = Alerts()
    told.take(1, RUN, Heartbeat(AT, Stage.PAPER, due))

    assert told.overdue(due + GRACE) == []
    (noticed,) = told.overdue(due + GRACE + timedelta(seconds=1))
    later_row = told.take(2, RUN, Heartbeat(due + 10 * GRACE, Stage.PAPER, None))

    assert later_row is not None
    assert noticed.key == later_row.key == "paper-Dip#1"
    assert noticed.kind == "heartbeat lost"
    assert told.overdue(due + timedelta(days=9)) == []


def test_same_rows_give_the_same_alerts() -> None:
    rows = (began(), approved(), entry(), closed(), account(CASH * 0.9), alarm("x"))

    assert alerts_of(*rows) == alerts_of(*rows)
    assert len({one.key for one in alerts_of(*rows)}) == len(alerts_of(*rows)) == 4


def test_ways_are_on_unless_chosen_and_unknown_ones_are_one_sentence() -> None:
    chosen = ways({"entry filled": "silent", "milestone": "off"})

    assert (chosen["entry filled"], chosen["milestone"], chosen["halt"]) == ("silent", "off", "on")
    with pytest.raises(ConfigError, match="no kind 'entries'; expected one of 'entry filled', "):
        ways({"entries": "on"})
    with pytest.raises(ConfigError, match="'halt' are 'loud'; expected on, silent or off"):
        ways({"halt": "loud"})


def test_halts_that_were_drilled_alarm_nobody_but_failed_drills_do() -> None:
    told = Alerts()
    run = "drill-paper-Dip"
    rows = [
        Halt("operator", "a drill", AT, latched=True),
        Release(AT, SESSION, "operator", "drilled"),
        Drill(AT, "stop", True, "triggered in 2 s", "AAPL"),
        Drill(AT, "far limit", False, "not cancelled", "AAPL"),
    ]
    found = [told.take(number, run, row) for number, row in enumerate(rows, start=1)]

    assert [one.kind for one in found if one is not None] == ["drill failed"]
