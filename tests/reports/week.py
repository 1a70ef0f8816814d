# SPDX-License-Identifier: GPL-3.0-or-later
"""One week of an account, small enough to be worked out by hand: tests/answers/daily_report.csv."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from iverson.book import Halt
from iverson.execution.costs import Costs
from iverson.model import (
    CashFlow,
    Fill,
    Leg,
    OrderEvent,
    OrderSide,
    Signal,
    Stage,
    Trade,
    Verdict,
)
from iverson.monitoring.events import Alarm, Command
from iverson.monitoring.journal import Journal
from iverson.monitoring.kinds import Value
from iverson.monitoring.record import EquityRow, Note, RunRow

RUN = "paper-Week"
CASH = 10_000.0
MON, TUE, WED, THU, FRI = (date(2026, 3, 2) + timedelta(days=n) for n in range(5))
# A headline that tries everything: tags, a link, a command, a turned-around and a broken line.
HOSTILE = (
    '</b><script>alert("x")</script> www.evil.com /kill @you \u202egnp\u2066\x1b[31m\nAAPL +9%'
)


def at(session: date, hour: int = 21, minute: int = 0) -> datetime:
    """Return an instant of a session, UTC; by default its close (New York is five hours behind)."""
    return datetime(session.year, session.month, session.day, hour, minute, tzinfo=UTC)


def run_row(cash: float = CASH, *, feed: str = "sip", stage: Stage = Stage.PAPER) -> RunRow:
    """Return the settings of a run."""
    return RunRow(
        system="Week",
        strategy="Week",
        parameters={"feed": feed, "costs": repr(Costs())},
        symbols=("AAPL", "KO", "MSFT"),
        data_digest="",
        seed=None,
        stage=stage,
        cash=cash,
    )


def mark(session: date, cash: float, worth: float) -> EquityRow:
    """Return the account at a close."""
    return EquityRow(at(session), session, cash, cash + worth, worth, int(worth != 0))


def verdict(
    session: date,
    symbol: str,
    size: int,
    limit: float,
    stop: float,
    *,
    rule: str = "size",
    reason: str = "",
    why: str | float = 30.5,
) -> Verdict:
    """Return an approved verdict, or for a size of 0 a denied one."""
    signal = Signal(at(session), session, symbol, "long", 3, limit, stop, reason=why)
    return Verdict(signal, size > 0, size, rule, reason)


def order(
    session: date,
    symbol: str,
    leg: Leg,
    status: str,
    *amounts: float,
    side: OrderSide | None = None,
    kind: str | None = None,
    hour: int = 21,
    reason: str = "",
) -> OrderEvent:
    """Return an event of the order of a symbol's leg; `amounts` are its size and its price."""
    return OrderEvent(
        at(session, hour), session, f"{symbol}-{leg.replace(' ', '-')}", symbol,
        side or ("buy" if leg == "entry" else "sell"), leg,
        kind or {"stop": "stop", "time limit": "close"}.get(leg, "limit"),
        status, *amounts, reason,
    )  # fmt: skip


def fill(
    session: date,
    symbol: str,
    leg: Leg,
    *amounts: float,
    side: OrderSide | None = None,
    hour: int = 15,
) -> Fill:
    """Return a fill of the order of a symbol's leg; `amounts`: size, price, commission."""
    return Fill(
        at(session, hour), session, f"{symbol}-{leg.replace(' ', '-')}", symbol,
        side or ("buy" if leg == "entry" else "sell"), leg, *amounts,
    )  # fmt: skip


def trade(
    symbol: str,
    size: float,
    entry: tuple[date, float],
    leave: tuple[date, float],
    *,
    pnl: float,
    risk: float,
    exit_reason: str,
    reason: str | float = 30.5,
) -> Trade:
    """Return a closed trade."""
    return Trade(
        symbol=symbol, side="long", size=size,
        entry_at=at(entry[0], 15), entry_session=entry[0], entry=entry[1],
        exit_at=at(leave[0], 15), exit_session=leave[0], exit=leave[1],
        pnl=pnl, commission=0.0, spread=0.0, dividends=0.0,
        sessions=(leave[0] - entry[0]).days, exit_reason=exit_reason, confidence=3,
        risk=risk, stop=0.0, target=0.0, ambiguous=False, reason=reason, strategy="Week",
    )  # fmt: skip


def values() -> list[Value]:
    """Return the rows of the week, in order."""
    monday: list[Value] = [
        verdict(MON, "AAPL", 20, 100.0, 95.0, why=HOSTILE),
        verdict(MON, "IBM", 0, 50.0, 49.0, reason="confidence 1"),
        verdict(MON, "MSFT", 0, 30.0, 20.0, rule="stop distance", reason="33 % away"),
        order(MON, "AAPL", "entry", "accepted", 20, 100.0),
        order(MON, "AAPL", "stop", "accepted", 20, 95.0),
        order(MON, "AAPL", "target", "accepted", 20, 110.0),
        mark(MON, 10_000.0, 0.0),
    ]
    tuesday: list[Value] = [
        order(TUE, "AAPL", "entry", "filled", 20, 100.0, hour=15),
        fill(TUE, "AAPL", "entry", 20, 99.50, 0.10),
        verdict(TUE, "KO", 40, 50.0, 48.0),
        order(TUE, "KO", "entry", "accepted", 40, 50.0),
        order(TUE, "KO", "stop", "accepted", 40, 48.0),
        mark(TUE, 8_009.90, 2_020.0),
    ]
    wednesday: list[Value] = [
        CashFlow(at(WED, 14), WED, "AAPL", "dividend", 5.0),
        order(WED, "KO", "entry", "partially filled", 40, 50.0, hour=15),
        fill(WED, "KO", "entry", 15, 50.0, 0.05),
        order(WED, "AAPL", "stop", "filled", 20, 95.0, hour=16),
        fill(WED, "AAPL", "stop", 20, 93.90, 0.20, hour=16),
        trade(
            "AAPL", 20, (TUE, 99.50), (WED, 93.90), pnl=-107.30, risk=100.0,
            exit_reason="stop", reason=HOSTILE,
        ),
        order(WED, "AAPL", "target", "canceled", 20, 110.0, hour=16),
        Alarm(at(WED, 18), "protection", "the stop was missing for 2 s", "KO"),
        order(WED, "KO", "entry", "expired", 40, 50.0),
        Halt("daily loss halt", "lost $122.25", at(WED), until=at(THU)),
        mark(WED, 9_142.65, 765.0),
    ]  # fmt: skip
    thursday: list[Value] = [
        CashFlow(at(THU, 13), THU, "", "deposit", 1_000.0),
        CashFlow(at(THU, 13), THU, "", "fee", -1.0),
        verdict(THU, "MSFT", 10, 30.0, 29.0),
        order(THU, "MSFT", "entry", "rejected", 10, 30.0, reason="buying power"),
        order(THU, "MSFT", "stop", "rejected", 10, 29.0, reason="buying power"),
        Command(at(THU, 20), "/status", "telegram 1", HOSTILE),
        mark(THU, 10_141.65, 772.50),
    ]
    friday: list[Value] = [
        order(FRI, "KO", "time limit", "filled", 15, 51.50),
        fill(FRI, "KO", "time limit", 15, 52.0, 0.05, hour=21),
        trade(
            "KO", 15, (WED, 50.0), (FRI, 52.0), pnl=29.90, risk=30.0, exit_reason="time limit"
        ),
        order(FRI, "KO", "stop", "canceled", 15, 48.0),
        Note(at(FRI, 17), "bars came late", "KO"),
        mark(FRI, 10_921.60, 0.0),
    ]  # fmt: skip
    return [*monday, *tuesday, *wednesday, *thursday, *friday]


def journal(*, row: RunRow | None = None, run: str = RUN) -> Journal:
    """Return a journal in memory with the week in it."""
    made = Journal()
    made.append_many(run, [row or run_row(), *values()])
    return made
