# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson status`: how a run stands, live in the terminal, for those who do look."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iverson.cli.loading import AsJson

if TYPE_CHECKING:
    from rich.console import RenderableType

    from iverson.monitoring.standing import AtBroker, Standing

STATES = {"active": "green", "reducing": "yellow", "halted": "bold red"}


def status(  # noqa: PLR0917 (typer passes them by name)
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The journal; default iverson.db (IVERSON_JOURNAL)."),
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Name of the run; default the journal's last.")
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Show it once and leave, as without a terminal.")
    ] = False,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 2.0,
    by_journal: Annotated[
        bool, typer.Option("--by-journal", help="Ask no broker, even where there are keys.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show state, halts, positions with their stops, orders, the last bar; Ctrl-C leaves.

    By the journal and, where the settings have keys of its account, by the broker.
    """
    import json
    import time
    from dataclasses import asdict

    from rich.console import Console
    from rich.live import Live

    from iverson.cli.output import plain
    from iverson.config import settings
    from iverson.market.calendar import utc_now
    from iverson.stages.glance import Glance

    chosen = settings()
    glancing = Glance(
        file or chosen.journal, chosen=chosen, clock=utc_now, run=run, by_journal=by_journal
    )
    with glancing as glance:
        standing, broker = glance.look()
        if as_json:
            both = {"journal": asdict(standing), "broker": broker and asdict(broker)}
            typer.echo(json.dumps(plain(both), indent=1))
            return
        console = Console()
        if once or not console.is_terminal:
            console.print(shown(standing, broker, glance.fault))
            return
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(shown(standing, broker, glance.fault), refresh=True)
                time.sleep(every)
                standing, broker = glance.look()


def shown(standing: Standing, broker: AtBroker | None, fault: str) -> RenderableType:
    """Return the view of one look; `fault` says why the broker was not asked."""
    from rich.console import Group
    from rich.text import Text

    from iverson.monitoring.standing import halt_lines, money, when

    state = Text.assemble(
        (standing.run, "bold"), "  ", (standing.state, STATES[standing.state]),
        f"  {when(standing.at if broker is None else broker.at)}",
    )  # fmt: skip
    equity = standing.equity if broker is None else broker.equity
    gained = standing.day_pnl if broker is None else broker.equity - standing.previous_close
    account = f"equity {money(equity)}, day {money(gained, signed=True)}"
    parts: list[Any] = [state, Text(account)]
    parts += [Text(line, STATES["halted"]) for line in halt_lines(standing.halts)]
    parts += [_positions(standing, broker), _orders(standing, broker)]
    parts.append(Text(f"last bar {when(standing.equity_at)}", "dim"))
    if (beat := standing.heartbeat) is not None:
        due = "none is to come" if beat.due is None else f"next due {when(beat.due)}"
        parts.append(Text(f"last sign of life {when(beat.at)}, {due}", "dim"))
    parts += [
        Text(f"alarm, {one.rule}: {one.reason}", STATES["halted"]) for one in standing.alarms[-5:]
    ]
    source = "by the journal alone" if broker is None else "by journal and broker"
    parts.append(Text(f"{source}{f'; {fault}' if fault else ''}", "dim"))
    return Group(*parts)


def _positions(standing: Standing, broker: AtBroker | None) -> RenderableType:
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from iverson.monitoring.standing import money, price

    if not standing.positions:
        return Text("no positions")
    table = Table(box=SIMPLE, pad_edge=False)
    for heading in ("symbol", "shares", "entry", "now", "gain", "stop", "away", "target", "held"):
        table.add_column(heading, justify="left" if heading == "symbol" else "right")
    marks = {} if broker is None else broker.marks
    for one in standing.positions:
        mark = marks.get(one.symbol)
        base = one.entry if mark is None else mark
        gain = "" if mark is None else money((mark - one.entry) * one.size, signed=True)
        away = one.stop / base - 1
        table.add_row(
            one.symbol, f"{one.size:g}", price(one.entry), "" if mark is None else price(mark),
            gain, price(one.stop), "" if away != away else f"{away:+.1%}", price(one.target),  # noqa: PLR0124 (NaN)
            f"{one.sessions} sessions",
        )  # fmt: skip
    return table


def _orders(standing: Standing, broker: AtBroker | None) -> RenderableType:
    from rich.text import Text

    from iverson.monitoring.standing import order_lines

    return Text("\n".join(order_lines(standing, broker)))
