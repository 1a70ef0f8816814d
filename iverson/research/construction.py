# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategies constructed to be looked at, not to be run.

Backtrader builds an indicator in some 150 microseconds, so it matters how many are built. A
strategy whose `entry` looks at nothing but the lines it is given and at its own parameters makes
the same lines for every symbol: it is constructed over one symbol that stands for all. Whether it
looks at anything else is watched while it is constructed.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import backtrader as bt
import numpy as np

from iverson.engine import once
from iverson.engine.feed import ArrayData, columns_of, with_lines
from iverson.market.bars import DAILY
from iverson.market.moments import timeframe
from iverson.strategy import Strategy

ANY = ""  # the name of the symbol that stands for all
_COLUMNS = ("open", "high", "low", "close", "volume", "openinterest", "factor", "dividend")
_LINES = frozenset({*_COLUMNS, "datetime", "lines", "l", "__class__"})
_SPINE = "iverson.strategy"


class _OnePass(bt.Cerebro):
    """A Cerebro that computes the indicators, if at all, and goes home."""

    compute = True

    def _runonce(self, runstrats: list[Any]) -> None:
        if self.compute:
            for strategy in runstrats:
                once.compute(strategy, once.Tally())


def construct(
    strategy: type[Strategy],
    params: Mapping[str, Any],
    feeds: Mapping[str, ArrayData],
    *,
    compute: bool = False,
) -> Any:
    """Return a strategy made over some feeds, with `compute` its lines computed too."""
    cerebro = _OnePass(stdstats=False)
    cerebro.compute = compute
    for symbol, feed in feeds.items():
        cerebro.adddata(feed, name=symbol)
    cerebro.addstrategy(strategy, **params)
    collecting = gc.isenabled()
    gc.disable()  # many objects come to stay; looking through them finds no garbage
    try:
        return cerebro.run()[0]
    finally:
        if collecting:
            gc.enable()


def over_nothing(
    strategy: type[Strategy],
    params: Mapping[str, Any],
    symbols: tuple[str, ...],
    interval: str = DAILY,
) -> Any:
    """Return a strategy made over symbols without a bar."""
    feed: Any = with_lines(ArrayData, strategy.reads)
    empty = _empty(strategy.reads, interval)
    return construct(strategy, params, {symbol: feed(**empty) for symbol in symbols})


def over_any(
    strategy: type[Strategy], params: Mapping[str, Any], interval: str = DAILY
) -> Any | None:
    """Return a strategy made over one symbol that stands for all; None: it looks at more."""
    sight = _Sight()
    cls: Any = strategy  # Backtrader's comparisons hide from mypy that it is hashable
    watched = _watched(cls)
    watched.sight = _Symbol.sight = sight
    try:
        feed: Any = with_lines(_Symbol, strategy.reads)
        made = construct(watched, params, {ANY: feed(**_empty(strategy.reads, interval))})
    finally:
        watched.sight = _Symbol.sight = None
    return None if sight.beyond else made


def _empty(reads: tuple[str, ...], interval: str) -> dict[str, Any]:
    names = ("datetime", *_COLUMNS, *reads)
    columns = columns_of(**{name: np.empty(0) for name in names})
    return {"dataname": columns, **timeframe(interval)}


# -- what a strategy looks at ----------------------------------------------------------------------


class _Sight:
    """Whether a strategy under construction looked beyond its lines and its parameters."""

    def __init__(self) -> None:
        self.watching = False
        self.beyond = False


class _Symbol(ArrayData):
    """A feed that tells when anybody but Backtrader asks for more than a line."""

    sight: _Sight | None = None

    def __getattribute__(self, name: str) -> Any:
        if name not in _LINES and name not in type(self).added:
            sight = type(self).sight
            if sight is not None and sight.watching and _asks_itself(sys._getframe(1)):  # noqa: SLF001 (the caller)
                sight.beyond = True
        return super().__getattribute__(name)


@lru_cache(maxsize=4)
def _watched(strategy: Any) -> Any:
    """Return a class that is the strategy's, and notes what is asked of it in its `__init__`."""
    own = {"p", "params", "__class__"} | {
        name
        for cls in strategy.__mro__[: strategy.__mro__.index(Strategy)]
        for name, value in vars(cls).items()
        if callable(value) or isinstance(value, int | float | str | tuple)
    }

    def watching(self: Any, *args: Any, **kwargs: Any) -> None:
        watched.sight.watching = True
        try:
            strategy.__init__(self, *args, **kwargs)
        finally:
            watched.sight.watching = False

    def asked(self: Any, name: str) -> Any:
        sight = watched.sight
        if sight is not None and sight.watching and name not in own:
            caller = sys._getframe(1)  # noqa: SLF001 (who asks)
            if _asks_itself(caller) or (name.startswith("data") and not _is_spine(caller)):
                sight.beyond = True
        return strategy.__getattribute__(self, name)

    body = {"__init__": watching, "__getattribute__": asked, "sight": None}
    # an underscore: Backtrader keeps a list of the other names
    watched: Any = type(strategy)(f"_{strategy.__name__}", (strategy,), body)
    return watched


def _asks_itself(caller: Any) -> bool:
    """Whether a question comes from neither Backtrader nor the spine."""
    module = caller.f_globals.get("__name__", "")
    return not (module.startswith("backtrader.") or _is_spine(caller) or module == __name__)


def _is_spine(caller: Any) -> bool:
    return bool(caller.f_globals.get("__name__", "") == _SPINE)
