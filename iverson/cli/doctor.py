# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson doctor`: green or red, line by line, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from iverson.cli.loading import AsJson

if TYPE_CHECKING:
    from iverson.stages.doctor import Finding

ILL = 1
SIGNS = {"well": "[green]well[/]", "bad": "[bold red]bad[/]", "not set up": "[yellow]not set up[/]"}


def doctor(
    system: Annotated[
        str | None,
        typer.Argument(metavar="[SYSTEM]", help="Look at this system's check and bars too."),
    ] = None,
    live: Annotated[
        bool, typer.Option("--live", help="Look at the live account, not at paper's.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at keys, account, clock, calendar, feed, journal, disk, versions and Telegram.

    Nothing is changed or traded. Exit 1 when anything is bad.
    """
    import json
    from dataclasses import asdict

    findings = list(_examined(system, live=live, aloud=not as_json))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in findings], indent=1))
    if any(one.state == "bad" for one in findings):
        raise typer.Exit(ILL)


def _examined(system: str | None, *, live: bool, aloud: bool) -> list[Finding]:
    from rich.console import Console
    from rich.markup import escape

    from iverson.cli.loading import configured, load_system
    from iverson.config import settings
    from iverson.market.calendar import utc_now
    from iverson.model import Stage
    from iverson.stages.doctor import examine_machine
    from iverson.stages.doctor_account import examine_account
    from iverson.stages.doctor_phone import examine_phone

    chosen, now = settings(), utc_now()
    console = Console(highlight=False, soft_wrap=True)
    looks = [
        examine_machine(chosen, now=now),
        examine_account(chosen, Stage.LIVE if live else Stage.PAPER, clock=utc_now),
        examine_phone(chosen),
    ]
    if system is not None:
        ready = configured(load_system(system)[0], sets=None, symbols=None, cash=None)
        looks.append(iter(ready.examine()))
    findings = []
    for look in looks:
        for one in look:
            findings.append(one)
            if aloud:
                console.print(f"{SIGNS[one.state]:<20} {escape(one.what)}: {escape(one.said)}")
                if one.remedy:
                    console.print(f"{'':<11} [dim]->[/] {escape(one.remedy)}")
    return findings
