# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of a journal in few words, for tests of what is told of them."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Any

from iverson.model import Fill, Signal, Stage, Trade, Verdict
from iverson.monitoring.events import Alarm
from iverson.monitoring.record import EquityRow, RunRow

AT = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)  # 10:30 in New York
SESSION = date(2026, 3, 2)
CASH = 10_000.0
RUN = "paper-Dip"


def later(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def began(stage: Stage = Stage.PAPER, cash: float = CASH) -> RunRow:
    return RunRow("Dip", "Dip", {}, ("AAPL",), "digest", None, stage, cash, at=AT)


def approved(symbol: str = "AAPL", **more: Any) -> Verdict:
    signal = Signal(AT, SESSION, symbol, "long", 4, 43.5, 42.0, 46.0)
    return Verdict(signal, approved=True, size=100, rule="risk", reason="100 shares", **more)


def denied(*, alert: bool = False, reason: str = "too much risk") -> Verdict:
    signal = Signal(AT, SESSION, "AAPL", "long", 4, 43.5, 42.0, 46.0)
    return Verdict(signal, approved=False, size=0, rule="size", reason=reason, alert=alert)


def entry(size: float = 100, price: float = 43.25, *, order: str = "k-entry") -> Fill:
    return Fill(AT, SESSION, order, "AAPL", "buy", "entry", size, price, 0.0)


def closed(pnl: float = 150.0, **more: Any) -> Trade:
    given: dict[str, Any] = dict(
        symbol="AAPL", side="long", size=100.0, entry_at=AT, entry_session=SESSION, entry=43.25,
        exit_at=later(60), exit_session=SESSION, exit=44.75, pnl=pnl, commission=0.0, spread=0.0,
        dividends=0.0, sessions=3, exit_reason="target", confidence=4, risk=100.0, stop=42.0,
        target=46.0, ambiguous=False,
    )  # fmt: skip
    return Trade(**(given | more))


def account(equity: float, seconds: float = 0) -> EquityRow:
    return EquityRow(later(seconds), SESSION, equity, equity, 0.0, 0)


def alarm(reason: str, rule: str = "exit", seconds: float = 0) -> Alarm:
    return Alarm(later(seconds), rule, reason)


NAN = math.nan
