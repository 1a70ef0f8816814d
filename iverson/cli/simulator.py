# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson simulator`: an exchange on this machine that alpaca-py takes for Alpaca."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iverson.cli.loading import From, To
from iverson.errors import ConfigError

if TYPE_CHECKING:
    from iverson.market.bars import Bars
    from iverson.simulator.server import Simulator

DAILY_PACE, MINUTE_PACE = 3600.0, 60.0
LOOK_SECONDS = 0.5
CLIENTS = """\
TradingClient({key}, {secret}, {mode}url_override="{trading}")
StockHistoricalDataClient({key}, {secret}, url_override="{data}")
StockDataStream({key}, {secret}, url_override="{data_stream}")
NewsDataStream({key}, {secret}, url_override="{news_stream}")
TradingStream({key}, {secret}, {mode}url_override="{trading_stream}")"""


def simulator(  # noqa: PLR0917 (typer passes them by name)
    start: From = None,
    end: To = None,
    symbols: Annotated[
        str | None,
        typer.Option("--symbols", help="As AAPL,MSFT; all of your store, or of the sample."),
    ] = None,
    interval: Annotated[str, typer.Option(help="Of the bars to replay: 1d, or minutes.")] = "1d",
    pace: Annotated[
        float | None,
        typer.Option(help="Simulated seconds in a real one; 3600 for daily bars, else 60."),
    ] = None,
    step: Annotated[
        bool, typer.Option("--step", help="Lock step: move by a bar on Enter or POST /_sim/step.")
    ] = False,
    scenario: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="What goes wrong; see --list.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the scenarios and leave.")] = False,
    cash: Annotated[float, typer.Option(min=0, help="Of the account, dollars.")] = 100_000.0,
    live: Annotated[
        bool, typer.Option("--live", help="Live environment, with AK keys, instead of paper.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="No spread, no latency, no partial fills.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is left to chance.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any free one.")] = 0,
) -> None:
    """Replay history as an exchange that speaks Alpaca's protocols, on this machine only.

    Bars come from your store, or from the bundled sample. Ctrl-C ends it.
    """
    from iverson.simulator.installed import check_installed
    from iverson.simulator.scenarios import scenario as find

    if listing:
        list_scenarios()
        return
    check_installed()
    from iverson.simulator.pacing import Pace
    from iverson.simulator.server import Simulator
    from iverson.simulator.settings import Switches

    if step and pace is not None:
        raise ConfigError("--step and --pace are both given; choose one of them")
    script = None if scenario is None else find(scenario)
    history, at = _history(symbols, interval, start, end)
    usual = DAILY_PACE if interval == "1d" else MINUTE_PACE
    sim = Simulator(
        history,
        at=at,
        cash=cash,
        paper=not live,
        switches=Switches.exact(seed=seed) if exact else Switches(seed=seed),
        scenario=script,
        pace=Pace.lock_step() if step else Pace.times(usual if pace is None else pace),
        port=port,
    )
    try:
        with sim:
            _greet(sim, history, interval)
            _serve(sim, by_hand=step and sys.stdin.isatty())
    except KeyboardInterrupt:
        pass  # the way to end it
    _part(sim)


def list_scenarios() -> None:
    """Print the scenarios and what each does."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from iverson.cli.tables import LOOK
    from iverson.simulator.scenarios import bundled

    table = Table(title="Scenarios", **LOOK)
    table.add_column("name", no_wrap=True)
    table.add_column("what happens", overflow="fold")
    for name, one in bundled().items():
        table.add_row(Text(name), Text(one.says))
    Console(highlight=False, markup=False).print(table)


def _history(
    symbols: str | None, interval: str, start: str | None, end: str | None
) -> tuple[dict[str, Bars], Any]:
    """Return the bars up to the last day, and the instant before the first day's trading."""
    from datetime import UTC, datetime, time

    import numpy as np

    from iverson.config import settings
    from iverson.market import sample
    from iverson.market.calendar import new_york
    from iverson.market.source import load_bars
    from iverson.market.store import Store
    from iverson.research.days import asked_range
    from iverson.simulator.hours import ZONE

    store = settings().store
    named = [one.strip() for one in (symbols or "").split(",") if one.strip()]
    loaded = load_bars(
        named or Store(store).symbols(interval) or sample.names(), interval=interval, store=store
    )
    first, last = asked_range(loaded, start, end)
    calendar = new_york()
    session = calendar.offset(first, 0)
    history = {
        symbol: bars[: int(np.searchsorted(bars.session, np.datetime64(last), side="right"))]
        for symbol, bars in loaded.items()
    }
    held = {symbol: bars for symbol, bars in history.items() if len(bars)}
    return held, datetime.combine(session, time(9), ZONE).astimezone(UTC)


def _greet(sim: Simulator, history: dict[str, Bars], interval: str) -> None:
    from iverson.simulator.hours import ZONE

    last = max(bars.session[-1].item() for bars in history.values())
    names = " ".join(sorted(history)[:8]) + (" ..." if len(history) > 8 else "")
    urls = dict(sim.urls)
    mode = "" if sim.key.startswith("PK") else "paper=False, "
    rows = [
        ("clock", f"{sim.now.astimezone(ZONE):%Y-%m-%d %H:%M} New York, to {last}"),
        ("bars", f"{interval}, {names}"),
        ("pace", str(sim.pace)),
        ("scenario", f"{sim.scenario.name}: {sim.scenario.says}"),
        ("key", sim.key),
        ("secret", sim.secret),
        *((name.replace("_", " "), url) for name, url in urls.items()),
    ]
    typer.echo("An exchange on this machine alone; Ctrl-C ends it.\n")
    for name, value in rows:
        typer.echo(f"{name:<15} {value}")
    clients = CLIENTS.format(key=f'"{sim.key}"', secret=f'"{sim.secret}"', mode=mode, **urls)
    typer.echo(f"\nThe clients of alpaca-py, pointed at it:\n\n{clients}\n")


def _serve(sim: Simulator, *, by_hand: bool) -> None:
    if by_hand:
        typer.echo("Enter moves on by one bar.")
    told_over = False
    while True:
        if by_hand:
            if not sys.stdin.readline():
                return
            sim.step()
            state = sim.state
            typer.echo(f"{state['now']}  {state['events']} events, {state['sent']} messages")
        else:
            time.sleep(LOOK_SECONDS)
        if not told_over and sim.state["over"]:
            typer.echo("The history is over; the exchange answers on.")
            told_over = True


def _part(sim: Simulator) -> None:
    from iverson.simulator.hours import ZONE

    state, ledger = sim.state, sim.ledger
    typer.echo(
        f"\nEnded at {sim.now.astimezone(ZONE):%Y-%m-%d %H:%M} New York: "
        f"{len(ledger['orders'])} orders, {len(ledger['fills'])} fills, "
        f"equity ${float(ledger['account']['equity']):,.2f}; "
        f"{state['events']} events, head {state['head'][:16]}"
    )
