# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands `iverson report ...`: what a journal says happened, from the journal alone.

`iverson report [FILE]` without a word is `iverson report run`, the report of a whole run. The
periodic ones are found in `iverson.reports.kinds`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import closing
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer
from typer.core import TyperGroup

from iverson.cli.loading import AsJson
from iverson.reports.kinds import KINDS

if TYPE_CHECKING:
    from iverson.reports.page import Page

File = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="The journal; default iverson.db (IVERSON_JOURNAL)."),
]
Run = Annotated[
    str | None, typer.Option(help="Name of the run, as in `iverson journal runs`; default last.")
]
Expected = Annotated[
    Path | None,
    typer.Option(help="Journal of the walk-forward that says what to expect (its last run)."),
]
Html = Annotated[Path | None, typer.Option("--html", help="Write the page, with charts, here.")]
ToTelegram = Annotated[
    bool, typer.Option("--telegram", help="Send it, with charts (IVERSON_TELEGRAM_TOKEN, _CHAT).")
]


class Messenger(Protocol):
    """What takes messages in Telegram's HTML, and pictures with captions in it."""

    def send(self, html: str, *, silent: bool = False) -> Any:
        """Send a message."""
        ...

    def photo(self, png: bytes, *, caption: str = "", silent: bool = False) -> Any:
        """Send a picture."""
        ...


class RunByDefault(TyperGroup):
    """A group whose first word, when it names no command, belongs to the command `run`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `run` before what is not for the group itself."""
        own = {*self.commands, "--help"}
        return super().parse_args(ctx, args if args and args[0] in own else ["run", *args])


app = typer.Typer(
    help="What a journal says happened; `run` when no word is given.", cls=RunByDefault
)


@app.command("run")
def run_report(file: File = None, run: Run = None, as_json: AsJson = False) -> None:
    """Print the report of one run: metrics, exits by reason, denials by rule, costs, halts."""
    import json

    from iverson.cli.output import plain
    from iverson.config import settings
    from iverson.monitoring.journal import Journal
    from iverson.monitoring.reports import read_report

    with Journal(file or settings().journal, read_only=True) as journal:
        found = read_report(journal, run=run)
    typer.echo(json.dumps(plain(found.as_dict()), indent=1) if as_json else found.text())


@app.command()
def tearsheet(
    file: File = None,
    run: Run = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="File to write; default tearsheet-RUN.html.")
    ] = None,
    as_json: AsJson = False,
    telegram: ToTelegram = False,
) -> None:
    """Write quantstats' page of a run's daily returns; --json and --telegram tell its numbers."""
    import json

    from iverson.cli.output import plain
    from iverson.config import settings
    from iverson.monitoring.journal import Journal
    from iverson.monitoring.reports import read_report, run_named
    from iverson.reports.tearsheet import write_tearsheet

    bot = _bot() if telegram else None
    with Journal(file or settings().journal, read_only=True) as journal:
        name = run_named(journal, run)
        path = html or settings().reports / f"tearsheet-{name}.html"
        written = write_tearsheet(journal, path, run=name)
        found = read_report(journal, run=name)
        if as_json:
            typer.echo(json.dumps({**plain(found.as_dict()), "tearsheet": str(written)}, indent=1))
        else:
            typer.echo(f"tearsheet: {written}")
        if bot is not None:
            with closing(bot()) as to:
                to.send(f"<pre>{escape(found.text(), quote=False)}</pre>")
            typer.echo("sent to Telegram", err=True)


def send(page: Page, to: Messenger) -> None:
    """Send a page to whoever takes messages: its text, then its charts without another sound."""
    from iverson.reports import phone

    message = phone.render(page)
    to.send(message.html)
    for photo in message.photos:
        to.photo(photo.png, caption=photo.caption, silent=True)


def _periodic(kind: str) -> Callable[..., None]:
    def command(
        file: File = None,
        *,
        run: Run = None,
        when: str | None = None,
        expected: Expected = None,
        html: Html = None,
        as_json: AsJson = False,
        telegram: ToTelegram = False,
    ) -> None:
        from iverson.cli.output import check_html, write_whole
        from iverson.config import settings
        from iverson.monitoring.journal import Journal
        from iverson.reports import json, terminal
        from iverson.reports.kinds import make_page
        from iverson.stages.evening import beside

        check_html(html)
        bot = _bot() if telegram else None
        chosen = settings()
        with Journal(file or chosen.journal, read_only=True) as journal:
            more = beside(
                kind, journal, run=run, store=chosen.store, expected=expected or chosen.expected
            )
            page = make_page(kind, journal, run=run, when=when, **more)
        if html is not None:
            from iverson.reports import html as browser

            write_whole(html, browser.render(page).encode())
        typer.echo(json.render(page).rstrip() if as_json else terminal.render(page))
        if html is not None:
            typer.echo(f"report: {html}", err=as_json)
        if bot is not None:
            with closing(bot()) as to:
                send(page, to)
            typer.echo("sent to Telegram", err=True)

    command.__name__ = kind
    command.__doc__ = KINDS[kind].words
    command.__signature__ = _signature(kind, command)  # type: ignore[attr-defined]  # read by typer
    return command


def _signature(kind: str, command: Callable[..., None]) -> inspect.Signature:
    """Return the options of a kind: when it is to report under its own name, and what it takes."""
    told = KINDS[kind]
    whole = inspect.signature(command, eval_str=True)
    when = typer.Option(f"--{told.when}", help=told.says)
    options = {
        **whole.parameters,
        "when": whole.parameters["when"].replace(annotation=Annotated[str | None, when]),
    }
    if "expectation" not in told.takes:
        del options["expected"]
    return whole.replace(parameters=list(options.values()))


def _bot() -> Callable[[], Any]:
    """Return what connects to Telegram, once it is known that the settings are there."""
    from importlib import import_module

    from iverson.config import settings
    from iverson.errors import ConfigError

    chosen = settings()
    token, chat, url = chosen.telegram_token, chosen.telegram_chat, chosen.telegram_url
    if token is None or chat is None:
        raise ConfigError(
            "--telegram needs a bot and a chat; set IVERSON_TELEGRAM_TOKEN and "
            "IVERSON_TELEGRAM_CHAT"
        )
    try:
        connect = import_module("iverson.monitoring.telegram").Telegram
    except ImportError as error:
        raise ConfigError(
            f"--telegram needs {error.name}, which is not installed; run `pip install "
            "python-telegram-bot`"
        ) from error
    return lambda: connect(token.get_secret_value(), chat=chat, url=url)


for _kind in KINDS:
    app.command(_kind)(_periodic(_kind))
