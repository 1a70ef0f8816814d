# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel can express of a setup: its numbers, or the reason why it is for the engine."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec
from inspect import isfunction
from typing import Any

import numpy as np

from iverson.execution.costs import Costs
from iverson.execution.fills import READINGS
from iverson.market.bars import DAILY
from iverson.research.backtest import RELEASE_AFTER, Prepared, Setup
from iverson.research.kernel_state import (
    CORRELATION,
    DAILY_LOSS_HALT,
    DRAWDOWN_HALT,
    LONG_ONLY,
    MAX_POSITIONS,
    ONE_SYSTEM,
    OPEN_RISK,
    STOP_DISTANCE,
    Terms,
)
from iverson.risk import rules
from iverson.risk.sizing import RiskSizing
from iverson.strategy import Strategy

_RULES: dict[type, tuple[int, tuple[str, ...]]] = {
    rules.LongOnly: (LONG_ONLY, ()),
    rules.OneSystemPerSymbol: (ONE_SYSTEM, ()),
    rules.MaxPositions: (MAX_POSITIONS, ("limit",)),
    rules.StopDistance: (STOP_DISTANCE, ("limit",)),
    rules.Correlation: (CORRELATION, ("limit", "lookback", "shared")),
    rules.OpenRisk: (OPEN_RISK, ("limit",)),
    rules.DrawdownHalt: (DRAWDOWN_HALT, ("limit",)),
    rules.DailyLossHalt: (DAILY_LOSS_HALT, ("limit", "limit_usd", "hours")),
}
_OWN = {"__init__", "entry", "warm_up"}  # what a strategy may define and stay declarative
_REPEATED = (DRAWDOWN_HALT, DAILY_LOSS_HALT, CORRELATION)


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
    if prepared and any(feed.bars.interval != DAILY for feed in prepared.feeds.values()):
        return "the bars are not daily"
    return _why_not_rules(setup) or _why_not_strategy(setup.strategy) or why_not_params(setup)


def terms_of(setup: Setup) -> tuple[Terms, tuple[int, int], float]:
    """Return a setup's numbers, the correlation's two windows, and the hours of a daily halt."""
    coded, correlated, hours = [], (1, 2), 24.0
    for rule in setup.rules:
        kind, names = _RULES[type(rule)]
        values = [getattr(rule.p, name) for name in names]
        if kind == CORRELATION:
            correlated = (values[1], values[2])
        if kind == DAILY_LOSS_HALT:
            hours = values[2]
        coded.append([kind, *values[:2], *[0.0] * (2 - len(values[:2]))])
    limit = setup_param(setup, "max_sessions")
    costs = {name: float(getattr(setup.costs, name)) for name in Costs.__slots__}
    terms = Terms(
        cash=float(setup.cash),
        through_ticks=float(setup.through_ticks),
        volume_share=float(setup.volume_share),
        reading=READINGS[setup.reading],
        **costs,
        risk=np.array(setup.sizing.risk, dtype=np.float64),
        notional=float(setup.sizing.notional),
        volume=float(setup.sizing.volume),
        rules=np.array(coded, dtype=np.float64).reshape(-1, 3),
        max_sessions=-1 if limit is None else limit,
        release_after=RELEASE_AFTER,
        compensated=sys.version_info >= (3, 12),
    )
    return terms, correlated, hours


def setup_param(setup: Setup, name: str) -> Any:
    """Return a parameter's value, its default when the setup does not give it."""
    return setup.params.get(name, getattr(setup.strategy.params, name))


def _why_not_rules(setup: Setup) -> str | None:
    kinds = []
    for rule in setup.rules:
        if type(rule) not in _RULES:
            return f"{type(rule).__name__} is a rule of your own"
        kind, names = _RULES[type(rule)]
        kinds.append(kind)
        others = {n: value for n, value in rule.p._getkwargs().items() if n not in names}
        if any(value is not False for value in others.values()):
            return f"{rule!r} asks for more than the kernel knows"
        if not all(_is_plain(getattr(rule.p, name)) for name in names):
            return f"{rule!r} has a parameter that is no finite number"
        if kind == CORRELATION and not (
            type(rule.p.lookback) is int and type(rule.p.shared) is int
            and rule.p.lookback >= 1 and rule.p.shared >= 2
        ):  # fmt: skip
            return f"{rule!r} has a window that is no whole number of sessions"
        if kind == DAILY_LOSS_HALT and abs(rule.p.hours) > 1e5:
            return f"{rule!r} halts for more than ten years"
    if ONE_SYSTEM not in kinds:
        return "without OneSystemPerSymbol a symbol can have several brackets"
    if any(kinds.count(kind) > 1 for kind in _REPEATED):
        return "a halt or the correlation rule is there twice"
    return None


def _why_not_strategy(strategy: type[Strategy]) -> str | None:
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


def why_not_instance(strategy: Any) -> str | None:
    """Say what a strategy replaced while it was made, None for nothing."""
    for name in vars(strategy):
        if isfunction(getattr(Strategy, name, None)):
            return f"{type(strategy).__name__} replaces {name}() in its __init__"
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
