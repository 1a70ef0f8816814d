# SPDX-License-Identifier: GPL-3.0-or-later
"""The drills without an order: each rule denies, and a halt holds until it is released."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from iverson.book import Book, Halt
from iverson.market.calendar import new_york
from iverson.model import Signal
from iverson.monitoring.evidence import RULE
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Release
from iverson.risk.drills import drilled, member, shows, sound
from iverson.risk.gate import Gate
from iverson.risk.max_loss import MaxLoss, counted_from
from iverson.risk.rules import RiskRule
from iverson.stages.memory import remember
from iverson.stages.traded import Traded


def gate_of(system: Traded) -> tuple[Gate, Sequence[RiskRule]]:
    """Return the gate as it trades live, the maximum loss in front, and the rules to be drilled."""
    setup = system.setup
    own = setup.all_rules
    if not any(isinstance(rule, MaxLoss) for rule in own):
        own = (counted_from(setup.cash, MaxLoss()), *own)
    return Gate(own, setup.sizing), own


def drilled_rules(
    system: Traded, at: datetime, skipped: Callable[[str], None]
) -> Iterator[tuple[str, bool, str]]:
    """Yield what each rule answered to what was made up for it: item, whether it denied, words."""
    gate, rules = gate_of(system)
    signal, book = _sound(system, gate, at)
    for rule in rules:
        verdict = drilled(gate, rule, signal, book)
        if verdict is None:
            skipped(
                f"{RULE}{rule.name}: it says by no `drill` what it would deny; trading has to "
                "show it"
            )
            continue
        said = "approved" if verdict.approved else f"denied by {verdict.rule}"
        yield RULE + rule.name, shows(verdict, rule), f"{said}: {verdict.reason}"


def drilled_halt(system: Traded, journal: Journal, run: str, at: datetime) -> tuple[bool, str]:
    """Halt and resume, each read back from the journal as a restart reads it; passed and words."""
    gate, _ = gate_of(system)
    signal, book = _sound(system, gate, at)
    session = new_york().session_of(at)
    halt = Halt("drill", "a drill", since=at, latched=True)
    journal.append(run, halt)
    try:
        standing = remember(journal, run, after=session).state.halts
        denied = gate.review(signal, replace(book, halts=standing))
    finally:
        journal.append(run, Release(at, session, halt.rule, "the drill is over"))
    after = remember(journal, run, after=session).state.halts
    resumed = gate.review(signal, replace(book, halts=after))
    passed = denied.rule == halt.rule and not denied.approved and resumed.rule != halt.rule
    answer = "approved" if resumed.approved else f"denied by {resumed.rule}"
    return passed, f"denied by {denied.rule} while halted, {answer} once it was released"


def _sound(system: Traded, gate: Gate, at: datetime) -> tuple[Signal, Book]:
    session = new_york().session_of(at)
    symbol = member(system.symbols, system.setup.universe, session)
    return sound(gate, symbol, at=at, session=session, cash=system.setup.cash)
