# SPDX-License-Identifier: GPL-3.0-or-later
"""The review's chapters on profit: where it came from, by symbol and way out, month by month."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from iverson.model import Trade
from iverson.reports.journaled import Journaled
from iverson.reports.page import Section, Table
from iverson.reports.periods import Period
from iverson.reports.profit import months_frame, profit
from iverson.reports.strategies import Group, grouped
from iverson.reports.words import in_r, signed_money, signed_percent
from iverson.research.report_parts import number, percent, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MONTHS = 24  # that are shown; the facts have all
ON_PHONE = 6


def profit_section(told: Journaled, period: Period) -> Section:
    """Take the month's profit apart: trades before costs, costs, dividends, the rest."""
    found = profit(told, period)
    closed = len(period.closed(told.of(Trade)))
    deposits = math.fsum(period.of(told.deposits).tolist())
    parts = (
        ("Closed trades before costs", found.gross),
        ("Dividends", found.dividends),
        ("Commission and fees", -found.commission),
        ("Spread", -found.spread),
        (f"Net of {plural(closed, 'closed trade')}", found.net),
        ("Open positions and cash", found.rest),
        ("Profit of the month", found.total),
    )
    lines = tuple(f"{name}: {signed_money(dollars)}" for name, dollars in parts)
    moved = (f"Deposited {signed_money(deposits)}, not part of the profit.",) if deposits else ()
    return Section(
        title="Profit and loss",
        lines=moved,
        table=Table(("", "Dollars"), tuple((name, signed_money(d)) for name, d in parts)),
        facts={**found.facts, "closed_trades": closed, "deposits_usd": deposits},
        note="A trade counts whole in the month it is closed in, with the costs of its entry. Open "
        "positions and cash: what is still open made or lost in the month, the costs of its "
        "entries, interest and fees of the account, less what trades closed now had made before.",
        phone=(*moved, *lines),
    )


def source_sections(told: Journaled, period: Period) -> tuple[Section, Section]:
    """Tell the month's closed trades by symbol, and by the way they were left."""
    closed = period.closed(told.of(Trade))
    return (
        _groups("By symbol", "Symbol", closed, lambda trade: trade.symbol),
        _groups("By way out", "Left by", closed, lambda trade: trade.exit_reason),
    )


def months_section(told: Journaled, period: Period) -> Section:
    """Tell every month so far, the last ones shown."""
    table = months_frame(told)
    months = list(table.to_dict("index").items())
    shown = months[-MONTHS:]
    more = f"{plural(len(months) - len(shown), 'earlier month')} not shown."

    def chart() -> Figure:
        from iverson.reports.charts_monthly import months_chart

        return months_chart(table.iloc[-MONTHS:], period)

    return Section(
        title="Months",
        lines=(more,) if len(months) > len(shown) else (),
        table=Table(
            ("Month", "Profit", "Return", "Deepest fall", "Trades", "Won"),
            tuple(
                (
                    str(name),
                    signed_money(row["pnl"]),
                    signed_percent(row["return"]),
                    percent(row["drawdown"]),
                    int(row["trades"]),
                    int(row["won"]),
                )
                for name, row in reversed(shown)
            ),
        ),
        chart=chart,
        facts={
            str(name): {
                "pnl_usd": row["pnl"],
                "return_fraction": row["return"],
                "max_drawdown_fraction": row["drawdown"],
                "trades": int(row["trades"]),
                "won": int(row["won"]),
            }
            for name, row in months
        },
        note="Profit is the change of equity at market, deposits taken out. The deepest fall is "
        "measured within the month.",
        phone=tuple(
            f"{name}: {signed_money(row['pnl'])} ({signed_percent(row['return'])}), "
            f"{plural(int(row['trades']), 'trade')}"
            for name, row in reversed(months[-ON_PHONE:])
        ),
    )


def _groups(title: str, head: str, trades: list[Trade], name_of: Callable[[Trade], str]) -> Section:
    found = sorted(grouped(trades, name_of), key=lambda one: one.pnl)
    if not found:
        return Section(title, ("No trade was closed.",), facts={})
    return Section(
        title=title,
        table=Table(
            (head, "Trades", "Profit", "Won", "Mean R", "Total R"),
            tuple(
                (
                    one.name,
                    one.trades,
                    signed_money(one.pnl),
                    percent(one.win_rate, 0),
                    number(one.mean_r),
                    in_r(one.total_r),
                )
                for one in found
            ),
        ),
        facts={one.name: one.facts for one in found},
        phone=tuple(map(_said, found)),
    )


def _said(one: Group) -> str:
    won = percent(one.win_rate, 0)
    return f"{one.name}: {signed_money(one.pnl)}, {plural(one.trades, 'trade')}, won {won}"
