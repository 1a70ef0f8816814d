# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson walk-forward`: tune in sample, judge out of sample, write the report."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
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
    check_report,
    csv_text,
    json_text,
    one_format,
    say_made_up,
)

if TYPE_CHECKING:
    from iverson.research.walk_result import WalkForward


class AtBorder(StrEnum):
    """What happens to positions at the end of a fold."""

    CLOSE = "close"
    CARRY = "carry"


def walk_forward(  # noqa: PLR0917 (typer passes them by name)
    system: SystemArgument,
    start: From = None,
    end: To = None,
    in_sample: Annotated[
        str, typer.Option(help="Length to tune on: 2y, 6mo, 3w, 90d, or a number of sessions.")
    ] = "3y",
    out_of_sample: Annotated[
        str, typer.Option(help="Length to judge on, spelled the same.")
    ] = "1y",
    purge: Annotated[
        int | None,
        typer.Option(min=0, help="Sessions left out between the two; default: by longest holding."),
    ] = None,
    anchored: Annotated[
        bool,
        typer.Option(help="In-sample always begins at the beginning instead of rolling along."),
    ] = False,
    grid: Annotated[
        list[str] | None,
        typer.Option(help="Values to try, as period=7,14,21 or period=5:30:5; repeatable."),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            help="What to try: grid (all), random or qmc (the same sets in each fold), tpe or "
            "cmaes (Optuna's, led by the scores). Default grid, or random with --trials."
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="How many sets to try in each fold, instead of all."),
    ] = None,
    objective: Annotated[
        str, typer.Option(help="What in-sample ranks by: sharpe, sortino, calmar, cagr ...")
    ] = "sharpe",
    minimum_trades: Annotated[
        int, typer.Option(min=0, help="In-sample, sets with fewer trades cannot be chosen.")
    ] = 10,
    at_border: Annotated[
        AtBorder,
        typer.Option(help="Positions at the end of a fold: closed, or carried into the next."),
    ] = AtBorder.CLOSE,
    seed: Annotated[int, typer.Option(help="Of random draws and of the bootstrap.")] = 0,
    jobs: Annotated[
        str | None,
        typer.Option(
            help="Where to search: a number of processes, -1 for all cores, dask or ray for a "
            "cluster on this machine, or a cluster's address: tcp://host:8786 or ray://host:10001."
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Keep finished parts of the search in this file, and go on from those in it."
        ),
    ] = None,
    sets: Sets = None,
    symbols: Symbols = None,
    universe: UniverseFile = None,
    cash: Cash = None,
    journal: JournalFile = None,
    report: Annotated[
        Path | None, typer.Option(help="Folder of the report; default reports/NAME.")
    ] = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Tune in sample, judge out of sample, fold after fold; print the result and write a report.

    Without --grid the module's own `grid` is searched. --csv and --json print the folds.
    """
    from iverson.config import settings
    from iverson.errors import ConfigError
    from iverson.research.search_space import parse_space

    one_format(as_csv=as_csv, as_json=as_json)
    check_journal(journal)
    found, module = load_system(system)
    space = parse_space(*grid) if grid else getattr(module, "grid", None)
    if not space:
        raise ConfigError(
            f"nothing to search: give --grid period=7,14,21 or write `grid = dict(...)` into "
            f"{module.__name__}"
        )
    target = report or settings().reports / module.__name__.rpartition(".")[2]
    check_report(target)
    began = time.perf_counter()
    with _kept(resume), _progress() as progress:
        ready = configured(found, sets=sets, symbols=symbols, cash=cash, universe=universe)
        result = ready.walk_forward(
            start,
            end,
            in_sample=_length(in_sample),
            out_of_sample=_length(out_of_sample),
            purge=purge,
            anchored=anchored,
            grid=space,
            sampler=sampler,
            trials=trials,
            objective=objective,
            minimum_trades=minimum_trades,
            at_border=at_border.value,
            seed=seed,
            jobs=settings().jobs if jobs is None else _number_or_word(jobs),
            resume=resume,
            progress=progress,
        )
    took = time.perf_counter() - began
    page = result.report(target)
    if journal is not None:
        from iverson.research.journaling import journal_walk_forward

        journal_walk_forward(result, journal)
    _show(result, page, took, as_csv=as_csv, as_json=as_json)


def _show(result: WalkForward, page: Path, took: float, *, as_csv: bool, as_json: bool) -> None:
    say_made_up(result, aloud=as_csv or as_json)
    if as_csv:
        typer.echo(csv_text(result.folds, index=True), nl=False)
        return
    if as_json:
        typer.echo(json_text(result.folds.reset_index()))
        return
    from iverson.cli.tables import walk_forward_tables

    walk_forward_tables(result)
    searched = sum(len(fold.scores) for fold in result.results)
    typer.echo(f"searched {searched:,} in-sample runs in {took:,.0f} s")
    typer.echo(f"report: {page}")


def _length(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def _number_or_word(text: str) -> int | str:
    return int(text) if text.removeprefix("-").isdecimal() else text


@contextmanager
def _kept(resume: Path | None) -> Iterator[None]:
    """After Ctrl-C, say where the search can go on from."""
    try:
        yield
    except KeyboardInterrupt:
        if resume is not None:
            typer.echo(f"what was done is kept; go on with --resume {resume}", err=True)
        raise


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """Show a bar on a terminal; elsewhere a line every tenth of the way."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    if not sys.stderr.isatty():
        yield _lines()
        return
    columns = (TextColumn("in-sample search"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("search", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _lines() -> Callable[[int, int], None]:
    said = 0

    def tell(done: int, total: int) -> None:
        nonlocal said
        tenth = 10 * done // total
        if tenth > said:
            said = tenth
            typer.echo(f"in-sample search: {done:,} of {total:,} runs", err=True)

    return tell
