# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson kill`: stop an account with its keys alone, without a journal and without a strategy."""

from __future__ import annotations

from typing import Annotated

import typer

BROKEN = 2


def kill(
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Cancel everything and leave every position.")
    ] = False,
    suspend: Annotated[
        bool, typer.Option("--suspend", help="Have Alpaca itself refuse new orders from now on.")
    ] = False,
) -> None:
    """Take back every order that could open a position; stops and targets stay (but see --flatten).

    The account is the one that the keys open, paper (PK...) or live (AK...). Exit 2 when not all
    that was asked for has happened yet.
    """
    import time

    from iverson.config import settings
    from iverson.market.calendar import utc_now
    from iverson.stages.connection import connect, stage_of_keys
    from iverson.stages.kill import kill as stop

    chosen = settings()
    connection = connect(chosen, stage_of_keys(chosen), utc_now)
    try:
        typer.echo(f"account {connection.venue.account().number} at {connection.url}")
        killed = stop(connection.venue, flatten=flatten, suspend=suspend, pause=time.sleep)
    finally:
        connection.close()
    typer.echo(str(killed))
    if not killed.done:
        raise typer.Exit(BROKEN)
