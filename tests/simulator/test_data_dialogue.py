# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversation with a data stream, message by message, without a socket."""

from __future__ import annotations

from typing import Any

import pytest

from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.stream_dialogue import (
    ENDING,
    ERRORS,
    NEWS_CHANNELS,
    STOCK_CHANNELS,
    Dialogue,
)

AUTH = {"action": "auth", "key": "k", "secret": "s"}
AUTHENTICATED = {"T": "success", "msg": "authenticated"}
LIMIT = 30
THIRTY = [f"S{number:02d}" for number in range(LIMIT)]


def dialogue(
    *, refused: int | None = None, news: bool = False, listed: int = 5, **switches: Any
) -> Dialogue:
    return Dialogue(
        channels=NEWS_CHANNELS if news else STOCK_CHANNELS,
        switches=DataSwitches(**switches),
        listed=listed,
        admit=lambda key, secret: refused,
    )


def admitted(**changes: Any) -> Dialogue:
    made = dialogue(**changes)
    assert made.receive(AUTH) == AUTHENTICATED
    return made


def error(code: int) -> dict[str, Any]:
    return {"T": "error", "code": code, "msg": ERRORS[code]}


def subscribe(**channels: Any) -> dict[str, Any]:
    return {"action": "subscribe", **channels}


def test_the_server_speaks_first() -> None:
    assert dialogue().greet() == {"T": "success", "msg": "connected"}


@pytest.mark.parametrize("code", [402, 406, 409])
def test_who_is_not_admitted_is_told_why_and_shown_out(code: int) -> None:
    refused = dialogue(refused=code)

    assert refused.receive(AUTH) == error(code)
    assert refused.ended
    assert not refused.authenticated


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "subscribe",
        {},
        {"action": "dance"},
        {"action": ["auth"]},
        {"action": "auth", "key": "k"},
        {"action": "auth", "key": 1, "secret": 2},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_invalid_syntax(content: object) -> None:
    fresh = dialogue()

    assert fresh.receive(content) == error(400)
    assert not fresh.ended
    assert fresh.receive(AUTH) == AUTHENTICATED


def test_nobody_subscribes_before_saying_who_it_is() -> None:
    assert dialogue().receive(subscribe(bars=["AAA"])) == error(401)


def test_nobody_authenticates_twice() -> None:
    twice = admitted()

    assert twice.receive(AUTH) == error(403)
    assert twice.authenticated
    assert not twice.ended


def test_the_silent_are_timed_out_and_the_authenticated_are_not() -> None:
    silent = dialogue()

    assert silent.time_out() == error(404)
    assert silent.ended
    assert admitted().time_out() is None


def test_a_subscription_is_echoed_whole_and_grows() -> None:
    client = admitted()
    first = client.receive(subscribe(bars=["AAA"], trades=["CCC"]))
    second = client.receive(subscribe(bars=["BBB"], statuses=["*"]))
    empty: dict[str, list[str]] = {name: [] for name in STOCK_CHANNELS}
    trades = {name: ["CCC"] for name in ("trades", "corrections", "cancelErrors")}

    assert first == {"T": "subscription", **empty, **trades, "bars": ["AAA"]}
    assert second == {**first, "bars": ["AAA", "BBB"], "statuses": ["*"]}


def test_unsubscribing_takes_away_what_is_named_and_nothing_else() -> None:
    client = admitted()
    client.receive(subscribe(bars=["AAA", "BBB"], quotes=["AAA"]))
    left = client.receive({"action": "unsubscribe", "bars": ["AAA", "ZZZ"], "lulds": ["AAA"]})

    assert (left["bars"], left["quotes"], left["lulds"]) == (["BBB"], ["AAA"], [])


def test_the_news_stream_echoes_its_one_channel() -> None:
    answer = admitted(news=True).receive(subscribe(news=["*"]))

    assert answer == {"T": "subscription", "news": ["*"]}


@pytest.mark.parametrize(
    ("news", "asked", "code"),
    [
        (True, {"bars": ["AAA"]}, 410),
        (False, {"news": ["AAA"]}, 410),
        (False, {"corrections": ["AAA"]}, 410),  # comes with trades, is not asked for
        (False, {"gossip": ["AAA"]}, 400),
        (False, {"bars": "AAA"}, 400),
        (False, {"bars": [1]}, 400),
        (False, {}, 400),
    ],
)
def test_channels_of_another_feed_are_told_from_nonsense(
    news: bool, asked: dict[str, Any], code: int
) -> None:
    assert admitted(news=news).receive(subscribe(**asked)) == error(code)


def test_the_thirty_first_symbol_is_refused_and_changes_nothing() -> None:
    client = admitted()
    client.receive(subscribe(bars=THIRTY))

    assert client.receive(subscribe(bars=["ONEMORE"])) == error(405)
    assert client.receive(subscribe(quotes=THIRTY))["quotes"] == THIRTY  # the same symbols
    assert client.subscription()["bars"] == THIRTY
    assert not client.ended


def test_a_switch_exempts_bars_and_another_lifts_the_limit() -> None:
    many = [*THIRTY, "ONEMORE"]

    assert admitted(bars_count=False).receive(subscribe(bars=many))["bars"] == sorted(many)
    assert admitted(bars_count=False).receive(subscribe(trades=many)) == error(405)
    assert admitted(symbol_limit=None).receive(subscribe(trades=many))["trades"] == sorted(many)


def test_a_star_counts_as_every_listed_symbol() -> None:
    assert admitted(listed=LIMIT).receive(subscribe(bars=["*"]))["bars"] == ["*"]
    assert admitted(listed=LIMIT + 1).receive(subscribe(bars=["*"])) == error(405)
    assert admitted(listed=LIMIT + 1).receive(subscribe(statuses=["*"]))["statuses"] == ["*"]


def test_a_message_is_wanted_by_symbol_or_star() -> None:
    client = admitted()
    client.receive(subscribe(bars=["AAA"], statuses=["*"]))

    assert client.wants("bars", ["AAA"])
    assert client.wants("bars", ["BBB", "AAA"])
    assert not client.wants("bars", ["BBB"])
    assert not client.wants("quotes", ["AAA"])
    assert client.wants("statuses", [])


def test_only_some_errors_end_a_session() -> None:
    ended = set()
    for code in ERRORS:
        one = admitted()
        one.error(code)
        if one.ended:
            ended.add(code)

    assert ended == set(ENDING)
