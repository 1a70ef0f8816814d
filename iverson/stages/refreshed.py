# SPDX-License-Identifier: GPL-3.0-or-later
"""The bars of a wake: the store brought up to date by the usual fetch, then read."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

from iverson.market import store as stores
from iverson.market.alpaca.client import AlpacaData
from iverson.market.alpaca.patience import PER_MINUTE, Backoff, TokenBucket
from iverson.market.alpaca.vendor import AlpacaVendor, Feed
from iverson.market.bars import DAILY
from iverson.market.fetch import fetch
from iverson.market.store import Store
from iverson.stages.connection import Connection
from iverson.stages.traded import Traded

HISTORY_BEGINS = date(2016, 1, 1)  # Alpaca's
MINUTES = timedelta(days=365)


def refresh(system: Traded, connection: Connection, *, now: datetime) -> tuple[str, ...]:
    """Fetch what the store lacks; return what went wrong, for a person, one sentence each.

    Bars that are given are left alone. What could not be fetched is no error here: a bar that is
    not there makes no decision, and exits go on.
    """
    if system.in_memory:
        return ()
    store = Store(Path(system.store or stores.DEFAULT))
    vendor = vendor_of(connection, feed=feed_of(store, system, connection), now=now)
    since = HISTORY_BEGINS if system.interval == DAILY else (now - MINUTES).date()
    report = fetch(
        store, vendor, list(system.symbols), interval=system.interval, since=since, now=now
    )
    refused = [f"{one.symbol}: {one.refused}" for one in report.symbols.values() if one.refused]
    return (*([report.stopped] if report.stopped else []), *refused)


def feed_of(store: Store, system: Traded, connection: Connection) -> Feed:
    """Return the feed to ask for: that of the stored bars, else the whole tape."""
    there = set(store.symbols(system.interval))
    kept = {
        str(store.passport(symbol, system.interval)["feed"])
        for symbol in system.symbols
        if symbol in there
    }
    return "iex" if kept == {"iex"} else connection.feed


def vendor_of(connection: Connection, *, feed: Feed, now: datetime) -> AlpacaVendor:
    """Return Alpaca's market data, or the simulator's."""
    url = connection.url if connection.on_loopback else connection.data_url
    data = AlpacaData(
        connection.key,
        connection.secret,
        url=url,
        bucket=TokenBucket(PER_MINUTE[connection.plan]),
        backoff=Backoff(),
    )
    return AlpacaVendor(data, feed=feed, plan=connection.plan, asof=str(now.date()))
