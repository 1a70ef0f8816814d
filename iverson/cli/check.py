# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson check`: whether a strategy decides from the past alone, after a long enough warm-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from iverson.cli.loading import (
    AsCsv,
    AsJson,
    From,
    Sets,
    Symbols,
    SystemArgument,
    To,
    UniverseFile,
    configured,
    load_system,
)
from iverson.cli.output import csv_text, json_text, one_format

if TYPE_CHECKING:
    from rich.table import Table

    from iverson.research.lookahead_result import Check

REFUSED = 1


def check(  # noqa: PLR0917 (typer passes them by name)
    system: SystemArgument,
    start: From = None,
    end: To = None,
    sets: Sets = None,
    symbols: Symbols = None,
    universe: UniverseFile = None,
    sample: Annotated[
        int | None, typer.Option(min=1, help="Bars drawn at random to change the future of.")
    ] = None,
    decisions: Annotated[
        int | None, typer.Option(min=1, help="At most so many of the bars with a decision.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn at random.")] = 0,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Look for future data in a strategy and for too short a warm-up (exit code 1: refused).

    A pass is kept beside the bars and holds until the source changes.
    """
    one_format(as_csv=as_csv, as_json=as_json)
    found, _ = load_system(system)
    ready = configured(found, sets=sets, symbols=symbols, cash=None, universe=universe)
    result = ready.check(start, end, sample=sample, decisions=decisions, seed=seed)
    if as_csv:
        typer.echo(csv_text(result.table), nl=False)
    elif as_json:
        typer.echo(json_text(result.table))
    else:
        _print(result)
    if not result.passed:
        raise typer.Exit(REFUSED)


def _print(result: Check) -> None:
    from rich.console import Console

    from iverson.research.lookahead_result import headline

    console = Console(highlight=False, markup=False)
    console.print(_steps(result))
    for step in result.steps:
        for difference in step.differences:
            console.print(f"{step.name}: {difference}")
    console.print(_lines(result))
    for note in result.notes:
        console.print(f"note: {note}")
    console.print(headline(result))


def _steps(result: Check) -> Table:
    from rich.table import Table
    from rich.text import Text

    from iverson.cli.tables import LOOK

    table = Table(title="When the future is another one", **LOOK)
    for heading in ("check", "verdict", "first bar", "symbol"):
        table.add_column(heading)
    table.add_column("line", overflow="fold")
    for step in result.steps:
        first = step.differences[0] if step.differences else None
        where = ("", "", "") if first is None else (str(first.session), first.symbol, first.line)
        verdict = "passed" if step.passed else "refused"
        table.add_row(step.name, verdict, *(Text(word) for word in where))
    return table


def _lines(result: Check) -> Table:
    from rich.table import Table
    from rich.text import Text

    from iverson.cli.tables import LOOK
    from iverson.research.lookahead_result import settling_row, slowest

    table = Table(title="Bars of warm-up, the slowest lines", **LOOK)
    table.add_column("line", overflow="fold")
    for heading in ("within 0.1 %", "to the bit", "asked"):
        table.add_column(heading, justify="right")
    for one in slowest(result):
        name, *bars = settling_row(one)
        table.add_row(Text(name), *bars)
    return table
