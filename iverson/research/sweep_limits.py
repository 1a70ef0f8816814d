# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel can express of a setup: its numbers, or the reason why it is for the engine."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from iverson.execution.costs import Costs
from iverson.execution.fills import READINGS
from iverson.market.bars import DAILY
from iverson.research.backtest import RELEASE_AFTER, Prepared, Setup
from iverson.research.kernel_state import (
    CORRELATION,
    LONG_ONLY,
    MAX_POSITIONS,
    ONE_SYSTEM,
    OPEN_RISK,
    STOP_DISTANCE,
    TERMS,
    Floats,
    Records,
)
from iverson.research.several import Several
from iverson.risk import rules
from iverson.risk.sizing import RiskSizing
from iverson.risk.universe import (
    LargestByDollarVolume,
    Membership,
    MinimumClose,
    MinimumDollarVolume,
)
from iverson.strategy import Strategy

_RULES: dict[type, tuple[int, tuple[str, ...]]] = {
    rules.LongOnly: (LONG_ONLY, ()),
    rules.OneSystemPerSymbol: (ONE_SYSTEM, ()),
    rules.MaxPositions: (MAX_POSITIONS, ("limit",)),
    rules.StopDistance: (STOP_DISTANCE, ("limit",)),
    rules.Correlation: (CORRELATION, ("limit", "lookback", "shared")),
    rules.OpenRisk: (OPEN_RISK, ("limit",)),
}
_HALTS: dict[type, tuple[str, ...]] = {
    rules.DrawdownHalt: ("limit", "flatten"),
    rules.DailyLossHalt: ("limit_usd", "limit", "hours", "flatten"),
}
_FILTERS = (Membership, MinimumClose, MinimumDollarVolume, LargestByDollarVolume)
_OWN = {"__init__", "entry", "warm_up"}  # what a strategy may define and stay declarative
_ONCE = (*_HALTS, rules.Correlation)


def explain(setup: Setup, prepared: Prepared | None = None) -> str | None:
    """Say why the kernel cannot run a setup, None when it can.

    Single sets may still go through the engine: those whose strategy fails or gives faulty signals
    (the engine has the words), ruins the account, or whose lines the kernel cannot read.
    """
    if find_spec("numba") is None:
        return "numba is not installed"
    if type(setup.sizing) is not RiskSizing:
        return f"{type(setup.sizing).__name__} is a sizing of your own"
    if type(setup.costs) is not Costs:
        return f"{type(setup.costs).__name__} are costs of your own"
    if setup.as_alpaca:
        return "orders are taken on Alpaca's terms"
    if setup.capital is not None:
        return "by capital steps a size depends on the trades before it"
    if prepared and any(feed.bars.interval != DAILY for feed in prepared.feeds.values()):
        return "the bars are not daily"
    return _why_not_rules(setup) or _why_not_strategy(setup.strategy) or why_not_params(setup)


class Numbers(NamedTuple):
    """What the kernel reads of a setup; `lookback` and `shared` are the correlation's windows."""

    terms: Records  # (1,)
    rules: Floats  # (n, 2): code and limit
    lookback: int
    shared: int
    hours: float  # of a daily-loss halt


def numbers_of(setup: Setup, max_sessions: int | None) -> Numbers:
    """Return a setup's numbers, the same for all parameters but this one."""
    coded: list[tuple[float, float]] = []
    lookback, shared, hours = 1, 2, 24.0
    terms = np.zeros(1, TERMS)
    terms["drawdown"] = terms["loss"] = terms["loss_usd"] = math.nan
    for rule in setup.rules:
        if type(rule) in _FILTERS:
            continue
        if isinstance(rule, rules.DrawdownHalt):
            terms["drawdown"], terms["drawdown_flattens"] = rule.p.limit, rule.p.flatten
        elif isinstance(rule, rules.DailyLossHalt):
            terms["loss"], terms["loss_flattens"] = rule.p.limit, rule.p.flatten
            terms["loss_usd"], hours = rule.p.limit_usd, rule.p.hours
        else:
            kind, names = _RULES[type(rule)]
            coded.append((kind, getattr(rule.p, names[0]) if names else 0.0))
        if isinstance(rule, rules.Correlation):
            lookback, shared = rule.p.lookback, rule.p.shared
    for name in Costs.__slots__:
        terms[name] = getattr(setup.costs, name)
    terms["max_sessions"] = -1 if max_sessions is None else max_sessions
    terms["through_ticks"], terms["volume_share"] = setup.through_ticks, setup.volume_share
    terms["reading"], terms["release_after"] = READINGS[setup.reading], RELEASE_AFTER
    terms["risk"], terms["notional"] = setup.sizing.risk, setup.sizing.notional
    terms["volume"] = setup.sizing.volume
    terms["compensated"] = sys.version_info >= (3, 12)
    return Numbers(terms, np.array(coded, dtype=np.float64).reshape(-1, 2), lookback, shared, hours)


def setup_param(setup: Setup, name: str) -> Any:
    """Return a parameter's value, its default when the setup does not give it."""
    return setup.params.get(name, getattr(setup.strategy.params, name))


def _why_not_rules(setup: Setup) -> str | None:
    kinds = [type(rule) for rule in setup.rules]
    for rule, kind in zip(setup.rules, kinds, strict=True):
        if kind in _FILTERS:
            continue
        if kind not in _RULES and kind not in _HALTS:
            return f"{kind.__name__} is a rule of your own"
        names = _HALTS[kind] if kind in _HALTS else _RULES[kind][1]
        values = {name: getattr(rule.p, name) for name in names}
        if type(values.pop("flatten", False)) is not bool:
            return f"{rule!r} has a flatten that is neither True nor False"
        if not all(_is_plain(value) for value in values.values()):
            return f"{rule!r} has a parameter that is no finite number"
        if kind is rules.Correlation and not (
            type(rule.p.lookback) is int and type(rule.p.shared) is int
            and rule.p.lookback >= 1 and rule.p.shared >= 2
        ):  # fmt: skip
            return f"{rule!r} has a window that is no whole number of sessions"
        if kind is rules.DailyLossHalt and abs(rule.p.hours) > 1e5:
            return f"{rule!r} halts for more than ten years"
    if rules.OneSystemPerSymbol not in kinds:
        return "without OneSystemPerSymbol a symbol can have several brackets"
    if any(kinds.count(kind) > 1 for kind in _ONCE):
        return "a halt or the correlation rule is there twice"
    return None


def _why_not_strategy(strategy: type[Strategy]) -> str | None:
    if issubclass(strategy, Several):
        return "several strategies share one account"
    if strategy.entry is Strategy.entry:
        return f"{strategy.__name__} has no entry()"
    for cls in strategy.__mro__[: strategy.__mro__.index(Strategy)]:
        for name, value in vars(cls).items():
            known = getattr(Strategy, name, None)
            if name in _OWN or name.startswith("__") or not (callable(value) or callable(known)):
                continue
            if known is not None and not isinstance(value, type) and value is not known:
                return f"{strategy.__name__} has a {name}() of its own"
    own = next((vars(c)["warm_up"] for c in strategy.__mro__ if "warm_up" in vars(c)), None)
    if own is not vars(Strategy)["warm_up"] and type(own) is not int:
        return f"{strategy.__name__} has a warm_up that is no whole number"
    return None


def why_not_params(setup: Setup) -> str | None:
    """Say which of the parameters that all strategies have is for the engine to refuse."""
    limit = setup_param(setup, "max_sessions")
    if limit is not None and (type(limit) is not int or limit < 0):
        return f"max_sessions is {limit!r}"
    wait = setup_param(setup, "entry_sessions")
    if type(wait) is not int:
        return f"entry_sessions is {wait!r}"
    if setup.reading not in READINGS:
        return f"reading is {setup.reading!r}"
    return None


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
