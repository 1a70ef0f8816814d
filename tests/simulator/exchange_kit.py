# SPDX-License-Identifier: GPL-3.0-or-later
"""A hand-written market in words and an exchange on it, for the tests of the core."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from iverson.simulator.assets import Asset, listed
from iverson.simulator.events import Event, TradeUpdate
from iverson.simulator.exchange import Exchange
from iverson.simulator.ledger import Ledger
from iverson.simulator.market import Bar
from iverson.simulator.orders import Order
from iverson.simulator.requests import OrderRequest, Refused, ReplaceRequest
from iverson.simulator.settings import Switches

ZONE = ZoneInfo("America/New_York")
MONDAY = date(2024, 11, 25)
CASH = Decimal(100_000)


def clock(text: str, day: date = MONDAY) -> datetime:
    """New York's wall clock "09:31" or "09:31:30" of a day, in UTC."""
    return datetime.fromisoformat(f"{day} {text}").replace(tzinfo=ZONE).astimezone(UTC)


def bars(
    words: str, symbol: str = "AAA", *, start: str = "09:30", day: date = MONDAY, minutes: int = 1
) -> list[Bar]:
    """Bars in words: "open high low close | ..." one after the other; "-" is a minute without."""
    found = []
    at, length = clock(start, day), timedelta(minutes=minutes)
    for word in words.split("|"):
        if word.strip() != "-":
            opened, high, low, close = (float(price) for price in word.split())
            bar = Bar(symbol, at, at + length, day, opened, high, low, close, 1000.0)
            found.append(bar)
        at += length
    return found


class FakeMarket:
    """Bars in a list, actions in dictionaries."""

    interval = "1m"

    def __init__(
        self,
        found: list[Bar],
        *,
        splits: Mapping[date, Mapping[str, float]] | None = None,
        dividends: Mapping[date, Mapping[str, float]] | None = None,
        assets: Mapping[str, Asset] | None = None,
    ) -> None:
        self._bars = sorted(found, key=lambda bar: (bar.end, bar.symbol))
        self._ends = [bar.end for bar in self._bars]
        self.symbols = tuple(sorted({bar.symbol for bar in found}))
        self._of = {
            name: [bar for bar in self._bars if bar.symbol == name] for name in self.symbols
        }
        self._splits, self._dividends = splits or {}, dividends or {}
        self._assets = {name: listed(name) for name in self.symbols} | dict(assets or {})

    def bars_between(self, after: datetime, until: datetime) -> list[Bar]:
        return self._bars[bisect_right(self._ends, after) : bisect_right(self._ends, until)]

    def next_end(self, after: datetime) -> datetime | None:
        index = bisect_right(self._ends, after)
        return self._ends[index] if index < len(self._ends) else None

    def last(self, symbol: str, at: datetime) -> Bar | None:
        own = self._of.get(symbol, [])
        index = bisect_right(own, at, key=lambda bar: bar.end)
        return own[index - 1] if index else None

    def splits_on(self, session: date) -> dict[str, float]:
        return dict(self._splits.get(session, {}))

    def dividends_on(self, session: date) -> dict[str, float]:
        return dict(self._dividends.get(session, {}))

    def asset(self, symbol: str) -> Asset | None:
        return self._assets.get(symbol)


@dataclass
class Rig:
    """An exchange with one account, and short words for what tests do with it."""

    exchange: Exchange
    account_id: str
    heard: list[Event]
    ledger: Ledger

    def submit(self, side: str = "buy", qty: object = 100, **fields: Any) -> Order:
        size = None if qty is None else Decimal(str(qty))
        prices = {
            name: Decimal(str(value))
            if isinstance(value, int | float) and not isinstance(value, bool)
            else value
            for name, value in fields.items()
        }
        prices.setdefault("symbol", "AAA")
        return self.exchange.submit(
            self.account_id,
            OrderRequest(side=side, qty=size, **prices),  # type: ignore[arg-type] # tests send nonsense too
        )

    def bracket(self, target: object, stop: object, **fields: Any) -> Order:
        given = {"order_class": "bracket", "time_in_force": "gtc"} | fields
        return self.submit(target_limit_price=target, stop_loss_stop_price=stop, **given)

    def replace(self, order: Order, **fields: Any) -> Order:
        changes = {
            name: Decimal(str(value)) if isinstance(value, int | float) else value
            for name, value in fields.items()
        }
        return self.exchange.replace(self.account_id, order.id, ReplaceRequest(**changes))

    def cancel(self, order: Order) -> None:
        self.exchange.cancel(self.account_id, order.id)

    def to(self, text: str, day: date = MONDAY) -> None:
        self.exchange.advance_to(clock(text, day))

    def now(self, order: Order) -> Order:
        return self.exchange.order(self.account_id, id=order.id, nested=True)

    def leg(self, order: Order, role: str) -> Order:
        return next(leg for leg in self.now(order).legs if leg.role == role)

    def updates(self, *, published: bool = True) -> list[TradeUpdate]:
        found = [event for event in self.heard if isinstance(event, TradeUpdate)]
        return [one for one in found if one.published or not published]

    def words(self, order: Order) -> list[str]:
        """The events that the trade stream tells about an order."""
        return [one.event for one in self.updates() if one.order.id == order.id]

    def fills(self) -> list[tuple[str, Decimal, Decimal]]:
        """All executions: (side, shares, price)."""
        return [
            (one.order.side, one.qty, one.price)
            for one in self.updates()
            if one.event in ("fill", "partial_fill") and one.qty and one.price
        ]

    def cash(self) -> Decimal:
        return self.exchange.account(self.account_id).cash

    def qty(self, symbol: str = "AAA") -> Decimal:
        return next(
            (p.qty for p in self.exchange.positions(self.account_id) if p.symbol == symbol),
            Decimal(0),
        )


def rig(
    words: str | list[Bar],
    *,
    at: str = "09:30",
    day: date = MONDAY,
    cash: Decimal = CASH,
    switches: Switches | None = None,
    market: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Rig:
    """Open an exchange without frictions on bars, at a wall clock; `changes` are switches."""
    found = bars(words, day=day) if isinstance(words, str) else words
    exchange = Exchange(
        FakeMarket(found, **(market or {})),  # type: ignore[arg-type] # the same interface
        at=clock(at, day),
        switches=replace(switches, **changes) if switches else Switches.exact(**changes),
    )
    heard: list[Event] = []
    ledger = Ledger(exchange)
    exchange.listeners.append(heard.append)
    account = exchange.open_account("PKTEST", cash=cash)
    return Rig(exchange, account.id, heard, ledger)


def refusal(call: Any, *arguments: Any, **fields: Any) -> Refused:
    """Return the refusal that a call meets."""
    with pytest.raises(Refused) as caught:
        call(*arguments, **fields)
    return caught.value


FLAT = "100 100 100 100"
