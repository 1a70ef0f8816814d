# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person should know beside the trading: alarms, halts, rejected orders, commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from iverson.book import Halt
from iverson.model import Answer, Intent, OrderEvent, Verdict
from iverson.monitoring.events import Alarm, Command, Drill, Step
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import Release
from iverson.reports.journaled import Journaled
from iverson.reports.page import Section, Table


@dataclass(frozen=True, slots=True)
class Incident:
    """One thing that happened: when, of which kind, in words; `symbol` is "" for the account."""

    at: datetime
    kind: str
    text: str
    symbol: str = ""

    @property
    def line(self) -> str:
        """The incident as one line."""
        about = f"{self.symbol}: " if self.symbol else ""
        return f"{self.at:%m-%d %H:%M} {self.kind}: {about}{self.text}"


def incidents(values: Iterable[Value]) -> list[Incident]:
    """Return the incidents among rows, in their order; a bracket that is rejected is one."""
    found: list[Incident] = []
    keys: dict[str, str] = {}  # of intents, by name
    refused: set[str] = set()  # decisions of which a rejected order was told
    for value in values:
        if isinstance(value, Intent):
            keys[value.name] = value.key
        elif isinstance(value, OrderEvent) and value.status == "rejected":
            key = _decision(value)
            if key not in refused:
                refused.add(key)
                said = f"{value.leg}, {value.side} {value.size:,.0f}"
                words = f"{said}: {value.reason}" if value.reason else said
                found.append(Incident(value.at, "order rejected", words, value.symbol))
        elif isinstance(value, Answer) and value.ending != "accepted":
            key = keys.get(value.name, value.name)
            if key not in refused:
                refused.add(key)
                words = f"{value.ending}: {value.reason}" if value.reason else value.ending
                found.append(Incident(value.at, "order not taken", words, value.symbol))
        elif (one := _incident(value)) is not None:
            found.append(one)
    return found


def standing_halts(values: Iterable[Value], at: datetime) -> list[Halt]:
    """Return the halts that came, were not released, and still refuse entries at an instant."""
    halts: dict[str, Halt] = {}
    for value in values:
        if isinstance(value, Halt):
            halts[value.rule] = value
        elif isinstance(value, Release):
            halts.pop(value.rule, None)
    return [halt for halt in halts.values() if halt.in_force(at)]


def incidents_section(known: Journaled, first: date, last: date, *, at: datetime) -> Section:
    """Tell the incidents of the days from `first` to `last`, and the halts in force at `at`."""
    found = incidents(known.within(first, last).values)
    standing = standing_halts(known.values, at)
    halted = tuple(
        f"In force: {halt.rule}, {halt.reason}"
        + (", until somebody releases it" if halt.latched else "")
        for halt in standing
    )
    rows = tuple((one.at, one.kind, one.symbol, one.text) for one in found)
    return Section(
        "Incidents",
        lines=halted or (() if rows else ("None.",)),
        table=Table(("When, UTC", "What", "Symbol", "Words"), rows, words=4) if rows else None,
        facts={
            "count": len(found),
            "incidents": [
                {"at": one.at, "kind": one.kind, "symbol": one.symbol, "text": one.text}
                for one in found
            ],
            "halts_in_force": [{"rule": one.rule, "reason": one.reason} for one in standing],
        },
        on_phone=bool(found or standing),
        note=(
            "Alarms, halts and their releases, orders that were rejected or not taken, denials "
            "that ask for a person, changes of risk, commands and drills, since the session before."
        ),
        phone=(*halted, *(one.line for one in found)),
    )


def _incident(value: Value) -> Incident | None:
    if isinstance(value, Alarm):
        return Incident(value.at, "alarm", f"{value.rule}: {value.reason}", value.symbol)
    if isinstance(value, Halt):
        return Incident(value.since, "halt", f"{value.rule}: {value.reason}")
    if isinstance(value, Release):
        return Incident(value.at, "halt ended", f"{value.rule}: {value.reason}")
    if isinstance(value, Verdict) and value.alert:
        words = f"{value.rule}: {value.reason}"
        return Incident(value.signal.at, "denied", words, value.signal.symbol)
    if isinstance(value, Step):
        words = f"level {value.level}, at most {value.cap:.2%} of equity a trade: {value.reason}"
        return Incident(value.at, "risk", words)
    if isinstance(value, Command):
        return Incident(value.at, "command", f"{value.text} by {value.by}: {value.outcome}")
    if isinstance(value, Drill):
        outcome = "passed" if value.passed else "FAILED"
        words = f"{value.item} {outcome}: {value.evidence}"
        return Incident(value.at, "drill", words, value.symbol)
    return None


def _decision(order: OrderEvent) -> str:
    """Return the decision of an order: its name without the leg."""
    return order.order_id.removesuffix(f"-{order.leg.replace(' ', '-')}")
