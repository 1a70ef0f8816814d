# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson watch`: tells when the robot gives no sign of life; to be run on another machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from iverson.stages.watch import Watcher

LATE = 1


def watch(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="A journal that can be read here; else --listen."),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Take the pings that IVERSON_PING_URL sends."),
    ] = None,
    path: Annotated[
        str, typer.Option(help="The path that pings ask for; choose one that nobody guesses.")
    ] = "/",
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 30.0,
    once: Annotated[
        bool, typer.Option("--once", help="Look once and leave: exit 1 when a run is late.")
    ] = False,
) -> None:
    """Tell, by Telegram when it is set up, when a run is late with its sign of life, and once.

    Each sign says by when the next one comes. A journal in the cloud or on a shared disk will do;
    without one the robot pings this command.
    """
    import time
    from contextlib import ExitStack

    from iverson.errors import ConfigError
    from iverson.market.calendar import utc_now
    from iverson.stages.pinged import Pinged
    from iverson.stages.watch import Watcher

    if file is None and listen is None:
        raise ConfigError("nothing to watch; name a journal, or --listen 127.0.0.1:8090")
    with ExitStack() as open_while_watching:
        tell = open_while_watching.enter_context(_teller(by_telegram=not once))
        pinged = None
        if listen is not None:
            host, port = _address(listen)
            pinged = Pinged(host, port, clock=utc_now, path=path)
            open_while_watching.callback(pinged.close)
            typer.echo(f"listening on {host}:{pinged.port}{path}", err=True)
        watcher, after = Watcher(tell), 0
        while True:
            if file is not None:
                after = _read(file, after, watcher)
            for sign in pinged.taken() if pinged is not None else ():
                watcher.seen(sign)
            late = watcher.look(utc_now())
            if once:
                for sign in watcher.signs.values():
                    due = f"{sign.due:%Y-%m-%d %H:%M} UTC" if sign.due else "none, it has ended"
                    state = "late" if sign in late else "well"
                    typer.echo(f"{state}  {sign.run}: last {sign.at:%Y-%m-%d %H:%M} UTC, due {due}")
                raise typer.Exit(LATE if late else 0)
            time.sleep(every)


def _read(file: Path, after: int, watcher: Watcher) -> int:
    """Take in what is new in the journal; once it was read, a failure only ages its signs."""
    from iverson.errors import IversonError
    from iverson.stages.watch import signs_of

    try:
        signs, after = signs_of(file, after=after)
    except IversonError as error:
        if not watcher.signs:
            raise
        typer.echo(f"iverson: {error}", err=True)
        return after
    for sign in signs:
        watcher.seen(sign)
    return after


@contextmanager
def _teller(*, by_telegram: bool) -> Iterator[Callable[[str], None]]:
    """Give what delivers a sentence: to the terminal, and to the chat when there is one."""
    from html import escape

    from iverson.config import settings
    from iverson.monitoring.telegram import Telegram

    chosen = settings()
    token, chat = chosen.telegram_token, chosen.telegram_chat
    phone = None
    if by_telegram and token is not None and chat is not None:
        phone = Telegram(token.get_secret_value(), chat=chat, url=chosen.telegram_url)

    def tell(sentence: str) -> None:
        typer.echo(sentence, err=True)
        if phone is not None:
            phone.send(escape(sentence, quote=False))

    try:
        yield tell
    finally:
        if phone is not None:
            phone.close()


def _address(given: str) -> tuple[str, int]:
    from iverson.errors import ConfigError

    host, _, port = given.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigError(f"--listen {given} is no address; expected HOST:PORT, as 127.0.0.1:8090")
    return host, int(port)
