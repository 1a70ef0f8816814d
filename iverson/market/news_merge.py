# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the delivered headlines are news to the store: new items, revisions, or repeats.

The same id, or the same words of the same source within a day, are one item. What differs becomes a
revision that is known from its own time on; what was known before stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from iverson.market.news import Headline
from iverson.market.news_text import comparable

WINDOW = timedelta(days=1)  # a weekly list ("stocks at their highs") is another item each time

Key = tuple[str, str]


class Known:
    """The latest state of every item, found by id and by its words."""

    def __init__(self, items: Iterable[Headline] = ()) -> None:
        self.latest: dict[str, Headline] = {}
        self._same_words: dict[Key, list[tuple[datetime, str]]] = {}
        for item in items:
            self.put(item)

    def put(self, item: Headline) -> None:
        """Note the next state of an item."""
        before = self.latest.get(item.id)
        self.latest[item.id] = item
        if before is None or before.headline != item.headline:
            places = self._same_words.setdefault(_key(item), [])
            places.append((item.published_at, item.id))

    def find(self, item: Headline) -> Headline | None:
        """Return the latest state of the item that this one is, if it is known."""
        if item.id in self.latest:
            return self.latest[item.id]
        for published_at, known in reversed(self._same_words.get(_key(item), ())):
            if abs(item.published_at - published_at) <= WINDOW:
                return self.latest[known]
        return None


def merge(known: Known, delivered: Iterable[Headline]) -> list[Headline]:
    """Return the states to append, in the order of `seen_at`; `known` has them afterwards."""
    made: list[Headline] = []
    place: dict[str, int] = {}  # of an item's state that was made here, and may still be changed
    for item in sorted(delivered, key=lambda one: (one.seen_at, one.published_at)):
        before = known.find(item)
        state = replace(item, revision=0) if before is None else _next_state(before, item)
        if state is None:
            continue
        if before is not None and before.id in place and state.seen_at == before.seen_at:
            state = replace(state, revision=before.revision)
            made[place[before.id]] = state
        else:
            place[state.id] = len(made)
            made.append(state)
        known.put(state)
    return made


def _next_state(before: Headline, item: Headline) -> Headline | None:
    symbols = tuple(sorted({*before.symbols, *item.symbols}))
    own = item.id == before.id  # a copy under another id brings symbols, and its words are the same
    words = item.headline if own else before.headline
    summary = (item.summary or before.summary) if own else before.summary
    if (words, symbols, summary) == (before.headline, before.symbols, before.summary):
        return None
    if own and item.updated_at < before.updated_at:
        words, summary = before.headline, before.summary  # an older state that came in later
        if symbols == before.symbols:
            return None
    return replace(
        before,
        seen_at=max(item.seen_at, before.seen_at),
        updated_at=max(item.updated_at, before.updated_at),
        headline=words,
        symbols=symbols,
        summary=summary,
        observed=item.observed,
        revision=before.revision + 1,
    )


def _key(item: Headline) -> Key:
    return comparable(item.headline), item.source.casefold()
