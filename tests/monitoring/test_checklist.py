# SPDX-License-Identifier: GPL-3.0-or-later
"""The paper checklist, item by item: what passes, and a journal that lacks exactly one evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from iverson.book import Halt
from iverson.market.calendar import new_york
from iverson.model import (
    Answer,
    CashFlow,
    Execution,
    Fill,
    Intent,
    OrderEvent,
    Signal,
    Stage,
    Trade,
    Verdict,
)
from iverson.monitoring import checklist_books, checklist_trading
from iverson.monitoring.checklist import PARTS, Part, judge
from iverson.monitoring.checklist_item import Item
from iverson.monitoring.events import Alarm, Drill
from iverson.monitoring.evidence import (
    CANCEL,
    ENTRY,
    HALT,
    KILL,
    RULE,
    STOP,
    Alerts,
    AtVenue,
    Compared,
    Evidence,
    identity,
)
from iverson.monitoring.record import EquityRow, Note, Release, RunRow

FIRST, CASH, SIZE = date(2024, 3, 4), 10_000.0, 10.0
NEEDED = 10  # sessions, of the ops guide's "2+ weeks"
BOUGHT, SOLD = 100.0, 98.0
NOW = identity(account="PA1", source="a" * 64, configuration="b" * 64)
BEFORE = identity(account="PA1", source="c" * 64, configuration="b" * 64)
RULES = ("max positions", "long only")
SYMBOL, KEY = "IBM", "IBM-20240304T2100-long"


def at(day: int = 0, hour: int = 21) -> datetime:
    return datetime.combine(session(day), time(hour), UTC)


def session(day: int) -> date:
    return new_york().offset(FIRST, day)


def verdict(rule: str, *, approved: bool = False, alert: bool = False) -> Verdict:
    signal = Signal(at(), session(0), SYMBOL, "long", 3, BOUGHT, SOLD)
    return Verdict(signal, approved, int(SIZE) if approved else 0, rule, "why", alert=alert)


def ordered(leg: Any, side: Any, price: float, day: int) -> list[Any]:
    """All rows of one order that filled."""
    name, order = f"iv1-{leg}", f"{KEY}-{leg.replace(' ', '-')}"
    when, on = at(day, 15), session(day)
    body = json.dumps({"side": side})
    return [
        Intent(when, on, name, KEY, SYMBOL, leg, 1, body),
        Answer(when, on, name, SYMBOL, "accepted", order=f"id-{leg}", posts=1),
        Execution(when, on, f"id-{leg}:10", f"id-{leg}", KEY, SYMBOL, side, leg, SIZE, price),
        OrderEvent(when, on, order, SYMBOL, side, leg, "limit", "filled", SIZE, price),
        Fill(when, on, order, SYMBOL, side, leg, SIZE, price, 0.0),
    ]


def equity(day: int, cash: float, value: float = 0.0) -> EquityRow:
    return EquityRow(at(day), session(day), cash, cash + value, value, int(value > 0))


def trade() -> Trade:
    return Trade(
        SYMBOL, "long", SIZE, at(1), session(1), BOUGHT, at(2), session(2), SOLD, -20.0, 0.0, 0.0,
        0.0, 1, "stop", 3, 20.0, SOLD, math.nan, ambiguous=False,
    )  # fmt: skip


def paper(stage: Stage = Stage.PAPER, count: int = NEEDED) -> list[Any]:
    """A paper run: one trade that was stopped out, in as many sessions as are needed."""
    spent, left = CASH - SIZE * BOUGHT, CASH + SIZE * (SOLD - BOUGHT)
    return [
        RunRow("m", "Dip", {}, (SYMBOL,), "", None, stage, CASH, at=at()),
        Note(at(), NOW),
        verdict("risk", approved=True),
        verdict("max positions"),
        equity(0, CASH),
        *ordered("entry", "buy", BOUGHT, 1),
        equity(1, spent, SIZE * BOUGHT),
        *ordered("stop", "sell", SOLD, 2),
        trade(),
        *(equity(day, left) for day in range(2, count)),
    ]


def drills(without: str = "") -> list[Any]:
    items = [f"{RULE}long only", f"{RULE}max positions", HALT, KILL, CANCEL]
    return [
        Note(at(3), NOW),
        *(Drill(at(3), item, True, "seen") for item in items if item != without),
    ]


def numbered(values: Iterable[Any], first: int = 1) -> list[tuple[int, Any]]:
    return list(enumerate(values, start=first))


def whole() -> Evidence:
    """Everything there is to see."""
    return Evidence(
        system="Dip",
        identity=NOW,
        rules=RULES,
        runs={"paper-Dip": numbered(paper())},
        drills=numbered(drills(), 101),
        rows=106,
        venue=AtVenue(at(9), orders=2),
        parity=Compared(4, (), ("fill price: IBM 2024-03-05: a cent",), -0.1, 0.0, CASH),
        alerts=Alerts(configured=True, sent=3),
        capital="CapitalSteps(levels=(0.01,))",
        max_loss=500.0,
        account="123456789",
    )


def run_of(values: Iterable[Any], **more: Any) -> Evidence:
    return replace(whole(), runs={"paper-Dip": numbered(values)}, **more)


def without(kind: type, leg: str = "", **more: Any) -> Evidence:
    """The run without its rows of a kind, of a leg."""
    return run_of(
        (one for one in paper() if not (type(one) is kind and getattr(one, "leg", "") == leg)),
        **more,
    )


def and_then(*values: Any) -> Evidence:
    return run_of([*paper(), *values])


def test_everything_seen_passes() -> None:
    found = judge(whole())

    assert found.passed, str(found)
    assert found.missing == ()
    assert all(item.remedy == "" for item in found.items)


@dataclass(frozen=True)
class Lack:
    """One evidence that is missing or wrong, and the one item that must say so."""

    name: str
    item: str
    status: str
    evidence: Callable[[], Evidence]
    words: str = ""


COMPARED = Compared(4, (), (), 0.0, 0.0, CASH)
HALTED = Halt("out of sync", "IBM: we hold 3, the broker shows 0", since=at(4), latched=True)
LACKS = [
    Lack("nine sessions", "sessions on paper", "not yet", lambda: run_of(paper(count=9)),
         "9 of 10 sessions"),
    Lack("a session on a Saturday", "sessions on paper", "not yet",
         lambda: run_of([
             *paper(count=9),
             replace(equity(9, CASH - 20), session=session(9) + timedelta(days=2)),
         ]), "9 of 10"),
    Lack("the same session twice", "sessions on paper", "not yet",
         lambda: run_of([*paper(count=9), equity(8, CASH - 20)]), "9 of 10"),
    Lack("only faulty signals", "signals seen", "not yet",
         lambda: run_of([
             replace(one, rule="signal", approved=False) if isinstance(one, Verdict) else one
             for one in paper()
         ]), "0 signals"),
    Lack("a rule not seen", "rules seen to deny", "not yet",
         lambda: replace(whole(), drills=numbered(drills(f"{RULE}long only"), 101)),
         "not seen: long only"),
    Lack("a rule whose drill failed", "rules seen to deny", "not yet",
         lambda: replace(whole(), drills=numbered(
             [replace(one, passed=one.item != f"{RULE}long only") if isinstance(one, Drill) else one
              for one in drills()], 101)), "not seen: long only"),
    Lack("a rule that only failed", "rules seen to deny", "not yet",
         lambda: run_of([
             *(one for one in paper() if getattr(one, "rule", "") != "max positions"),
             verdict("max positions", alert=True),
         ], drills=numbered(drills(f"{RULE}max positions"), 101)), "not seen: max positions"),
    Lack("no rules at all", "rules seen to deny", "fail", lambda: replace(whole(), rules=()),
         "no rules"),
    Lack("no entry filled", "entries filled", "not yet", lambda: entered_otherwise("plain"),
         "0 fills in trading, 0 drills"),
    Lack("no stop triggered", "stops triggered", "not yet", lambda: left_otherwise("target"),
         "targets: 1, time limits: none seen"),
    Lack("no halt drilled", "emergencies drilled", "not yet",
         lambda: replace(whole(), drills=numbered(drills(HALT), 101)), f"not seen: {HALT}"),
    Lack("no kill switch drilled", "emergencies drilled", "not yet",
         lambda: replace(whole(), drills=numbered(drills(KILL), 101)), f"not seen: {KILL}"),
    Lack("no cancel drilled", "emergencies drilled", "not yet",
         lambda: replace(whole(), drills=numbered(drills(CANCEL), 101)), f"not seen: {CANCEL}"),
    Lack("an answer without its intent", "orders journaled", "fail",
         lambda: without(Intent, "entry"), "an answer about IBM without its intent"),
    Lack("an intent without its answer", "orders journaled", "fail",
         lambda: run_of(one for one in paper() if getattr(one, "order", "") != "id-entry"
                        or not isinstance(one, Answer)), "an intent for IBM without its answer"),
    Lack("a fill without its order", "orders journaled", "fail",
         lambda: without(OrderEvent, "stop"), "a fill of IBM without its order"),
    Lack("an execution without its fill", "orders journaled", "fail",
         lambda: and_then(executed_more()), "an execution of IBM without its fill"),
    Lack("a drill broken off", "orders journaled", "fail",
         lambda: replace(whole(), drills=numbered(
             [*drills(), replace(ordered("entry", "buy", 1.0, 3)[0], name="ivd-1")], 101)),
         "was not taken back"),
    Lack("an order that only the venue knows", "orders journaled", "fail",
         lambda: replace(whole(), venue=AtVenue(at(9), 3, unknown=("order x",))), "order x"),
    Lack("nobody asked the account", "orders journaled", "not yet",
         lambda: replace(whole(), venue=None), "the account was not asked"),
    Lack("a share without a stop", "shares protected", "fail",
         lambda: run_of(alarmed_before_last("unprotected")), "IBM: the stop was refused"),
    Lack("a bare share at the venue", "shares protected", "fail",
         lambda: replace(whole(), venue=AtVenue(at(9), 2, bare=("10 IBM without a stop",))),
         "10 IBM"),
    Lack("a damaged row", "journal whole", "fail", lambda: replace(whole(), damaged=7), "row 7"),
    Lack("cash that nobody accounts for", "books add up", "fail",
         lambda: and_then(replace(equity(9, CASH - 20.5), session=session(9))),
         "cash is $9,979.50, the rows before it give $9,980.00"),
    Lack("equity that is no sum", "books add up", "fail",
         lambda: and_then(replace(equity(9, CASH - 20), equity=CASH)), "equity is $10,000.00"),
    Lack("an alarm after the last session", "no alarm open", "fail",
         lambda: and_then(Alarm(at(9, 22), "stop", "not all was answered")),
         "not all was answered"),
    Lack("a halt that nobody released", "no alarm open", "fail",
         lambda: run_of([*paper()[:-1], Alarm(at(4), HALTED.rule, HALTED.reason), HALTED,
                         paper()[-1]]), "out of sync halts"),
    Lack("an account that differs", "no alarm open", "fail",
         lambda: replace(whole(), venue=AtVenue(at(9), 2, problems=("IBM: we hold 3",))),
         "IBM: we hold 3"),
    Lack("no Telegram", "alerts received", "fail",
         lambda: replace(whole(), alerts=Alerts(configured=False)), "not configured"),
    Lack("alerts that failed", "alerts received", "fail",
         lambda: replace(whole(), alerts=Alerts(configured=True, sent=3, failed=1)), "1 failed"),
    Lack("alerts that wait", "alerts received", "not yet",
         lambda: replace(whole(), alerts=Alerts(configured=True, sent=3, queued=2)), "2 waiting"),
    Lack("no alert yet", "alerts received", "not yet",
         lambda: replace(whole(), alerts=Alerts(configured=True)), "0 delivered"),
    Lack("a decision that differs", "same decisions as the backtest", "fail",
         lambda: replace(whole(), parity=replace(COMPARED, decided=("risk: IBM: denied",))),
         "IBM: denied"),
    Lack("dollars that nobody explains", "same decisions as the backtest", "fail",
         lambda: replace(whole(), parity=replace(COMPARED, unexplained=5.01)), "at most 5.00"),
    Lack("no number for the unexplained", "same decisions as the backtest", "fail",
         lambda: replace(whole(), parity=replace(COMPARED, unexplained=math.nan)), "at most 5.00"),
    Lack("no decision to compare", "same decisions as the backtest", "not yet",
         lambda: replace(whole(), parity=replace(COMPARED, decisions=0)), "0 decisions"),
    Lack("no comparison", "same decisions as the backtest", "not yet",
         lambda: replace(whole(), parity="the bars were not kept"), "the bars were not kept"),
    Lack("no capital steps", "capital steps configured", "not yet",
         lambda: replace(whole(), capital=""), "none"),
    Lack("no maximum loss", "maximum loss chosen", "not yet",
         lambda: replace(whole(), max_loss=None), "none"),
    Lack("a maximum loss of nothing", "maximum loss chosen", "not yet",
         lambda: replace(whole(), max_loss=0.0), "0.0"),
    Lack("no account", "account named", "not yet", lambda: replace(whole(), account=None), "none"),
]  # fmt: skip


def entered_otherwise(leg: str) -> Evidence:
    """Shares that came by no limit entry of a bracket."""
    rows = unfilled("entry")
    place = next(n for n, one in enumerate(rows) if isinstance(one, EquityRow)) + 1
    return run_of([*rows[:place], *ordered(leg, "buy", BOUGHT, 1), *rows[place:]])


def unfilled(*legs: str) -> list[Any]:
    """The run without the orders of some legs."""
    gone = {f"id-{leg}" for leg in legs}
    return [
        one
        for one in paper()
        if getattr(one, "leg", "") not in legs and getattr(one, "order", "") not in gone
    ]


def left_otherwise(leg: str) -> Evidence:
    rows = unfilled("stop")
    place = next(n for n, one in enumerate(rows) if isinstance(one, Trade))
    return run_of([*rows[:place], *ordered(leg, "sell", SOLD, 2), *rows[place:]])


def executed_more() -> Execution:
    (one,) = (one for one in paper() if isinstance(one, Execution) and one.leg == "stop")
    return replace(one, id="id-stop:11", size=1.0)


def alarmed_before_last(rule: str) -> list[Any]:
    """An alarm about IBM that a session has passed since, and nothing was done about it."""
    rows = paper()
    return [*rows[:-1], Alarm(at(8), rule, "IBM: the stop was refused"), rows[-1]]


def named(evidence: Evidence, name: str, parts: Iterable[Part] = PARTS) -> Item:
    (item,) = (one for one in judge(evidence, tuple(parts)).items if one.name == name)
    return item


ALSO = {"no entry filled": {"shares protected"}}  # without an entry there is nothing to protect


@pytest.mark.parametrize("lack", LACKS, ids=lambda lack: lack.name)
def test_one_item_says_what_lacks_and_what_to_do(lack: Lack) -> None:
    found = judge(lack.evidence())

    item = named(lack.evidence(), lack.item)
    assert item.status == lack.status, str(found)
    assert lack.words in item.evidence
    assert item.remedy
    assert not found.passed
    assert {one.name for one in found.missing} - ALSO.get(lack.name, set()) == {lack.item}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_item_that_always_passes_is_caught(part: Part) -> None:
    """Each item has lacks of its own in the table: with a part that is blind they are missed."""
    name = part(whole()).name

    def blind(evidence: Evidence) -> Item:
        return Item(name, "pass", "seen")

    parts = [blind if one is part else one for one in PARTS]
    mine = [lack for lack in LACKS if lack.item == name]
    assert mine
    assert all(named(lack.evidence(), name).status != "pass" for lack in mine)
    assert all(named(lack.evidence(), name, parts).status == "pass" for lack in mine)


def test_nothing_at_all_passes_nothing_by_itself() -> None:
    found = judge(Evidence(system="Dip", identity=NOW, rules=RULES))

    assert {item.status for item in found.items} <= {"not yet", "fail"}


def test_rehearsal_never_counts_as_paper() -> None:
    found = judge(replace(whole(), runs={"rehearse-Dip": numbered(paper(Stage.REHEARSE))}))

    assert "0 of 10 sessions" in found.items[0].evidence
    assert found.notes == (
        "the journal has a rehearsal of the system, which never counts as paper",
    )


@pytest.mark.parametrize("stage", [Stage.BACKTEST, Stage.WALK_FORWARD, Stage.LIVE])
def test_no_other_stage_counts_as_paper(stage: Stage) -> None:
    found = judge(replace(whole(), runs={"x": numbered(paper(stage))}))

    assert named_of(found, "sessions on paper").status == "not yet"


def named_of(found: Any, name: str) -> Item:
    (item,) = (one for one in found.items if one.name == name)
    return item


def test_sessions_before_a_change_count_for_nothing() -> None:
    """Ten sessions of another source, then one of this."""
    old = [replace(one, text=BEFORE) if isinstance(one, Note) else one for one in paper()]
    found = judge(run_of([*old, Note(at(10), NOW), equity(10, CASH - 20)]))

    assert named_of(found, "sessions on paper").evidence.startswith("1 of 10 sessions")
    assert named_of(found, "signals seen").status == "not yet"


def test_system_that_has_changed_since_is_told() -> None:
    item = named(replace(whole(), identity=BEFORE), "sessions on paper")

    assert "another one when it last traded on paper" in item.evidence
    assert "new journal" in item.remedy


def test_drills_of_another_system_count_for_nothing() -> None:
    old = [replace(one, text=BEFORE) if isinstance(one, Note) else one for one in drills()]

    missing = {one.name for one in judge(replace(whole(), drills=numbered(old))).missing}
    assert missing == {"rules seen to deny", "emergencies drilled"}


def test_drilled_entry_and_stop_do_for_those_that_trading_did_not_show() -> None:
    more = [Drill(at(3), ENTRY, True, "bought"), Drill(at(3), STOP, True, "sold")]
    rows = numbered([*drills(), *more], 101)
    quiet = run_of(unfilled("entry", "stop"))

    assert named(replace(quiet, drills=rows), "entries filled").status == "pass"
    stops = named(replace(quiet, drills=rows), "stops triggered")
    assert (stops.status, stops.rows) == ("pass", (108,))
    assert "targets: none seen, time limits: none seen" in stops.evidence


def test_halting_rule_is_seen_by_its_halt() -> None:
    rows = [*paper(), Halt("daily loss halt", "lost", since=at(9), until=at(9, 23))]
    shown = replace(run_of(rows), rules=(*RULES, "daily loss halt"))
    broken = replace(
        run_of(
            [*paper(), Halt("daily loss halt", "the rule failed: no", since=at(9), until=at(9))]
        ),
        rules=(*RULES, "daily loss halt"),
    )

    assert named(shown, "rules seen to deny").status == "pass"
    assert named(broken, "rules seen to deny").status == "not yet"


def test_alarm_is_closed_by_a_release_or_by_a_session_that_went_well() -> None:
    """One that halts waits for a person, however many sessions pass."""
    rows = paper()
    alarm = Alarm(at(4), HALTED.rule, HALTED.reason)
    released = Release(at(5), session(5), HALTED.rule, "looked at it")
    passing = Alarm(at(4), "stop", "not all was answered")

    assert judge(run_of([*rows[:-1], alarm, HALTED, released, rows[-1]])).passed
    assert judge(run_of([*rows[:-1], passing, rows[-1]])).passed


def test_shares_left_or_protected_again_close_their_alarm() -> None:
    rows = alarmed_before_last("unprotected")
    again = replace(ordered("stop", "sell", SOLD, 8)[0], name="iv1-again")
    answered = replace(ordered("stop", "sell", SOLD, 8)[1], name="iv1-again")

    assert judge(run_of([*rows[:-1], again, answered, rows[-1]])).passed
    assert judge(run_of([*rows[:-1], trade(), rows[-1]])).passed


def test_shares_of_one_symbol_close_no_alarm_about_another() -> None:
    other = Alarm(at(1, 22), "unprotected", "MSFT: the stop was refused")
    rows = paper()
    place = next(number for number, one in enumerate(rows) if isinstance(one, Trade))
    item = named(run_of([*rows[:place], other, *rows[place:]]), "shares protected")

    assert (item.status, item.rows) == ("fail", (place + 1,))
    assert "MSFT" in item.evidence


def test_release_of_one_rule_closes_no_alarm_of_another() -> None:
    alarm = Alarm(at(9, 22), "stop", "not all was answered")
    released = Release(at(9, 23), session(9), "doubt", "looked at it")

    assert named(and_then(alarm, released), "no alarm open").status == "fail"
    assert named(and_then(alarm, replace(released, rule="stop")), "no alarm open").status == "pass"


def test_cash_of_a_drill_is_accounted_for() -> None:
    flow = CashFlow(at(9, 15), session(9), "", "drill", -0.25)
    rows = paper(count=9)

    assert judge(run_of([*rows, flow, equity(9, CASH - 20 - 0.25)])).passed
    assert not judge(run_of([*rows, equity(9, CASH - 20 - 0.25)])).passed


def test_fills_that_differ_are_told_by_cause() -> None:
    item = named(whole(), "same decisions as the backtest")

    assert "4 decisions, 0 decided otherwise, 1 filled otherwise (1 by fill price)" in item.evidence
    assert "-0.10 dollars, +0.00 of them unexplained (at most 5.00)" in item.evidence


def test_rows_of_the_journal_are_named() -> None:
    values = paper()
    item = named(whole(), "entries filled")

    (number,) = item.rows
    assert isinstance(values[number - 1], Fill)
    assert values[number - 1].leg == "entry"
    assert f"row {number}" in item.evidence


def test_checklist_is_plain_json_and_plain_text() -> None:
    found = judge(replace(whole(), account=None))
    read = json.loads(json.dumps(found.as_dict()))

    assert read["passed"] is False
    assert [one["name"] for one in read["items"]] == [item.name for item in found.items]
    last = read["items"][-1]
    assert (last["status"], last["rows"]) == ("not yet", [])
    assert "not yet  account named: none" in str(found)
    assert "-> give the number of the live account" in str(found)


def test_thresholds_are_those_of_the_trading_rules() -> None:
    assert checklist_trading.SESSIONS == NEEDED
    dollars = checklist_books.UNEXPLAINED * CASH
    assert dollars == pytest.approx(5.0)
