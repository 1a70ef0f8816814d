# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson report`: what a journal says happened, from the journal alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from iverson.cli.loading import AsJson

File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="The journal; default iverson.db (IVERSON_JOURNAL)."),
]


def report(
    file: File = None,
    run: Annotated[
        str | None,
        typer.Option(help="Name of the run, as in `iverson journal runs`; default last."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print the report of one run: metrics, exits by reason, denials by rule, costs, halts."""
    import json

    from iverson.cli.output import plain
    from iverson.config import settings
    from iverson.monitoring.journal import Journal
    from iverson.monitoring.reports import read_report

    with Journal(file or settings().journal, read_only=True) as journal:
        found = read_report(journal, run=run)
    typer.echo(json.dumps(plain(found.as_dict()), indent=1) if as_json else found.text())
