# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections on closed trades and on what is open, of any span of days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from iverson.model import Trade
from iverson.reports.journaled import Journaled
from iverson.reports.open_trades import OpenTrade, open_trades
from iverson.reports.page import Section, Table
from iverson.reports.words import in_r, price, shares, signed_money, why
from iverson.research.report_parts import money, percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRADES_NOTE = (
    "Profit after costs, dividends included; R is profit over the planned risk, the distance from "
    "limit to stop times the shares entered. “Entered because” quotes the strategy."
)
POSITIONS_NOTE = (
    "Planned loss: what is lost from the average entry when the stop fills at its price, costs "
    "left out; negative once the stop has locked in a profit."
)


def trades_section(known: Journaled, first: date, last: date) -> Section:
    """Tell the trades closed in a span, and those begun in it that are still open."""
    closed = known.within(first, last).of(Trade)
    opened = [one for one in open_trades(known.values) if first <= one.since <= last]
    rows = tuple(
        (
            *(one.symbol, one.side, one.exit_reason, why(one.reason, 48), one.entry_session),
            *(shares(one.size), price(one.entry), price(one.exit)),
            *(signed_money(one.pnl), in_r(one.r_multiple)),
        )
        for one in closed
    )
    columns = (
        *("Symbol", "Side", "Left by", "Entered because", "Entered"),
        *("Shares", "Entry", "Exit", "Profit", "R"),
    )
    entered = tuple(map(_entered, opened))
    nothing = () if closed or opened else ("No trade was closed and none was opened.",)
    return Section(
        "Trades",
        lines=(*entered, *nothing),
        table=Table(columns, rows, words=5) if rows else None,
        chart=(lambda: _chart(closed)) if closed else None,
        chart_on_phone=False,  # each exit was told with a picture of its own
        facts={
            "closed": [_closed_fact(trade) for trade in closed],
            "opened": [_opened_fact(trade) for trade in opened],
            "ambiguous": sum(trade.ambiguous for trade in closed),
        },
        note=TRADES_NOTE,
        phone=(*map(_closed, closed), *entered, *nothing),
    )


def positions_section(known: Journaled) -> Section:
    """Tell what is open after the last row, with its stops and what they plan to lose."""
    held, equity = open_trades(known.values), float(known.equity.iloc[-1])
    losses = [one.planned_loss for one in held if math.isfinite(one.planned_loss)]
    total = math.fsum(losses)
    share = total / equity if equity > 0 else math.nan
    bare = [one.symbol for one in held if math.isnan(one.stop)]
    stopped = f"If every stop fills at its price: {money(total)} lost ({percent(share)} of equity)"
    lines = (
        *([] if held else ["Flat."]),
        *([stopped] if losses else []),
        *([f"NO STOP works for {', '.join(bare)}"] if bare else []),
    )
    columns = ("Symbol", "Side", "Since", "Shares", "Entry", "Stop", "Planned loss")
    rows = tuple(
        (
            *(one.symbol, one.side, one.since, shares(abs(one.size)), price(one.entry)),
            *(price(one.stop), money(one.planned_loss)),
        )
        for one in held
    )
    return Section(
        "Open positions",
        lines=lines,
        table=Table(columns, rows, words=3) if rows else None,
        facts={
            "positions": [
                {
                    **_opened_fact(one),
                    "since": one.since,
                    "stop_usd": one.stop,
                    "planned_loss_usd": one.planned_loss,
                }
                for one in held
            ],
            "planned_loss_usd": total,
            "planned_loss_fraction": share,
        },
        on_phone=bool(held),
        note=POSITIONS_NOTE,
        phone=(*map(_held, held), *lines),
    )


def _chart(trades: Sequence[Trade]) -> Figure:
    from iverson.reports.charts import trades_chart

    return trades_chart(trades)


def _closed(trade: Trade) -> str:
    return (
        f"{trade.symbol} {trade.side} {shares(trade.size)}: {price(trade.entry)} → "
        f"{price(trade.exit)} {trade.exit_reason}, {signed_money(trade.pnl)}, "
        f"{in_r(trade.r_multiple)}"
    )


def _entered(trade: OpenTrade) -> str:
    words = why(trade.reason)
    begun = f"Entered {trade.symbol} {trade.side} {shares(abs(trade.size))} at {price(trade.entry)}"
    if not isinstance(trade.reason, str):
        return f"{begun} ({words})" if words else begun
    return f"{begun}: {words}" if words else begun


def _held(trade: OpenTrade) -> str:
    held = f"{trade.symbol} {trade.side} {shares(abs(trade.size))} at {price(trade.entry)}"
    if math.isnan(trade.stop):
        return f"{held}, NO STOP"
    return f"{held}, stop {price(trade.stop)}, planned loss {money(trade.planned_loss)}"


def _closed_fact(trade: Trade) -> dict[str, object]:
    return {
        "symbol": trade.symbol,
        "side": trade.side,
        "shares": trade.size,
        "entry_session": trade.entry_session,
        "entry_usd": trade.entry,
        "exit_at": trade.exit_at,
        "exit_usd": trade.exit,
        "exit_reason": trade.exit_reason,
        "pnl_usd": trade.pnl,
        "r_multiple": trade.r_multiple,
        "sessions": trade.sessions,
        "confidence": trade.confidence,
        "reason": trade.reason,
        "strategy": trade.strategy,
        "ambiguous": trade.ambiguous,
    }


def _opened_fact(trade: OpenTrade) -> dict[str, object]:
    return {
        "symbol": trade.symbol,
        "side": trade.side,
        "shares": abs(trade.size),
        "entry_usd": trade.entry,
        "reason": trade.reason,
    }
