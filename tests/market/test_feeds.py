# SPDX-License-Identifier: GPL-3.0-or-later
"""What a passport's words say of a feed, and who may run on it."""

from __future__ import annotations

import pytest

from iverson.errors import ConfigError, Refused
from iverson.market.feeds import MADE_UP, admit, feed_of, joined


@pytest.mark.parametrize(
    ("words", "feed"),
    [
        ("IEX", "iex"),
        ("sip", "sip"),
        ("consolidated, daily", "sip"),
        ("delayed_sip", "delayed"),
        ("iex; 15 minutes delayed", "delayed"),
        ("sip; iex", "iex"),
        ("unknown", None),
        ("", None),
        ("my broker", None),
    ],
)
def test_words_name_the_least_feed_in_them(words: str, feed: str | None) -> None:
    assert feed_of(words) == feed


@pytest.mark.parametrize(
    ("words", "least", "admitted"),
    [
        ("delayed", "delayed", True),
        ("delayed", "iex", False),
        ("delayed", "sip", False),
        ("iex", "delayed", True),
        ("iex", "iex", True),
        ("iex", "sip", False),
        ("sip", "sip", True),
        ("delayed_sip", "iex", False),
    ],
)
def test_a_feed_serves_what_needs_itself_or_a_lesser_one(
    words: str, least: str, admitted: bool
) -> None:
    if admitted:
        assert admit(words, least, owner="Mine") is None
        return
    with pytest.raises(Refused, match=f"Mine needs at least the feed '{least}'.*'{words}'"):
        admit(words, least, owner="Mine")


def test_an_unknown_feed_is_noted_where_it_matters() -> None:
    assert "not known" in (admit("unknown", "iex", owner="Mine") or "")
    assert admit("unknown", "delayed", owner="Mine") is None


@pytest.mark.parametrize("least", ["delayed", "sip"])
def test_synthetic_bars_are_admitted_and_always_noted(least: str) -> None:
    assert admit("SYNTHETIC", least, owner="Mine") == MADE_UP
    assert admit("sip; SYNTHETIC", least, owner="Mine") == MADE_UP


def test_a_feed_nobody_knows_cannot_be_asked_for() -> None:
    with pytest.raises(ConfigError, match="least_feed of Mine is 'best'"):
        admit("iex", "best", owner="Mine")


def test_origins_are_told_once_each() -> None:
    assert joined(["iex", "", "iex", "sip"]) == "iex; sip"
