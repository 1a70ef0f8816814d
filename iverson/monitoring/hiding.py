# SPDX-License-Identifier: GPL-3.0-or-later
"""Hides a bot's token from logs: Telegram has it in every address, and libraries log addresses."""

from __future__ import annotations

from iverson import redaction
from iverson.errors import ConfigError

LOGGERS = (
    "telegram.Bot", "telegram.request.HTTPXRequest", "telegram.request.BaseRequest", "httpx",
    "httpcore.connection", "httpcore.http11", "httpcore.http2", "httpcore.proxy",
    "httpcore.socks", "asyncio",
)  # fmt: skip


def hide(token: str) -> None:
    """Have no library's logger, and nothing that is redacted, say this token from now on."""
    redaction.hide(token)
    redaction.guard_loggers(LOGGERS)


def check_token(token: str) -> None:
    """Raise `ConfigError` for what is no token, without showing it."""
    if not token.strip() or any(letter.isspace() or letter == "/" for letter in token):
        raise ConfigError(
            "the Telegram token is none; expected what BotFather gave, as 123456:ABC-DEF"
        )
