# SPDX-License-Identifier: GPL-3.0-or-later
"""Each rule is shown to deny by a made-up pair, and by the gate that trades."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from iverson.book import Book
from iverson.market.universe import Universe
from iverson.model import Denial, Signal
from iverson.risk import rules
from iverson.risk.drills import drilled, member, shows, sound
from iverson.risk.gate import Gate
from iverson.risk.max_loss import MaxLoss
from iverson.risk.rules import RiskRule
from iverson.risk.sizing import RiskSizing
from iverson.risk.universe import rules_of

DAY, AT = date(2024, 3, 5), datetime(2024, 3, 5, 21, tzinfo=UTC)
CASH = 10_000.0
SYMBOLS = ("AAPL", "IBM", "MSFT")


class Even(RiskRule):
    """Denies an even confidence, and says how to see it."""

    def deny(self, signal: Signal, book: Book) -> str | None:
        return Denial("an even confidence") if signal.confidence % 2 == 0 else None

    def drill(self, signal: Signal, book: Book) -> tuple[Signal, Book]:
        return replace(signal, confidence=4), book


class Silent(RiskRule):
    """Denies on a day that no drill knows of."""

    def deny(self, signal: Signal, book: Book) -> str | None:
        return "not today" if signal.session.year == 1999 else None


class Always(RiskRule):
    """Denies everything."""

    def deny(self, signal: Signal, book: Book) -> str | None:
        return "never"


class Never(rules.MaxPositions):
    """A limit that was broken: it lets everything pass."""

    def deny(self, signal: Signal, book: Book) -> str | None:
        return None


class Broken(rules.MaxPositions):
    """A rule that fails: the gate denies, but nobody has seen the rule at work."""

    def deny(self, signal: Signal, book: Book) -> str | None:
        if len(book.symbols):
            raise ValueError("no such key")
        return None


def ask(several: Sequence[RiskRule], rule: RiskRule, symbol: str = "AAPL") -> Any:
    gate = Gate(tuple(several), RiskSizing())
    signal, book = sound(gate, symbol, at=AT, session=DAY, cash=CASH)
    return drilled(gate, rule, signal, book)


def everything() -> tuple[RiskRule, ...]:
    spells = [(symbol, "2000-01-03", None) for symbol in SYMBOLS]
    known = Universe(membership=spells, minimum_close=5, minimum_dollar_volume=1e6, largest=3)
    first: Any = MaxLoss
    return (first(limit_usd=500.0, start=CASH), *rules_of(known), *rules.standard(), Even())


@pytest.mark.parametrize("rule", everything(), ids=lambda rule: rule.name)
def test_each_rule_denies_its_drill_and_no_rule_before_it(rule: RiskRule) -> None:
    verdict = ask(everything(), rule)

    assert not verdict.approved
    assert verdict.rule == rule.name
    assert shows(verdict, rule)


def test_sound_pair_is_approved() -> None:
    gate = Gate(everything(), RiskSizing())
    signal, book = sound(gate, "AAPL", at=AT, session=DAY, cash=CASH)

    assert gate.review(signal, book).approved


@pytest.mark.parametrize("rule", [Never(), Broken()], ids=lambda rule: rule.name)
def test_rule_that_lets_pass_or_fails_is_not_seen_to_deny(rule: RiskRule) -> None:
    assert not shows(ask([rule], rule), rule)


def test_rule_that_another_denies_for_is_not_seen_to_deny() -> None:
    shadowed = rules.LongOnly()

    assert not shows(ask([Always(), shadowed], shadowed), shadowed)
    assert shows(ask([shadowed, Always()], shadowed), shadowed)


def test_rule_of_the_users_without_a_drill_is_not_drilled() -> None:
    assert ask([Silent()], Silent()) is None


def test_symbol_of_the_drill_belongs_to_the_universe() -> None:
    known = Universe(membership=[("AAPL", "2000-01-03", "2010-12-31"), ("IBM", "2000-01-03", None)])

    assert member(("AAPL", "IBM"), known, DAY) == "IBM"
    assert member(("AAPL", "IBM"), None, DAY) == "AAPL"
