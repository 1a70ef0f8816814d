# SPDX-License-Identifier: GPL-3.0-or-later
"""Iverson: strategies and risk rules written once, run unchanged in backtest, paper and live.

The public names below are loaded when they are first used, so that `import iverson` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from iverson.book import Book
    from iverson.errors import IversonError
    from iverson.execution.alpaca.store import AlpacaStore
    from iverson.execution.costs import Costs
    from iverson.execution.equity_broker import EquityBroker
    from iverson.market.universe import Universe
    from iverson.model import Denial, Signal, Verdict
    from iverson.monitoring.journal import Journal
    from iverson.research.news import News
    from iverson.research.several import Use
    from iverson.risk import rules
    from iverson.risk.capital import CapitalSteps
    from iverson.risk.rules import RiskRule
    from iverson.risk.sizing import RiskSizing
    from iverson.signals.confidence import confidence
    from iverson.signals.entry import Long, Short
    from iverson.signals.indicators import atr_stop, steps
    from iverson.strategy import Strategy
    from iverson.system import System

__version__ = "0.1.0"

_HOME = {
    "AlpacaStore": "iverson.execution.alpaca.store",
    "Book": "iverson.book",
    "CapitalSteps": "iverson.risk.capital",
    "Costs": "iverson.execution.costs",
    "Denial": "iverson.model",
    "EquityBroker": "iverson.execution.equity_broker",
    "IversonError": "iverson.errors",
    "Journal": "iverson.monitoring.journal",
    "Long": "iverson.signals.entry",
    "News": "iverson.research.news",
    "OpeningRange": "iverson.signals.opening_range",
    "RiskRule": "iverson.risk.rules",
    "RiskSizing": "iverson.risk.sizing",
    "Short": "iverson.signals.entry",
    "Signal": "iverson.model",
    "Strategy": "iverson.strategy",
    "System": "iverson.system",
    "Universe": "iverson.market.universe",
    "Use": "iverson.research.several",
    "Verdict": "iverson.model",
    "atr_stop": "iverson.signals.indicators",
    "confidence": "iverson.signals.confidence",
    "rules": "iverson.risk",
    "steps": "iverson.signals.indicators",
}

__all__ = [
    "AlpacaStore",
    "Book",
    "CapitalSteps",
    "Costs",
    "Denial",
    "EquityBroker",
    "IversonError",
    "Journal",
    "Long",
    "News",
    "OpeningRange",
    "RiskRule",
    "RiskSizing",
    "Short",
    "Signal",
    "Strategy",
    "System",
    "Universe",
    "Use",
    "Verdict",
    "atr_stop",
    "confidence",
    "rules",
    "steps",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'iverson' has no attribute {name!r}")
    if name == "rules":
        return import_module("iverson.risk.rules")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
