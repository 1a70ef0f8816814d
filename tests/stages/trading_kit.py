# SPDX-License-Identifier: GPL-3.0-or-later
"""A system whose settings point at an exchange on loopback, as a user's would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.market import sample
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.research.lookahead_result import Check
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.server import Simulator
from iverson.simulator.settings import Switches
from iverson.simulator.venue import ServerSwitches
from iverson.system import System
from strategies.rsi_reversion import RsiReversion

SYMBOLS = ["AAPL", "IBM", "MSFT"]
AFTER = timedelta(minutes=1)


FROM, TO = date(2004, 6, 1), date(2005, 6, 30)


def history() -> dict[str, Bars]:
    """A year of the bundled sample, enough for the warm-up and some weeks of trading."""
    return {symbol: bars.between(FROM, TO) for symbol, bars in sample.load(SYMBOLS).items()}


def after_close(session: date) -> datetime:
    return new_york().close_at(session) + AFTER


def system(folder: Path, **more: Any) -> System:
    """A system that trades often, over bars in memory."""
    given = dict(symbols=SYMBOLS, params=dict(oversold=45), bars=history()) | more
    return System(RsiReversion, store=folder / "store", **given)


def checked(made: System) -> System:
    """The same system after a short `iverson check`, so that its pass is on the disk."""
    result = made.check("2005-04", "2005-05", sample=1, decisions=1)
    assert isinstance(result, Check)
    assert result.passed
    return made


def use(monkeypatch: pytest.MonkeyPatch, venue: Simulator, folder: Path) -> None:
    """Point the settings at an exchange."""
    for name, value in {
        "ALPACA_KEY": venue.key,
        "ALPACA_SECRET": venue.secret,
        "ALPACA_PAPER_URL": venue.urls.trading,
        "ALPACA_DATA_URL": venue.urls.data,
        "JOURNAL": str(folder / "iverson.db"),
    }.items():
        monkeypatch.setenv(f"IVERSON_{name}", value)


@contextmanager
def exchange(at: datetime, bars: Any = None, **options: Any) -> Iterator[Simulator]:
    """An exchange over the bundled sample whose prices leave nothing to chance."""
    given: dict[str, Any] = dict(
        switches=Switches.exact(close_early_seconds=600.0),
        server=ServerSwitches(trading_limit=None, data_limit=None),
        data=DataSwitches(bar_delay=timedelta(0)),
        cash=10_000,
    )
    with Simulator(bars or history(), at=at, **(given | options)) as venue:
        yield venue
