# SPDX-License-Identifier: GPL-3.0-or-later
"""What a system is made of, checked: strategies, symbols, rules; one sentence for what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.market.columns import Columns
from iverson.market.universe import Universe
from iverson.research.several import Use, combined, params_of, uses_of
from iverson.risk.capital import CapitalSteps
from iverson.risk.rules import RiskRule
from iverson.risk.sizing import RiskSizing
from iverson.strategy import Strategy


def checked_strategy(given: Any) -> tuple[type[Strategy], dict[str, Any], tuple[str, ...]]:
    """Return the class that runs, the parameters that came with it, and the symbols it names.

    Several strategies become one class. A strategy that stands alone stays what it is, and its
    parameters keep their short names.

    Raises
    ------
    ConfigError: no strategy, or strategies that cannot share a spine.
    """
    if isinstance(given, type) and issubclass(given, Strategy):
        return given, {}, ()
    if not isinstance(given, Use | list | tuple) or given in ([], ()):
        raise ConfigError(
            f"strategy is {given!r}; expected a class that derives from iv.Strategy, or several"
        )
    listed = [given] if isinstance(given, Use) else list(given)
    uses = [one if isinstance(one, Use) else Use(one) for one in listed]
    named = tuple(dict.fromkeys(symbol for use in uses for symbol in use.symbols))
    own = named if all(use.symbols for use in uses) else ()
    (first, *others) = uses
    if not others and not first.symbols and first.name == first.strategy.__name__:
        return first.strategy, dict(first.params), own
    return combined(uses), params_of(uses), own


def refuse_foreign(strategy: type[Strategy], symbols: tuple[str, ...]) -> None:
    """Raise `ConfigError` for a strategy with symbols that the system does not have."""
    for use in uses_of(strategy):
        foreign = [symbol for symbol in use.symbols if symbol not in symbols]
        if foreign:
            raise ConfigError(
                f"{use.name} has {', '.join(foreign)}, not among the symbols of the system; add "
                "them there"
            )


def refuse_other_kinds(sizing: Any, costs: Any, capital: Any) -> None:
    """Raise `ConfigError` for what is no sizing, no costs, or neither capital steps nor None."""
    kinds = (("sizing", sizing, RiskSizing), ("costs", costs, Costs))
    for name, value, kind in kinds:
        if not isinstance(value, kind):
            raise ConfigError(f"{name} is {value!r}; expected iv.{kind.__name__}(...)")
    if capital is not None and not isinstance(capital, CapitalSteps):
        raise ConfigError(f"capital is {capital!r}; expected iv.CapitalSteps(...) or None")


def checked_symbols(given: Any, universe: Any) -> tuple[str, ...]:
    """Return the symbols, those of the universe when none is given.

    Raises
    ------
    ConfigError: none, one twice, no name, or one outside the universe.
    """
    if universe is not None and not isinstance(universe, Universe):
        raise ConfigError(f"universe is {universe!r}; expected iv.Universe(...)")
    symbols = [given] if isinstance(given, str) else list(given)
    if not symbols and universe is not None:
        symbols = list(universe.symbols)
    if not symbols or len(set(symbols)) != len(symbols):
        raise ConfigError(f"symbols are {symbols}; expected at least one, each once")
    for symbol in symbols:
        if not isinstance(symbol, str) or not symbol.strip():
            raise ConfigError(f"symbol {symbol!r} is no name; expected text, as 'AAPL'")
    foreign = sorted(set(symbols) - set(universe.symbols)) if universe is not None else []
    if foreign:
        raise ConfigError(f"{', '.join(foreign)}: not in the universe; give symbols that are in it")
    return tuple(symbols)


def checked_rules(rules: Any) -> tuple[RiskRule, ...]:
    """Return the rules in their order.

    Raises
    ------
    ConfigError: what is no rule, or a class of one.
    """
    if isinstance(rules, RiskRule) or not isinstance(rules, Iterable):
        raise ConfigError(f"rules are {rules!r}; expected a list of them, as [iv.rules.LongOnly()]")
    listed = tuple(rules)
    for rule in listed:
        if isinstance(rule, type):
            raise ConfigError(f"rule {rule.__name__} is a class; make one: {rule.__name__}()")
        if not isinstance(rule, RiskRule):
            raise ConfigError(f"rule {rule!r} is no iv.RiskRule; expected one, as LongOnly()")
    return listed


def checked_columns(given: Any) -> tuple[Columns, ...]:
    """Return what gives lines beside the prices; `ConfigError` for anything else."""
    listed = tuple(given) if isinstance(given, list | tuple) else None
    if listed is None or not all(hasattr(one, "opened") for one in listed):
        raise ConfigError(f"columns are {given!r}; expected a list, as [iv.News()]")
    return listed
