# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson bars synthesize`: minute bars made up from daily ones, to learn on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iverson.cli.loading import From, To

if TYPE_CHECKING:
    import pandas as pd


def synthesize(  # noqa: PLR0917 (typer passes them by name)
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL...]", help="Default: all of the sample.")
    ] = None,
    start: From = None,
    end: To = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other minutes.")] = 0,
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Store of the daily bars; default data/cache, then sample."),
    ] = None,
    into: Annotated[
        Path | None, typer.Option("--into", help="Store to put the minutes in; default the same.")
    ] = None,
    revise: Annotated[bool, typer.Option("--revise", help="Let stored minutes change.")] = False,
) -> None:
    """Make SYNTHETIC minute bars that add up to daily bars: to learn on, never to judge by."""
    from iverson.config import settings
    from iverson.market import sample, synthesis
    from iverson.market.feeds import MADE_UP
    from iverson.market.source import load_bars, passport
    from iverson.market.store import Store
    from iverson.research.days import asked_range

    folder = store or settings().store
    daily = load_bars(symbols or sample.names(), store=folder)
    first, last = asked_range(daily, start, end)
    made = {}
    for symbol, bars in daily.items():  # all of them, before the first is stored
        rows = bars.between(first, last)
        if not len(rows):
            typer.echo(f"{symbol}: no daily bars from {first} to {last}, left out")
            continue
        made[symbol] = synthesis.synthesize(rows, seed=seed)
    shelf = Store(into or folder)
    for symbol, minutes in made.items():
        words = passport({symbol: daily[symbol]}, store=folder)
        written = shelf.write(
            synthesis.rows(minutes),
            symbol=symbol,
            interval=minutes.interval,
            actions=_actions(symbol, folder),
            source=synthesis.source(words.source, seed=seed),
            feed=minutes.feed,
            revise=revise,
        )
        typer.echo(
            f"stored {symbol} {written.interval}: {written.added} added, "
            f"{len(written.revised)} revised, {written.unchanged} unchanged"
        )
    typer.echo(MADE_UP)


def _actions(symbol: str, folder: Path) -> pd.DataFrame:
    """Return the splits and dividends that belong to the daily bars."""
    from iverson.market import actions as table
    from iverson.market import sample
    from iverson.market.store import Store

    shelf = Store(folder)
    if symbol in shelf.symbols():
        return shelf.actions(symbol)
    return table.of_symbol(sample.actions(), symbol)
