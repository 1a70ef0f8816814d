# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge: what is wrong with a run, by the exchange's ledger against the system's journal.

Only the exchange's own words say what happened; the journal is asked only whether it knows. A run
in which every ended process was started again at once has to come to the same as an unbroken one;
any other run may have left a decision out, but nothing worse.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from iverson.book import Halt
from iverson.market.calendar import new_york
from iverson.model import Answer, CashFlow, Execution, Fill, Intent, OrderEvent, Trade, Verdict
from iverson.monitoring.record import Release
from tests.stages.play import Played

CENT = Decimal("0.005")
CASH = Decimal(100_000)
PREFIX = "iv1-"
PATIENCE = timedelta(minutes=5)
ENDED = {"filled", "canceled", "expired", "rejected"}


def faults(played: Played, unbroken: Played, *, same: bool = True) -> list[str]:
    """Return what is wrong, a sentence each; `same`: the run has to come to the same."""
    found = [
        *_orders(played, unbroken),
        *_protection(played),
        *_books(played),
        *_halts(played),
        *_late(played),
    ]
    return found + list(_differences(played, unbroken)) if same else found


def of(played: Played, kind: type) -> list[Any]:
    """Return the journal's values of a kind."""
    return [value for value in played.journal if isinstance(value, kind)]


def _ours(played: Played) -> list[dict[str, Any]]:
    return [one for one in played.orders if str(one["client_order_id"]).startswith(PREFIX)]


def _openers(played: Played) -> list[dict[str, Any]]:
    return [one for one in _ours(played) if str(one["position_intent"]).endswith("to_open")]


def _orders(played: Played, unbroken: Played) -> Iterator[str]:
    known = {one.name for one in of(played, Intent)}
    for one in _ours(played):
        if one["client_order_id"] not in known:
            yield f"orphan: the journal does not know {one['client_order_id']}"
    there = {one["client_order_id"] for one in played.orders}
    for answer in of(played, Answer):
        if answer.ending == "accepted" and answer.name not in there:
            yield f"ghost: the exchange does not know {answer.name}"
    planned = Counter(one["symbol"] for one in _openers(unbroken))
    for symbol, count in Counter(one["symbol"] for one in _openers(played)).items():
        if count > planned[symbol]:
            yield f"duplicate: {count} entries of {symbol} for {planned[symbol]} decisions"


def _protection(played: Played) -> Iterator[str]:
    if played.lowest < 0:
        yield f"short: {-played.lowest} shares were sold that nobody held"
    for at, covers in played.woken:
        for symbol, (held, covered) in covers.items():
            if held > covered:
                yield f"bare: {held - covered:g} of {held:g} {symbol} after the wake of {at}"
            if covered > max(held, 0):
                yield f"over: stops for {covered:g} {symbol} with {held:g} held at {at}"


def _books(played: Played) -> Iterator[str]:
    fills, flows = of(played, Fill), of(played, CashFlow)
    cash = CASH + sum(Decimal(str(flow.amount)) for flow in flows)
    shares: dict[str, float] = {}
    happened = sorted([*fills, *flows], key=lambda one: one.at)
    for one in happened:
        if isinstance(one, CashFlow):
            shares[one.symbol] = shares.get(one.symbol, 0.0) * one.ratio
            continue
        signed = one.size if one.side == "buy" else -one.size
        cash -= Decimal(str(signed)) * Decimal(str(one.price))
        shares[one.symbol] = shares.get(one.symbol, 0.0) + signed
    if abs(cash - played.cash) > CENT:
        yield f"cash: the journal has ${cash:.2f}, the exchange ${played.cash:.2f}"
    held = {symbol: size for symbol, size in shares.items() if abs(size) > 1e-6}
    if held != {symbol: float(size) for symbol, size in played.held.items()}:
        yield f"shares: the journal has {held}, the exchange {played.held}"
    noted = Counter((one.symbol, one.side, Decimal(f"{one.price:.4f}")) for one in fills)
    seen = Counter((symbol, side, price.quantize(Decimal("0.0001")))
                   for symbol, side, _, price, _ in played.fills)  # fmt: skip
    if noted != seen:
        yield f"fills: the journal has {dict(noted)}, the exchange {dict(seen)}"
    twice = [name for name, n in Counter(x.id for x in of(played, Execution)).items() if n > 1]
    if twice:
        yield f"executions noted twice: {twice}"


def _halts(played: Played) -> Iterator[str]:
    standing: list[tuple[Any, Any]] = []
    for value in played.journal:
        if isinstance(value, Halt):
            standing.append((value, None))
        elif isinstance(value, Release):
            standing = [
                (halt, end or (value.at if halt.rule == value.rule else None))
                for halt, end in standing
            ]
    for halt, end in standing:
        for one in _openers(played):
            if one["submitted_at"] > halt.since and (end is None or one["submitted_at"] < end):
                yield f"halted by {halt.rule}, and yet an entry of {one['symbol']}"


def _late(played: Played) -> Iterator[str]:
    decided = {one.name: one.at for one in of(played, Intent)}
    for one in _openers(played):
        at = decided.get(one["client_order_id"])
        if at is not None and one["submitted_at"] > new_york().next_open(at) + PATIENCE:
            yield f"late: {one['symbol']}, decided at {at}, sent at {one['submitted_at']}"


def _differences(played: Played, unbroken: Played) -> Iterator[str]:
    for what, value, expected in (
        ("fills", Counter(one[:4] for one in played.fills),
         Counter(one[:4] for one in unbroken.fills)),
        ("cash", played.cash, unbroken.cash),
        ("shares", played.held, unbroken.held),
        ("trades", Counter(map(_trade, of(played, Trade))),
         Counter(map(_trade, of(unbroken, Trade)))),
        ("verdicts", Counter(map(_verdict, of(played, Verdict))),
         Counter(map(_verdict, of(unbroken, Verdict)))),
    ):  # fmt: skip
        if value != expected:
            yield f"{what}: {value} instead of {expected}"
    extra = _ends(played) - _ends(unbroken)
    if extra:
        yield f"order events: {dict(extra)} more often than in the unbroken run"
    wrong = {rule for rule, _ in played.alarms} - {rule for rule, _ in unbroken.alarms}
    if wrong:
        yield f"alarms: {sorted(set(played.alarms))}"


def _trade(one: Trade) -> tuple[Any, ...]:
    return (
        one.symbol, one.side, one.size, round(one.entry, 4), round(one.exit, 4), round(one.pnl, 2),
        one.exit_reason, one.confidence, round(one.risk, 2), one.strategy,
    )  # fmt: skip


def _verdict(one: Verdict) -> tuple[Any, ...]:
    return one.signal.symbol, one.signal.at, one.approved, one.size, one.rule


def _ends(played: Played) -> Counter[str]:
    """Count how often an order is said to have ended."""
    return Counter(one.order_id for one in of(played, OrderEvent) if one.status in ENDED)
