# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson bars fetch`: bars and actions of a universe from Alpaca into the store."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iverson.errors import ConfigError

if TYPE_CHECKING:
    from datetime import date

    from iverson.config import Settings
    from iverson.market.alpaca.vendor import AlpacaVendor
    from iverson.market.fetch_state import Fetched, Report
    from iverson.market.store import Store

DONE, REFUSED, BROKEN = 0, 1, 2
_SHOWN = 5  # withdrawn stamps of a symbol; all of them would scroll the rest away


class Feed(StrEnum):
    """Which trades the bars are made of."""

    SIP = "sip"
    IEX = "iex"
    DELAYED_SIP = "delayed_sip"


class Plan(StrEnum):
    """What the account pays for market data."""

    FREE = "free"
    PAID = "paid"


class Format(StrEnum):
    """How columns are kept on disk."""

    AUTO = "auto"
    PARQUET = "parquet"
    NPZ = "npz"


FormatOption = Annotated[
    Format | None, typer.Option("--format", help="parquet, npz or auto (IVERSON_STORE_FORMAT).")
]


def fetch(  # noqa: PLR0917 - typer passes them by name
    symbols: Annotated[
        list[str] | None, typer.Argument(metavar="[SYMBOL...]", help="None: all that are stored.")
    ] = None,
    universe: Annotated[
        Path | None,
        typer.Option(help="File of symbols: one a line, or a CSV with a symbol column."),
    ] = None,
    interval: Annotated[str, typer.Option(help="1d, or minutes such as 1m or 5m.")] = "1d",
    start: Annotated[
        str | None,
        typer.Option("--from", help="First day; else 2016, for minutes a year ago."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="Last day, inclusive; else now.")] = None,
    feed: Annotated[Feed, typer.Option(help="sip is all exchanges.")] = Feed.SIP,
    plan: Annotated[
        Plan | None,
        typer.Option(help="free leaves the last 15 minutes out (IVERSON_ALPACA_PLAN)."),
    ] = None,
    asof: Annotated[
        str | None,
        typer.Option(help="Day on which the symbols are meant; else today; - ignores renamings."),
    ] = None,
    recheck: Annotated[
        int, typer.Option(min=1, help="Stored sessions to ask for again.", metavar="SESSIONS")
    ] = 5,
    revise: Annotated[
        bool, typer.Option("--revise", help="Take over even what is no mere correction.")
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Folder of the store; default data/cache (IVERSON_STORE)."),
    ] = None,
    column_format: FormatOption = None,
) -> None:
    """Fetch raw bars, splits and dividends from Alpaca; only what is missing, and what changed.

    Stop it at any time: what is stored stays, and the same command goes on. Exit 1 if a symbol was
    refused, 2 if Alpaca could not be asked to the end.
    """
    from iverson.config import settings
    from iverson.market.calendar import utc_now
    from iverson.market.fetch import fetch as fetch_bars
    from iverson.market.intervals import canonical

    chosen, now = settings(), utc_now()
    shelf = opened(store, column_format, chosen)
    length = canonical(interval)
    wanted = _symbols(symbols or [], universe, shelf, length)
    first, last, since = _days(start, end, length, now.date())
    vendor = _vendor(chosen, feed, plan, _asof(asof, now.date()))
    with _Bar() as bar:
        report = fetch_bars(
            shelf,
            vendor,
            wanted,
            interval=length,
            first=first,
            last=last,
            since=since,
            now=now,
            recheck=recheck,
            revise=revise,
            progress=bar.show,
        )
    raise typer.Exit(_print(report))


def convert(
    column_format: Annotated[Format, typer.Argument(metavar="FORMAT", help="npz or parquet.")],
    store: Annotated[
        Path | None,
        typer.Option("--store", help="Folder of the store; default data/cache (IVERSON_STORE)."),
    ] = None,
) -> None:
    """Write a store anew as npz, which needs no pyarrow, or as parquet; no number changes."""
    from iverson.config import settings

    if column_format is Format.AUTO:
        raise ConfigError("auto is no format to convert to; expected npz or parquet")
    shelf = opened(store, column_format, settings())
    count = 0
    for interval in shelf.intervals():
        for symbol in shelf.symbols(interval):
            shelf.convert(symbol, interval)
            count += 1
    typer.echo(f"{shelf.path}: bars of {count} symbols and intervals are {column_format.value} now")


def opened(store: Path | None, column_format: Format | None, chosen: Settings) -> Store:
    """Return the store of the option, else of the settings, in the format asked for."""
    from iverson.market.files import column_file
    from iverson.market.store import Store

    name = chosen.store_format if column_format is None else column_format.value
    return Store(store or chosen.store, column_file=column_file(name))


def _symbols(named: list[str], universe: Path | None, shelf: Store, interval: str) -> list[str]:
    from iverson.errors import BadBars
    from iverson.market.spellings import clean_symbol
    from iverson.market.symbol_list import read_symbols

    wanted = []
    for word in (part for one in named for part in one.split(",") if part.strip()):
        try:
            wanted.append(clean_symbol(word, Path("SYMBOL")))
        except BadBars as error:
            raise ConfigError(
                f"{word!r} is not a symbol; expected up to 20 letters, digits or . - /"
            ) from error
    if universe is not None:
        wanted += read_symbols(universe)
    wanted = list(dict.fromkeys(wanted or shelf.symbols(interval)))
    if not wanted:
        raise ConfigError(
            f"no symbols: {shelf.path} has no {interval} bars yet; name some, as "
            "`iverson bars fetch AAPL MSFT`, or a file of them with --universe"
        )
    return wanted


def _days(
    start: str | None, end: str | None, interval: str, today: date
) -> tuple[date | None, date | None, date]:
    from datetime import date as day
    from datetime import timedelta

    from iverson.research.days import read_day

    first = None if start is None else read_day(start, last=False)
    last = None if end is None else read_day(end, last=True)
    if first is not None and last is not None and first > last:
        raise ConfigError(f"the range is empty: it starts on {first} and ends on {last}")
    # Alpaca's history begins in 2016; that of a hundred stocks in minutes takes hours.
    since = day(2016, 1, 1) if interval == "1d" else today - timedelta(days=365)
    return first, last, since


def _asof(asof: str | None, today: date) -> str:
    from iverson.research.days import read_day

    if asof is None:
        return str(today)
    return asof if asof == "-" else str(read_day(asof, last=True))


def _vendor(chosen: Settings, feed: Feed, plan: Plan | None, asof: str) -> AlpacaVendor:
    from iverson.cli.market_data import alpaca_data
    from iverson.market.alpaca.vendor import AlpacaVendor

    paid = chosen.alpaca_plan if plan is None else plan.value
    return AlpacaVendor(alpaca_data(chosen, paid), feed=feed.value, plan=paid, asof=asof)


class _Bar:
    """A progress bar on standard error, where there is a terminal to draw it on."""

    def __enter__(self) -> _Bar:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} pieces, {task.fields[bars]:,} bars"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("fetching", total=1, bars=0)
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, done: int, whole: int, bars: int) -> None:
        """Show how far it is."""
        self._progress.update(self._task, completed=done, total=whole, bars=bars)


def _print(report: Report) -> int:
    found = list(report.symbols.values())
    for one in found:
        _print_symbol(one, report.interval)
    refused: dict[str, list[str]] = {}
    for one in found:
        if one.refused:
            refused.setdefault(one.refused, []).append(one.symbol)
    for why, names in refused.items():
        if why != report.stopped:
            typer.echo(f"refused: {', '.join(names)}: {why}", err=True)
    count = sum(len(names) for names in refused.values())
    typer.echo(
        f"{len(found) - count} of {len(found)} symbols are up to date, asked through "
        f"{report.last}: "
        f"{sum(one.added for one in found):,} bars added, "
        f"{sum(one.revised for one in found)} revised, "
        f"{sum(one.outside for one in found):,} outside regular hours left out"
    )
    if report.stopped:
        typer.echo(f"iverson: stopped: {report.stopped}", err=True)
    if report.stopped or report.unanswered:
        return BROKEN
    return REFUSED if count else DONE


def _print_symbol(one: Fetched, interval: str) -> None:
    if one.added or one.changes or not one.refused:
        typer.echo(
            f"stored {one.symbol} {interval}: {one.added} added, {one.revised} revised, "
            f"{one.unchanged} unchanged"
        )
    for text in one.changes:
        typer.echo(f"  revised {text}")
    if one.withdrawn:
        more = len(one.withdrawn) - _SHOWN
        stamps = ", ".join(one.withdrawn[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        typer.echo(f"  not listed by the vendor any more, kept: {stamps}")
    for text in one.notes:
        typer.echo(f"  {text}")
