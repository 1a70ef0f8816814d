# SPDX-License-Identifier: GPL-3.0-or-later
"""The sentences of a report, made from its numbers: the verdict, and what the numbers rest on."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from iverson.execution.costs import Costs
from iverson.monitoring.metrics import MINIMUM_TRADES
from iverson.monitoring.summary import Summary
from iverson.research.backtest import RELEASE_AFTER, parameters_of
from iverson.research.folds import purge_meaning
from iverson.research.report_parts import (
    Table,
    label,
    money,
    number,
    percent,
    plural,
    span,
    without_addresses,
)
from iverson.research.search_space import Integers, LogUniform, Uniform
from iverson.research.several import own_values, uses_of

if TYPE_CHECKING:
    from iverson.research.walk_result import WalkForward

SURVIVORSHIP = (
    "Survivorship-biased: no membership was given that says which symbols belonged when, so the "
    "symbols were chosen knowing that they survived. Companies that failed or were bought are "
    "absent from both curves, and both look better than they could have been."
)
BORDERS = {
    "close": "close: positions are left at the last close of each fold",
    "carry": "carry: positions go on into the next fold",
}


def verdict(result: WalkForward) -> str:
    """Say in one sentence what the out-of-sample numbers are evidence of."""
    sharpe, trades = result.metrics["sharpe"], len(result.trades)
    if trades == 0:
        return "No verdict: the system made no trade out of sample."
    if not sharpe.enough or trades < MINIMUM_TRADES or math.isnan(sharpe.low):
        return (
            f"Insufficient data: {plural(trades, 'trade')} in "
            f"{plural(sharpe.observations, 'session')} cannot tell an edge from luck."
        )
    reach = f"the 95 % interval of the Sharpe ratio, {span(sharpe.low, sharpe.high)},"
    if sharpe.high < 0:
        return f"Evidence of a loss: {reach} lies below 0."
    if sharpe.low <= 0:
        return f"No evidence of an edge: {reach} includes 0."
    return f"Evidence of an edge in this sample: {reach} lies above 0."


def caveats(result: WalkForward, held: Summary) -> Iterator[str]:
    """Yield what has to be read together with the verdict."""
    missed = [label(metric.name) for metric in result.metrics if metric.met is False]
    if missed:
        yield f"Below target: {', '.join(missed)}."
    ours, theirs = result.metrics["total_return"].value, held["total_return"].value
    word = "more" if ours > theirs else "less"
    yield (
        f"The system returned {percent(ours)} in all, {word} than the {percent(theirs)} of buying "
        f"and holding the same symbols; its Sharpe ratio was "
        f"{number(result.metrics['sharpe'].value)} against {number(held['sharpe'].value)}, with "
        f"{percent(invested(result), 1)} of equity invested on average."
    )
    worst = result.metrics_by_reading["worst"]["total_return"].value
    best = result.metrics_by_reading["best"]["total_return"].value
    if worst <= 0 < best:
        yield "Whether it made money at all hangs on how ambiguous bars are read."


def membership(result: WalkForward) -> str:
    """Say whose fate was known when the symbols were chosen."""
    universe = result.setup.universe
    if universe is None or universe.membership is None:
        return SURVIVORSHIP
    there = sum(symbol in result.bars for symbol in universe.symbols)
    absent = (
        ""
        if there == len(universe.symbols)
        else (
            f" Only {there:,} of its {plural(len(universe.symbols), 'symbol')} have bars here; "
            "what the others would have done is unknown."
        )
    )
    return (
        f"Point-in-time universe: {universe}. Outside its spells a symbol was not entered; buying "
        f"and holding holds every symbol all the time, members or not.{absent}"
    )


def invested(result: WalkForward) -> float:
    """Return the mean fraction of equity in positions at the close."""
    rows = result.record.equity
    return sum(abs(row.positions_value) / row.equity for row in rows) / len(rows)


def settings_table(result: WalkForward) -> Table:
    """List everything that, with the bars, decides the result."""
    return Table(("setting", "value"), tuple(_settings(result)), left=2, wrap=True)


def costs_words(costs: Costs) -> str:
    """Write the cost formula with its values."""
    if costs.free:
        return "none: nothing is charged, so these numbers are not for judging"
    minimum = f", at least {money(costs.minimum_commission)}" if costs.minimum_commission else ""
    spread = (
        f"half spread a share = max({costs.least_spread_ticks:g} tick / 2, price × "
        f"{costs.spread_bps:g} bps / 2), paid by fills that take liquidity"
        if costs.spread_bps
        else "no spread"
    )
    return (
        f"{spread}; commission ${costs.commission_per_share:g} a share{minimum}; on sales "
        f"${costs.sec_fee * 1e6:g} a million dollars (SEC) and ${costs.taf_per_share:g} a share "
        f"up to ${costs.taf_cap:g} (TAF); ${costs.cat_per_share:g} a share on both sides (CAT)"
    )


def _settings(result: WalkForward) -> Iterator[tuple[str, str]]:
    setup, plan = result.setup, result.plan
    known: dict[str, Any] = {**parameters_of(setup.strategy), **setup.params}
    searched = result.parameters
    for use in uses_of(setup.strategy):
        own = f", on {', '.join(use.symbols)}" if use.symbols else ""
        yield "strategy", f"{use.strategy.__module__}.{use.strategy.__name__}{own}"
    fixed = [f"{k} = {_plain(v)}" for k, v in known.items() if k not in searched]
    yield "parameters held fixed", "; ".join(fixed) or "none"
    for name in searched:
        choices = plan.space.get(name)
        values = dict.fromkeys(_plain(value) for value in result.values(name))
        ranged = isinstance(choices, Uniform | LogUniform | Integers)
        yield f"searched: {name}", repr(choices) if ranged else ", ".join(values)
    yield "sampler", plan.sampler
    yield "sets tried in each fold", f"{result.trials_a_fold:,}"
    yield (
        "ranked by",
        f"in-sample {plan.objective}; at least {plural(plan.minimum_trades, 'trade')} to count",
    )
    start = "anchored at the beginning" if plan.anchored else "rolling"
    yield "folds", f"in-sample {plan.in_sample}, out-of-sample {plan.out_of_sample}, {start}"
    yield "purge", purge_meaning(plan.purge, max_sessions=_longest(known))
    yield "at a fold's end", BORDERS[plan.at_border]
    yield "warm-up", f"{_warm_up(result)} bars before a symbol may trade, from its past"
    for place, rule in enumerate(setup.rules, start=1):
        yield f"rule {place}", without_addresses(repr(rule))
    yield "latched halts", f"released after {RELEASE_AFTER} sessions, the high set anew (backtest)"
    if setup.universe is not None:
        yield "universe", repr(setup.universe)
    yield "sizing", without_addresses(repr(setup.sizing))
    if setup.capital is not None:
        yield "capital steps", without_addresses(repr(setup.capital))
    yield "costs", costs_words(setup.costs)
    yield (
        "limit orders",
        f"fill when the market trades {plural(setup.through_ticks, 'tick')} through them",
    )
    if setup.as_alpaca:
        yield "orders", "on Alpaca's terms; the stop of a short has Alpaca's collar"
    yield "volume", f"at most {percent(setup.volume_share, 0)} of a bar's volume"
    yield "starting cash", money(setup.cash)
    level, resamples = percent(result.metrics.level, 0), f"{result.metrics.resamples:,}"
    yield "intervals", f"{level}, {resamples} resamples, seed {plan.seed}"
    versions = ("iverson", "backtrader", "numpy", "pandas", "matplotlib")
    named = [f"{name} {version(name)}" for name in versions]
    yield "versions", ", ".join([f"python {platform.python_version()}", *named])


def _longest(known: Mapping[str, Any]) -> int | None:
    limits = own_values(known, "max_sessions")
    return None if None in limits else max(limits)


def _warm_up(result: WalkForward) -> str:
    found = sorted({one.warm_up for one in result.judged["worst"].by_fold})
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _plain(value: Any) -> str:
    return without_addresses(f"{value:g}" if isinstance(value, float) else str(value))
