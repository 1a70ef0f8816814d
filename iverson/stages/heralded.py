# SPDX-License-Identifier: GPL-3.0-or-later
"""Which herald the settings ask for, and how a run has itself told by one while it goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from iverson.config import Settings
from iverson.errors import ConfigError, IversonError
from iverson.monitoring.alerts import ways
from iverson.monitoring.channel import Channel, Later, Log
from iverson.monitoring.hiding import check_token
from iverson.stages.evening import Evening
from iverson.stages.herald import Herald, HeraldMaker

TIMEOUT_SECONDS = 5.0  # for each step of a request: half of what one message may take
logger = logging.getLogger(__name__)


def herald_of(journal: Path, clock: Callable[[], datetime], chosen: Settings) -> Herald:
    """Return the herald that the settings ask for: by Telegram, or on the log without it.

    Raises
    ------
    ConfigError: a kind of alert that there is not, or half of what Telegram needs.
    """
    from iverson.stages.trade_picture import picture_of

    check(chosen)
    by_phone = chosen.telegram_token is not None
    return Herald(
        journal,
        channel=channel_of(chosen),
        clock=clock,
        chosen=chosen.alerts,
        picture=partial(picture_of, store=chosen.store) if by_phone else None,
        evening=Evening(journal, store=chosen.store, expected=chosen.expected)
        if by_phone
        else None,
    )


def check(chosen: Settings) -> None:
    """Raise `ConfigError` for settings that no herald could be made of."""
    ways(chosen.alerts)
    token, chat = chosen.telegram_token, chosen.telegram_chat
    if (token is None) != (chat is None):
        missing = "TOKEN" if token is None else "CHAT"
        raise ConfigError(
            f"alerts by Telegram need a token and a chat; set IVERSON_TELEGRAM_{missing} too"
        )
    if token is not None:
        check_token(token.get_secret_value())


def channel_of(chosen: Settings) -> Channel:
    """Return the bot of the settings, or the log when there is none."""
    check(chosen)
    token, chat = chosen.telegram_token, chosen.telegram_chat
    if token is None or chat is None:
        return Log()

    def make() -> Channel:
        from iverson.monitoring.telegram import Telegram

        return Telegram(
            token.get_secret_value(), chat=chat, url=chosen.telegram_url,
            timeout_seconds=TIMEOUT_SECONDS,
        )  # fmt: skip

    return Later(make)


@contextmanager
def heralded(
    journal: Path, clock: Callable[[], datetime], chosen: Settings, *, threaded: bool
) -> Iterator[None]:
    """Have what happens inside told: while it happens (`threaded`), and what is left at its end.

    A wrong setting is raised at once; an outbox that cannot be used is logged and costs the alerts,
    not the trading.
    """
    try:
        herald = herald_of(journal, clock, chosen)
    except ConfigError:
        raise
    except (IversonError, OSError) as error:
        logger.error("nobody is told: %s", error)
        yield
        return
    if threaded:
        herald.start()
    try:
        yield
    finally:
        herald.close()


@contextmanager
def telling(
    maker: HeraldMaker | None,
    journal: Path,
    clock: Callable[[], datetime],
    *,
    threaded: bool = False,
) -> Iterator[Callable[[], None]]:
    """Have a rehearsal told by a herald, if there is one; yields what tells all up to now."""
    if maker is None:
        yield lambda: None
        return
    herald = maker(journal, clock)

    def tell() -> None:
        herald.flush(0.0)

    if threaded:
        herald.start()
    try:
        yield tell
    finally:
        herald.close()
