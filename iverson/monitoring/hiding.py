# SPDX-License-Identifier: GPL-3.0-or-later
"""Hides a bot's token from logs: Telegram has it in every address, and libraries log addresses."""

from __future__ import annotations

import logging
from urllib.parse import quote

from iverson.errors import ConfigError

LOGGERS = (
    "telegram.Bot", "telegram.request.HTTPXRequest", "telegram.request.BaseRequest", "httpx",
    "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy",
    "httpcore.socks", "asyncio",
)  # fmt: skip
HIDDEN = "****"


def hide(token: str) -> None:
    """Have no library's logger say this token from now on."""
    _HIDING.tokens.add(token)
    for name in LOGGERS:
        logging.getLogger(name).addFilter(_HIDING)  # adds it once


def check_token(token: str) -> None:
    """Raise `ConfigError` for what is no token, without showing it."""
    if not token.strip() or any(letter.isspace() or letter == "/" for letter in token):
        raise ConfigError(
            "the Telegram token is none; expected what BotFather gave, as 123456:ABC-DEF"
        )


def without(words: str, token: str) -> str:
    """Return words with the token hidden, as it is and as addresses spell it."""
    for spelling in (token, quote(token), quote(token, safe="")):
        words = words.replace(spelling, HIDDEN)
    return words


class _Hiding(logging.Filter):
    """Rewrites whatever a library logs of a token; on its loggers, so that no handler sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, without the tokens and without errors that carry them."""
        words = record.getMessage()
        if record.exc_info:
            words += f" ({record.exc_info[1]!r})"
        clean = words
        for token in self.tokens:
            clean = without(clean, token)
        if record.exc_info or clean != words:
            record.msg, record.args, record.exc_info, record.exc_text = clean, (), None, None
        return True


_HIDING = _Hiding()
