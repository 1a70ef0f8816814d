# SPDX-License-Identifier: GPL-3.0-or-later
"""When which feed has a bar, worked out once for the whole run instead of on every bar.

Feeds with the same timestamps form a group and share their cursors. On each instant of the union
of all timestamps, the groups that have a bar then move.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iverson.engine.lines import Cell

Moves = tuple[Cell, ...]
Instant = tuple[float, Moves, tuple[Moves, ...]]

_MOST_BITS = 62  # groups whose presence fits one integer


class Timeline:
    """The groups of some feeds, their cells, and the order of events.

    A group has a cell for its feeds, and one more for the indicators of each strategy that tick
    with them: between the moves the broker matches orders, and sees the indicators of the bar
    before.
    """

    def __init__(self, datas: list[Any]) -> None:
        self.of_data: dict[int, int] = {}  # id of a feed -> number of its group
        stamps: list[NDArray[np.float64]] = []
        known: dict[bytes, int] = {}
        for data in datas:
            column = data.lines.datetime.array
            key = bytes(column)
            if key not in known:
                known[key] = len(stamps)
                stamps.append(np.array(column, dtype=np.float64))
            self.of_data[id(data)] = known[key]
        self.in_order = all(bool((np.diff(one) > 0).all()) for one in stamps)
        self._stamps = stamps
        self.data_cells = self.new_cells()

    def new_cells(self) -> list[Cell]:
        """Return cells before their first bar, one for each group."""
        return [[-1] for _ in self._stamps]

    def numbers(self) -> array[float]:
        """Return the instants of the only group as date numbers."""
        return array("d", self._stamps[0].tobytes())

    def instants(self, tracks: list[list[Cell]]) -> Iterator[Instant]:
        """Give each instant with the cells of the feeds that move at it, then of each track."""
        if len(self._stamps) == 1:
            all_of_them = tuple((track[0],) for track in tracks)
            return zip(
                self.numbers(), repeat((self.data_cells[0],)), repeat(all_of_them), strict=False
            )
        instants = np.unique(np.concatenate(self._stamps))
        patterns, which = _patterns(instants, self._stamps)

        def moving(track: list[Cell]) -> list[Moves]:
            return [tuple(track[group] for group in pattern) for pattern in patterns]

        feeds = moving(self.data_cells)
        tracked = list(zip(*map(moving, tracks), strict=True))
        return zip(
            array("d", instants.tobytes()),
            map(feeds.__getitem__, which),
            map(tracked.__getitem__, which),
            strict=True,
        )


def _patterns(
    instants: NDArray[np.float64], stamps: list[NDArray[np.float64]]
) -> tuple[list[tuple[int, ...]], array[int]]:
    """Return the distinct sets of groups that move together, and which of them moves when."""
    present = np.zeros((len(instants), len(stamps)), dtype=bool)
    for group, one in enumerate(stamps):
        present[np.searchsorted(instants, one), group] = True
    if len(stamps) <= _MOST_BITS:
        codes = present @ (1 << np.arange(len(stamps), dtype=np.int64))
        _, first, which = np.unique(codes, return_index=True, return_inverse=True)
    else:
        _, first, which = np.unique(present, axis=0, return_index=True, return_inverse=True)
    patterns = [tuple(np.flatnonzero(present[row]).tolist()) for row in first]
    return patterns, array("q", which.astype(np.int64).tobytes())
