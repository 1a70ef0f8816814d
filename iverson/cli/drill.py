# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson drill`: what trading rarely shows, made to happen on paper."""

from __future__ import annotations

from typing import Annotated

import typer

from iverson.cli.loading import Sets, Symbols, SystemArgument, UniverseFile, configured, load_system
from iverson.cli.output import check_journal
from iverson.cli.trading import STOPPED, Book

NOT_ALL = 1


def drill(  # noqa: PLR0917 (typer passes them by name)
    system: SystemArgument,
    symbol: Annotated[
        str | None,
        typer.Option("--symbol", help="What one share is bought of; default one of the system's."),
    ] = None,
    wait: Annotated[
        int, typer.Option("--wait", min=1, help="Seconds to wait for the stop to be triggered.")
    ] = 600,
    flatten: Annotated[
        bool,
        typer.Option("--flatten", help="Have the kill switch leave a share too, if it is alone."),
    ] = False,
    sets: Sets = None,
    symbols: Symbols = None,
    universe: UniverseFile = None,
    journal: Book = None,
) -> None:
    """Have each rule deny, halt and resume, cancel an order, buy one share and be stopped out.

    On the paper account only, which is left as it was found; Ctrl-C takes everything back. Exit 1
    when something failed or could not be drilled now.
    """
    check_journal(journal)
    found, _ = load_system(system)
    ready = configured(found, sets=sets, symbols=symbols, cash=None, universe=universe)
    drilled = ready.drill(symbol=symbol, wait_seconds=wait, flatten=flatten, journal=journal)
    typer.echo(str(drilled))
    if drilled.stopped_by == "SIGINT":
        raise typer.Exit(STOPPED)
    if not drilled.passed:
        raise typer.Exit(NOT_ALL)
