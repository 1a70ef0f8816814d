# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor and the phone: does Telegram know the bot, is the bot in the chat, who may command."""

from __future__ import annotations

from collections.abc import Iterator

from iverson.config import Settings
from iverson.monitoring.telegram import Telegram
from iverson.stages.doctor import Finding, found

SET_UP = "make a bot with @BotFather, then set IVERSON_TELEGRAM_TOKEN and IVERSON_TELEGRAM_CHAT"


def examine_phone(settings: Settings) -> Iterator[Finding]:
    """Look at what Telegram says of the bot; nothing is sent."""
    token, chat = settings.telegram_token, settings.telegram_chat
    if token is None or chat is None:
        missing = "token" if token is None else "chat"
        yield Finding("Telegram", "not set up", f"no {missing}: alerts go to no phone", SET_UP)
        return

    def look() -> str:
        phone = Telegram(token.get_secret_value(), chat=chat, url=settings.telegram_url)
        try:
            return phone.identify()
        finally:
            phone.close()

    yield found("Telegram", look, SET_UP)
    if settings.telegram_users:
        said = f"{len(settings.telegram_users)} users may give commands"
        yield Finding("commands", "well", said)
    else:
        yield Finding(
            "commands", "not set up", "nobody may give commands from the phone",
            "set IVERSON_TELEGRAM_USERS, as [12345]",
        )  # fmt: skip
