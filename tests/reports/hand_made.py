# SPDX-License-Identifier: GPL-3.0-or-later
"""Journals made by hand: accounts by session, trades, verdicts, with everything else left usual."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from iverson.market.calendar import new_york
from iverson.model import CashFlow, Fill, OrderEvent, Signal, Stage, Trade, Verdict
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, RunRow
from iverson.reports.journaled import Journaled, read

CASH = 10_000.0
RUN = "hand-made"
SETTINGS = RunRow(
    system="mine",
    strategy="Mine",
    parameters={"costs": "Costs()", "feed": "consolidated, daily", "entry_sessions": 1},
    symbols=("TEST",),
    data_digest="da7a",
    seed=None,
    stage=Stage.PAPER,
    cash=CASH,
)


def close(session: date) -> datetime:
    return new_york().close_at(session)


def sessions(first: date, count: int) -> list[date]:
    calendar = new_york()
    return [calendar.offset(first, n) for n in range(count)]


def account(session: date, equity: float, held: float = 0.0, positions: int = 0) -> EquityRow:
    return EquityRow(close(session), session, equity - held, equity, held, positions)


def trade(session: date, pnl: float, **other: Any) -> Trade:
    usual = Trade(
        symbol="TEST", side="long", size=10, entry_at=close(session) - timedelta(days=1),
        entry_session=session, entry=100.0, exit_at=close(session), exit_session=session,
        exit=100.0 + pnl / 10, pnl=pnl, commission=0.0, spread=0.0, dividends=0.0, sessions=1,
        exit_reason="target" if pnl > 0 else "stop", confidence=3, risk=50.0, stop=95.0,
        target=110.0, ambiguous=False, reason="because", strategy="Mine",
    )  # fmt: skip
    return replace(usual, **other)


def signal(session: date, **other: Any) -> Signal:
    usual = Signal(
        at=close(session), session=session, symbol="TEST", side="long", confidence=3,
        limit=100.0, stop=96.0, target=108.0, max_sessions=3, reason="because", strategy="Mine",
    )  # fmt: skip
    return replace(usual, **other)


def denied(session: date, rule: str = "max positions", **other: Any) -> Verdict:
    return Verdict(signal(session, **other), approved=False, size=0, rule=rule, reason="full")


def approved(session: date, size: int = 10, **other: Any) -> Verdict:
    return Verdict(signal(session, **other), approved=True, size=size, rule="risk", reason="")


def order(
    verdict: Verdict, session: date, leg: str, status: str, price: float, **other: Any
) -> OrderEvent:
    at = verdict.signal.at
    key = f"{verdict.signal.symbol}-{at:%Y%m%dT%H%M}-{verdict.signal.side}"
    long = (verdict.signal.side == "long") == (leg == "entry")
    usual = OrderEvent(
        at=close(session), session=session, order_id=f"{key}-{leg}", symbol=verdict.signal.symbol,
        side="buy" if long else "sell", leg=leg,  # type: ignore[arg-type]  # a text
        kind="stop" if leg == "stop" else "limit", status=status, size=verdict.size, price=price,
    )  # fmt: skip
    return replace(usual, **other)


def fill(made: OrderEvent, session: date, price: float, **other: Any) -> Fill:
    usual = Fill(
        at=close(session), session=session, order_id=made.order_id, symbol=made.symbol,
        side=made.side, leg=made.leg, size=made.size, price=price, commission=0.0,
    )  # fmt: skip
    return replace(usual, **other)


def deposit(session: date, amount: float) -> CashFlow:
    return CashFlow(close(session) - timedelta(hours=1), session, "", "deposit", amount)


def journal_of(values: Iterable[Any], settings: RunRow = SETTINGS) -> Journal:
    journal = Journal(durable=False)
    journal.append_many(RUN, [settings, *values])
    return journal


def told_of(values: Iterable[Any], settings: RunRow = SETTINGS) -> Journaled:
    with journal_of(values, settings) as journal:
        return read(journal)


def accounts(first: date, equities: Sequence[float]) -> list[EquityRow]:
    return [
        account(session, equity)
        for session, equity in zip(sessions(first, len(equities)), equities, strict=True)
    ]
