# SPDX-License-Identifier: GPL-3.0-or-later
"""Telegram through a Bot API on loopback: what arrives, how it fails, and no word of a token."""

from __future__ import annotations

import gc
import logging
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator

import pytest

from iverson.errors import ConfigError
from iverson.monitoring.hiding import LOGGERS
from iverson.monitoring.telegram import Telegram, Undelivered
from tests.monitoring.bot_api import (
    TOKEN,
    Answer,
    BotApi,
    answer_lost,
    broken,
    forbidden,
    hangs,
    too_many,
    unauthorized,
    unparsable,
)

TIMEOUT = 0.5


def png(width: int, height: int, more: int = 0) -> bytes:
    """A black picture, with so many bytes that mean nothing."""
    rows = b"".join(b"\0" + bytes(width) for _ in range(height)) if width * height < 1e6 else b""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + bytes(more) * 0 + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    ) + bytes(more)  # fmt: skip


@pytest.fixture
def api() -> Iterator[BotApi]:
    with BotApi() as opened:
        yield opened


@pytest.fixture
def bot(api: BotApi) -> Iterator[Telegram]:
    made = Telegram(api.token, chat=api.chat, url=api.url, timeout_seconds=TIMEOUT, pace_seconds=0)
    yield made
    made.close()
    gc.collect()  # what was left open would warn here


def test_message_arrives_once_without_a_preview(api: BotApi, bot: Telegram) -> None:
    number = bot.send("<b>AAPL</b> &amp; more", silent=True)

    (message,) = api.messages
    assert (message.id, message.text, message.silent) == (number, "AAPL & more", True)
    assert not message.preview
    assert [method for method, _ in api.asked] == ["sendMessage"]


def test_long_message_is_cut_into_pieces_that_telegram_takes(api: BotApi, bot: Telegram) -> None:
    words = " ".join(["&lt;wörd🔵&gt;"] * 2000)

    first = bot.send(f"<b>{words}</b>")

    assert first == api.messages[0].id
    assert api.refused == []
    assert all(one.tags == ("b", "/b") for one in api.messages)
    told = " ".join(one.text.strip() for one in api.messages)
    assert told == " ".join(["<wörd🔵>"] * 2000)


def test_what_telegram_cannot_parse_arrives_as_plain_text(api: BotApi, bot: Telegram) -> None:
    api.fail(unparsable())

    bot.send("<b>a &lt; b</b>")
    bot.send("<blink>c</blink>")

    assert [(one.text, one.tags) for one in api.messages] == [("a < b", ()), ("c", ())]


FAULTS = {
    "429": (too_many(7), 7.0, False, False),
    "429 without a time": (Answer(429, "<html>"), 30.0, False, False),
    "403": (forbidden(), None, True, False),
    "401": (unauthorized(), None, True, False),
    "502": (broken(), None, False, True),
    "no answer": (hangs(5), None, False, True),
    "answer lost": (answer_lost(), None, False, True),
    "nonsense": (Answer(200, "<html>", takes=True), None, False, True),
    "another shape": (Answer(200, {"ok": True, "result": 3}, takes=True), None, False, True),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_says_whether_to_try_again(api: BotApi, bot: Telegram, name: str) -> None:
    answer, retry_after, permanent, unsure = FAULTS[name]
    api.fail(answer)

    with pytest.raises(Undelivered) as raised:
        bot.send("x")

    fault = raised.value
    assert (fault.retry_after, fault.permanent, fault.unsure) == (retry_after, permanent, unsure)
    assert (fault.__cause__, fault.__context__) == (None, None)
    assert TOKEN not in str(fault)
    assert len(api.messages) == answer.takes
    bot.send("y")
    assert api.messages[-1].text == "y"


def test_refused_chat_is_permanent(api: BotApi) -> None:
    other = Telegram(api.token, chat=api.chat + 1, url=api.url, pace_seconds=0)

    with pytest.raises(Undelivered, match="IVERSON_TELEGRAM_CHAT") as raised:
        other.send("x")
    other.close()

    assert raised.value.permanent


def test_nobody_there_is_surely_not_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    bot = Telegram(TOKEN, chat=1, url=f"http://127.0.0.1:{port}", timeout_seconds=TIMEOUT)

    with pytest.raises(Undelivered, match="cannot be reached") as raised:
        bot.send("x")
    bot.close()

    assert (raised.value.permanent, raised.value.unsure) == (False, False)


def test_no_token_in_any_log_error_or_repr(
    api: BotApi, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """At the loudest of every logger, through every fault."""
    for name in [*logging.root.manager.loggerDict, *LOGGERS]:
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)
    shown = []
    bots = [
        Telegram(api.token, chat=api.chat, url=url, timeout_seconds=TIMEOUT, pace_seconds=0)
        for url in (api.url, "http://127.0.0.1:9")
    ]
    for bot in bots:
        for answer, *_ in FAULTS.values():
            api.fail(answer)
            with pytest.raises(Undelivered) as raised:
                bot.send("x")
            shown += [repr(raised.value), str(raised.getrepr(style="long", showlocals=False))]
            api._faults.clear()
        bot.close()
        shown.append(repr(bot))

    told = [
        record.getMessage() + str(record.args) + str(record.exc_text) for record in caplog.records
    ]
    assert any("httpx" in record.name for record in caplog.records)
    captured = capfd.readouterr()
    for words in (*told, *shown, caplog.text, captured.out, captured.err):
        assert TOKEN not in words
        assert TOKEN.partition(":")[2] not in words


def test_messages_keep_a_distance(api: BotApi) -> None:
    pace = 0.2
    bot = Telegram(api.token, chat=api.chat, url=api.url, pace_seconds=pace)
    threads = [threading.Thread(target=bot.send, args=(f"{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bot.close()

    gaps = [later - sooner for sooner, later in zip(api.times, api.times[1:], strict=False)]
    assert len(gaps) == 3
    assert min(gaps) >= pace * 0.9


def test_photo_with_a_caption_that_is_too_long_is_followed_by_text(
    api: BotApi, bot: Telegram
) -> None:
    picture = png(30, 20)

    number = bot.photo(picture, caption=f"<i>{'word ' * 300}</i>", silent=True)

    (photo,) = api.photos
    assert (photo.id, photo.picture, photo.silent) == (number, picture, True)
    assert len(photo.text) <= 1024
    assert f"{photo.text} {api.messages[0].text}".split() == ["word"] * 300
    assert api.refused == []


@pytest.mark.parametrize(
    "picture",
    [b"GIF89a" + bytes(40), png(21, 1), png(9000, 1001), png(10, 10, 10_000_001)],
    ids=["no PNG", "too long", "too large", "too many bytes"],
)
def test_picture_that_telegram_refuses_is_left_out_and_its_words_are_not(
    api: BotApi, bot: Telegram, picture: bytes
) -> None:
    bot.photo(picture, caption="<b>words</b>")

    assert [one.text for one in api.told] == ["words"]
    assert api.photos == []


def test_refused_photo_arrives_plain_and_then_as_text(api: BotApi, bot: Telegram) -> None:
    api.fail(unparsable())
    bot.photo(png(3, 3), caption="<b>once</b>")
    api.fail(unparsable(), unparsable())
    bot.photo(png(3, 3), caption="<b>twice</b>")

    assert [(one.text, one.tags, bool(one.picture)) for one in api.told] == [
        ("once", (), True),
        ("twice", (), False),
    ]


def test_what_is_said_to_the_bot_is_heard_once(api: BotApi, bot: Telegram) -> None:
    first = api.say("/status", user=7)
    api.say("", user=8, chat=-5)

    heard = bot.updates(0, wait_seconds=1)
    again = bot.updates(heard[-1].update, wait_seconds=0)

    assert [(one.update, one.chat, one.user, one.text) for one in heard] == [
        (first, api.chat, 7, "/status"),
        (first + 1, -5, 8, ""),
    ]
    assert heard[0].at.tzinfo is not None
    assert again == []


def test_waiting_for_words_holds_no_message_up(api: BotApi, bot: Telegram) -> None:
    heard: list[str] = []
    waits = threading.Thread(
        target=lambda: heard.extend(one.text for one in bot.updates(0, wait_seconds=20))
    )
    waits.start()
    began = time.monotonic()
    bot.send("meanwhile")
    took = time.monotonic() - began
    api.say("done")
    waits.join(10)

    assert took < 5
    assert heard == ["done"]


def test_closing_ends_a_call_that_waits(api: BotApi) -> None:
    bot = Telegram(api.token, chat=api.chat, url=api.url, timeout_seconds=30)
    faults: list[Undelivered] = []

    def wait() -> None:
        try:
            bot.updates(0, wait_seconds=60)
        except Undelivered as fault:
            faults.append(fault)

    waits = threading.Thread(target=wait)
    waits.start()
    time.sleep(0.3)
    bot.close()
    bot.close()
    waits.join(5)

    assert not waits.is_alive()
    assert len(faults) == 1
    with pytest.raises(Undelivered, match="closed"):
        bot.send("x")


@pytest.mark.parametrize("token", ["", " ", "12 34", "123:abc/def", "123:abc\n"])
def test_what_is_no_token_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(ConfigError, match="BotFather") as raised:
        Telegram(token, chat=1)

    assert not token.strip() or token not in str(raised.value)


def test_nothing_to_send_is_said(bot: Telegram) -> None:
    with pytest.raises(Undelivered, match="nothing to send"):
        bot.send("<b> </b>")
