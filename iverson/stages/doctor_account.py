# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor at the venue: keys, account, clock, calendar, and the feed that the plan allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from iverson.config import Settings
from iverson.errors import IversonError
from iverson.market.bars import DAILY
from iverson.market.calendar import new_york
from iverson.model import Stage
from iverson.stages import admission
from iverson.stages.connection import Connection, connect
from iverson.stages.doctor import Finding, found
from iverson.stages.refreshed import vendor_of

LOOK_BACK, LOOK_AHEAD = timedelta(days=7), timedelta(days=14)
ASKED_FOR = "SPY"  # trades at every exchange in every minute
KEYS = "set IVERSON_ALPACA_KEY and IVERSON_ALPACA_SECRET, in the environment or in .env"


def examine_account(
    settings: Settings, stage: Stage, *, clock: Callable[[], datetime]
) -> Iterator[Finding]:
    """Look at the account that the keys open, with reading requests only."""
    if settings.alpaca_key is None or settings.alpaca_secret is None:
        yield Finding("keys", "not set up", "there are none", KEYS)
        return
    try:
        connection = connect(settings, stage, clock)
    except IversonError as error:
        sentence, _, advice = str(error).partition("; ")
        yield Finding("keys", "bad", sentence, advice or KEYS)
        return
    try:
        yield from _at_the_venue(connection)
    finally:
        connection.close()


def _at_the_venue(connection: Connection) -> Iterator[Finding]:
    reached = found("account", lambda: _account(connection))
    yield reached
    if reached.state == "bad":
        return
    yield found("clock", lambda: _clock(connection))
    yield found("calendar", lambda: _calendar(connection))
    yield found("feed", lambda: _feed(connection))


def _account(connection: Connection) -> str:
    account = connection.venue.account()
    admission.admit_account(account)
    return (
        f"{connection.stage.value} account {account.number} at {connection.url} trades, equity "
        f"${account.equity:,.2f}"
    )


def _clock(connection: Connection) -> str:
    mine, theirs = connection.clock(), connection.venue.now()
    admission.admit_clock(mine, theirs)
    return f"{abs((mine - theirs).total_seconds()):.1f} s from Alpaca's"


def _calendar(connection: Connection) -> str:
    now = connection.clock()
    first, last = (now - LOOK_BACK).date(), (now + LOOK_AHEAD).date()
    calendar = new_york()
    rows = connection.calendar(str(first), str(last))
    admission.admit_calendar(rows, calendar, first, last)
    return f"{len(rows)} sessions from {first} to {last}, the same as Alpaca's"


def _feed(connection: Connection) -> str:
    now = connection.clock()
    vendor = vendor_of(connection, feed=connection.feed, now=now)
    calendar = new_york()
    last = calendar.session_of(now)
    first = calendar.offset(last, -5)
    answer = vendor.bars(
        [ASKED_FOR], DAILY, first, last, until=vendor.until(now), tell=lambda _: None
    )
    if not answer.frames and not connection.on_loopback:
        raise IversonError(
            f"the {connection.plan} plan gave no bar of {ASKED_FOR} since {first}; see whether "
            "IVERSON_ALPACA_PLAN is what you have at Alpaca"
        )
    stream = connection.stream_feed
    return f"bars of {vendor.feed} come ({connection.plan} plan); the stream is of {stream}"
