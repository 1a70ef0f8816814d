# SPDX-License-Identifier: GPL-3.0-or-later
"""The items about trading: that it was seen to do what it must, on paper or in a drill."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iverson.book import Halt
from iverson.market.calendar import new_york
from iverson.model import Fill, Verdict
from iverson.monitoring.checklist_item import Item, numbers, plural
from iverson.monitoring.evidence import CANCEL, ENTRY, HALT, KILL, RULE, STOP, Evidence
from iverson.monitoring.record import EquityRow

SESSIONS = 10
DRILL = "run `iverson drill`"
EMERGENCIES = (CANCEL, HALT, KILL)


def sessions(evidence: Evidence) -> Item:
    """Ask for ten sessions of the exchange on paper, since the system is what it is."""
    name, calendar = "sessions on paper", new_york()
    rows = {
        one.session: number
        for number, one in evidence.counted
        if isinstance(one, EquityRow) and calendar.is_session(one.session)
    }
    days = sorted(rows)
    found = tuple(rows[day] for day in days)
    span = f", {days[0]} to {days[-1]}" if days else ""
    if len(days) >= SESSIONS:
        return Item(name, "pass", f"{len(days)} sessions{span} ({numbers(found)})", found)
    words = f"{len(days)} of {SESSIONS} sessions{span}"
    if evidence.changed:
        return Item(
            name, "not yet", f"{words}: the system was another one when it last traded on paper",
            found, "trade what is to go live: `iverson paper`, with a new journal",
        )  # fmt: skip
    return Item(name, "not yet", words, found, "go on with `iverson paper`")


def signals(evidence: Evidence) -> Item:
    """Ask for signals, each with the gate's answer."""
    found = _rows(evidence, lambda one: isinstance(one, Verdict) and one.rule != "signal")
    approved = _rows(evidence, lambda one: isinstance(one, Verdict) and one.approved)
    words = f"{plural(len(found), 'signal')}, {len(approved)} approved"
    if found:
        return Item("signals seen", "pass", f"{words} ({numbers(found)})", found)
    return Item(
        "signals seen", "not yet", words, (),
        "go on with `iverson paper`; a system that never signals cannot be judged",
    )  # fmt: skip


def rules(evidence: Evidence) -> Item:
    """Ask of every rule that it was seen to deny, in trading or in a drill."""
    name = "rules seen to deny"
    seen: dict[str, tuple[int, ...]] = {}
    drilled = 0
    for rule in dict.fromkeys(evidence.rules):
        traded = _rows(evidence, _denies(rule))
        drills = tuple(number for number, _ in evidence.drilled(RULE + rule))
        if traded or drills:
            seen[rule] = (traded or drills)[:1]
            drilled += not traded
    rows = tuple(sorted(number for found in seen.values() for number in found))
    missing = [rule for rule in dict.fromkeys(evidence.rules) if rule not in seen]
    words = f"{len(seen)} of {len(seen) + len(missing)} rules, {drilled} of them in drills"
    if not missing and seen:
        return Item(name, "pass", f"{words} ({numbers(rows)})", rows)
    if not seen and not missing:
        return Item(name, "fail", "the system has no rules", (), "give it `iv.rules.standard()`")
    return Item(
        name, "not yet", f"{words}; not seen: {', '.join(missing)}", rows,
        f"{DRILL}; a rule that no drill can make deny has to be seen in trading",
    )  # fmt: skip


def entries(evidence: Evidence) -> Item:
    """Ask for a limit entry that filled."""
    return _filled(evidence, "entries filled", "entry", ENTRY, extra="")


def stops(evidence: Evidence) -> Item:
    """Ask for a stop that triggered; say which other exits were seen."""
    others = ", ".join(
        f"{leg}s: {len(_fills(evidence, leg)) or 'none seen'}" for leg in ("target", "time limit")
    )
    return _filled(evidence, "stops triggered", "stop", STOP, extra=f"; {others}")


def emergencies(evidence: Evidence) -> Item:
    """Ask for the drills of what trading rarely shows: cancel, halt, kill switch."""
    name = "emergencies drilled"
    found = {item: evidence.drilled(item) for item in EMERGENCIES}
    rows = tuple(sorted(done[-1][0] for done in found.values() if done))
    missing = [item for item, done in found.items() if not done]
    words = f"{len(rows)} of {len(EMERGENCIES)}"
    if not missing:
        return Item(name, "pass", f"{', '.join(EMERGENCIES)} ({numbers(rows)})", rows)
    return Item(name, "not yet", f"{words}; not seen: {', '.join(missing)}", rows, DRILL)


def _filled(evidence: Evidence, name: str, leg: str, drill: str, *, extra: str) -> Item:
    traded = _fills(evidence, leg)
    drilled = tuple(number for number, _ in evidence.drilled(drill))
    rows = traded or drilled
    words = f"{plural(len(traded), 'fill')} in trading, {plural(len(drilled), 'drill')}{extra}"
    if rows:
        return Item(name, "pass", f"{words} ({numbers(rows)})", rows)
    return Item(name, "not yet", words, (), f"go on with `iverson paper`, or {DRILL}")


def _fills(evidence: Evidence, leg: str) -> tuple[int, ...]:
    return _rows(evidence, lambda one: isinstance(one, Fill) and one.leg == leg)


def _denies(rule: str) -> Callable[[Any], bool]:
    """Whether a value shows a rule at work; one that failed and denied for that is no sight."""

    def shows(one: Any) -> bool:
        if isinstance(one, Verdict):
            return not one.approved and one.rule == rule and not one.alert
        return isinstance(one, Halt) and one.rule == rule and "the rule failed" not in one.reason

    return shows


def _rows(evidence: Evidence, wanted: Callable[[Any], bool]) -> tuple[int, ...]:
    return tuple(number for number, one in evidence.counted if wanted(one))
