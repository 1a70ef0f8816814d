# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate: every entry passes here, or there is no entry.

Rules in order, the first denial wins; then the size; then the rules that look at the size. An
error inside a rule denies the entry and asks for an operator: it never lets one through.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from iverson.book import Book, Halt
from iverson.errors import ConfigError
from iverson.model import Denial, Signal, Verdict
from iverson.risk.rules import DailyLossHalt, DrawdownHalt, RiskRule
from iverson.risk.sizing import RiskSizing, Sized, capped


@dataclass(frozen=True)
class Gate:
    """Rules and a sizing; immutable, so that one gate serves every stage."""

    rules: tuple[RiskRule, ...]
    sizing: RiskSizing

    def __post_init__(self) -> None:
        for rule in self.rules:
            if not isinstance(rule, RiskRule):
                hint = f"; write {rule.__name__}()" if isinstance(rule, type) else ""
                raise ConfigError(f"{rule!r} is no risk rule; expected a RiskRule{hint}")

    def review(self, signal: Signal, book: Book) -> Verdict:
        """Answer one signal. Same signal and book, same verdict; nothing is remembered."""
        fault = signal.fault()
        if fault is not None:
            return denied(signal, "signal", fault, alert=True)
        for halt in book.halts:
            if halt.in_force(book.at):
                words = Denial(f"halted: {halt.reason}", limit=halt.limit, value=halt.value)
                return denied(signal, halt.rule, words)
        unknown = _unknown(book)
        if unknown is not None:
            return denied(signal, "equity", unknown, alert=True)
        for rule in self.rules:
            try:
                words_or_none = rule.deny(signal, book)
            except Exception as error:  # noqa: BLE001 (whatever a user's rule raises must deny)
                return _broken(signal, rule, error)
            if words_or_none is not None:
                return denied(signal, rule.name, words_or_none)
        return self._sized(signal, book)

    def halts(self, book: Book) -> Iterator[Halt]:
        """Yield the halts that the book calls for and that are not in force yet."""
        standing = {halt.rule for halt in book.halts if halt.in_force(book.at)}
        for rule in self._halting:
            if rule.name in standing:
                continue
            try:
                halt = rule.halt(book)
            except Exception as error:  # noqa: BLE001 (a broken guard must stop entries)
                halt = Halt(rule.name, f"the rule failed: {error!r}", since=book.at, latched=True)
            if halt is not None:
                yield replace(halt, rule=rule.name)  # the name by which it is known to stand

    def is_calm(self, equity: float, previous_close: float, high: float) -> bool:
        """Whether no rule can call for a halt, told from three numbers instead of a book.

        False when it takes a book to tell. The standard halting rules ask nothing else.
        """
        plain = self._plainly_halting
        if len(plain) < len(self._halting):
            return False
        return not any(rule.has_reached(equity, previous_close, high) for rule in plain)

    @cached_property
    def _plainly_halting(self) -> tuple[DailyLossHalt | DrawdownHalt, ...]:
        """The standard halting rules; an heir's may ask for more."""
        return tuple(
            rule
            for rule in self._halting
            if isinstance(rule, DailyLossHalt | DrawdownHalt)
            and type(rule) in (DailyLossHalt, DrawdownHalt)
        )

    @cached_property
    def _halting(self) -> tuple[RiskRule, ...]:
        return tuple(rule for rule in self.rules if type(rule).halt is not RiskRule.halt)

    def _sized(self, signal: Signal, book: Book) -> Verdict:
        try:
            sized = capped(self.sizing.size(signal, book), signal, book)  # one's own is held to it
        except Exception as error:  # noqa: BLE001 (a size that cannot be told is no size)
            return denied(signal, "size", f"the sizing failed: {error!r}", alert=True)
        if not sized.size >= 1:
            words = Denial(_no_size(sized), limit=sized.limit, value=sized.value)
            return denied(signal, f"size: {sized.bound}", words)
        for rule in self.rules:
            try:
                words_or_none = rule.deny_size(signal, sized.size, book)
            except Exception as error:  # noqa: BLE001 (whatever a user's rule raises must deny)
                return _broken(signal, rule, error)
            if words_or_none is not None:
                return denied(signal, rule.name, words_or_none)
        return Verdict(
            signal=signal,
            approved=True,
            size=sized.size,
            rule=sized.bound,
            reason=f"{sized.size} shares, bounded by {sized.bound}",
            limit=sized.limit,
            value=sized.value,
        )


def denied(signal: Signal, rule: str, reason: str, *, alert: bool = False) -> Verdict:
    """Return the verdict that refuses a signal; a `Denial` brings its limit and value along."""
    return Verdict(
        signal=signal,
        approved=False,
        size=0,
        rule=rule,
        reason=str(reason),
        limit=getattr(reason, "limit", math.nan),
        value=getattr(reason, "value", math.nan),
        alert=alert,
    )


def _unknown(book: Book) -> str | None:
    """Say what about the account is not known; rules that compare with NaN would let it pass."""
    for name in ("equity", "equity_at_previous_close", "high"):
        if not math.isfinite(getattr(book, name)):
            return f"{name.replace('_', ' ')} is {getattr(book, name)}; expected dollars"
    return None if book.equity > 0 else f"equity is {book.equity}; expected dollars above 0"


def _no_size(sized: Sized) -> str:
    if sized.bound == "confidence":
        return f"confidence {sized.value:.0f} is skipped"
    if math.isnan(sized.limit):
        return "the average daily volume is unknown"
    return f"{sized.bound} allows {sized.limit:,.2f} and one share needs {sized.value:,.2f}"


def _broken(signal: Signal, rule: RiskRule, error: Exception) -> Verdict:
    return denied(signal, rule.name, f"the rule failed: {error!r}", alert=True)
