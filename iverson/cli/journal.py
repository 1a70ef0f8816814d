# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `iverson journal ...`: read, check and export the record of everything.

They open the file for reading only and so may run beside a trading process.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iverson.cli.output import csv_text, json_text, plain

if TYPE_CHECKING:
    import pandas as pd

TABLES = {
    "signals": "wishes to open a position",
    "verdicts": "what the risk layer answered, the denied too",
    "orders": "changes of state of the orders",
    "fills": "executions",
    "trades": "closed round trips",
    "equity": "cash and equity",
    "halts": "times when new entries were refused",
    "runs": "settings of the runs",
    "alarms": "what a person had to see",
    "steps": "changes of what one trade may risk",
    "commands": "what persons asked from outside",
    "drills": "rehearsed emergencies",
}

app = typer.Typer(help="Read, check and export the journal.", no_args_is_help=True)

File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="The journal; default iverson.db (IVERSON_JOURNAL)."),
]
JournalOption = Annotated[Path | None, typer.Option("--journal", help="The same, by name.")]
Since = Annotated[str | None, typer.Option(help="First session, as 2024-01-31.")]
Until = Annotated[str | None, typer.Option(help="Last session, inclusive.")]
Symbol = Annotated[str | None, typer.Option(help="Only this symbol.")]
Run = Annotated[str | None, typer.Option(help="Only this run.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print a JSON array.")]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the last so many rows.")]
To = Annotated[Path | None, typer.Option(help="File to write; the terminal without it.")]


@app.command()
def verify(file: File = None, journal: JournalOption = None) -> None:
    """Recompute the chain of hashes; exit 1 when a row is damaged or missing."""
    from iverson.monitoring.journal import Journal

    path = _path(file, journal)
    with Journal(path, read_only=True) as opened:
        broken = opened.verify()
        if broken is not None:
            typer.echo(
                f"{path} is damaged: row {broken} is not as it was written, or missing; keep the "
                "file and do not trade on it",
                err=True,
            )
            raise typer.Exit(1)
        head = opened.head
    typer.echo(f"{path} is whole: {head.seq} rows, last hash {head.hash}")


@app.command()
def export(file: File = None, journal: JournalOption = None, to: To = None) -> None:
    """Write every row as a line of JSON, its hash included."""
    import sys

    from iverson.monitoring.journal import Journal

    with Journal(_path(file, journal), read_only=True) as opened:
        if to is None:
            opened.export_json_lines(sys.stdout)
            return
        lines = opened.export_json_lines(to)
    typer.echo(f"{to}: {lines} rows")


def _table(name: str) -> Callable[..., None]:
    def show(  # noqa: PLR0917 - the order is nobody's business: Typer calls by name
        file: File = None,
        journal: JournalOption = None,
        since: Since = None,
        until: Until = None,
        symbol: Symbol = None,
        run: Run = None,
        csv: AsCsv = False,
        json: AsJson = False,
        limit: Limit = None,
    ) -> None:
        from iverson.monitoring.journal import Journal

        if csv and json:
            raise typer.BadParameter("choose one of --csv and --json")
        path = _path(file, journal)
        with Journal(path, read_only=True) as opened:
            frame = getattr(opened, name)(since=since, until=until, symbol=symbol, run=run)
        if limit is not None:
            frame = frame.tail(limit)
        if csv:
            typer.echo(csv_text(frame, index=True), nl=False)
        elif json:
            typer.echo(json_text(frame.reset_index()))
        elif frame.empty:
            typer.echo(f"no {name} in {path}")
        else:
            _print(frame)

    return show


for _name, _help in TABLES.items():
    app.command(_name, help=f"Print the {_name}: {_help}.")(_table(_name))


def _path(file: Path | None, journal: Path | None) -> Path:
    if file is not None and journal is not None:
        raise typer.BadParameter("name the journal once: as FILE or with --journal")
    from iverson.config import settings

    return file or journal or settings().journal


def _print(frame: pd.DataFrame) -> None:
    import pandas as pd
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False)
    shown = frame.reset_index()
    for name in shown.columns:
        right = pd.api.types.is_numeric_dtype(shown[name].dtype)
        table.add_column(str(name), justify="right" if right else "left", no_wrap=True)
    for row in shown.itertuples(index=False):
        table.add_row(*(Text(_cell(value)) for value in row))
    console = Console()
    # A table wider than the terminal is wrapped by the terminal, never cut.
    wide = console.options.update(max_width=100_000)
    console.width = max(console.width, table.__rich_measure__(console, wide).maximum)
    console.print(table)


def _cell(value: Any) -> str:
    import pandas as pd

    if isinstance(value, (dict, tuple)):
        text = str(plain(value))
    elif value is None or pd.isna(value):
        text = ""
    elif isinstance(value, pd.Timestamp):
        text = f"{value:%Y-%m-%d}" if value.tz is None else f"{value:%Y-%m-%d %H:%M:%S}Z"
    elif isinstance(value, float):
        text = f"{value:,.10g}"
    else:
        text = str(value)
    # Reasons may quote news: no control character reaches the terminal.
    return "".join(letter if letter.isprintable() else " " for letter in text)
