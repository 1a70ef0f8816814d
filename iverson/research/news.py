# SPDX-License-Identifier: GPL-3.0-or-later
"""News: what a system is given so that its strategy can read headlines as lines.

    system = iv.System(NewsReversal, symbols=["AAPL"], columns=[iv.News()])

Headlines come from the store beside the bars (`iverson news import` or `fetch`) and are scored by
the default scorer, or another one. Scores are kept beside the headlines with the name and version
of what made them, and made anew when that changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iverson.errors import ConfigError, DataError
from iverson.market.news import SYNTHETIC, Headline
from iverson.market.news_columns import NewsColumns, Sightings
from iverson.market.news_scores import ScoreFile
from iverson.market.news_store import FOLDER, NewsStore
from iverson.signals.headlines import Floats, Scorer, default_scorer


@dataclass(frozen=True)
class News:
    """Headlines as columns; see `iverson.market.news_columns` for their names.

    Parameters
    ----------
    path: folder of the headlines; None: `news` beside the bars.
    states: headlines to use instead of a store's.
    scorer: what scores them; None: the lexicon of `iverson.signals.headlines`.
    latency_seconds: how long after it was seen a headline counts.
    bad: the score from which on, downwards, news is bad.
    """

    path: Path | str | None = None
    states: Sequence[Headline] | None = None
    scorer: Scorer | None = None
    latency_seconds: float = 60.0
    bad: float = -0.4

    def __post_init__(self) -> None:
        if not 0 <= self.latency_seconds < 1e6:
            raise ConfigError(
                f"latency_seconds is {self.latency_seconds!r}; expected seconds, 0 or more"
            )
        if not -1 <= self.bad < 0:
            raise ConfigError(f"bad is {self.bad!r}; expected a score from -1 to below 0")

    def opened(self, symbols: Sequence[str], store: Path) -> NewsColumns:
        """Score the headlines of some symbols and return what makes their columns.

        Raises
        ------
        DataError: there are no headlines, or their file was changed.
        """
        states, digest, folder = self._states(store)
        wanted = set(symbols)
        own = [one for one in states if not wanted.isdisjoint(one.symbols)]
        scorer = self.scorer or default_scorer()
        scores = ScoreFile(folder).scored(own, scorer)
        count = len({one.id for one in own})
        seen = [one.seen_at for one in own]
        span = f", {min(seen):%Y-%m-%d} to {max(seen):%Y-%m-%d}" if seen else ""
        kind = f"{SYNTHETIC} " if any(SYNTHETIC in one.source for one in own) else ""
        words = (
            f"{count:,} {kind}headlines{span}, {scorer.name} {scorer.version}, latency "
            f"{self.latency_seconds:g} s, bad from {self.bad:g}, digest {digest or 'in memory'}"
        )
        return NewsColumns(
            _by_symbol(own, scores, symbols),
            np.timedelta64(round(self.latency_seconds * 1e9), "ns"),
            self.bad,
            words,
        )

    def _states(self, store: Path) -> tuple[Sequence[Headline], str, Path | None]:
        if self.states is not None:
            return self.states, "", None
        shelf = NewsStore(store / FOLDER if self.path is None else self.path)
        if not len(shelf):
            raise DataError(
                f"there are no headlines in {shelf.folder}; run `iverson news import FILE` or "
                "`iverson news fetch`, or `iverson news synthesize` for made-up ones to try with"
            )
        return shelf.states(), shelf.digest, shelf.folder


def _by_symbol(
    states: Sequence[Headline], scores: Floats, symbols: Sequence[str]
) -> dict[str, Sightings]:
    items = {name: place for place, name in enumerate(dict.fromkeys(s.id for s in states))}
    sources = {name: n for n, name in enumerate(dict.fromkeys(s.source for s in states))}
    rows: dict[str, list[int]] = {symbol: [] for symbol in symbols}
    for row, state in enumerate(states):
        for symbol in state.symbols:
            if symbol in rows:
                rows[symbol].append(row)
    everything = Sightings(
        seen=_stamps(state.seen_at for state in states),
        published=_stamps(state.published_at for state in states),
        item=np.array([items[state.id] for state in states], dtype=np.int64),
        source=np.array([sources[state.source] for state in states], dtype=np.int64),
        score=np.asarray(scores, dtype=np.float64),
    )
    order = np.argsort(everything.seen, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    everything = everything[order]
    return {
        symbol: everything[np.sort(place[np.array(own, dtype=np.int64)])]
        for symbol, own in rows.items()
        if own
    }


def _stamps(instants: Iterable[datetime]) -> NDArray[np.datetime64]:
    naive = [at.replace(tzinfo=None) for at in instants]
    return np.array(naive, dtype="datetime64[us]").astype("datetime64[ns]")
