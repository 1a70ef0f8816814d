# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: parse, call System, print. Exit code 0 done, 1 refused, 2 broken.

Whatever goes wrong is one sentence on standard error; `--debug` adds the traceback. Only typer is
imported at the top; a command imports what it needs when it runs.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from iverson.cli import (
    alerts,
    backtest,
    bars,
    check,
    checklist,
    doctor,
    drill,
    journal,
    kill,
    news,
    operator,
    parity,
    report,
    simulator,
    status,
    trading,
    walk_forward,
    watch,
)
from iverson.errors import IversonError, Refused
from iverson.redaction import guard_process, redacted, redacted_traceback

DONE, REFUSED, BROKEN, STOPPED = 0, 1, 2, 130

app = typer.Typer(
    help="Iverson: strategies written once, judged by walk-forward.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("backtest")(backtest.backtest)
app.command("walk-forward")(walk_forward.walk_forward)
app.command("check")(check.check)
app.command("simulator")(simulator.simulator)
app.command("rehearse")(trading.rehearse)
app.command("wake")(trading.wake)
app.command("paper")(trading.paper)
app.command("live")(trading.live)
app.command("drill")(drill.drill)
app.command("checklist")(checklist.checklist)
app.command("kill")(kill.kill)
app.command("halt")(operator.halt)
app.command("resume")(operator.resume)
app.command("telegram")(operator.telegram)
app.command("alerts")(alerts.alerts)
app.command("parity")(parity.parity)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("watch")(watch.watch)
app.add_typer(report.app, name="report")
app.add_typer(journal.app, name="journal")
app.add_typer(bars.app, name="bars")
app.add_typer(news.app, name="news")


def _version(asked: bool) -> None:
    if asked:
        from iverson import __version__

        typer.echo(f"iverson {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Iverson: strategies written once, judged by walk-forward."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code; an error is one sentence."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    guard_process()
    if not sys.path or sys.path[0] != str(Path.cwd()):
        sys.path.insert(0, str(Path.cwd()))  # `strategies.rsi_reversion` means the folder here
    try:
        code = app(
            [one for one in given if one != "--debug"], prog_name="iverson", standalone_mode=False
        )
    except BrokenPipeError:  # `iverson journal trades | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = REFUSED
    except KeyboardInterrupt:
        code = STOPPED
    except Exception as error:  # noqa: BLE001 (the edge: nobody above turns it into a sentence)
        if debug:
            typer.echo(redacted_traceback(error), err=True, nl=False)
        _tell(error)
        code = REFUSED if isinstance(error, Refused) else BROKEN
    if code == STOPPED:
        typer.echo("iverson: stopped", err=True)
    raise SystemExit(code or DONE)


def _tell(error: Exception) -> None:
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(error)
        return
    lines = (line.strip() for line in sentence(error).splitlines())
    typer.echo(f"iverson: {redacted(' '.join(line for line in lines if line))}", err=True)


def sentence(error: Exception) -> str:
    """Say what went wrong, what was expected and what to do."""
    if isinstance(error, IversonError):
        return str(error)
    if hasattr(error, "format_message"):  # typer's own, of arguments that do not parse
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "iverson"
        words = str(error.format_message()).rstrip(".")
        return f"{words[:1].lower()}{words[1:]}; see `{path} --help`"
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        return f"{named}{error.strerror or error}; check the path and who may use it"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"{type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno}); this is a "
        "fault of Iverson's, --debug shows where"
    )
