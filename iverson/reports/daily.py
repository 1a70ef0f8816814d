# SPDX-License-Identifier: GPL-3.0-or-later
"""The daily report: what one session brought, and where the account stands after it.

All of it comes from the journal, so a session of a backtest, a walk-forward or a rehearsal reads
as one of paper or live trading does. Nothing after the session is looked at.

Profit is equity less the equity at the close before and less what was deposited; so it counts
open positions at market, dividends, fees and interest. Realised is the whole profit of the trades
that were closed in the session, whenever they began; open is how the profit of open trades changed.
The two, with what belongs to no trade (fees, interest), add up to the net profit. The journal notes
what all positions together are worth, not each one's price, so only the total of open profit is
told.
"""

from __future__ import annotations

import math
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np

from iverson.market.calendar import new_york
from iverson.model import Trade
from iverson.monitoring.events import Heartbeat
from iverson.monitoring.intervals import wilson
from iverson.monitoring.journal import Journal
from iverson.monitoring.measured import Metric, metric
from iverson.monitoring.metrics import win_rate
from iverson.monitoring.record import EquityRow, Note
from iverson.monitoring.replay import CENT_USD
from iverson.reports.incidents import incidents_section
from iverson.reports.journaled import Journaled, read, session_named
from iverson.reports.open_trades import open_pnl, open_trades
from iverson.reports.order_sections import denied_section, entries_section, slippage_section
from iverson.reports.page import Page, Section
from iverson.reports.trade_sections import positions_section, trades_section
from iverson.reports.words import clock, signed_money, signed_percent, stage_words
from iverson.research.report_parts import money, percent, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def daily(journal: Journal, *, run: str | None = None, session: date | str | None = None) -> Page:
    """Make the page of one session of a run; the last of both by default.

    Raises
    ------
    ConfigError: a session that is no date.
    DataError: no such run, no such session, or a run that noted no equity.
    """
    whole = read(journal, run=run)
    day = session_named(whole, session)
    known = whole.until(day)
    before = known.sessions[-2] if len(known.sessions) > 1 else None
    since = before + timedelta(days=1) if before else date.min
    mark = known.of(EquityRow)[-1]
    closed = known.of(Trade, on=day)
    return Page(
        kind="daily",
        title=f"{known.run.strategy}, {day}",
        subtitle=f"{stage_words(known.run.stage)} · run {known.name}",
        headline=_headline(known, closed),
        sections=(
            _result(known, before, closed),
            trades_section(known, day, day),
            positions_section(known),
            entries_section(known, day, day),
            slippage_section(known, day, day),
            denied_section(known, day, day),
            incidents_section(known, since, day, at=mark.at),
            _data(known, since, day, mark),
        ),
        run=known.name,
        first=day,
        last=day,
        made_up=known.made_up,
    )


def win_rate_of(trades: list[Trade]) -> Metric:
    """Measure the fraction of trades that made money, with Wilson's interval."""
    pnl = np.array([trade.pnl for trade in trades])
    won = int(np.count_nonzero(pnl > 0.0))
    found = wilson(won, pnl.size)
    return metric("win_rate", win_rate(pnl), found, pnl.size, unit="fraction", trades=True)


def _headline(known: Journaled, closed: list[Trade]) -> str:
    pnl, fraction = float(known.pnl.iloc[-1]), float(known.returns.iloc[-1])
    count = plural(len(closed), "trade") if closed else "no trade"
    equity = money(float(known.equity.iloc[-1]))
    return f"{signed_money(pnl)} ({signed_percent(fraction)}), {count} closed, equity {equity}"


def _result(known: Journaled, before: date | None, closed: list[Trade]) -> Section:
    mark = known.of(EquityRow)[-1]
    pnl = float(known.pnl.iloc[-1])
    realised = math.fsum(trade.pnl for trade in closed)
    unrealised = open_pnl(known.values)
    carried = open_pnl(known.until(before).values) if before else 0.0
    rest = pnl - realised - (unrealised - carried)
    deposited = float(known.deposits.iloc[-1])
    total, total_return = float(known.pnl.sum()), float(known.growth.iloc[-1]) - 1.0
    now, deepest = float(known.drawdowns.iloc[-1]), float(known.drawdowns.min())
    rate = win_rate_of(known.of(Trade))
    won = sum(trade.pnl > 0 for trade in closed)
    today = f"{won} of {len(closed)} won; to date " if closed else ""
    weak = "" if rate.enough else "insufficient data, "
    net = f"Net {signed_money(pnl)} ({signed_percent(float(known.returns.iloc[-1]))})"
    parts = f"realised {signed_money(realised)}, open {signed_money(unrealised - carried)}"
    lines = (
        f"{net}: {parts}",
        *(
            [f"Open trades stand at {signed_money(unrealised)}"]
            if open_trades(known.values)
            else []
        ),
        *(
            [f"Without a trade, such as fees: {signed_money(rest)}"]
            if abs(rest) >= CENT_USD
            else []
        ),
        *([f"Deposited {signed_money(deposited)}, not part of the profit"] if deposited else []),
        f"Since the start {signed_money(total)} ({signed_percent(total_return)})",
        f"Drawdown {percent(now)} now, {percent(deepest)} at its deepest",
        f"Win rate {today}{percent(rate.value, 0)} ({weak}n={rate.observations})",
    )
    return Section(
        "Result",
        lines=lines,
        chart=lambda: _equity_chart(known),
        chart_on_phone=len(known.sessions) > 1,  # a lone point is no curve
        facts={
            "equity_usd": mark.equity,
            "cash_usd": mark.cash,
            "positions_usd": mark.positions_value,
            "net_pnl_usd": pnl,
            "return_fraction": float(known.returns.iloc[-1]),
            "realised_pnl_usd": realised,
            "open_pnl_change_usd": unrealised - carried,
            "open_pnl_usd": unrealised,
            "other_pnl_usd": rest,
            "deposits_usd": deposited,
            "net_pnl_to_date_usd": total,
            "return_to_date_fraction": total_return,
            "drawdown_fraction": now,
            "max_drawdown_fraction": deepest,
            "won": won,
            "closed": len(closed),
            "win_rate_fraction": won / len(closed) if closed else math.nan,
            "win_rate_to_date_fraction": rate.value,
            "win_rate_to_date_low_fraction": rate.low,
            "win_rate_to_date_high_fraction": rate.high,
            "trades_to_date": rate.observations,
            "win_rate_enough_data": rate.enough,
        },
        note=(
            "Net: equity less the equity at the close before, less deposits. Realised: the whole "
            "profit after costs of the trades closed in the session, whenever they began. Open: "
            "how the profit of open trades changed, which a trade's close takes over into the "
            "realised. Drawdowns are of returns compounded, so that deposits do not count. "
            "“Insufficient data” means fewer than 30 trades."
        ),
    )


def _data(known: Journaled, since: date, day: date, mark: EquityRow) -> Section:
    missed = _missed(since, day)
    notes = known.within(since, day).of(Note)
    beats = len(known.of(Heartbeat, on=day))
    noted = f"account noted at {clock(mark.at)} UTC, the last bar seen"
    so_far = f"{plural(len(known.sessions), 'session')} so far"
    lines = (
        f"{known.feed}; {plural(len(known.run.symbols), 'symbol')}; {noted}; {so_far}",
        *([f"{plural(missed, 'session')} before this one left no mark"] if missed else []),
        *([plural(beats, "sign") + " of life"] if beats else []),
        *(f"{note.at:%m-%d %H:%M} {note.symbol}: {note.text}" for note in notes),
    )
    return Section(
        "Data",
        lines=lines,
        facts={
            "feed": known.feed,
            "symbols": list(known.run.symbols),
            "last_bar_at": mark.at,
            "sessions_to_date": len(known.sessions),
            "sessions_missed": missed,
            "heartbeats": beats,
            "notes": [{"at": one.at, "symbol": one.symbol, "text": one.text} for one in notes],
        },
        on_phone=bool(missed),
        note="A journal notes the account once a session, at its last bar; it does not count bars.",
        phone=lines[1:2],
    )


def _missed(since: date, day: date) -> int:
    """Count the exchange's sessions after the one noted before and before this one."""
    if since == date.min:
        return 0
    return len(new_york().between(since, day - timedelta(days=1))) if since < day else 0


def _equity_chart(known: Journaled) -> Figure:
    from iverson.reports.charts import account_chart

    return account_chart(known)
