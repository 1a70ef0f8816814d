# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SLF001 (what Backtrader keeps about a line has underscore names)
"""Shared cursors: lines that move together read their position from one cell.

Stock Backtrader moves every line of every object on every bar. Here all lines of feeds with the
same timestamps hold the same one-element list, and moving that number moves them all. A line gets
its cursor by changing its `__class__` to a subclass of its own class, for the length of the loop;
`detach` gives the class back, so what is left after a run is stock Backtrader.
"""

from __future__ import annotations

import datetime as dt
import operator
from typing import Any

import backtrader as bt
from backtrader.linebuffer import LineBuffer
from backtrader.lineroot import LineRoot
from backtrader.lineseries import LineSeries

from iverson.errors import ConfigError

Cell = list[int]  # one number: the index of the current bar, -1 before the first

_BY_HAND = (
    "a line was moved by hand (home, rewind, advance, forward) in a lean run, where lines move "
    "together; run this strategy with LeanCerebro(lean=False)"
)
_COMPARED = ("__lt__", "__le__", "__gt__", "__ge__")
_NUMBERS = frozenset((float, int, bool))
_REMEMBERED = 1024  # instants; symbols share a bar's, so a few are enough
_instants: dict[float, dt.datetime] = {}
_classes: dict[tuple[type, type], type] = {}


def _of_line(operation: Any, stock: Any) -> Any:
    """Return a line's comparison: in the loop one of numbers, stock's stage 2 in one call."""

    def compare(self: Any, other: Any) -> Any:
        if self._opstage != 2:
            return stock(self, other)
        if type(other) not in _NUMBERS and isinstance(other, LineRoot):
            other = other[0]
        return operation(self.array[self._cursor[0]], other)

    return compare


def _of_series(operation: Any, stock: Any) -> Any:
    """Return the same for a series, which compares by its first line."""

    def compare(self: Any, other: Any) -> Any:
        if self._opstage != 2:
            return stock(self, other)
        if type(other) not in _NUMBERS and isinstance(other, LineRoot):
            other = other[0]
        first, cursor = self._at
        return operation(first[cursor[0]], other)

    return compare


class CursorLine:
    """A `LineBuffer` whose index is in a cell that it shares, and so cannot be moved by hand."""

    array: Any
    bindings: list[Any]
    _tz: Any
    _cursor: Cell
    _stock_class: type

    __lt__ = _of_line(operator.lt, LineRoot.__lt__)
    __le__ = _of_line(operator.le, LineRoot.__le__)
    __gt__ = _of_line(operator.gt, LineRoot.__gt__)
    __ge__ = _of_line(operator.ge, LineRoot.__ge__)

    @property
    def idx(self) -> int:
        """Index of the current bar."""
        return self._cursor[0]

    @idx.setter
    def idx(self, _: int) -> None:
        raise ConfigError(_BY_HAND)

    _idx = idx

    @property
    def lencount(self) -> int:
        """Bars so far."""
        return self._cursor[0] + 1

    @lencount.setter
    def lencount(self, _: int) -> None:
        raise ConfigError(_BY_HAND)

    def __len__(self) -> int:
        return self._cursor[0] + 1

    def __getitem__(self, ago: int) -> Any:
        return self.array[self._cursor[0] + ago]

    def __setitem__(self, ago: int, value: float) -> None:
        self.array[self._cursor[0] + ago] = value
        for binding in self.bindings:
            binding[ago] = value

    def get(self, ago: int = 0, size: int = 1) -> Any:
        """Return `size` values, the last of them `ago` bars from the current."""
        end = self._cursor[0] + ago + 1
        return self.array[end - size : end]

    def datetime(self, ago: int = 0, tz: Any = None, naive: bool = True) -> dt.datetime:
        """Return a bar's instant, naive unless asked otherwise."""
        number = self.array[self._cursor[0] + ago]
        if tz or self._tz:
            found: dt.datetime = bt.num2date(number, tz=tz or self._tz, naive=naive)
            return found
        return instant(number)

    def date(self, ago: int = 0, tz: Any = None, naive: bool = True) -> dt.date:
        """Return a bar's date."""
        return self.datetime(ago, tz, naive).date()

    def time(self, ago: int = 0, tz: Any = None, naive: bool = True) -> dt.time:
        """Return a bar's time of day."""
        return self.datetime(ago, tz, naive).time()


def instant(number: float) -> dt.datetime:
    """Return the naive UTC instant of a date number, remembering the last few."""
    found = _instants.get(number)
    if found is None:
        if len(_instants) >= _REMEMBERED:
            _instants.clear()
        found = _instants[number] = bt.num2date(number)
    return found


class CursorSeries:
    """A `LineSeries` that answers `len(x)` and `x[ago]` itself, not two levels down."""

    lines: Any
    _cursor: Cell
    _at: tuple[Any, Cell]  # the first line's values and the cell, by one look

    __lt__ = _of_series(operator.lt, LineRoot.__lt__)
    __le__ = _of_series(operator.le, LineRoot.__le__)
    __gt__ = _of_series(operator.gt, LineRoot.__gt__)
    __ge__ = _of_series(operator.ge, LineRoot.__ge__)

    def __getitem__(self, ago: int) -> Any:
        first, cursor = self._at
        return first[cursor[0] + ago]

    def __len__(self) -> int:
        return self._cursor[0] + 1


class CursorData(CursorSeries):
    """A feed; `tick_open` and its like, which stock writes on every bar, are read off the bar."""

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("tick_"):
            return getattr(self.lines, name)
        if name == "tick_datetime":
            raise AttributeError(name)
        line = self.lines[0] if name == "tick_last" else getattr(self.lines, name[5:])
        # stock fills them on every bar but the last
        return line[0] if 0 < len(self) < self.lines.buflen() else None


def attach_line(line: Any, cursor: Cell) -> None:
    """Let a line read its position from a cell."""
    if isinstance(line, CursorLine):
        return
    line._stock_class = line.__class__
    line._cursor = cursor
    line.__class__ = _derived(CursorLine, line.__class__)


def attach_series(series: Any, cursor: Cell, mixin: type[CursorSeries] = CursorSeries) -> None:
    """Let all lines of a series read their position from a cell."""
    for line in series.lines:
        attach_line(line, cursor)
    stock = series.__class__
    if isinstance(series, CursorSeries) or not is_plain_series(stock):
        return
    own = vars(series)
    own["_stock_class"] = stock
    own["_cursor"] = cursor
    own["_at"] = series.lines[0].array, cursor
    # line names as attributes: stock finds them by __getattr__ and a descriptor, on each access
    names = [name for name in series.lines.getlinealiases() if isinstance(name, str)]
    own["_named"] = named = [name for name in names if name not in own and not hasattr(stock, name)]
    for name in named:
        own[name] = getattr(series.lines, name)
    series.__class__ = _derived(mixin, stock)


def detach(thing: Any) -> None:
    """Give a line or a series its own class and position back."""
    if isinstance(thing, CursorLine):
        own = vars(thing)
        at = own.pop("_cursor")[0]
        thing.__class__ = own.pop("_stock_class")
        own["_idx"], own["lencount"] = at, at + 1
    elif isinstance(thing, CursorSeries):
        own = vars(thing)
        for name in own.pop("_named"):
            own.pop(name, None)
        del own["_cursor"], own["_at"]
        thing.__class__ = own.pop("_stock_class")


def detach_series(series: Any) -> None:
    """Give a series and all its lines back."""
    detach(series)
    for line in series.lines:
        detach(line)


def is_plain_series(cls: type) -> bool:
    """Whether a class left the access to its lines as Backtrader has it."""
    return all(
        getattr(cls, name) is getattr(LineSeries, name)
        for name in ("__getitem__", "__len__", "__getattr__", *_COMPARED)
    )


def is_plain_line(cls: type) -> bool:
    """Whether a class of lines left its position and its reading as Backtrader has them."""
    names = ("idx", "__len__", "__getitem__", "__setitem__", "get", "datetime", "date", "time")
    return all(getattr(cls, name) is getattr(LineBuffer, name) for name in (*names, *_COMPARED))


def _derived(mixin: type, stock: type) -> type:
    derived = _classes.get((mixin, stock))
    if derived is None:
        # type.__new__, not a class statement: Backtrader's metaclasses register what they make
        names = {"__module__": stock.__module__, "__qualname__": stock.__qualname__}
        derived = type.__new__(type(stock), stock.__name__, (mixin, stock), names)
        _classes[mixin, stock] = derived
    return derived
