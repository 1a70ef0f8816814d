# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of a universe: what a symbol had to be the evening before, to be entered.

Each compares one number of the symbol with its limit, and that number depends on the session and
on the bars before it alone: not on the account. So it can be asked of many sessions at once, as the
compiled search does, and of one, as the gate does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from iverson.book import Book, History
from iverson.market.calendar import new_york
from iverson.market.universe import Universe
from iverson.model import Denial, Signal
from iverson.risk.rules import RiskRule

Sessions = NDArray[np.datetime64]
Floats = NDArray[np.float64]

_BLOCK = 256  # sessions ranked at once
_OUT = float("inf")  # the rank of who is not in the universe on that day
_RANKS: WeakKeyDictionary[Any, dict[tuple[str, int], dict[str, Floats]]] = WeakKeyDictionary()


class UniverseRule(RiskRule):
    """Denies by one number of the symbol, known before the session; NaN is a denial."""

    if TYPE_CHECKING:  # Backtrader's metaclass takes the parameters

        def __init__(self, **params: Any) -> None:
            """Take the parameters by name."""

    def deny(self, signal: Signal, book: Book) -> str | None:
        """Deny when the symbol's number is not within its limit."""
        day = np.array([signal.session], dtype="datetime64[D]")
        value = self.values(signal.symbol, day, book.history)
        if self.within(value)[0]:
            return None
        found = float(value[0])
        return Denial(self.words(signal, found), limit=float(self.limit), value=found)

    def admits(self, symbol: str, sessions: Sessions, history: History) -> NDArray[np.bool_]:
        """Tell of each session whether the symbol may be entered."""
        return self.within(self.values(symbol, sessions, history))

    @property
    def limit(self) -> float:
        """What the number is compared with."""
        return float(self.p.limit)

    def values(self, symbol: str, sessions: Sessions, history: History) -> Floats:
        """Return the symbol's number at each session."""
        raise NotImplementedError

    def within(self, values: Floats) -> NDArray[np.bool_]:
        """Tell which numbers are within the limit: at least it."""
        return values >= self.limit

    def words(self, signal: Signal, value: float) -> str:
        """Say what was wrong."""
        raise NotImplementedError


class Membership(UniverseRule):
    """Deny an entry in a symbol that is not in the universe on the day.

    Reads: signal. Positions run to their exits.
    """

    params = (("universe", None),)
    limit = 1.0

    def values(self, symbol: str, sessions: Sessions, history: History) -> Floats:  # noqa: ARG002 (as the others)
        """Return 1 for a member, 0 for none."""
        inside: Floats = self.p.universe.is_member(symbol, sessions).astype(np.float64)
        return inside

    def words(self, signal: Signal, value: float) -> str:  # noqa: ARG002 (as the others)
        """Say when it was a member."""
        spells = ", ".join(map(str, self.p.universe.spells(signal.symbol)))
        was = f"it was from {spells}" if spells else "it never was"
        return f"{signal.symbol} is no member on {signal.session}; {was}"


class MinimumClose(UniverseRule):
    """Deny an entry in a symbol whose previous close is below `limit`, raw dollars a share.

    Reads: book.history.
    """

    params = (("limit", 5.0),)

    def values(self, symbol: str, sessions: Sessions, history: History) -> Floats:
        """Return the previous closes."""
        return history.previous_closes(symbol, sessions)

    def words(self, signal: Signal, value: float) -> str:
        """Name the close."""
        return f"{signal.symbol} closed at ${value:,.2f} before, the least is ${self.limit:,.2f}"


class MinimumDollarVolume(UniverseRule):
    """Deny an entry in a symbol that trades for less than `limit` dollars a session.

    Reads: book.history. The mean over the `sessions` exchange sessions before the decision's.
    """

    params = (("limit", 1_000_000.0), ("sessions", 20))

    def values(self, symbol: str, sessions: Sessions, history: History) -> Floats:
        """Return the mean dollars."""
        return history.dollar_volumes(symbol, sessions, window=self.p.sessions)

    def words(self, signal: Signal, value: float) -> str:
        """Name the dollars."""
        return (
            f"{signal.symbol} traded ${value:,.0f} a session over {self.p.sessions} sessions, "
            f"the least is ${self.limit:,.0f}"
        )


class LargestByDollarVolume(UniverseRule):
    """Deny an entry in a symbol that is not among the `limit` largest members of the day.

    Reads: book.history. Ranked by the mean dollars traded over the `sessions` exchange sessions
    before the decision's; between equals the order of the universe decides.
    """

    params = (("limit", 100), ("sessions", 20), ("universe", None))

    def values(self, symbol: str, sessions: Sessions, history: History) -> Floats:
        """Return the ranks, 1 for the largest; infinite for no member or without known volume."""
        places = np.searchsorted(new_york().sessions, sessions)
        blocks = places // _BLOCK
        found = np.full(len(sessions), _OUT)
        for block in np.unique(blocks).tolist():
            ours = self._ranks(block, history).get(symbol)
            if ours is not None:
                at = blocks == block
                found[at] = ours[places[at] % _BLOCK]
        return found

    def within(self, values: Floats) -> NDArray[np.bool_]:
        """Tell which ranks are high enough."""
        return values <= self.limit

    def words(self, signal: Signal, value: float) -> str:
        """Name the rank."""
        rank = f"number {value:.0f}" if value < _OUT else "unranked"
        return f"{signal.symbol} is {rank} by dollar volume, the limit is {self.limit:.0f}"

    def _ranks(self, block: int, history: History) -> dict[str, Floats]:
        """Return the ranks of all symbols in one block of sessions, once for a history."""
        universe: Universe = self.p.universe
        known = _RANKS.setdefault(history, {})
        key = (f"{universe.digest} {self.p.sessions}", block)
        if key not in known:
            days = new_york().sessions[block * _BLOCK : (block + 1) * _BLOCK]
            names = universe.symbols
            dollars = np.array(
                [history.dollar_volumes(one, days, window=self.p.sessions) for one in names]
            )
            inside = np.array([universe.is_member(one, days) for one in names])
            out = ~inside | ~np.isfinite(dollars)
            order = np.argsort(np.where(out, np.inf, -dollars), axis=0, kind="stable")
            ranks = np.empty(order.shape)
            np.put_along_axis(ranks, order, np.arange(1.0, len(names) + 1)[:, None], axis=0)
            ranks[out] = _OUT
            known[key] = dict(zip(names, ranks, strict=True))
        return known[key]


def rules_of(universe: Universe | None) -> tuple[UniverseRule, ...]:
    """Return the rules that a universe adds, in the order in which they are asked; none for none.

    They are asked before all others, so that the journal says first who did not belong.
    """
    if universe is None:
        return ()
    found: list[UniverseRule] = []
    if universe.membership is not None:
        found.append(Membership(universe=universe))
    if universe.minimum_close:
        found.append(MinimumClose(limit=universe.minimum_close))
    if universe.minimum_dollar_volume:
        found.append(
            MinimumDollarVolume(limit=universe.minimum_dollar_volume, sessions=universe.sessions)
        )
    if universe.largest is not None:
        found.append(
            LargestByDollarVolume(
                limit=universe.largest, sessions=universe.sessions, universe=universe
            )
        )
    return tuple(found)
