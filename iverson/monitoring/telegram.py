# SPDX-License-Identifier: GPL-3.0-or-later
"""Telegram's Bot API behind three calls, and the only file that knows python-telegram-bot.

Plain calls from any thread; the library's asyncio runs in a thread of its own. The token is part of
every address, so whatever the libraries say of an address, in a log or an error, is hidden here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import TimeoutError as WaitedInVain
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from telegram import Bot, LinkPreviewOptions, Update
from telegram.constants import ParseMode
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
)
from telegram.request import HTTPXRequest

from iverson.monitoring.channel import Undelivered, picture_fault
from iverson.monitoring.hiding import check_token, hide, without
from iverson.monitoring.message import CAPTION_LIMIT, plain, split

PACE_SECONDS = 1.0  # between two messages to one chat
UNTOLD_WAIT = 30.0  # seconds, when Telegram asks to wait and does not say how long
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# What of the HTTP library's own errors says that the request never left.
NOT_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError"})
__all__ = ["Heard", "Telegram", "Undelivered"]
logger = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said to the bot: by whom and where, and the number of the update.

    An update that is no text (a picture, a new member) has the text "".
    """

    update: int
    chat: int
    user: int
    text: str
    at: datetime


class Telegram:
    """One bot and the chat that it tells; close it.

    Parameters
    ----------
    token: of the bot; never in a message, a log or a repr.
    chat: the chat's number.
    url: of the Bot API, for tests or a server of one's own.
    timeout_seconds: for each step of a request; a request as a whole gets twice as long.
    pace_seconds: between two messages.

    Raises
    ------
    ConfigError: the token is none.
    """

    def __init__(
        self,
        token: str,
        *,
        chat: int,
        url: str = "https://api.telegram.org",
        timeout_seconds: float = 10,
        pace_seconds: float = PACE_SECONDS,
    ) -> None:
        check_token(token)
        self.chat = chat
        self._token, self._url = token, url.rstrip("/")
        self._timeout, self._pace = timeout_seconds, pace_seconds
        self._last_sent = float("-inf")
        self._closed = False
        hide(token)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="telegram", daemon=True)
        self._thread.start()
        self._requests = (self._request(), self._request())
        self._bot = Bot(
            token, base_url=f"{self._url}/bot", base_file_url=f"{self._url}/file/bot",
            request=self._requests[0], get_updates_request=self._requests[1],
        )  # fmt: skip
        self._one_at_a_time = asyncio.Lock()

    def __repr__(self) -> str:
        return f"Telegram(chat={self.chat}, url={self._url!r})"

    def send(self, html: str, *, silent: bool = False) -> int:
        """Send a message of Telegram's HTML and return its number, of several pieces the first's.

        Raises
        ------
        Undelivered: see there.
        """
        pieces = split(html)
        if not pieces:
            raise Undelivered("there is nothing to send", permanent=True)
        return self._run(self._pieces(pieces, silent=silent), steps=2 * len(pieces))

    def photo(self, png: bytes, *, caption: str = "", silent: bool = False) -> int:
        """Send a picture with a caption of HTML; what does not fit below it follows as text.

        A picture that Telegram would refuse is left out, its caption is not.
        """
        if (fault := picture_fault(png)) is not None:
            logger.warning("a picture was left out: %s", fault)
            return self.send(caption, silent=silent)
        head, *rest = split(caption, first=CAPTION_LIMIT) or [""]
        return self._run(self._photo(png, head, rest, silent=silent), steps=3 + 2 * len(rest))

    def updates(self, after: int, *, wait_seconds: float) -> list[Heard]:
        """Return what was said after an update, waiting so long for the first of it.

        What came up to `after` is forgotten by Telegram. Raises `Undelivered`, as `send`.
        """
        return self._run(self._updates(after, wait_seconds), steps=1, more=wait_seconds)

    def close(self) -> None:
        """Give up what is on its way and end the thread; closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        ended = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        try:
            ended.result(timeout=5.0)
        except WaitedInVain:
            logger.warning("the connection to Telegram did not close")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5.0)
        if not self._thread.is_alive():
            self._loop.close()

    # In the loop's thread

    async def _pieces(self, pieces: list[str], *, silent: bool) -> int:
        numbers = [await self._message(piece, silent=silent) for piece in pieces]
        return numbers[0]

    async def _message(self, html: str, *, silent: bool) -> int:
        async def send(text: str, mode: str | None) -> int:
            made = await self._bot.send_message(
                self.chat, text, parse_mode=mode, disable_notification=silent,
                link_preview_options=LinkPreviewOptions(is_disabled=True),
            )  # fmt: skip
            return made.message_id

        return await self._paced(
            lambda: send(html, ParseMode.HTML), lambda: send(plain(html), None)
        )

    async def _photo(self, png: bytes, caption: str, rest: list[str], *, silent: bool) -> int:
        async def send(text: str, mode: str | None) -> int:
            made = await self._bot.send_photo(
                self.chat, png, caption=text or None, parse_mode=mode,
                disable_notification=silent, filename="picture.png",
            )  # fmt: skip
            return made.message_id

        async def unpictured() -> int:
            return await self._bare(caption, silent=silent)

        number = await self._paced(
            lambda: send(caption, ParseMode.HTML), lambda: send(plain(caption), None), unpictured
        )
        for piece in rest:
            await self._message(piece, silent=silent)
        return number

    async def _bare(self, text: str, *, silent: bool) -> int:
        made = await self._bot.send_message(self.chat, plain(text), disable_notification=silent)
        return made.message_id

    async def _paced(self, *ways: Callable[[], Awaitable[int]]) -> int:
        """Send in the first of several ways that Telegram does not find malformed."""
        async with self._one_at_a_time:
            wait = self._last_sent + self._pace - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            try:
                for way in ways[:-1]:
                    try:
                        return await asyncio.wait_for(way(), 2 * self._timeout)
                    except BadRequest:
                        continue
                return await asyncio.wait_for(ways[-1](), 2 * self._timeout)
            finally:
                self._last_sent = time.monotonic()

    async def _updates(self, after: int, wait_seconds: float) -> list[Heard]:
        found = await self._bot.get_updates(
            offset=after + 1, timeout=round(wait_seconds), allowed_updates=["message"]
        )
        return [_heard(update) for update in found]

    async def _end(self) -> None:
        mine = asyncio.current_task()
        others = [task for task in asyncio.all_tasks() if task is not mine]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        for request in self._requests:
            await request.shutdown()

    # From outside into it

    def _run(self, work: Coroutine[Any, Any, Result], *, steps: int, more: float = 0.0) -> Result:
        if self._closed:
            work.close()
            raise Undelivered("the connection to Telegram is closed", permanent=True)
        longest = steps * (2 * self._timeout + self._pace) + more + 5.0
        going = asyncio.run_coroutine_threadsafe(self._told(work), self._loop)
        try:
            result, fault = going.result(timeout=longest)
        except WaitedInVain:
            going.cancel()
            result, fault = None, Undelivered("Telegram did not answer in time", unsure=True)
        if fault is not None:
            raise fault  # outside of any handler: no error of the libraries hangs on it
        return result  # type: ignore[return-value]  # without a fault it is one

    async def _told(
        self, work: Coroutine[Any, Any, Result]
    ) -> tuple[Result | None, Undelivered | None]:
        """Return the result, or the error as ours; what the libraries raise never leaves here."""
        try:
            return await work, None
        except asyncio.CancelledError:
            return None, Undelivered("the connection to Telegram was closed", unsure=True)
        except Exception as error:  # noqa: BLE001 (whatever it is, the token may be in it)
            return None, self._undelivered(error)

    def _undelivered(self, error: Exception) -> Undelivered:
        words = without(str(error), self._token)
        words = " ".join(words.split())[:200] or type(error).__name__
        if isinstance(error, _TooMany):
            return Undelivered(
                f"Telegram asks to wait {error.seconds:g} seconds", retry_after=error.seconds
            )
        if isinstance(error, InvalidToken):
            return Undelivered(
                "Telegram does not know the bot's token; set IVERSON_TELEGRAM_TOKEN to what "
                "BotFather gave",
                permanent=True,
            )
        if isinstance(error, Forbidden | ChatMigrated):
            return Undelivered(
                f"Telegram does not let the bot write to chat {self.chat} ({words}); write to the "
                "bot there first, and look at IVERSON_TELEGRAM_CHAT",
                permanent=True,
            )
        if isinstance(error, BadRequest):
            return Undelivered(
                f"Telegram refused the message to chat {self.chat} ({words}); look at "
                "IVERSON_TELEGRAM_CHAT",
                permanent=True,
            )
        if isinstance(error, Conflict):
            return Undelivered("somebody else asks for this bot's messages; stop the other one")
        cause = type(error.__cause__).__name__
        if isinstance(error, NetworkError) and cause in NOT_SENT:
            return Undelivered(f"Telegram cannot be reached ({cause})")
        return Undelivered(f"Telegram did not answer as it should ({words})", unsure=True)

    def _request(self) -> HTTPXRequest:
        seconds = self._timeout
        # Proxies of the environment lead out of this machine; loopback stays in it.
        near = urlsplit(self._url).hostname in LOOPBACK
        return _Request(
            connection_pool_size=4, connect_timeout=seconds, read_timeout=seconds,
            write_timeout=seconds, pool_timeout=seconds, media_write_timeout=seconds,
            httpx_kwargs={"trust_env": not near},
        )  # fmt: skip


class _TooMany(NetworkError):
    """Telegram asks to wait so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many requests")
        self.seconds = seconds


class _Request(HTTPXRequest):
    """The library's requests, but for 429: its own error of that warns of its own future."""

    async def do_request(self, *given: Any, **options: Any) -> tuple[int, bytes]:
        """Make a request."""
        status, payload = await super().do_request(*given, **options)
        if status != 429:
            return status, payload
        try:
            seconds = float(json.loads(payload)["parameters"]["retry_after"])
        except (ValueError, LookupError, TypeError):
            seconds = UNTOLD_WAIT
        raise _TooMany(seconds)


def _heard(update: Update) -> Heard:
    message, user = update.message, update.effective_user
    at = message.date if message is not None else datetime.fromtimestamp(0, UTC)
    return Heard(
        update=update.update_id,
        chat=message.chat.id if message is not None else 0,
        user=user.id if user is not None else 0,
        text=(message.text or "") if message is not None else "",
        at=at.astimezone(UTC),
    )
