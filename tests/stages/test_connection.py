# SPDX-License-Identifier: GPL-3.0-or-later
"""Where orders may go, and with which keys."""

from __future__ import annotations

import pytest

from iverson.config import Settings
from iverson.errors import ConfigError, Refused
from iverson.market.calendar import utc_now
from iverson.model import Stage
from iverson.simulator.auth import PAPER_KEY
from iverson.stages.connection import Connection, connect, stage_of_keys

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
