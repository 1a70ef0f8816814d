# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark: what the same money in the same symbols, bought once and left alone, became."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np
import pandas as pd

from iverson.errors import MissingBars
from iverson.execution.costs import Costs
from iverson.market.bars import Bars


def buy_and_hold(
    bars: Mapping[str, Bars],
    *,
    first: date,
    last: date,
    cash: float,
    costs: Costs | None = None,
) -> pd.Series:
    """Return the equity, dollars by session, of an equal part of the cash in every symbol.

    Each symbol gets 1/N of the cash, spent at the open of its first session in the span, at the
    raw price plus half the spread, the buy's fees included; fractional shares are allowed. Until
    then its part stays in cash. Splits multiply the shares, dividends stay in cash, nothing is
    rebalanced. A symbol that stops printing keeps its last price. The last value is a mark, not
    a sale: the cost of selling is not in it.

    Raises
    ------
    MissingBars: no symbol has a bar in the span.
    """
    costs = costs or Costs()
    spans = {symbol: _rows(one, first, last) for symbol, one in bars.items()}
    held = [_hold(bars[s][rows], cash / len(bars), costs) for s, rows in spans.items()
            if rows.stop > rows.start]  # fmt: skip
    if not held:
        raise MissingBars(f"no symbol has a bar from {first} to {last}; import more bars")
    idle = cash * (1.0 - len(held) / len(bars))
    sessions = held[0].index
    for one in held[1:]:
        sessions = sessions.union(one.index)
    total = np.full(len(sessions), idle)
    for one in held:
        total += one.reindex(sessions).ffill().fillna(cash / len(bars)).to_numpy()
    return pd.Series(total, index=sessions.rename("session"), name="buy_and_hold")


def _rows(bars: Bars, first: date, last: date) -> slice:
    start = int(np.searchsorted(bars.session, np.datetime64(first, "D")))
    end = int(np.searchsorted(bars.session, np.datetime64(last, "D"), side="right"))
    return slice(start, end)


def _hold(bars: Bars, dollars: float, costs: Costs) -> pd.Series:
    """Return one symbol's part, dollars by session: shares at the close, plus cash."""
    price = float(bars.open[0]) + costs.half_spread(float(bars.open[0]))
    fee = costs.commission("buy", dollars / price, price)  # of a hair more shares: cash stays >= 0
    bought = max(0.0, dollars - fee) / price
    shares = bought * bars.factor / bars.factor[0]
    paid = np.where(np.arange(len(bars)) > 0, bars.dividend, 0.0)  # bought on the ex-date: none
    cash = dollars - bought * price - min(fee, dollars) + np.cumsum(shares * paid)
    ends = np.r_[bars.session[1:] != bars.session[:-1], True]
    index = pd.DatetimeIndex(bars.session[ends].astype("datetime64[ns]"), name="session")
    return pd.Series((cash + shares * bars.close)[ends], index=index)
