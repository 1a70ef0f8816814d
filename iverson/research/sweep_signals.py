# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0917 (one span's everything goes from step to step)
"""The signals of many parameter sets over one span, as the spine would bring them to the gate.

Sets that want the same warm-up read the same windows of bars and are done together, one symbol
after another: equal lines are computed once, and only the signals are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

from iverson.research.backtest import Prepared, Setup, windows_of
from iverson.research.construction import ANY
from iverson.research.kernel_signals import FAULTY
from iverson.research.kernel_state import SIGNAL, Records
from iverson.research.sweep_lines import (
    EntryColumns,
    Plan,
    Plans,
    columns,
    constructed,
    plans_of,
    same,
)
from iverson.research.sweep_tables import Bench, Stretch, Unusual

Windows = dict[str, slice]


class Found(NamedTuple):
    """The signals of one set; None: the set is for the engine."""

    place: int
    signals: Records | None
    stretch: Stretch | None


def signals_of(setups: Sequence[Setup], bench: Bench, first: date, last: date) -> Iterator[Found]:
    """Yield every set's signals, in no particular order of the sets."""
    if setups:
        plans_of(setups[0].strategy).make_room(setup.params for setup in setups)
    groups: dict[str, tuple[Windows, list[tuple[int, Plan]]]] = {}
    windows_for = cache(partial(windows_of, bench.prepared, first, last))  # by warm-up
    for place, setup in enumerate(setups):
        made = _planned(setup, bench.prepared, windows_for)
        if made is None:
            yield Found(place, None, None)
            continue
        plan, windows = made
        groups.setdefault(repr(windows), (windows, []))[1].append((place, plan))
    for windows, members in groups.values():
        yield from _together(setups, bench, first, last, windows, members)


def _planned(
    setup: Setup, prepared: Prepared, windows_for: Callable[[int], Windows]
) -> tuple[Plan, Windows] | None:
    plans = plans_of(setup.strategy)
    try:
        plan = plans.plan(setup.params, tuple(prepared.feeds))
        windows = windows_for(plan.warm_up)
        if not plan.alone:
            plan = plans.plan(setup.params, tuple(windows))
    except Exception:  # noqa: BLE001 (the engine meets it too, and has the words for it)
        return None
    return None if plan.replaced is not None else (plan, windows)


def _together(
    setups: Sequence[Setup], bench: Bench, first: date, last: date, windows: Windows,
    members: Sequence[tuple[int, Plan]],
) -> Iterator[Found]:  # fmt: skip
    parts: dict[int, list[bytes]] = {place: [] for place, _ in members}
    try:
        stretch = bench.stretch(first, last, windows)
    except Unusual:
        yield from (Found(place, None, None) for place, _ in members)
        return
    gathering = _Gathering(stretch, bench)
    for place, plan, entries in _entries(setups, bench.prepared, windows, members):
        if place not in parts:
            continue
        found = [gathering.of(one, plan.ready) for one in entries or ()]
        sound = [one for one in found if one is not None]
        if entries is None or len(sound) < len(found):
            del parts[place]
        else:
            parts[place] += sound
    for place, _ in members:
        if place in parts:
            yield Found(place, _ordered(parts[place]), stretch)
        else:
            yield Found(place, None, None)


def _entries(
    setups: Sequence[Setup], prepared: Prepared, windows: Windows,
    members: Sequence[tuple[int, Plan]],
) -> Iterator[tuple[int, Plan, list[EntryColumns] | None]]:  # fmt: skip
    """Yield entries by set, symbol by symbol where the plan is of any symbol; None: unreadable."""
    bars = {
        symbol: {name: line[rows] for name, line in prepared.feeds[symbol].columns.items()}
        for symbol, rows in windows.items()
    }
    plans = plans_of(setups[members[0][0]].strategy)
    alone = [member for member in members if member[1].alone and member[1].names is not None]
    named = [member for member in members if not member[1].alone and member[1].names is not None]
    if (alone or named) and not plans.trusted:
        place, plan = (alone or named)[0]
        plans.trusted = _is_right(plans, plan, setups[place], prepared, windows, bars)
    if not plans.trusted:  # constructed for every window
        alone, named = [], []
    for n, symbol in enumerate(windows if alone else ()):
        plans.memo.bind({ANY: bars[symbol]})
        for place, plan in alone:
            yield place, plan, _read(plans, plan, [bars[symbol]], n)
    if named:
        plans.memo.bind(bars)
        for place, plan in named:
            yield place, plan, _read(plans, plan, list(bars.values()))
    plans.memo.bind({})
    for place, plan in members:
        if (place, plan) not in alone and (place, plan) not in named:
            yield place, plan, _fresh(setups[place], prepared, windows)


def _read(
    plans: Plans, plan: Plan, bars: Sequence[Mapping[str, Any]], symbol: int | None = None
) -> list[EntryColumns] | None:
    try:
        return list(plans.entries(plan, bars, symbol))
    except Exception:  # noqa: BLE001 (the engine meets it too, and has the words for it)
        return None


def _fresh(setup: Setup, prepared: Prepared, windows: Windows) -> list[EntryColumns] | None:
    try:
        return columns(constructed(setup, prepared, windows))
    except Exception:  # noqa: BLE001 (the engine meets it too, and has the words for it)
        return None


def _is_right(
    plans: Plans, plan: Plan, setup: Setup, prepared: Prepared, windows: Windows,
    bars: Mapping[str, Mapping[str, Any]],
) -> bool:  # fmt: skip
    """Compare the first plan of a class with the strategy made for the window."""
    found: list[EntryColumns] = []
    if plan.alone:
        for n, symbol in enumerate(windows):
            plans.memo.bind({ANY: bars[symbol]})
            found += _read(plans, plan, [bars[symbol]], n) or []
    else:
        plans.memo.bind(bars)
        found += _read(plans, plan, list(bars.values())) or []
    fresh = _fresh(setup, prepared, windows)
    if fresh is None or len(fresh) != len(found):
        return False
    return all(same(one, other) for one, other in zip(found, fresh, strict=True))


# -- from lines to signals -------------------------------------------------------------------------


class _Gathering:
    """Takes the signals of many sets out of their entries' lines, over one stretch."""

    def __init__(self, stretch: Stretch, bench: Bench) -> None:
        from iverson.research.kernel_code import compiled_gather

        self._gather = compiled_gather()
        self._stretch, self._factors = stretch, bench.columns["factor"]
        self._room = np.empty(max(map(len, stretch.steps)), SIGNAL)

    def of(self, entry: EntryColumns, ready: int) -> bytes | None:
        """Return one entry's signals by bar, its prices on the grid; None for a fault."""
        stretch, s = self._stretch, entry.symbol
        start, steps = stretch.starts[s], stretch.steps[s]
        count = self._gather(
            entry.confidence, entry.limit, entry.stop,
            _NOTHING if entry.target is None else entry.target,
            self._factors[start : start + len(steps)], steps, stretch.enterable(s, ready),
            s, entry.direction, self._room,
        )  # fmt: skip
        return None if count == FAULTY else self._room[:count].tobytes()


def _ordered(parts: Sequence[bytes]) -> Records:
    """Return the signals of all entries of a set in the gate's order."""
    signals = np.frombuffer(bytearray().join(parts), SIGNAL)  # numpy copies records by fields
    if len(parts) == 1:
        return signals
    # stable: the symbols in their order, and the entries of one in theirs, decide between equals
    return signals.take(np.lexsort((-signals["confidence"], signals["step"])))


_NOTHING = np.empty(0)
