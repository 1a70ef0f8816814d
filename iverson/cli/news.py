# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson news`: import, fetch and list headlines; make some up to try with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from iverson.cli.loading import AsCsv, AsJson
from iverson.cli.output import csv_text, json_text, one_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from iverson.market.news_store import Added, NewsStore

app = typer.Typer(help="Import, fetch, list and synthesize headlines.", no_args_is_help=True)

REFUSED = 1

StoreOption = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of the store; default data/cache (IVERSON_STORE)."),
]
SymbolsOption = Annotated[str, typer.Option(help="Symbols, as AAPL,IBM.")]


@app.command("import")
def import_files(  # noqa: PLR0917 (typer passes them by name)
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="CSV, Parquet or JSON lines.")
    ],
    timezone: Annotated[str, typer.Option(help="Of stamps without one.")] = "America/New_York",
    source: Annotated[str, typer.Option(help="The source, if the file has none.")] = "",
    symbol: Annotated[str | None, typer.Option(help="The symbol of every row.")] = None,
    skip: Annotated[
        bool, typer.Option("--skip", help="Leave out rows that cannot be read.")
    ] = False,
    store: StoreOption = None,
) -> None:
    """Read headlines and store what is new; exit 1 if a file was refused or rows left out."""
    from iverson.errors import BadBars
    from iverson.market import news_readers

    shelf, refused = _shelf(store), False
    for file in files:
        try:
            found = news_readers.read(
                file, timezone=timezone, source=source, symbol=symbol, skip=skip
            )
        except BadBars as error:
            typer.echo(f"refused: {error}", err=True)
            refused = True
            continue
        added = shelf.add(found.headlines)
        without = sum(not one.symbols for one in found.headlines)
        more = f"; {without:,} without a symbol, kept and not used" if without else ""
        typer.echo(f"{file.name}: {_words(added)}{more}")
        if found.left_out:
            typer.echo(f"left out {found.left_out:,} rows, the first: {found.why}", err=True)
            refused = True
    if refused:
        raise typer.Exit(REFUSED)


@app.command("fetch")
def fetch(
    symbols: SymbolsOption,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Fetch history from this day; else go on from the last."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Last day of the history; default now.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Fetch headlines from Alpaca: their history, or what is new since the last fetch.

    History is known by the vendor's stamps. What is new is known from now on, and not before.
    """
    from iverson.cli.market_data import alpaca_data
    from iverson.config import settings
    from iverson.errors import ConfigError
    from iverson.market.alpaca.news import AlpacaNews
    from iverson.market.calendar import midnight, utc_now
    from iverson.market.news import end_of_day
    from iverson.market.news_fetch import fetch_history, fetch_news
    from iverson.research.days import read_day

    chosen = settings()
    wanted = _symbols(symbols)
    shelf = _shelf(store)
    if start is None and end is not None:
        raise ConfigError("--to is given without --from; give both for history, or none")
    service = AlpacaNews(alpaca_data(chosen, chosen.alpaca_plan))
    if start is None:
        pages = fetch_news(service, shelf, wanted, utc_now)
    else:
        since = midnight(read_day(start, last=False))
        until = utc_now() if end is None else min(utc_now(), end_of_day(read_day(end, last=True)))
        pages = fetch_history(service, shelf, wanted, since, until)
    typer.echo(f"{', '.join(wanted)}: {_words(_sum(_told(pages)))}")


@app.command("list")
def list_headlines(  # noqa: PLR0917 (typer passes them by name)
    symbols: Annotated[str | None, typer.Option(help="Only these, as AAPL,IBM.")] = None,
    at: Annotated[
        str | None, typer.Option(help="What was known at this instant, as 2020-06-05T14:30Z.")
    ] = None,
    last: Annotated[int, typer.Option(min=1, help="How many, the newest.")] = 20,
    store: StoreOption = None,
    as_csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """List headlines with their scores, as they were known at an instant (default: now)."""
    import pandas as pd

    from iverson.market.calendar import utc_now
    from iverson.market.news_scores import ScoreFile
    from iverson.signals.headlines import default_scorer

    one_format(as_csv=as_csv, as_json=as_json)
    shelf = _shelf(store)
    known = shelf.as_of(utc_now() if at is None else _instant(at))
    if symbols is not None:
        wanted = set(_symbols(symbols))
        known = [one for one in known if not wanted.isdisjoint(one.symbols)]
    shown = sorted(known, key=lambda one: one.seen_at)[-last:]
    scorer = default_scorer()
    scores = ScoreFile(shelf.folder if len(shelf) else None).scored(shown, scorer)
    frame = pd.DataFrame(
        {
            "seen_at": [one.seen_at.isoformat() for one in shown],
            "symbols": [" ".join(one.symbols) for one in shown],
            "score": scores,
            "source": [one.source for one in shown],
            "headline": [one.headline for one in shown],
            "revision": [one.revision for one in shown],
            "id": [one.id for one in shown],
        }
    )
    if as_csv:
        typer.echo(csv_text(frame), nl=False)
    elif as_json:
        typer.echo(json_text(frame))
    else:
        _print(frame, f"{len(known):,} headlines known, {scorer.name} {scorer.version}")


@app.command("synthesize")
def synthesize(
    symbols: Annotated[
        str | None, typer.Option(help="As AAPL,IBM; default the bundled sample's.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same.")] = 0,
    store: StoreOption = None,
) -> None:
    """Make SYNTHETIC headlines for daily bars, to try the news strategy with; not to judge it."""
    from iverson.market import news_synthetic, sample
    from iverson.market.source import load_bars

    folder = _folder(store)
    wanted = sample.names() if symbols is None else _symbols(symbols)
    made = news_synthetic.synthesize(load_bars(wanted, store=folder), seed=seed)
    added = _shelf(store).add(made)
    typer.echo(f"SYNTHETIC headlines for {', '.join(wanted)}: {_words(added)}")


def _folder(store: Path | None) -> Path:
    from iverson.config import settings

    return settings().store if store is None else store


def _shelf(store: Path | None) -> NewsStore:
    from iverson.market.news_store import FOLDER, NewsStore

    return NewsStore(_folder(store) / FOLDER)


def _symbols(text: str) -> list[str]:
    from iverson.errors import ConfigError

    found = list(dict.fromkeys(one.strip().upper() for one in text.split(",") if one.strip()))
    if not found:
        raise ConfigError(f"--symbols {text!r} names no symbol; write them as AAPL,IBM")
    return found


def _instant(text: str) -> datetime:
    from datetime import UTC, datetime

    from iverson.errors import ConfigError

    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--at {text!r} is no instant; write it as 2020-06-05T14:30Z") from None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _told(pages: Iterable[Added]) -> Iterator[Added]:
    """Say every tenth page how far it is, for a long history."""
    total = 0
    for number, page in enumerate(pages, start=1):
        total += page.items
        if number % 10 == 0:
            typer.echo(f"page {number:,}, {total:,} headlines", err=True)
        yield page


def _sum(pages: Iterable[Added]) -> Added:
    from iverson.market.news_store import Added

    listed = list(pages)
    return Added(*(sum(getattr(one, name) for one in listed)
                   for name in ("items", "revisions", "repeats")))  # fmt: skip


def _words(added: Added) -> str:
    told = f"{added.items:,} new headlines"
    if added.revisions:
        told += f", {added.revisions:,} revised"
    return told + (f", {added.repeats:,} known already" if added.repeats else "")


def _print(frame: object, title: str) -> None:
    import pandas as pd
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from iverson.cli.tables import LOOK

    assert isinstance(frame, pd.DataFrame)
    table = Table(title=title, **LOOK)
    for heading in ("seen, UTC", "symbols", "score", "source", "headline"):
        table.add_column(
            heading, overflow="fold", justify="right" if heading == "score" else "left"
        )
    for row in frame.itertuples(index=False):
        seen = str(row.seen_at)[:16].replace("T", " ")
        cells = (seen, str(row.symbols), f"{row.score:+.2f}", str(row.source), str(row.headline))
        table.add_row(*(Text(cell) for cell in cells))
    Console(highlight=False, markup=False).print(table)
