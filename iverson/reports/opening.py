# SPDX-License-Identifier: GPL-3.0-or-later
"""What a weekly and a monthly report begin with: what ran, and what the period made."""

from __future__ import annotations

import math

from iverson.model import Trade
from iverson.reports.journaled import Journaled
from iverson.reports.periods import Period
from iverson.reports.words import signed_money, signed_percent, stage_words
from iverson.research.report_parts import money, plural


def subtitle(told: Journaled, period: Period) -> str:
    """Say what ran, and how much of the period it saw."""
    noted, sessions = period.noted(told.sessions), period.sessions
    partly = "" if len(noted) == len(sessions) else f"{len(noted)} of "
    return (
        f"{stage_words(told.run.stage)} · run {told.name} · {period.first} to {period.last}, "
        f"{partly}{plural(len(sessions), 'session')}"
    )


def headline(told: Journaled, period: Period) -> str:
    """Say what the period made, in one sentence."""
    pnl = period.of(told.pnl)
    if pnl.empty:
        return f"No session of {period.name} was noted"
    closed = period.closed(told.of(Trade))
    won = sum(one.pnl > 0 for one in closed)
    trades = f"{plural(len(closed), 'trade')} closed, {won} won" if closed else "no trade closed"
    return (
        f"{signed_money(float(pnl.sum()))} ({signed_percent(period_return(told, period))}), "
        f"{trades}, equity {money(float(period.of(told.equity).iloc[-1]))}"
    )


def period_return(told: Journaled, period: Period) -> float:
    """Compound the returns of the period's sessions, a fraction; deposits are no return."""
    grown: float = math.prod(1.0 + one for one in period.of(told.returns).tolist())
    return grown - 1.0
