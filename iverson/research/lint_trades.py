# SPDX-License-Identifier: GPL-3.0-or-later
"""Lint of the trades: too few, one of them carrying all, costs, doubtful bars, too many winners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from iverson.monitoring.intervals import wilson
from iverson.monitoring.metrics import MINIMUM_TRADES
from iverson.research.lint_finding import Finding
from iverson.research.report_parts import money, number, percent, plural

if TYPE_CHECKING:
    from iverson.research.lint_finding import Result

# Half of the profit from one trade, symbol or year: what is left would not have been noticed. A
# universe of N equal symbols gives each 1/N, so of few symbols (or years) twice that is allowed.
CARRIED_SHARE = 0.5
MINIMUM_YEARS = 3  # of fewer years one is bound to stand out
# Costs are estimates: of the spread at the moment of the trade, of the fees of that year. An edge
# that does not survive their doubling rests on the estimate.
BREAK_EVEN_COSTS = 2.0
# The order of prices within a bar is unknown; above these shares the result is more about the
# rule for reading bars than about the strategy. A strategy that means to leave on its entry bar
# belongs on shorter bars.
AMBIGUOUS_SHARE = 0.10
SAME_BAR_SHARE = 0.25
# A stop as far away as the target wins about half of its trades by chance; three in four, beyond
# doubt, comes from a target much nearer than the stop, from losers held open, or from the future.
WIN_RATE = 0.75


def too_few_trades(result: Result) -> Iterator[Finding]:
    """Fewer trades than any statement about a trade needs."""
    count = len(result.trades)
    if count < MINIMUM_TRADES:
        words = (
            f"{plural(count, 'trade')} cannot tell an edge from luck; "
            f"expected at least {MINIMUM_TRADES}."
        )
        yield Finding("too few trades", words, count, MINIMUM_TRADES, "count")


def one_trade(result: Result) -> Iterator[Finding]:
    """One trade made most of the profit."""
    trades = result.trades
    if len(trades):
        at = int(trades["pnl"].to_numpy().argmax())
        symbol, left = trades["symbol"].iloc[at], trades["exit_session"].iloc[at]
        name = f"The best trade ({symbol}, {left:%Y-%m-%d})"
        yield from _carried("one trade", name, trades["pnl"], CARRIED_SHARE)


def one_symbol(result: Result) -> Iterator[Finding]:
    """One symbol of several made most of the profit."""
    universe = len(result.bars)
    if universe > 1 and len(result.trades):
        sums = result.trades.groupby("symbol")["pnl"].sum()
        threshold = max(CARRIED_SHARE, 2.0 / universe)
        yield from _carried("one symbol", str(sums.idxmax()), sums, threshold)


def one_year(result: Result) -> Iterator[Finding]:
    """One calendar year of several made most of the profit."""
    years = pd.DatetimeIndex(result.equity.index).year.nunique()
    if years >= MINIMUM_YEARS and len(result.trades):
        sums = result.trades.groupby(result.trades["exit_session"].dt.year)["pnl"].sum()
        threshold = max(CARRIED_SHARE, 2.0 / years)
        yield from _carried("one year", f"The year {sums.idxmax()}", sums, threshold)


def costs_unbearable(result: Result) -> Iterator[Finding]:
    """A profit that a small mistake about the costs would take away.

    The multiple of the costs at which the profit is 0, (profit + costs) / costs, with the same
    trades and fills. Silent without a profit before costs: there is nothing for them to eat.
    """
    paid, net = _costs(result.trades), float(result.trades["pnl"].sum())
    if paid > 0.0 and net + paid > 0.0:
        multiple = (net + paid) / paid
        if multiple < BREAK_EVEN_COSTS:
            words = (
                f"{plural(len(result.trades), 'trade')} cost {money(paid)} and made "
                f"{money(net + paid)} before costs: the profit is gone at {number(multiple)} times "
                f"the assumed costs, and should bear {BREAK_EVEN_COSTS:g} times."
            )
            yield Finding("costs", words, multiple, BREAK_EVEN_COSTS)


def no_costs(result: Result) -> Iterator[Finding]:
    """Nothing was charged."""
    if result.setup.costs.free and len(result.trades):
        words = "Nothing was charged for trading: these numbers are not for judging."
        yield Finding("no costs", words, 0.0, 0.0, "count")


def ambiguous_bars(result: Result) -> Iterator[Finding]:
    """Too many outcomes hang on the order of prices within one bar."""
    count, of = int(result.trades["ambiguous"].sum()), len(result.trades)
    if of and count / of > AMBIGUOUS_SHARE:
        words = (
            f"{count:,} of {plural(of, 'trade')} ({percent(count / of, 0)}) met stop and target, "
            f"or entry and exit, in one bar whose order of prices is unknown; above "
            f"{percent(AMBIGUOUS_SHARE, 0)} shorter bars are needed."
        )
        yield Finding("ambiguous bars", words, count / of, AMBIGUOUS_SHARE, "fraction")


def same_bar_trades(result: Result) -> Iterator[Finding]:
    """Too many trades began and ended in one bar."""
    trades = result.trades
    count, of = int((trades["entry_at"] == trades["exit_at"]).sum()), len(trades)
    if of and count / of > SAME_BAR_SHARE:
        words = (
            f"{count:,} of {plural(of, 'trade')} ({percent(count / of, 0)}) began and ended within "
            f"one bar; above {percent(SAME_BAR_SHARE, 0)} the bars are too long for this strategy."
        )
        yield Finding("same-bar trades", words, count / of, SAME_BAR_SHARE, "fraction")


def implausible_win_rate(result: Result) -> Iterator[Finding]:
    """More winners than strategies have, beyond doubt (lower limit of the win rate's interval)."""
    wins, count = int((result.trades["pnl"] > 0.0).sum()), len(result.trades)
    low = wilson(wins, count).low
    if low > WIN_RATE:
        words = (
            f"{wins:,} of {plural(count, 'trade')} won ({percent(wins / count, 0)}, at least "
            f"{percent(low, 0)} by its interval; above {percent(WIN_RATE, 0)} is rare). Look for a "
            "target much nearer than the stop, losers that are never closed, or future data."
        )
        yield Finding("win rate", words, low, WIN_RATE, "fraction")


def _carried(kind: str, name: str, pnl: pd.Series[Any], threshold: float) -> Iterator[Finding]:
    values = pnl.to_numpy(dtype=np.float64)
    profit, best = float(values.sum()), float(values.max())
    if not profit > 0.0 or best / profit < threshold:
        return
    words = (
        f"{name} made {money(best)}, {percent(best / profit, 0)} of the profit of {money(profit)} "
        f"(at most {percent(threshold, 0)} expected); without it the result is "
        f"{money(profit - best)}."
    )
    yield Finding(kind, words, best / profit, threshold, "fraction")


def _costs(trades: pd.DataFrame) -> float:
    return float((trades["commission"] + trades["spread"]).sum())
