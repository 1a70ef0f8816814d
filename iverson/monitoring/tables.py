# SPDX-License-Identifier: GPL-3.0-or-later
"""From recorded values to tables and metrics: the same for a run in memory and for its journal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields

import numpy as np
import pandas as pd

from iverson.model import Fill, Trade, Verdict
from iverson.monitoring.metrics import average_trade, profit_factor, win_rate
from iverson.monitoring.record import EquityRow, Record
from iverson.monitoring.summary import Summary, summary


def trades_frame(trades: Sequence[Trade]) -> pd.DataFrame:
    """Return one row per closed trade, columns as in `Trade` plus `r_multiple`."""
    columns = [column.name for column in fields(Trade)]
    frame = pd.DataFrame([asdict(trade) for trade in trades], columns=columns)
    frame["r_multiple"] = [trade.r_multiple for trade in trades]
    for name in ("entry_session", "exit_session"):
        frame[name] = pd.to_datetime(frame[name])
    return frame


def denied_frame(verdicts: Iterable[Verdict]) -> pd.DataFrame:
    """Return one row per denied signal: when, what, which rule, its limit, the value, why."""
    rows = [
        {
            "session": verdict.signal.session,
            "symbol": verdict.signal.symbol,
            "side": verdict.signal.side,
            "confidence": verdict.signal.confidence,
            "rule": verdict.rule,
            "limit": verdict.limit,
            "value": verdict.value,
            "reason": verdict.reason,
            "strategy": verdict.signal.strategy,
        }
        for verdict in verdicts
        if not verdict.approved
    ]
    columns = ["session", "symbol", "side", "confidence", "rule", "limit", "value", "reason",
               "strategy"]  # fmt: skip
    frame = pd.DataFrame(rows, columns=columns)
    frame["session"] = pd.to_datetime(frame["session"])
    return frame


def equity_series(rows: Sequence[EquityRow], column: str = "equity") -> pd.Series:
    """Return a column of the account by session, the last mark of each."""
    index = pd.DatetimeIndex([row.session for row in rows], name="session")
    values = pd.Series([float(getattr(row, column)) for row in rows], index=index, name=column)
    return values[~values.index.duplicated(keep="last")]


def strategies_frame(record: Record, names: Iterable[str]) -> pd.DataFrame:
    """Return one row per strategy, in the order given: its signals, its trades, what they made.

    Money is dollars after costs; `average_r` is the mean profit over planned risk. What several
    strategies share, equity and drawdown, belongs to none of them.
    """
    rows = {}
    for name in names:
        verdicts = [one for one in record.verdicts if one.signal.strategy == name]
        trades = [one for one in record.trades if one.strategy == name]
        pnl = np.array([one.pnl for one in trades])
        rows[name] = {
            "signals": len(verdicts),
            "denied": sum(not one.approved for one in verdicts),
            "trades": len(trades),
            "win_rate": win_rate(pnl),
            "profit_factor": profit_factor(pnl),
            "average_trade": average_trade(pnl),
            "average_r": float(np.mean([one.r_multiple for one in trades])) if trades else math.nan,
            "average_sessions": (
                float(np.mean([one.sessions for one in trades])) if trades else math.nan
            ),
            "costs": math.fsum(one.commission + one.spread for one in trades),
            "pnl": math.fsum(pnl),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def measure(record: Record, start: float, *, seed: int = 0, resamples: int = 1000) -> Summary:
    """Measure a record: equity, trades, holding times, exposure, turnover."""
    trades = record.trades
    return summary(
        equity_series(record.equity),
        np.array([trade.pnl for trade in trades]),
        positions=equity_series(record.equity, "positions").to_numpy(),
        holding=np.array([float(trade.sessions) for trade in trades]),
        traded=traded_dollars(record.fills),
        starting_equity=start,
        seed=seed,
        resamples=resamples,
    )


def traded_dollars(made: Iterable[Fill]) -> float:
    """Sum what was bought and sold, dollars."""
    return float(sum(fill.size * fill.price for fill in made))


def dollars(amount: float) -> str:
    """Return dollars as people write them: $1,234.50, -$12.30."""
    text = f"{abs(amount):,.2f}"
    return f"-${text}" if amount < 0 and text.strip("0.,") else f"${text}"
