# SPDX-License-Identifier: GPL-3.0-or-later
"""Alpaca as a vendor of bars: what is asked, and what of the answers is kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Literal

import pandas as pd
from alpaca.data.enums import Adjustment, DataFeed
from alpaca.data.requests import CorporateActionsRequest, StockBarsRequest
from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

from iverson.errors import BadBars
from iverson.market import actions as table
from iverson.market.alpaca import wire, wire_actions
from iverson.market.alpaca.client import AlpacaData
from iverson.market.alpaca.patience import Plan
from iverson.market.calendar import new_york
from iverson.market.vendor import Answer, Listed, Tell

Feed = Literal["sip", "iex", "delayed_sip"]

# Corporate actions are searched by the date on which they were processed: a dividend weeks after
# its ex-date, a split around it.
_EARLIER, _LATER = timedelta(days=31), timedelta(days=120)
_NAMES = 4  # a share that had more names than this is looked up under the last ones


class AlpacaVendor:
    """Raw bars of the consolidated tape (`sip`) or of one exchange (`iex`).

    Parameters
    ----------
    feed : `delayed_sip` is `sip` asked a quarter of an hour late, whatever the plan: the history
        has no third feed, and the passport says `sip`
    plan : "free" never asks for the last 15 minutes of `sip`, which that plan is refused
    asof : the day on which the symbols meant what is meant; "-" takes them as they are spelt, so
        that bars from before a renaming are left out
    """

    source = "Alpaca market data"

    def __init__(self, data: AlpacaData, *, feed: Feed, plan: Plan, asof: str) -> None:
        self._data = data
        self._late = feed == "delayed_sip" or (feed == "sip" and plan == "free")
        self.feed = "iex" if feed == "iex" else "sip"
        self.asof = asof

    def hours(self, interval: str) -> str:
        """Return "regular"; `ConfigError` for an interval that straddles the opening."""
        wire.check_interval(interval)
        return "regular"

    def until(self, now: datetime) -> datetime:
        """Return the newest instant to ask about: 16 minutes ago, or one."""
        return now - timedelta(minutes=16 if self._late else 1)

    def bars(
        self, symbols: Sequence[str], interval: str, first: date, last: date, *,
        until: datetime, tell: Tell,
    ) -> Answer:  # fmt: skip
        """Return the raw bars of the sessions `first` to `last` that ended by `until`."""
        calendar = new_york()
        start, end = wire.bounds(interval, first, last, until, calendar)
        if end < start:
            return Answer({})
        length = wire.check_interval(interval)
        asked = StockBarsRequest(
            symbol_or_symbols=list(symbols),
            timeframe=TimeFrame.Day if length is None else TimeFrame(length, TimeFrameUnit.Minute),
            start=start,
            end=end,
            adjustment=Adjustment.RAW,
            feed=DataFeed(self.feed),
            asof=self.asof,
        )
        parts: dict[str, list[pd.DataFrame]] = {}
        unreadable: dict[str, str] = {}
        for page in self._data.bars(_parameters(asked)):
            rows = 0
            for symbol, listed in page.items():
                if symbol not in symbols or not listed or symbol in unreadable:
                    continue
                rows += len(listed)
                try:
                    parts.setdefault(symbol, []).append(wire.rows(symbol, listed, interval))
                except BadBars as error:
                    unreadable[symbol] = str(error)
            tell(rows)
        frames, outside = {}, {}
        for symbol, pages in parts.items():
            if symbol in unreadable:
                continue
            whole = pd.concat(pages, ignore_index=True)
            frames[symbol], outside[symbol] = wire.regular(whole, interval, until, calendar)
        return Answer(
            {symbol: frame for symbol, frame in frames.items() if len(frame)}, outside, unreadable
        )

    def last_price(self, symbol: str) -> float | None:
        """Return the price of a symbol's newest trade, raw dollars; None when there is none.

        A free plan sees one exchange's (`iex`) without delay.
        """
        feed = "iex" if self._late else self.feed
        trade = self._data.latest_trades({"symbols": symbol, "feed": feed}).get(symbol)
        price = float(trade["p"]) if isinstance(trade, dict) and trade.get("p") else 0.0
        return price if price > 0 else None

    def actions(self, symbols: Sequence[str], first: date, last: date) -> Listed:
        """Return the actions of the symbols, and of the names they had before."""
        pages = self._action_pages(symbols, first, last)
        listed, notes = wire_actions.read(pages, symbols, first, last)
        tables = [listed]
        before = {} if self.asof == "-" else wire_actions.renamed(pages, symbols)
        for _ in range(_NAMES):
            if not before:
                break
            names = sorted({old for old, _ in before.values()})
            pages = self._action_pages(names, first, last)
            later: dict[str, tuple[str, date]] = {}
            for symbol, (old, end) in before.items():
                earlier = wire_actions.read(pages, [old], first, min(last, end))[0]
                tables.append(earlier.assign(symbol=symbol))
                older = wire_actions.renamed(pages, [old])
                if old in older:
                    later[symbol] = older[old]
            before = later
        filled = [part for part in tables if len(part)]
        whole = table.tidy(pd.concat(filled)) if filled else table.empty()
        return Listed(whole.drop_duplicates(ignore_index=True), notes)

    def _action_pages(self, symbols: Sequence[str], first: date, last: date) -> list[Any]:
        asked = CorporateActionsRequest(
            symbols=list(symbols), start=first - _EARLIER, end=last + _LATER, limit=None
        )
        return list(self._data.corporate_actions(_parameters(asked)))


def _parameters(asked: StockBarsRequest | CorporateActionsRequest) -> dict[str, Any]:
    """Return the request as alpaca-py would send it; lists are joined there, and so here."""
    fields: dict[str, Any] = asked.to_request_fields()
    return {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in fields.items()
    }
