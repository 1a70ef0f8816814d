# SPDX-License-Identifier: GPL-3.0-or-later
"""Ways to reach a person: what each can do, how it fails, and the one that needs nothing."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable
from typing import Protocol

from iverson.errors import IversonError
from iverson.monitoring.message import plain

# Telegram's limits of a picture: bytes, width and height together, and their ratio.
PHOTO_BYTES, PHOTO_SIDES, PHOTO_RATIO = 10_000_000, 10_000, 20
logger = logging.getLogger(__name__)


class Undelivered(IversonError):
    """A message was not taken.

    `retry_after` are the seconds that the other side asks to wait, `permanent` says that trying
    again does not help until something is mended, `unsure` that it may have arrived all the same.
    """

    def __init__(
        self,
        words: str,
        *,
        retry_after: float | None = None,
        permanent: bool = False,
        unsure: bool = False,
    ) -> None:
        super().__init__(words)
        self.retry_after = retry_after
        self.permanent = permanent
        self.unsure = unsure


class Channel(Protocol):
    """What takes messages in Telegram's HTML; each is `Undelivered` or has a number."""

    def send(self, html: str, *, silent: bool = False) -> int:
        """Send a message."""
        ...

    def photo(self, png: bytes, *, caption: str = "", silent: bool = False) -> int:
        """Send a picture with a caption."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class Log:
    """The log, which is standard error when nobody has set up another one: it takes everything."""

    def __init__(self) -> None:
        self._number = 0

    def send(self, html: str, *, silent: bool = False) -> int:
        """Log a message, without its tags; a silent one as mere information."""
        self._number += 1
        logger.log(logging.INFO if silent else logging.WARNING, "%s", plain(html))
        return self._number

    def photo(self, png: bytes, *, caption: str = "", silent: bool = False) -> int:  # noqa: ARG002 (a log has no pictures)
        """Log the caption."""
        return self.send(caption, silent=silent)

    def close(self) -> None:
        """Nothing is open."""


class Later:
    """A channel that is made when it is first needed: its libraries take half a second to load."""

    def __init__(self, make: Callable[[], Channel]) -> None:
        self._make = make
        self._made: Channel | None = None

    def _channel(self) -> Channel:
        if self._made is None:
            self._made = self._make()
        return self._made

    def send(self, html: str, *, silent: bool = False) -> int:
        """Send a message."""
        return self._channel().send(html, silent=silent)

    def photo(self, png: bytes, *, caption: str = "", silent: bool = False) -> int:
        """Send a picture with a caption."""
        return self._channel().photo(png, caption=caption, silent=silent)

    def close(self) -> None:
        """Let go of the connection, if there is one."""
        if self._made is not None:
            self._made.close()


def picture_fault(png: bytes) -> str | None:
    """Say why Telegram would not take a picture, or None."""
    if len(png) < 24 or not png.startswith(b"\x89PNG\r\n\x1a\n"):
        return "it is no PNG"
    width, height = struct.unpack(">II", png[16:24])
    if len(png) > PHOTO_BYTES:
        return f"it has {len(png):,} bytes; Telegram takes {PHOTO_BYTES:,}"
    if width + height > PHOTO_SIDES or not 1 / PHOTO_RATIO <= width / max(height, 1) <= PHOTO_RATIO:
        return f"it is {width} x {height}; Telegram takes sides of {PHOTO_SIDES} together, 20 to 1"
    return None
