# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (a broker works on what schemes and positions keep under underscore names)
"""What a simulated account is worth: Backtrader's sums, over open positions, when somebody asks.

Stock values the account on every bar, and goes through every position ever looked at to do so.
Here only open positions count, in stock's order, so that sums come out the same to the last bit;
and in the lean loop nothing is summed before it is asked for. Nothing that goes into the sums
changes until the feeds move on, but cash, which is noted.
"""

from __future__ import annotations

import collections
from array import array
from typing import Any

import numpy as np
from backtrader.brokers import BackBroker

from iverson.engine.lines import CursorData
from iverson.engine.stocks import Formulas, LeanPosition

Holding = tuple[Any, Any]  # feed, position
_Priced = tuple[Any, Any, Any, Any]  # position, its scheme's parameters, closes, cell of the bar


class _Late:
    """A number that the account works out when it is read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, account: Any, owner: type | None = None) -> Any:
        if account is None:
            return self
        account.appraise()
        return vars(account)[self._name]

    def __set__(self, account: Any, number: Any) -> None:
        account.appraise()
        account._flat_with = None
        vars(account)[self._name] = number


class LeanAccount(BackBroker):
    """A `BackBroker` that values its account with less work."""

    _value, _valuemkt, _valuelever, _valuemktlever = _Late(), _Late(), _Late(), _Late()
    _leverage, _unrealized, _fundval = _Late(), _Late(), _Late()
    _unvalued: float | None = None  # cash at the end of a bar that nobody has asked about yet
    _sums: tuple[float, float, float, float] | None = None  # of a bar of which the value is known
    _flat_with: float | None = None  # cash when last valued without any position
    _open: list[_Priced] | None = None  # open positions, until one changes

    def init(self) -> None:
        """Start over with empty books; called by Backtrader before a run."""
        self._unvalued = self._sums = None
        super().init()
        self.cash: Any
        self.positions: dict[Any, Any] = collections.defaultdict(self._new_position)
        self.executed_on: list[Any] = []  # feeds whose positions changed in this bar
        self.is_late = False  # all open positions follow their feeds
        self.is_steady = False  # they did at the end of the last bar, and no position is new
        self._instants: array[float] | None = None  # the strategy's, where being late is safe
        self._flat_with = None
        self._open = None
        self._formulas = Formulas()
        self._sound: dict[Any, bool] = {}
        self._all_sound = True

    def _new_position(self) -> LeanPosition:
        self.is_steady = False
        position = LeanPosition()
        position.account = self
        return position

    def position_moves(self) -> None:
        """Value the bar as it ended, before a position is changed by hand."""
        self.appraise()
        self._open = None

    # -- late ------------------------------------------------------------------------------------

    def allow_late(self, instants: array[float]) -> None:
        """Value bars late from now on: nobody looks at the account between feeds and broker.

        `instants` grows by each bar's date number once the broker has had its turn.
        """
        self._instants = instants

    def be_punctual(self) -> None:
        """Value what is not valued yet, and each further bar at its end."""
        self.appraise()
        self._settle_positions()
        self._instants = None

    def appraise(self) -> None:
        """Work out all numbers of the last bar, as far as nobody has asked for them yet."""
        if self._unvalued is not None:
            self._sum_stocks(self._unvalued)
        if self._sums is not None:
            self._sum_up(*self._sums)

    @property
    def may_be_late(self) -> bool:
        """Whether nothing asks for the account in the middle of the broker's turn."""
        params = self.p
        return self._instants is not None and params.shortcash and params.filler is None

    def value_late(self) -> None:
        """Leave the end of this bar to whoever asks first."""
        if not self.is_late:
            for data, held in self._holdings():
                held.follow(data, self._instants)
            self.is_late, self._open = True, None
        for data in self.executed_on:
            held = self.positions[data]
            if held.size:
                held.follow(data, self._instants)
            self._open = None
        self.is_steady = True
        self._unvalued = self.cash

    def _settle_positions(self) -> None:
        """Let no position follow its feed any more."""
        if self.is_late:
            for held in self.positions.values():
                held.settle()
            self.is_late = self.is_steady = False

    def add_cash(self, cash: float) -> None:
        """Add cash at the next bar, at the value the fund has now."""
        self.appraise()
        super().add_cash(cash)

    def setcommission(self, *args: Any, **kwargs: Any) -> None:
        """Set a commission scheme, from the next bar on."""
        self.appraise()
        self._settle_positions()
        super().setcommission(*args, **kwargs)

    def addcommissioninfo(self, comminfo: Any, name: str | None = None) -> None:
        """Set a commission scheme, from the next bar on."""
        self.appraise()
        self._settle_positions()
        super().addcommissioninfo(comminfo, name=name)

    # -- which sums --------------------------------------------------------------------------------

    def _is_simple(self) -> bool:
        """Whether all schemes are for stocks, charge no interest and have stock's formulas."""
        for scheme in self.comminfo.values():
            if not scheme._stocklike or scheme._creditrate or not self._formulas[type(scheme)]:
                return False
        return bool(self.p.shortcash)

    def _is_sound(self) -> bool:
        """Whether what is multiplied by 0 is 0: no interest, and no value of a closed position.

        It is not where prices are NaN or infinite: 0 x NaN makes stock's sums NaN. Known before
        only where whole columns are there, in the lean loop.
        """
        if len(self._sound) != len(self.positions):
            for data in self.positions:
                if data not in self._sound:
                    self._sound[data] = isinstance(data, CursorData) and _has_finite_prices(data)
            self._all_sound = all(self._sound.values())
        return self._all_sound

    def _holdings(self) -> list[Holding]:
        """Return the open positions in stock's order, that of first access."""
        return [(data, held) for data, held in self.positions.items() if held.size]

    # -- sums --------------------------------------------------------------------------------------

    def get_value(self, datas: Any = None, mkt: bool = False, lever: bool = False) -> Any:
        """Return what the account is worth, or some feeds' part of it; as in Backtrader."""
        if datas is not None or mkt or lever:
            return super().get_value(datas=datas, mkt=mkt, lever=lever)
        if self._unvalued is not None:
            self._sum_stocks(self._unvalued)
        return self.__dict__["_value"]

    getvalue = get_value

    def _get_value(self, datas: Any = None, lever: bool = False) -> Any:
        """Value the account, or some feeds' part of it; closed positions are left out."""
        self.appraise()
        self._flat_with = None
        if datas or self._fundhist or not self.p.shortcash or not self._is_sound():
            return super()._get_value(datas=datas, lever=lever)
        self._add_cash()
        gross = net = unrealized = 0.0
        for data, held in self._holdings():
            scheme, close = self.getcommissioninfo(data), data.close[0]
            value = scheme.getvaluesize(held.size, close)
            gain = scheme.profitandloss(held.size, held.price, close)
            gross += value
            unrealized += gain
            if value > 0:
                net += (value - gain) / scheme.get_leverage()
                net += gain
            else:
                net += value
        self._sum_up(self.cash, gross, net, unrealized)
        return self._valuelever if lever else self._value

    def _value_stocks(self) -> None:
        """Mark the positions and value the account when all schemes are simple."""
        self._unvalued = None
        self.is_late, self.is_steady, self._open = False, False, None
        for data, held in self._holdings():
            held.mark(data, data.close[0])
        self._add_cash()
        self._sum_stocks(self.cash)

    def _sum_stocks(self, cash: float) -> None:
        self._unvalued = None
        held_open = self._open
        if held_open is None:
            schemes = self.comminfo
            held_open = self._open = [
                (held, schemes.get(data._name, schemes[None]).p, *_closes(data))
                for data, held in self._holdings()
            ]
        if not held_open and cash == self._flat_with:
            return  # as when it was valued last
        gross = net = unrealized = 0.0
        for held, params, closes, cell in held_open:
            size, close = held.size, closes[cell[0]]
            value = size * close
            gain = size * (close - held.price) * params.mult
            gross += value
            unrealized += gain
            if value > 0:
                net += (value - gain) / params.leverage
                net += gain
            else:
                net += value
        self.__dict__["_value"] = cash + net
        self._sums = cash, gross, net, unrealized
        self._flat_with = None if held_open else cash

    def _add_cash(self) -> None:
        while self._cash_addition:
            added = self._cash_addition.popleft()
            self._fundshares += added / self._fundval
            self.cash += added
            self._flat_with = None

    def _sum_up(self, cash: float, gross: float, net: float, unrealized: float) -> None:
        self._sums = None
        own = self.__dict__
        own["_value"] = value = cash + net
        own["_fundval"] = value / self._fundshares
        own["_valuemkt"] = net
        own["_valuelever"] = cash + gross
        own["_valuemktlever"] = gross
        own["_leverage"] = gross / (net or 1.0)
        own["_unrealized"] = unrealized


def _closes(data: Any) -> tuple[Any, Any]:
    """Return a feed's closes and the cell that says which is the last; outside the loop, one."""
    if isinstance(data, CursorData):
        return data.close.array, data._cursor
    return (data.close[0],), (0,)


def _has_finite_prices(data: Any) -> bool:
    columns = [np.array(line.array) for line in (data.open, data.high, data.low, data.close)]
    return all(len(column) and np.isfinite(column).all() for column in columns)
