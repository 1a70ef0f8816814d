# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars made ready for a system: found, within regular hours, of a feed its strategy may use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.feeds import admit
from iverson.market.hours import regular_hours
from iverson.market.source import feed_words, load_bars
from iverson.strategy import Strategy


def found(
    symbols: Sequence[str],
    given: Mapping[str, Bars] | None,
    *,
    interval: str,
    store: Path | str | None,
    all_of_them: bool,
) -> dict[str, Bars]:
    """Return the bars of the symbols, in their order: those given, else those of a store.

    Raises
    ------
    ConfigError: `given` lacks some, and all are wanted, or all; or its intervals differ.
    MissingBars: the store does.
    """
    if given is None:
        return load_bars(symbols, interval=interval, store=store, all_of_them=all_of_them)
    intervals = {one.interval: symbol for symbol, one in given.items() if symbol in symbols}
    if len(intervals) > 1:
        (one, first), (other, second), *_ = intervals.items()
        raise ConfigError(
            f"the bars of {first} are of {one} and those of {second} of {other}; a system has bars "
            "of one interval, so make one of each"
        )
    there = [symbol for symbol in symbols if symbol in given]
    absent = [symbol for symbol in symbols if symbol not in given]
    if absent and (all_of_them or not there):
        known = ", ".join(given) or "nothing"
        raise ConfigError(f"bars were given without {', '.join(absent)}; they have {known}")
    return {symbol: given[symbol] for symbol in there}


def admitted(
    bars: Mapping[str, Bars], strategy: type[Strategy], *, store: Path | str | None
) -> tuple[dict[str, Bars], tuple[str, ...]]:
    """Return the bars within regular hours, and what there is to note about them.

    Raises
    ------
    Refused: they are of a lesser feed than the strategy needs.
    """
    words = feed_words(bars, store=store)
    noted = admit(words, strategy.least_feed, owner=strategy.__name__)
    inside = {symbol: regular_hours(one) for symbol, one in bars.items()}
    left_out = sum(len(one) - len(inside[symbol]) for symbol, one in bars.items())
    notes = [noted] if noted else []
    if left_out:
        notes.append(f"{left_out:,} bars outside regular hours are left out")
    return inside, tuple(notes)
