# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson parity`: a run of a journal beside the backtest of the bars that it saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iverson.cli.loading import (
    AsCsv,
    Sets,
    Symbols,
    SystemArgument,
    UniverseFile,
    configured,
    load_system,
)
from iverson.cli.output import check_report, csv_text, write_whole


def parity(  # noqa: PLR0917 (typer passes them by name)
    system: SystemArgument,
    journal: Annotated[
        Path | None,
        typer.Argument(metavar="[JOURNAL]", help="Default iverson.db (IVERSON_JOURNAL)."),
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Name of the run, as in `iverson journal runs`; else last.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a report with both accounts, an HTML page.")
    ] = None,
    sets: Sets = None,
    symbols: Symbols = None,
    universe: UniverseFile = None,
    as_csv: AsCsv = False,
) -> None:
    """Compare decision by decision, and put every dollar between the two down to its cause."""
    from iverson.config import settings

    if out is not None:
        check_report(out)
    found, _ = load_system(system)
    ready = configured(found, sets=sets, symbols=symbols, cash=None, universe=universe)
    review = ready.review(journal or settings().journal, run=run)
    if out is not None:
        from iverson.stages.review_report import render

        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, render(review).encode())
    if as_csv:
        typer.echo(csv_text(review.parity.table()), nl=False)
        return
    typer.echo(str(review))
    if out is not None:
        typer.echo(f"report: {out}")
