# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson halt`, `resume` and `telegram`: an operator's commands, typed or heard from afar."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iverson.cli.output import check_journal

if TYPE_CHECKING:
    from iverson.model import Stage
    from iverson.monitoring.journal import Journal

BROKEN = 2
COMMAND_LINE = "command line"
Book = Annotated[
    Path | None, typer.Option("--journal", help="Default iverson.db (IVERSON_JOURNAL).")
]
Run = Annotated[
    str, typer.Option("--run", help="As paper-RsiReversion; default the last one traded.")
]


def halt(
    flatten: Annotated[
        bool, typer.Option("--flatten", help="Leave every position at once, too.")
    ] = False,
    reason: Annotated[str, typer.Option("--reason", help="For the journal.")] = "",
    run: Run = "",
    journal: Book = None,
) -> None:
    """Refuse entries until `iverson resume`, take back those that work; stops and targets stay.

    A stream that runs hears of it at once. Exit 2 when the broker has not done its part.
    """
    import time

    from iverson.config import settings
    from iverson.errors import IversonError
    from iverson.market.calendar import utc_now
    from iverson.monitoring.events import Command
    from iverson.monitoring.journal import Journal
    from iverson.stages import operator
    from iverson.stages.leaving import flatten as leave
    from iverson.stages.reaching import reaching

    chosen = settings()
    with Journal(_existing(journal or chosen.journal)) as book, ExitStack() as held:
        name, stage = _run_of(book, run)
        venue = None
        try:
            venue = held.enter_context(reaching(chosen, stage, utc_now)())
        except IversonError as error:
            typer.echo(f"the broker was not reached: {error}", err=True)
        at = utc_now() if venue is None else venue.clock()
        given = {"by": COMMAND_LINE, "at": at, "reason": reason}
        if flatten:
            left = leave(book, name, venue=venue, pause=time.sleep, **given)  # type: ignore[arg-type]  # texts and an instant
            done, words = left.done, str(left)
        else:
            made = operator.halt(book, name, venue=venue, pause=time.sleep, **given)  # type: ignore[arg-type]  # as above
            done, words = made.killed is not None and made.killed.done, str(made)
        text = "halt --flatten" if flatten else "halt"
        book.append(name, Command(at, text, COMMAND_LINE, words))
    typer.echo(words)
    if not done:
        raise typer.Exit(BROKEN)


def resume(
    yes: Annotated[bool, typer.Option("--yes", help="Without asking.")] = False,
    run: Run = "",
    journal: Book = None,
) -> None:
    """Release every halt that waits for somebody; the 30-day high counts from now on.

    The maximum loss is for good, and a daily loss keeps its end. Asks for the run's name.
    """
    from iverson.config import settings
    from iverson.errors import IversonError, Refused
    from iverson.market.calendar import utc_now
    from iverson.monitoring.events import Command
    from iverson.monitoring.journal import Journal
    from iverson.monitoring.standing import halt_lines
    from iverson.stages import operator
    from iverson.stages.reaching import reaching

    chosen = settings()
    with Journal(_existing(journal or chosen.journal)) as book:
        name, stage = _run_of(book, run)
        at = utc_now()
        try:
            with reaching(chosen, stage, utc_now)() as venue:
                at = venue.clock()  # on loopback not that of this machine
        except IversonError as error:
            typer.echo(f"the broker was not reached: {error}", err=True)
        standing = operator.halts_of(book, name, at=at)
        typer.echo("\n".join(halt_lines(standing)) or f"{name}: no halt stands")
        if not yes and any(one.lasts for one in standing):
            typed = typer.prompt(f"Type {name} to resume it", err=True)
            if typed.strip() != name:
                raise Refused(f"{typed.strip()!r} is not {name!r}; nothing was released")
        words = str(operator.resume(book, name, by=COMMAND_LINE, at=at))
        book.append(name, Command(at, "resume", COMMAND_LINE, words))
    typer.echo(words)


def telegram(
    system: Annotated[
        str,
        typer.Argument(metavar="[SYSTEM]", help="As strategies.rsi_reversion; default the last."),
    ] = "",
    run: Run = "",
    journal: Book = None,
) -> None:
    """Listen for commands from the phone (/help lists them); one process, beside the trading.

    Needs IVERSON_TELEGRAM_TOKEN, IVERSON_TELEGRAM_CHAT and IVERSON_TELEGRAM_USERS.
    """
    import signal
    import threading
    import time

    from iverson.config import settings
    from iverson.market.calendar import utc_now
    from iverson.monitoring.journal import Journal
    from iverson.stages.evening import evening_text
    from iverson.stages.listening import Listening, telegram_of
    from iverson.stages.reaching import reaching

    chosen = settings()
    path = _existing(journal or chosen.journal)
    if system:
        run = _last_of(path, system)
    with Journal(path, read_only=True) as book:
        name, stage = _run_of(book, run)
    stopping = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    with ExitStack() as held:
        held.callback(signal.signal, signal.SIGTERM, before)
        bot = held.enter_context(closing(telegram_of(chosen)))
        typer.echo(f"listening for commands to {name}; end it with Ctrl-C")
        Listening(
            bot,
            journal=path,
            run=name,
            users=chosen.telegram_users,
            chat=bot.chat,
            reach=reaching(chosen, stage, utc_now),
            clock=utc_now,
            pause=time.sleep,
            report=evening_text(path),
        ).listen(stopping.is_set)


def _existing(path: Path) -> Path:
    from iverson.errors import ConfigError

    check_journal(path)
    if not path.exists():
        raise ConfigError(f"there is no journal at {path}; set IVERSON_JOURNAL, or name --journal")
    return path


def _run_of(book: Journal, run: str) -> tuple[str, Stage]:
    from iverson.errors import ConfigError
    from iverson.monitoring.record import RunRow
    from iverson.stages.operator import last_run

    if not run:
        return last_run(book)
    row = next(iter(book.values("run", run=run)), None)
    if not isinstance(row, RunRow):
        known = ", ".join(sorted(book.run_names("run"))) or "none"
        raise ConfigError(f"the journal has no run {run!r}; it has {known}")
    return run, row.stage


def _last_of(path: Path, system: str) -> str:
    """Return the last run of a system."""
    from iverson.cli.loading import load_system
    from iverson.errors import ConfigError
    from iverson.monitoring.journal import Journal
    from iverson.monitoring.record import RunRow

    found, _ = load_system(system)
    with Journal(path, read_only=True) as book:
        for run, row in reversed([(run, row) for _, run, row in book.each_of_runs("run")]):
            if isinstance(row, RunRow) and run == f"{row.stage.value}-{found.name}":
                return run
    raise ConfigError(f"{path} has no run of {found.name}; trade it first")
