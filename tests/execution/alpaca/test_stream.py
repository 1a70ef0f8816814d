# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca's sockets end when they are told to, not when alpaca-py looks."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from iverson.execution.alpaca import stream as sockets
from iverson.testing import Rehearsal, exchange
from tests.simulator.rehearsing import SESSION, at, minutes

PATIENCE = 10.0
LOOKS_EVERY = 5.0  # seconds; alpaca-py's look for a stop while a socket says nothing
AT_ONCE = LOOKS_EVERY / 2


@pytest.fixture
def venue() -> Iterator[Rehearsal]:
    with exchange(minutes("100 101 102"), at=at("09:30", SESSION)) as opened:
        yield opened


def both(venue: Rehearsal, heard: list[Any]) -> tuple[sockets.Thread, sockets.Thread]:
    sim = venue.sim
    options: Any = dict(hear=heard.append, connected=lambda: None)
    return (
        sockets.trades(
            sim.key, sim.secret, paper=True, url=sim.urls.trading_stream, **options
        ),
        sockets.minutes(
            sim.key, sim.secret, ["TEST"], feed="iex", url=sim.urls.data_stream, mute_seconds=None,
            **options,
        ),
    )  # fmt: skip


def test_silent_sockets_end_at_once_and_are_closed_at_the_venue(
    venue: Rehearsal, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Any] = []
    for socket in both(venue, heard):
        before = venue.sim.subscriptions
        socket.start()
        venue.sim.wait_for_subscriptions(before + 1, seconds=PATIENCE)
        venue.sim.step()

        began = time.monotonic()
        assert socket.stop()

        assert time.monotonic() - began < AT_ONCE
        assert socket.stream._ws is None
    assert len(heard) == 1  # a bar, by the second
    assert [one.message for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_socket_that_waits_to_connect_again_ends_at_once() -> None:
    refused: list[str] = []
    socket = sockets.trades(
        "key", "secret", paper=True, url="ws://127.0.0.1:9/stream", hear=lambda _: None,
        connected=lambda: None, refused=refused.append,
    )  # fmt: skip
    socket.stream._reconnect_min_backoff = socket.stream._reconnect_max_backoff = LOOKS_EVERY
    socket.start()
    until = time.monotonic() + PATIENCE
    while not socket.failures and time.monotonic() < until:
        time.sleep(0.01)

    began = time.monotonic()
    assert socket.stop()
    assert time.monotonic() - began < AT_ONCE


def test_connection_that_breaks_is_made_again_and_then_ends_at_once(venue: Rehearsal) -> None:
    trades, _ = both(venue, [])
    trades.stream._reconnect_min_backoff = trades.stream._reconnect_max_backoff = 0.01
    trades.start()
    venue.sim.wait_for_subscriptions(1, seconds=PATIENCE)
    venue.sim.disconnect()
    venue.sim.wait_for_subscriptions(2, seconds=PATIENCE)

    assert trades.connections == 2
    began = time.monotonic()
    assert trades.stop()
    assert time.monotonic() - began < AT_ONCE
