# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson backtest`: run a system once over history."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iverson.cli.loading import (
    AsCsv,
    AsJson,
    Cash,
    From,
    JournalFile,
    Sets,
    Symbols,
    SystemArgument,
    To,
    UniverseFile,
    configured,
    load_system,
)
from iverson.cli.output import (
    check_journal,
    check_picture,
    csv_text,
    json_text,
    one_format,
    say_made_up,
    write_whole,
)

if TYPE_CHECKING:
    from iverson.research.results import Run


def backtest(  # noqa: PLR0917 (typer passes them by name)
    system: SystemArgument,
    start: From = None,
    end: To = None,
    sets: Sets = None,
    symbols: Symbols = None,
    universe: UniverseFile = None,
    cash: Cash = None,
    journal: JournalFile = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw price, entries, exits and stops of one symbol into this PNG."),
    ] = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Run a system once over history and print what it did (--csv, --json: its trades)."""
    one_format(as_csv=as_csv, as_json=as_json)
    check_journal(journal)
    check_picture(plot)
    found, _ = load_system(system)
    ready = configured(found, sets=sets, symbols=symbols, cash=cash, universe=universe)
    run = ready.backtest(start, end)
    picture = None if plot is None else _draw(run, plot.suffix[1:].lower())
    if journal is not None:
        from iverson.research.journaling import journal_run

        journal_run(run, journal)
    if plot is not None and picture is not None:
        write_whole(plot, picture)
    say_made_up(run, aloud=as_csv or as_json)
    if as_csv:
        typer.echo(csv_text(run.trades), nl=False)
    elif as_json:
        typer.echo(json_text(run.trades))
    else:
        typer.echo(str(run))
        if plot is not None:
            typer.echo(f"chart: {plot}")


def _draw(run: Run, kind: str) -> bytes:
    buffer = BytesIO()
    run.plot().savefig(buffer, format=kind, dpi=150)
    return buffer.getvalue()
