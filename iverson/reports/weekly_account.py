# SPDX-License-Identifier: GPL-3.0-or-later
"""The digest's chapters on the account: the week, the strategies, what was at risk."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from iverson.book import Halt
from iverson.market.bars import Bars
from iverson.model import Trade
from iverson.reports.journaled import Journaled, new_york_date
from iverson.reports.opening import period_return
from iverson.reports.page import Section, Table
from iverson.reports.periods import Period
from iverson.reports.risk_taken import MINIMUM_GAPS, Held, held_at_closes
from iverson.reports.strategies import Group, grouped, strategy_of
from iverson.reports.words import in_r, signed_money, signed_percent
from iverson.research.report_parts import money, number, percent, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def account_section(told: Journaled, period: Period) -> Section:
    """Tell the equity from the close before the week to its last close, and the halts."""
    equity, pnl = period.of(told.equity), period.of(told.pnl)
    if equity.empty:
        return Section("The account", (f"No session of {period.name} was noted.",))
    deposits = float(period.of(told.deposits).sum())
    before = float(equity.iloc[-1] - pnl.sum()) - deposits
    halts = [
        halt for halt in told.of(Halt)
        if period.first <= new_york_date(halt.since) <= period.last
    ]  # fmt: skip
    sessions = [stamp.date() for stamp in equity.index]
    made, returned = pnl.tolist(), period.of(told.returns).tolist()
    worst = made.index(min(made))
    moved = f", {signed_money(deposits)} deposited" if deposits else ""
    lines = [
        f"Equity {money(before)} → {money(float(equity.iloc[-1]))}{moved}.",
        (
            f"Worst day {sessions[worst]:%a %d %b}: {signed_money(made[worst])} "
            f"({signed_percent(returned[worst])}); worst to date "
            f"{signed_percent(float(told.returns.min()))}."
        ),
        (
            f"Drawdown at the end {percent(float(told.drawdowns.iloc[-1]))}, deepest so far "
            f"{percent(float(told.drawdowns.min()))}."
        ),
        *(f"Halt of {new_york_date(halt.since)}: {halt.reason}." for halt in halts),
    ]
    rows = tuple(
        (
            f"{session:%a %Y-%m-%d}",
            signed_money(made[place]),
            signed_percent(returned[place]),
            money(float(equity.iloc[place])),
            percent(float(period.of(told.drawdowns).iloc[place])),
        )
        for place, session in enumerate(sessions)
    )

    def chart() -> Figure:
        from iverson.reports.charts_weekly import week_chart

        return week_chart(told, period)

    return Section(
        title="The account",
        lines=tuple(lines),
        table=Table(("Session", "P&L", "Return", "Equity", "Drawdown"), rows),
        chart=chart,
        chart_on_phone=len(told.sessions) > 1,  # a lone point is no curve
        facts={
            "before_usd": before,
            "equity_usd": float(equity.iloc[-1]),
            "deposits_usd": deposits,
            "pnl_usd": float(pnl.sum()),
            "return_fraction": period_return(told, period),
            "worst_session": sessions[worst],
            "worst_session_pnl_usd": made[worst],
            "worst_return_to_date_fraction": float(told.returns.min()),
            "drawdown_fraction": float(told.drawdowns.iloc[-1]),
            "max_drawdown_fraction": float(told.drawdowns.min()),
            "sessions": {str(day): dollars for day, dollars in zip(sessions, made, strict=True)},
            "halts": [halt.reason for halt in halts],
        },
        note="P&L is the change of equity at market, after costs, deposits taken out.",
        phone=tuple(lines),
    )


def strategy_section(told: Journaled, period: Period) -> Section:
    """Tell trades, dollars, win rate and R of each strategy: this week, and to date."""
    trades = told.of(Trade)
    to_date = grouped(trades, strategy_of)
    names = [one.name for one in to_date]
    week = grouped(period.closed(trades), strategy_of, names=names)
    if not to_date:
        return Section("By strategy", ("No trade has been closed yet.",), facts={})
    rows = tuple(
        row
        for one, ever in zip(week, to_date, strict=True)
        for row in (_row(one, one.name, "this week"), _row(ever, "", "to date"))
    )

    def chart() -> Figure:
        from iverson.reports.charts_weekly import strategies_chart

        return strategies_chart(week, to_date)

    columns = ("Strategy", "When", "Trades", "P&L", "Win rate", "Mean R", "Total R")
    return Section(
        title="By strategy",
        table=Table(columns, rows, words=2),
        chart=chart,
        facts={
            one.name: {"week": one.facts, "to_date": ever.facts}
            for one, ever in zip(week, to_date, strict=True)
        },
        note="Trades count when they are closed. R is profit over the risk planned at the entry.",
        phone=tuple(
            f"{one.name}: {_said(one)} (to date: {_said(ever)})"
            for one, ever in zip(week, to_date, strict=True)
        ),
    )


def risk_section(told: Journaled, period: Period, bars: Mapping[str, Bars] | None) -> Section:
    """Tell what could have been lost at each close: to the stops, and to a bad night."""
    held = held_at_closes(told, period.first, period.last, bars=bars)
    if not held:
        return Section("Risk", (f"No session of {period.name} was noted.",))
    end, most = held[-1], max(held, key=lambda one: one.open_risk)
    lines = [
        (
            f"Open risk to the stops at the end {_part(end.open_risk, end)}, at most "
            f"{_part(most.open_risk, most)} on {most.session:%a}."
        ),
        (
            f"Invested at the end {percent(end.exposure, 1)}, on average "
            f"{percent(_mean([one.exposure for one in held]), 1)}, at most "
            f"{percent(max(one.exposure for one in held), 1)}."
        ),
        *_stress_lines(held, bars),
    ]
    if not any(one.positions or one.working for one in held):
        lines = ["Nothing was held, and no entry waited, at any close of the week."]
    rows = tuple(
        (
            f"{one.session:%a %Y-%m-%d}",
            len(one.positions),
            percent(one.exposure, 1),
            money(one.open_risk),
            percent(one.of_equity(one.open_risk)),
            _stress(one, money(one.stress)),
            _stress(one, percent(one.of_equity(one.stress))),
        )
        for one in held
    )
    columns = ("Session", "Positions", "Invested", "Open risk", "Of equity", "Stress loss",
               "Of equity")  # fmt: skip
    unmarked = "" if all(one.marked for one in held) else " Without bars, from the entry price."
    return Section(
        title="Risk",
        lines=tuple(lines),
        table=Table(columns, rows),
        facts={"closes": {str(one.session): _facts(one) for one in held}},
        note="Open risk: dollars lost if every stop filled at its price, working entries included."
        f"{unmarked} Stress loss: every position gaps against us at once, each by its symbol's "
        "99.5th percentile of overnight gaps so far.",
        phone=tuple(lines),
    )


def _row(one: Group, name: str, when: str) -> tuple[object, ...]:
    return (
        name,
        when,
        one.trades,
        signed_money(one.pnl),
        percent(one.win_rate, 0),
        number(one.mean_r),
        in_r(one.total_r),
    )


def _said(one: Group) -> str:
    if not one.trades:
        return "no trade"
    return (
        f"{plural(one.trades, 'trade')}, {signed_money(one.pnl)}, won {percent(one.win_rate, 0)}, "
        f"{number(one.mean_r)} R each"
    )


def _part(dollars: float, one: Held) -> str:
    return f"{money(dollars)} ({percent(one.of_equity(dollars))})"


def _stress_lines(held: list[Held], bars: Mapping[str, Bars] | None) -> list[str]:
    known = [one for one in held if not math.isnan(one.stress)]
    if bars is None or not known:
        return ["Stress loss: no bars."]
    most = max(known, key=lambda one: one.stress)
    few = "" if all(one.enough for one in known) else f" (fewer than {MINIMUM_GAPS} nights known)"
    end = _stress(held[-1], _part(held[-1].stress, held[-1]))
    return [
        (
            f"Stress loss of a bad night at the end {end}, at most {_part(most.stress, most)} on "
            f"{most.session:%a}{few}."
        )
    ]


def _stress(one: Held, written: str) -> str:
    return "no bars" if math.isnan(one.stress) else written


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _facts(one: Held) -> dict[str, Any]:
    return {
        "positions": len(one.positions),
        "exposure_fraction": one.exposure,
        "open_risk_usd": one.open_risk,
        "open_risk_fraction": one.of_equity(one.open_risk),
        "stress_loss_usd": one.stress,
        "stress_loss_fraction": one.of_equity(one.stress),
        "stress_enough": one.enough,
        "marked": one.marked,
    }
