# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson bars`: fetch, import, check, list, adjust, convert and synthesize bars.

Every command imports what it needs when it runs, so that `iverson --help` stays quick.
"""

from __future__ import annotations

import json
import math
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iverson.cli import bars_fetch
from iverson.cli.synthesize import synthesize

if TYPE_CHECKING:
    import pandas as pd

    from iverson.market.faults import Fault
    from iverson.market.readers import Rows
    from iverson.market.store import Store

app = typer.Typer(
    help="Fetch, import, check, list, adjust and synthesize bars.", no_args_is_help=True
)
app.command("fetch")(bars_fetch.fetch)
app.command("synthesize")(synthesize)

REFUSED = 1


class Edge(StrEnum):
    """Which edge of an intraday bar its stamp marks."""

    LEFT = "left"
    RIGHT = "right"


class Basis(StrEnum):
    """Which bar adjustment leaves as it was quoted."""

    FIRST = "first"
    LAST = "last"


StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of the store; default data/cache (IVERSON_STORE)."),
]
IntervalOption = Annotated[str, typer.Option(help="1d, or minutes such as 5m.")]


@app.command("import")
def import_files(  # noqa: PLR0917 - typer passes them by name
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="CSV or Parquet files.")],
    symbol: Annotated[str | None, typer.Option(help="The symbol, if the file has none.")] = None,
    interval: Annotated[str | None, typer.Option(help="1d or 5m; else inferred.")] = None,
    stamp: Annotated[Edge | None, typer.Option(help="Edge that intraday stamps mark.")] = None,
    timezone: Annotated[str, typer.Option(help="Of stamps without one.")] = "America/New_York",
    actions: Annotated[Path | None, typer.Option(help="File of splits and dividends.")] = None,
    adjusted: Annotated[
        bool, typer.Option("--adjusted", help="Prices are split-adjusted already (Yahoo).")
    ] = False,
    feed: Annotated[str, typer.Option(help="Words for the passport, such as IEX.")] = "",
    store: StoreOption = None,
    revise: Annotated[bool, typer.Option("--revise", help="Let stored bars change.")] = False,
) -> None:
    """Read files, report their faults and store their bars; exit 1 if any were refused."""
    from iverson.market import readers
    from iverson.market.store import Store

    shelf, readable = Store(_folder(store)), []
    for file in files:  # all of them, before the first is stored
        rows = readers.read(
            file,
            symbol=symbol,
            interval=interval,
            stamp=None if stamp is None else stamp.value,
            timezone=timezone,
        )
        listed, origin = _actions(rows, actions, symbol, adjusted=adjusted)
        readable.append((file, rows, listed, origin))
    refused = 0
    for file, rows, listed, origin in readable:
        typer.echo(f"{file}: {len(rows.frame)} bars of {rows.interval}; {origin}")
        refused += _store(rows, listed, shelf, adjusted=adjusted, feed=feed, revise=revise)
    if refused:
        raise typer.Exit(REFUSED)


@app.command()
def check(
    symbols: Annotated[list[str] | None, typer.Argument(metavar="[SYMBOL...]")] = None,
    interval: IntervalOption = "1d",
    store: StoreOption = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Every fault, as CSV.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every fault, as JSON.")] = False,
) -> None:
    """List the faults of stored bars (else of the sample); exit 1 if there are any."""
    from iverson.market.faults import summary, table
    from iverson.market.store import Store

    folder = _folder(store)
    unsound = [] if symbols else Store(folder).verify()
    for sentence in unsound:
        typer.echo(f"unsound: {sentence}", err=True)
    faults = [] if unsound else _stored_faults(symbols or [], interval, folder)
    if as_csv:
        typer.echo(table(faults).to_csv(index=False), nl=False)
    elif as_json:
        keys = ("symbol", "session", "kind", "detail", "value")
        rows = [{key: _plain(getattr(fault, key)) for key in keys} for fault in faults]
        typer.echo(json.dumps(rows, indent=2))
    elif faults:
        typer.echo(summary(faults).to_string(index=False))
    elif not unsound:
        typer.echo("no faults found")
    if faults or unsound:
        raise typer.Exit(REFUSED)


@app.command("list")
def list_bars(store: StoreOption = None) -> None:
    """List what the store and the bundled sample hold."""
    import pandas as pd

    from iverson.market import sample
    from iverson.market.store import Store

    shelf = Store(_folder(store))
    rows: list[dict[str, object]] = []
    for interval in shelf.intervals():
        for symbol in shelf.symbols(interval):
            record = shelf.passport(symbol, interval)
            keys = ("symbol", "interval", "first", "last", "bars", "feed", "adjustment")
            rows.append({key: record[key] or "-" for key in keys} | {"where": str(shelf.path)})
    for name, own in sample.rows().groupby("symbol", sort=True):
        session = own["session"]
        rows.append(
            {
                "symbol": str(name),
                "interval": "1d",
                "first": f"{session.min():%Y-%m-%d}",
                "last": f"{session.max():%Y-%m-%d}",
                "bars": len(own),
                "feed": "-",
                "adjustment": "raw",
                "where": "bundled sample",
            }
        )
    typer.echo(pd.DataFrame(rows).to_string(index=False))


@app.command()
def adjust(
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL")],
    interval: IntervalOption = "1d",
    store: StoreOption = None,
    dividends: Annotated[
        bool, typer.Option("--dividends", help="Take dividends out as well.")
    ] = False,
    basis: Annotated[Basis, typer.Option(help="The bar that stays as quoted.")] = Basis.LAST,
) -> None:
    """Print adjusted bars as CSV."""
    from iverson.market.adjust import adjust as adjusted

    frame, listed = _rows(symbol, interval, _folder(store))
    result = adjusted(frame, listed, dividends=dividends, basis=basis.value)
    wanted = ["symbol", "session", "at", "open", "high", "low", "close", "volume"]
    columns = [name for name in wanted if name in result.columns]
    typer.echo(result[columns].to_csv(index=False, float_format="%.6f"), nl=False)


app.command("convert")(bars_fetch.convert)


def _folder(store: Path | None) -> Path:
    from iverson.config import settings

    return store or settings().store


def _actions(
    rows: Rows, file: Path | None, symbol: str | None, *, adjusted: bool
) -> tuple[pd.DataFrame | None, str]:
    from iverson.market import actions as table
    from iverson.market import readers

    listed, origin = rows.actions, "the file's columns"
    if file is not None:
        listed, origin = readers.read_actions(file, symbol=symbol), str(file)
    elif listed is None and "adj_close" in rows.frame.columns and rows.interval == "1d":
        listed, origin = table.derive_actions(rows.frame), "derived from adj_close"
    if listed is None:
        return None, "no actions given"
    if adjusted:
        listed = listed.loc[listed["kind"] != table.SPLIT]
    return listed, f"{len(listed)} from {origin}"


def _store(
    rows: Rows,
    listed: pd.DataFrame | None,
    shelf: Store,
    *,
    adjusted: bool,
    feed: str,
    revise: bool,
) -> int:
    from iverson.errors import BadBars
    from iverson.market.calendar import new_york
    from iverson.market.checks import check as check_bars
    from iverson.market.faults import summary

    faults = check_bars(rows.frame, listed, new_york(), interval=rows.interval)
    if faults:
        typer.echo(summary(faults).to_string(index=False))
    refused = 0
    for name, own in rows.frame.groupby("symbol", sort=True):
        symbol = str(name)
        found = [fault for fault in faults if fault.symbol == symbol]
        try:
            _refuse_adjusted(symbol, found)
            written = shelf.write(
                own,
                symbol=symbol,
                interval=rows.interval,
                actions=listed,
                source=rows.path.name,
                feed=feed,
                adjustment="splits adjusted by the source" if adjusted else "raw",
                faults=found,
                revise=revise,
            )
        except BadBars as error:
            refused += 1
            typer.echo(f"refused: {error}", err=True)
            continue
        typer.echo(
            f"stored {symbol} {written.interval}: {written.added} added, "
            f"{len(written.revised)} revised, {written.unchanged} unchanged"
        )
    return refused


def _refuse_adjusted(symbol: str, faults: list[Fault]) -> None:
    from iverson.errors import BadBars

    for fault in faults:
        if fault.kind == "already adjusted":
            raise BadBars(
                f"{symbol}, {fault.session}: {fault.detail}. Expected raw prices; if the source "
                "adjusts for splits, import with --adjusted"
            )


def _stored_faults(symbols: list[str], interval: str, directory: Path) -> list[Fault]:
    import pandas as pd

    from iverson.market import sample
    from iverson.market.calendar import new_york
    from iverson.market.checks import check as check_bars
    from iverson.market.store import Store

    wanted = symbols or Store(directory).symbols(interval)
    if not wanted and interval == "1d":
        wanted = sample.names()
    if not wanted:
        return []
    pairs = [_rows(symbol, interval, directory) for symbol in wanted]
    frame = pd.concat([pair[0] for pair in pairs], ignore_index=True)
    listed = pd.concat([pair[1] for pair in pairs], ignore_index=True)
    return check_bars(frame, listed, new_york(), interval=interval)


def _rows(symbol: str, interval: str, directory: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    from iverson.market import actions as table
    from iverson.market import sample
    from iverson.market.store import Store, missing

    shelf = Store(directory)
    if symbol not in shelf.symbols(interval) and interval == "1d" and symbol in sample.names():
        own = sample.rows().loc[sample.rows()["symbol"] == symbol]
        return own, table.of_symbol(sample.actions(), symbol)
    if symbol not in shelf.symbols(interval):
        known = {*shelf.symbols(interval), *(sample.names() if interval == "1d" else ())}
        raise missing(
            symbol, sorted(known), where=f"{directory} or the bundled sample", interval=interval
        )
    return shelf.rows(symbol, interval), shelf.actions(symbol)


def _plain(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return None
    return value if isinstance(value, (str, float)) else str(value)
