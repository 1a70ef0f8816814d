# SPDX-License-Identifier: GPL-3.0-or-later
"""How many shares: a fraction of equity at risk, set by confidence, divided by the stop distance.

The stop distance is measured in ATRs by the strategies, so size falls as volatility rises. The
arithmetic stands alone as functions of floats; the component reads the book and calls them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from iverson.book import Book
from iverson.errors import ConfigError
from iverson.model import Signal

_ROUNDING = 1e-12  # relative: what float arithmetic loses, far below what a share means


class Sized(NamedTuple):
    """A number of shares and what bounded it, with that bound's limit and value for the journal."""

    size: int
    bound: str
    limit: float
    value: float


def shares(budget: float, per_share: float) -> int:
    """Return how many whole shares `budget` dollars pay for, rounded down; 0 for NaN, never less.

    A budget that is a whole number of shares but for float error counts as that number.
    """
    if not (budget > 0 and per_share > 0):
        return 0
    return math.floor(budget / per_share * (1 + _ROUNDING))


@dataclass(frozen=True, slots=True)
class RiskSizing:
    """Bound the size by risk, notional, buying power and volume, whichever allows least.

    size = floor(min(E r / d, notional E / p, buying power / p, volume V))
    E equity, r the risk fraction of the confidence, d the stop distance in dollars a share, p the
    limit price, V the mean daily volume of the last `volume_sessions` sessions in shares. With
    capital steps r is at most the cap of the level reached (the bound "capital step").

    Parameters
    ----------
    risk: fraction of equity at risk by confidence 1 to 5; 0 skips. At most 0.05 each.
    notional: largest fraction of equity in one position.
    volume: largest fraction of the average daily volume.
    """

    risk: tuple[float, float, float, float, float] = (0.0, 0.005, 0.010, 0.015, 0.020)
    notional: float = 0.20
    volume: float = 0.01
    volume_sessions: int = 20

    def __post_init__(self) -> None:
        if len(self.risk) != 5 or not all(0 <= r <= 0.05 for r in self.risk):
            raise ConfigError(
                f"risk is {self.risk}; expected five fractions from 0 to 0.05 "
                "(0.02 risks 2 % of equity)"
            )
        if self.volume_sessions < 1:
            raise ConfigError(f"volume_sessions is {self.volume_sessions}; expected 1 or more")
        for name in ("notional", "volume"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(
                    f"{name} is {getattr(self, name)}; expected a fraction above 0 up to 1"
                )

    def size(self, signal: Signal, book: Book) -> Sized:
        """Return the number of shares for a valid signal; 0 names the bound that allows none.

        An average volume that is unknown (NaN) allows none: it cannot be shown to be enough.
        """
        risk = self.risk[signal.confidence - 1]
        if risk == 0:
            return Sized(0, "confidence", 0.0, float(signal.confidence))
        average = book.history.average_volume(
            signal.symbol, through=book.session, sessions=self.volume_sessions
        )
        bounds = (
            ("risk", book.equity * risk, signal.risk_per_share),
            ("notional", book.equity * self.notional, signal.limit),
            ("buying power", book.buying_power, signal.limit),
            ("volume", average * self.volume, 1.0),
        )
        candidates = [
            Sized(shares(limit, per_share), bound, limit, per_share)
            for bound, limit, per_share in bounds
        ]
        return capped(min(candidates, key=lambda candidate: candidate.size), signal, book)


def capped(sized: Sized, signal: Signal, book: Book) -> Sized:
    """Cut a size down to what one trade may risk by the capital steps; the bound then says so."""
    if math.isinf(book.risk_cap):
        return sized
    limit, per_share = book.equity * book.risk_cap, signal.risk_per_share
    most = shares(limit, per_share)
    return Sized(most, "capital step", limit, per_share) if sized.size > most else sized
