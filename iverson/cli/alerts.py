# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson alerts`: what was told of a journal and what waits; a test; another try."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from iverson.config import Settings
    from iverson.monitoring.channel import Channel
    from iverson.monitoring.outbox_schema import Told

WORDS = 70  # characters of each alert that are shown
WAITING = 1  # exit code


def alerts(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The journal; default iverson.db (IVERSON_JOURNAL)."),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Send one message to see whether it arrives.")
    ] = False,
    send: Annotated[bool, typer.Option("--send", help="Deliver what waits, now.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Only the last so many.")] = 40,
) -> None:
    """List what was told and what waits to be told; exit 1 when --test or --send does not arrive.

    The bot and the chat are settings: IVERSON_TELEGRAM_TOKEN, IVERSON_TELEGRAM_CHAT.
    """
    from iverson.config import settings
    from iverson.monitoring.outbox import path_of

    chosen = settings()
    journal = file or chosen.journal
    if test:
        _test(chosen)
    if send:
        _deliver(chosen, journal)
    elif not test:
        _list(path_of(journal), limit)


def _test(chosen: Settings) -> None:
    from iverson.errors import Refused
    from iverson.monitoring.channel import Undelivered

    channel = _telegram(chosen)
    try:
        number = channel.send("🔔 <b>Iverson</b>: a test. Alerts arrive here.")
    except Undelivered as error:
        raise Refused(f"the test was not delivered: {error}") from None
    finally:
        channel.close()
    typer.echo(f"the test was delivered to chat {chosen.telegram_chat}, message {number}")


def _deliver(chosen: Settings, journal: Path) -> None:
    from iverson.errors import Refused
    from iverson.market.calendar import utc_now
    from iverson.stages.herald import FLUSH_SECONDS, herald_of

    if not journal.exists():
        raise Refused(f"there is no journal at {journal}, so there is nothing to tell")
    _telegram(chosen)
    herald = herald_of(journal, utc_now, chosen)
    try:
        sent = herald.tell(seconds=FLUSH_SECONDS, ending=True, at_once=True)
        counts = herald.outbox.counts()
    finally:
        herald.close(0.0)
    waits = sum(counts.get(state, 0) for state in ("queued", "sending", "failed"))
    typer.echo(f"{sent} messages delivered, {waits} alerts wait")
    if waits:
        raise typer.Exit(WAITING)


def _telegram(chosen: Settings) -> Channel:
    from iverson.errors import Refused
    from iverson.stages.herald import channel_of

    if chosen.telegram_token is None and chosen.telegram_chat is None:
        raise Refused(
            "no bot is set up; set IVERSON_TELEGRAM_TOKEN and IVERSON_TELEGRAM_CHAT (see README)"
        )
    return channel_of(chosen)


def _list(path: Path, limit: int) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from iverson.monitoring.outbox import Outbox

    if not path.exists():
        typer.echo(f"nothing was told yet: there is no {path}")
        return
    with Outbox(path, read_only=True) as outbox:
        rows, counts = outbox.rows(), outbox.counts()
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("since", "kind", "what", "state", "told", "tries"):
        table.add_column(heading, justify="right" if heading == "tries" else "left")
    for one in rows[-limit:]:
        state = f"{one.state}: {one.reason}" if one.reason else one.state
        told = f"{one.sent:%m-%d %H:%M:%S}Z" if one.sent else ""
        cells = (f"{one.since:%Y-%m-%d %H:%M:%S}Z", one.kind, _words(one), state, told)
        table.add_row(*map(Text, cells), str(one.attempts))
    if rows:
        Console().print(table)
    shown = ", ".join(f"{count} {state}" for state, count in counts.items())
    typer.echo(f"{len(rows)} alerts{f': {shown}' if shown else ''}")


def _words(one: Told) -> str:
    from iverson.monitoring.message import plain

    text = plain(one.text).partition("\n")[0]
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return text if len(text) <= WORDS else f"{text[: WORDS - 1]}…"
