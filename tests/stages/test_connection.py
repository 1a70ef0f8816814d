# SPDX-License-Identifier: GPL-3.0-or-later
"""Where orders may go, and with which keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from iverson.config import Settings
from iverson.errors import ConfigError, Refused
from iverson.market.calendar import utc_now
from iverson.model import Stage
from iverson.simulator.auth import PAPER_KEY
from iverson.simulator.server import Simulator
from iverson.stages.connection import Connection, connect, stage_of_keys
from tests.stages.trading_kit import after_close, exchange

PAPER, LIVE, SECRET = "PK1234567890", "AK1234567890", "a-secret-that-nobody-sees"
LOOPBACK = "http://127.0.0.1:9"


def settings(key: str | None, **more: str) -> Settings:
    return Settings(alpaca_key=key, alpaca_secret=SECRET, **more)  # type: ignore[arg-type]  # pydantic makes secrets of texts


def made(stage: Stage, key: str | None, **more: str) -> Connection:
    connection = connect(settings(key, **more), stage, utc_now)
    connection.close()
    return connection


@pytest.mark.parametrize(("stage", "key"), [(Stage.PAPER, PAPER), (Stage.LIVE, LIVE)])
def test_keys_go_to_their_own_host(stage: Stage, key: str) -> None:
    host = {
        Stage.PAPER: "https://paper-api.alpaca.markets",
        Stage.LIVE: "https://api.alpaca.markets",
    }

    connection = made(stage, key)

    assert (connection.stage, connection.url) == (stage, host[stage])
    assert connection.is_paper == (stage is Stage.PAPER)
    assert connection.socket("/stream") is None


@pytest.mark.parametrize(("stage", "key"), [(Stage.PAPER, LIVE), (Stage.LIVE, PAPER)])
def test_keys_of_the_other_account_are_refused(stage: Stage, key: str) -> None:
    with pytest.raises(Refused, match=f"these keys are not of a {stage.value} account"):
        made(stage, key)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets.example.com", "http://api.alpaca.markets",
        "https://paper-api.alpaca.markets", "https://example.com", "https://api.alpaca.markets:8443",
        LOOPBACK, "https://127.0.0.1",
    ],
)  # fmt: skip
def test_live_goes_to_one_host_only(url: str) -> None:
    with pytest.raises(Refused, match=r"expected https://api.alpaca.markets"):
        made(Stage.LIVE, LIVE, alpaca_live_url=url)


def test_paper_refuses_an_unknown_host() -> None:
    with pytest.raises(Refused, match="no host of Alpaca's"):
        made(Stage.PAPER, PAPER, alpaca_paper_url="https://example.com")


def test_paper_on_loopback_is_a_rehearsal_with_the_simulators_keys_only() -> None:
    connection = made(Stage.PAPER, PAPER_KEY, alpaca_paper_url=LOOPBACK)

    assert connection.stage is Stage.REHEARSE
    assert connection.socket("/stream") == "ws://127.0.0.1:9/stream"
    with pytest.raises(Refused, match="keys of a real account go to Alpaca only"):
        made(Stage.PAPER, PAPER, alpaca_paper_url=LOOPBACK)


def test_no_keys_is_an_error_of_the_settings() -> None:
    with pytest.raises(ConfigError, match="IVERSON_ALPACA_KEY"):
        made(Stage.PAPER, None)


def test_keys_are_never_shown() -> None:
    shown = repr(made(Stage.PAPER, PAPER))

    assert PAPER not in shown
    assert SECRET not in shown


def test_stage_is_told_from_the_keys() -> None:
    assert stage_of_keys(settings(PAPER)) is Stage.PAPER
    assert stage_of_keys(settings(LIVE)) is Stage.LIVE


# -- the time on loopback --------------------------------------------------------------------------

TUESDAY = date(2005, 3, 1)


@pytest.fixture
def venue() -> Iterator[Simulator]:
    with exchange(after_close(TUESDAY)) as opened:
        yield opened


@pytest.fixture
def connected(venue: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """To the exchange, with a moment that is longer than a test."""
    monkeypatch.setattr("iverson.stages.connection.FRESH_SECONDS", 60.0)
    connection = connect(
        Settings(
            alpaca_key=venue.key,  # type: ignore[arg-type]  # pydantic makes secrets of texts
            alpaca_secret=venue.secret,  # type: ignore[arg-type]  # as above
            alpaca_paper_url=venue.urls.trading,
        ),
        Stage.PAPER,
        utc_now,
    )
    yield connection
    connection.close()


def test_time_on_loopback_is_asked_for_once_a_moment(
    venue: Simulator, connected: Connection
) -> None:
    start = after_close(TUESDAY)
    told = [connected.clock() for _ in range(5)]

    assert told == [start] * 5
    assert connected.rest.made == 1


def test_time_on_loopback_is_asked_for_anew_after_another_request(
    venue: Simulator, connected: Connection
) -> None:
    later = connected.clock() + timedelta(minutes=5)
    venue.advance_to(later)
    connected.venue.account()

    assert connected.clock() == later


def test_time_on_loopback_is_asked_for_anew_after_a_wait(
    venue: Simulator, connected: Connection
) -> None:
    later = connected.clock() + timedelta(minutes=5)
    venue.advance_to(later)
    connected.venue.pause(0.0)

    assert connected.clock() == later


def test_time_on_loopback_is_asked_for_anew_after_the_moment(
    venue: Simulator, connected: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iverson.stages.connection.FRESH_SECONDS", 0.0)
    later = connected.clock() + timedelta(minutes=5)
    venue.advance_to(later)

    assert connected.clock() == later
