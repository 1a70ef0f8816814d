# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson checklist`: what paper trading has shown, item by item, and the go-live token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from iverson.cli.loading import (
    AsJson,
    Sets,
    Symbols,
    SystemArgument,
    UniverseFile,
    configured,
    load_system,
)
from iverson.cli.trading import Book

if TYPE_CHECKING:
    from iverson.stages.checked_off import CheckedOff

MISSING = 1
STYLES = {"pass": "green", "fail": "red", "not yet": "yellow"}


def checklist(  # noqa: PLR0917 (typer passes them by name)
    system: SystemArgument,
    account: Annotated[
        str | None, typer.Option("--account", help="Number of the live account, from its page.")
    ] = None,
    max_loss: Annotated[
        float | None,
        typer.Option("--max-loss", help="Dollars; once lost live, everything is left for good."),
    ] = None,
    sets: Sets = None,
    symbols: Symbols = None,
    universe: UniverseFile = None,
    journal: Book = None,
    as_json: AsJson = False,
) -> None:
    """Judge the paper run by its journal, its account and its backtest.

    With the keys of the paper account. When every item has passed it writes the token that
    `iverson live` asks for, bound to the account, the source and the configuration; exit 1 before.
    """
    import json

    from iverson.cli.output import plain

    found, _ = load_system(system)
    ready = configured(found, sets=sets, symbols=symbols, cash=None, universe=universe)
    checked = ready.checklist(account=account, max_loss=max_loss, journal=journal)
    if as_json:
        typer.echo(json.dumps(plain(checked.as_dict()), indent=1))
    else:
        _print(checked)
    if not checked.passed:
        raise typer.Exit(MISSING)


def _print(checked: CheckedOff) -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = checked.checklist
    table = Table(
        box=SIMPLE, pad_edge=False, title=f"Paper checklist of {found.system}", title_justify="left"
    )
    table.add_column("", no_wrap=True)
    table.add_column("item", min_width=16)
    table.add_column("evidence, and what to do", ratio=1)
    for item in found.items:
        words = item.evidence + (f"\n-> {item.remedy}" if item.remedy else "")
        shown = "".join(one if one.isprintable() or one == "\n" else " " for one in words)
        table.add_row(Text(item.status, style=STYLES[item.status]), Text(item.name), Text(shown))
    console = Console(highlight=False, markup=False)
    console.print(table)
    for note in found.notes:
        console.print(f"note: {note}")
    if checked.token is None:
        count = len(found.missing)
        console.print(f"{count} of {len(found.items)} items are missing; no go-live token")
    else:
        console.print(f"all passed; go-live token: {checked.token}", soft_wrap=True)
