# SPDX-License-Identifier: GPL-3.0-or-later
"""Feeds: what a passport's words say about how fresh and how complete bars are.

    delayed    late by minutes; whole tape or not, no decision within the session can rest on it
    iex        at once, one exchange's trades only: volume is a few percent of the tape
    sip        at once, the consolidated tape of all exchanges

Each serves whoever needs itself or one before it. Words that say neither are an unknown feed.
SYNTHETIC bars were made by a computer: anybody may learn on them, and everything made from them
says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from iverson.errors import ConfigError, Refused

FEEDS = ("delayed", "iex", "sip")
SYNTHETIC = "SYNTHETIC"
MADE_UP = "SYNTHETIC bars, made by a computer: no result on them says anything about a market"
MADE_UP_BESIDE = "SYNTHETIC data beside the bars" + MADE_UP.removeprefix("SYNTHETIC bars")
_SPELLED = {"consolidated": "sip", **{feed: feed for feed in FEEDS}}


def is_synthetic(words: str) -> bool:
    """Whether any of the bars that these words describe were made up."""
    return SYNTHETIC.lower() in words.lower()


def feed_of(words: str) -> str | None:
    """Return the least of the feeds that a passport's words name, None when they name none.

    "delayed_sip" and "iex; delayed" are both delayed.
    """
    told = words.lower()
    named = [feed for spelling, feed in _SPELLED.items() if spelling in told]
    return min(named, key=FEEDS.index) if named else None


def serves(words: str, least: str) -> bool | None:
    """Whether a feed is at least `least`; None when it is unknown, or the bars are SYNTHETIC."""
    feed = feed_of(words)
    if feed is None or is_synthetic(words):
        return None
    return FEEDS.index(feed) >= FEEDS.index(least)


def strictest(least: Mapping[str, str]) -> str:
    """Return the least feed that serves everybody, of what each owner needs at least.

    Raises
    ------
    ConfigError: an owner needs what is no feed.
    """
    for owner, feed in least.items():
        if feed not in FEEDS:
            expected = ", ".join(FEEDS)
            raise ConfigError(f"least_feed of {owner} is {feed!r}; expected one of {expected}")
    return max(least.values(), key=FEEDS.index)


def admit(words: str, least: str, *, owner: str) -> str | None:
    """Return what there is to note about bars of a feed that a strategy may run on, if anything.

    Raises
    ------
    Refused: the feed is a lesser one than the strategy, `owner`, needs.
    ConfigError: `least` is no feed.
    """
    strictest({owner: least})
    if is_synthetic(words):
        return MADE_UP
    answer = serves(words, least)
    if answer is False:
        raise Refused(
            f"{owner} needs at least the feed {least!r} and these bars are of {words!r}: its "
            "signals mean nothing on them; import or fetch bars of another feed"
        )
    if answer is None and least != FEEDS[0]:
        return (
            f"{owner} needs at least the feed {least!r}, and which feed these bars are of is not "
            "known; say so with `iverson bars import --feed`"
        )
    return None


def joined(words: Iterable[str]) -> str:
    """Return the words of several origins as one text, each once, empty ones left out."""
    return "; ".join(dict.fromkeys(one for one in words if one))
