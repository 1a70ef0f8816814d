# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets are not shown: by exact value, by shape, in log lines, threads and tracebacks."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson import redaction
from iverson.config import settings
from iverson.redaction import SHOWN, guard_process, hide, redacted

TOKEN = "123456789" + ":" + "AAbbCCddEEffGGhhIIjjKKllMMnnOOppQQr"
KEY = "PK" + "CANARY7CANARY7CANA"
SECRET = "canary/" + "secret+value=0815"


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(redaction, "_known", set())
    factory, hooks = logging.getLogRecordFactory(), (sys.excepthook, threading.excepthook)
    levels = {name: logging.getLogger(name).level for name in ("httpx", "telegram")}
    yield
    logging.setLogRecordFactory(factory)
    sys.excepthook, threading.excepthook = hooks
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize(
    "text",
    [
        f"POST https://example.org/bot{TOKEN}/sendMessage failed",
        f"keys {KEY} refused",
        f"{{'APCA-API-SECRET-KEY': '{SECRET}'}}",
    ],
)
def test_what_looks_like_a_secret_is_not_shown(text: str) -> None:
    shown = redacted(text)

    assert SHOWN in shown
    for secret in (TOKEN, KEY, SECRET):
        assert secret not in shown


def test_ordinary_text_stays_as_it_is() -> None:
    text = "AAPL 2012-03-01 14:30:00 bought 100 at 12.34, PKG and AKA, ratio 4:1, id 12:34:56"

    assert redacted(text) == text


@given(st.text(), st.text(min_size=redaction.SHORTEST), st.text())
def test_known_value_is_never_shown(before: str, secret: str, after: str) -> None:
    hide(secret)
    try:
        assert secret not in redacted(before + secret + after).replace(SHOWN, "\0")
    finally:
        redaction._known.clear()


def test_settings_hide_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IVERSON_ALPACA_SECRET", SECRET)
    monkeypatch.setenv("IVERSON_PING_URL", "http://127.0.0.1/ping/0815canary")
    chosen = settings()

    assert redacted(f"{SECRET} and http://127.0.0.1/ping/0815canary") == f"{SHOWN} and {SHOWN}"
    assert "canary" not in repr(chosen)


def test_log_lines_and_their_tracebacks_are_redacted(caplog: pytest.LogCaptureFixture) -> None:
    hide(SECRET)
    guard_process()
    guard_process()
    logger = logging.getLogger("somebody.else")
    with caplog.at_level(logging.DEBUG):
        logger.warning("asked with %s", SECRET)
        try:
            raise ValueError(f"no {TOKEN}")
        except ValueError:
            logger.exception("it failed")
        logging.getLogger("httpx").info("POST /bot%s/getMe", TOKEN)

    assert len(caplog.records) == 2
    assert SECRET not in caplog.text
    assert TOKEN not in caplog.text
    assert "ValueError: no ****" in caplog.text


def test_a_thread_that_dies_says_why_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    hide(SECRET)
    guard_process()

    def dies() -> None:
        raise RuntimeError(f"cannot use {SECRET}")

    thread = threading.Thread(target=dies)
    thread.start()
    thread.join()
    said = capsys.readouterr().err

    assert "RuntimeError: cannot use ****" in said
    assert SECRET not in said
