# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson rehearse`, `wake`, `paper` and `live`: a system that sends orders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iverson.cli.loading import (
    From,
    Sets,
    Symbols,
    SystemArgument,
    To,
    UniverseFile,
    configured,
    load_system,
)
from iverson.cli.output import check_journal

if TYPE_CHECKING:
    from iverson.stages.trading import Went
    from iverson.system import System

STOPPED = 130
Book = Annotated[
    Path | None,
    typer.Option("--journal", help="Default iverson.db (IVERSON_JOURNAL)."),
]


Stream = Annotated[
    bool, typer.Option("--stream", help="Stay awake for the session with daily bars, too.")
]


def rehearse(  # noqa: PLR0917 (typer passes them by name)
    system: Annotated[
        str, typer.Argument(metavar="SYSTEM", help="As strategies.rsi_reversion, or module:name.")
    ] = "",
    start: From = None,
    end: To = None,
    scenario: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="What goes wrong; see --list.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the scenarios and leave.")] = False,
    journal: Annotated[
        Path | None, typer.Option("--journal", help="Keep everything that happened in this file.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is left to chance.")] = 0,
    stream: Annotated[
        bool, typer.Option("--stream", help="Daily bars by a stream a session, not by wakes.")
    ] = False,
    sets: Sets = None,
    symbols: Symbols = None,
    universe: UniverseFile = None,
) -> None:
    """Trade history on an exchange on this machine, with all that paper and live use.

    Without --to it is the period of --from (2012-03 is that month), without both the last month.
    """
    from iverson.errors import ConfigError

    if listing:
        from iverson.cli.simulator import list_scenarios

        list_scenarios()
        return
    if not system:
        raise ConfigError("no system; name one, as `iverson rehearse strategies.rsi_reversion`")
    check_journal(journal)
    found, _ = load_system(system)
    ready = configured(found, sets=sets, symbols=symbols, cash=None, universe=universe)
    with _Bar() as bar:
        result = ready.rehearse(
            start, end, scenario=scenario, journal=journal, seed=seed, stream=stream,
            progress=bar.show,
        )  # fmt: skip
    typer.echo(str(result))
    if journal is not None:
        typer.echo(f"journal      {journal}; compare: iverson parity {system} {journal}")


def wake(
    system: SystemArgument,
    sets: Sets = None,
    symbols: Symbols = None,
    journal: Book = None,
) -> None:
    """Act once on the newest complete bar, through the paper account, and end; for cron.

    Daily bars want three slots a session: before the open, for stops that a split has made wrong;
    minutes before the close, for what has to be left; and after it (on a free plan 20 minutes),
    for the new bar.
    """
    _ended(_configured(system, sets, symbols, journal).wake(journal=journal))


def paper(
    system: SystemArgument,
    sets: Sets = None,
    symbols: Symbols = None,
    stream: Stream = False,
    journal: Book = None,
) -> None:
    """Trade the paper account: daily bars wake once, minutes stream until the close.

    With --stream daily bars stay awake, too, until the session's bar is decided on.

    Ctrl-C or SIGTERM stop it: nothing more is sent, protective stops stay at the broker.
    """
    _ended(_configured(system, sets, symbols, journal).paper(stream=stream, journal=journal))


def live(  # noqa: PLR0917 (typer passes them by name)
    system: SystemArgument,
    max_loss: Annotated[
        float | None,
        typer.Option("--max-loss", help="Dollars; once lost, everything is left for good."),
    ] = None,
    account: Annotated[
        str | None, typer.Option("--account", help="Number of the account, typed from its page.")
    ] = None,
    sets: Sets = None,
    symbols: Symbols = None,
    stream: Stream = False,
    journal: Book = None,
) -> None:
    """Trade real money: daily bars wake once, minutes stream until the close.

    Refuses (exit 1) without --max-loss, --account and the token that `iverson checklist` writes.
    """
    ready = _configured(system, sets, symbols, journal)
    _ended(ready.live(max_loss=max_loss, account=account, stream=stream, journal=journal))


def _configured(
    system: str, sets: list[str] | None, symbols: str | None, journal: Path | None
) -> System:
    check_journal(journal)
    found, _ = load_system(system)
    return configured(found, sets=sets, symbols=symbols, cash=None)


def _ended(went: Went) -> None:
    typer.echo(str(went))
    if went.stopped_by == "SIGINT":
        raise typer.Exit(STOPPED)


class _Bar:
    """Progress on standard error, where there is a terminal to draw it on."""

    def __enter__(self) -> _Bar:
        from rich.console import Console
        from rich.progress import Progress

        console = Console(stderr=True)
        self._progress = Progress(console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("sessions", total=None)
        self._progress.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.stop()

    def show(self, done: int, whole: int) -> None:
        """Show how far it is."""
        self._progress.update(self._task, completed=done, total=whole)
