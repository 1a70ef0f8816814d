# SPDX-License-Identifier: GPL-3.0-or-later
"""Backtrader's passes over whole lines, as array arithmetic that gives the same bits.

A pass fills `[start, end)` of an object's line and says True; or it declines by saying False and
the object's own `once` does the work: for values stock would raise on (a division by zero), for
operands of other kinds or lengths, for windows in which NaN or -0.0 make the order of comparisons
matter. Passes are found by exact class: a subclass may have its own ideas.
"""

from __future__ import annotations

import operator
from array import array
from collections.abc import Callable
from functools import lru_cache
from math import fsum
from struct import pack
from typing import Any

import numpy as np
from backtrader import functions
from backtrader.indicators import basicops, crossover
from backtrader.linebuffer import LineOwnOperation, LinesOperation, PseudoArray, _LineDelay
from numpy.typing import NDArray

from iverson.engine.exact_sums import rolling_sums

Floats = NDArray[np.float64]
Pass = Callable[[Any, int, int], bool]

_EXACT_INTEGERS = 2**53  # beyond, comparing an int with a float is not comparing two floats


def pass_of(thing: Any) -> Pass | None:
    """Return the pass that does what an object's `once` would do, None when there is none."""
    cls: Any = type(thing)
    return _pass_of(cls)


@lru_cache(maxsize=256)
def _pass_of(cls: Any) -> Pass | None:
    # an alias (MaxN for Highest) is an empty subclass that Backtrader makes itself
    return _PASSES.get(cls) or (_PASSES.get(cls.__base__) if _is_alias(cls) else None)


def _is_alias(cls: Any) -> bool:
    own = vars(cls)
    return bool(own.get("aliased")) and "once" not in own and "oncestart" not in own


def _column(line: Any, start: int, end: int) -> Floats | None:
    """View a part of a line's array, None when it is too short or not an array."""
    source = line.array
    if type(source) is not array or len(source) < end or start < 0:
        return None
    return np.frombuffer(source, dtype=np.float64)[start:end]


def _number(value: Any) -> float | None:
    if isinstance(value, float):
        return float(value)
    if type(value) in (int, bool) and abs(value) <= _EXACT_INTEGERS:
        return float(value)
    return None


def _operand(thing: Any, start: int, end: int) -> Floats | float | None:
    """Return a line's part, or the number that stands for every bar."""
    if isinstance(thing, PseudoArray):
        return _number(thing.wrapped)
    return _column(thing, start, end) if hasattr(thing, "array") else _number(thing)


def _fill(line: Any, start: int, end: int, values: Any) -> bool:
    np.frombuffer(line.array, dtype=np.float64)[start:end] = values
    return True


# -- operations on one or two lines ----------------------------------------------------------------

_OPERATIONS: dict[Any, Any] = {
    operator.__add__: np.add,
    operator.__sub__: np.subtract,
    operator.__mul__: np.multiply,
    operator.__truediv__: np.divide,
    operator.__lt__: np.less,
    operator.__gt__: np.greater,
    operator.__le__: np.less_equal,
    operator.__ge__: np.greater_equal,
    operator.__eq__: np.equal,
    operator.__ne__: np.not_equal,
}
_OWN_OPERATIONS: dict[Any, Any] = {operator.__abs__: np.abs, operator.__neg__: np.negative}


def _operation(thing: Any, start: int, end: int) -> bool:
    ours = _OPERATIONS.get(thing.operation)
    if thing.btime:
        return False
    one, other = _operand(thing.a, start, end), _operand(thing.b, start, end)
    if one is None or other is None:
        return False
    if thing.operation is operator.__pow__:
        return _power(thing, one, other, start, end)
    if ours is None or (ours is np.divide and np.any(np.equal(other, 0.0))):
        return False
    with np.errstate(all="ignore"):
        return _fill(thing, start, end, ours(one, other))


def _power(thing: Any, one: Any, other: Any, start: int, end: int) -> bool:
    if isinstance(one, float) or not isinstance(other, float) or not other.is_integer():
        return False
    exponent = thing.b  # x ** 2 is the C library's pow, which numpy replaces by x * x
    thing.array[start:end] = array("d", [value**exponent for value in one.tolist()])
    return True


def _own_operation(thing: Any, start: int, end: int) -> bool:
    ours, values = _OWN_OPERATIONS.get(thing.operation), _column(thing.a, start, end)
    return ours is not None and values is not None and _fill(thing, start, end, ours(values))


def _delay(thing: Any, start: int, end: int) -> bool:
    if isinstance(thing.a, PseudoArray):
        constant = _number(thing.a.wrapped)
        return constant is not None and _fill(thing, start, end, constant)
    values = _column(thing.a, start + thing.ago, end + thing.ago)
    return values is not None and _fill(thing, start, end, values)


# -- logic -----------------------------------------------------------------------------------------


def _operands(things: Any, start: int, end: int) -> list[Any]:
    """Return all operands, or none at all when one of them is not to be had."""
    found = [_operand(thing, start, end) for thing in things]
    return [] if any(one is None for one in found) else found


def _if(thing: Any, start: int, end: int) -> bool:
    found = _operands((thing.cond, thing.a, thing.b), start, end)
    return bool(found) and _fill(
        thing, start, end, np.where(np.not_equal(found[0], 0.0), found[1], found[2])
    )


def _extreme(better: Any) -> Pass:
    def choose(thing: Any, start: int, end: int) -> bool:
        found = _operands(thing.args, start, end)
        if not found:
            return False
        best = found[0]
        for one in found[1:]:
            best = np.where(better(one, best), one, best)
        return _fill(thing, start, end, best)

    return choose


def _logical(combine: Any, *, least: int) -> Pass:
    def decide(thing: Any, start: int, end: int) -> bool:
        found = _operands(thing.args, start, end)
        if len(found) < least or getattr(thing.flogic, "keywords", None):
            return False
        answer = np.not_equal(found[0], 0.0)
        for one in found[1:]:
            answer = combine(answer, np.not_equal(one, 0.0))
        return _fill(thing, start, end, answer)

    return decide


def _compare(thing: Any, start: int, end: int) -> bool:
    found = _operands((thing.a, thing.b), start, end)
    if not found:
        return False
    one, other = found
    return _fill(thing, start, end, np.greater(one, other) * 1.0 - np.less(one, other))


def _divide_or(thing: Any, start: int, end: int) -> bool:
    one, other = _column(thing.a, start, end), _column(thing.b, start, end)
    zero = _number(thing.zero)
    if one is None or other is None or zero is None:
        return False
    with np.errstate(all="ignore"):
        return _fill(thing, start, end, np.where(other != 0.0, one / other, zero))


def _divide_or_two(thing: Any, start: int, end: int) -> bool:
    one, other = _column(thing.a, start, end), _column(thing.b, start, end)
    single, dual = _number(thing.single), _number(thing.dual)
    if one is None or other is None or single is None or dual is None:
        return False
    with np.errstate(all="ignore"):
        instead = np.where(one == 0.0, dual, single)
        return _fill(thing, start, end, np.where(other == 0.0, instead, one / other))


# -- windows ---------------------------------------------------------------------------------------


def _window_values(thing: Any, start: int, end: int) -> Floats | None:
    """Return the source from the first value of the first window on."""
    period = thing.p.period
    if type(period) is not int or period < 1:
        return None
    return _column(thing.data, start - period + 1, end)


def _sums(thing: Any, start: int, end: int) -> Floats | None:
    values = _window_values(thing, start, end)
    if values is None or not np.isfinite(values).all():
        return None
    return rolling_sums(values, thing.p.period)


def _sum(thing: Any, start: int, end: int) -> bool:
    sums = _sums(thing, start, end)
    return sums is not None and _fill(thing.line, start, end, sums)


def _average(thing: Any, start: int, end: int) -> bool:
    sums = _sums(thing, start, end)
    return sums is not None and _fill(thing.line, start, end, sums / thing.p.period)


def _smoothing(thing: Any, start: int, end: int) -> bool:
    values, period = _window_values(thing, start, end), thing.p.period
    alpha, rest = thing.alpha, thing.alpha1
    if values is None or type(alpha) is not float or type(rest) is not float:
        return False
    if not np.isfinite(values[:period]).all():
        return False
    smooth = fsum(values[:period]) / period
    with np.errstate(all="ignore"):
        parts = array("d", (values[period:] * alpha).tobytes())
    # each depends on the one before: no vector form
    smoothed = [smooth, *[smooth := smooth * rest + part for part in parts]]
    return _fill(thing.line, start, end, np.frombuffer(pack(f"{len(smoothed)}d", *smoothed)))


def _rolling_extreme(best: Any) -> Pass:
    def find(thing: Any, start: int, end: int) -> bool:
        values, period = _window_values(thing, start, end), thing.p.period
        if values is None or np.isnan(values).any() or np.any(np.signbit(values) & (values == 0)):
            return False
        # best of 1, 2, 4, ... values; two overlapping stretches then cover any window
        stretch = 1
        while stretch * 2 <= period:
            values = best(values[:-stretch], values[stretch:])
            stretch *= 2
        if stretch < period:
            values = best(values[: stretch - period], values[period - stretch :])
        return _fill(thing.line, start, end, values)

    return find


def _last_difference(thing: Any, start: int, end: int) -> bool:
    one, other = _column(thing.data0, start, end), _column(thing.data1, start, end)
    if one is None or other is None:
        return False
    with np.errstate(all="ignore"):
        differences = one - other
    counts = differences != 0.0
    counts[0] = True
    at = np.maximum.accumulate(np.where(counts, np.arange(len(counts)), 0))
    return _fill(thing.line, start, end, differences[at])


def _accumulate(thing: Any, start: int, end: int) -> bool:
    values, seed = _column(thing.data, start, end), _number(thing.p.seed)
    if values is None or seed is None:
        return False
    with np.errstate(all="ignore"):
        return _fill(thing.line, start, end, np.add.accumulate(np.r_[seed, values])[1:])


_PASSES: dict[Any, Pass] = {
    LinesOperation: _operation,
    LineOwnOperation: _own_operation,
    _LineDelay: _delay,
    functions.If: _if,
    functions.Max: _extreme(np.greater),
    functions.Min: _extreme(np.less),
    functions.And: _logical(np.logical_and, least=2),
    functions.Or: _logical(np.logical_or, least=2),
    functions.All: _logical(np.logical_and, least=1),
    functions.Any: _logical(np.logical_or, least=1),
    functions.Cmp: _compare,
    functions.DivByZero: _divide_or,
    functions.DivZeroByZero: _divide_or_two,
    basicops.SumN: _sum,
    basicops.Average: _average,
    basicops.ExponentialSmoothing: _smoothing,
    basicops.Highest: _rolling_extreme(np.maximum),
    basicops.Lowest: _rolling_extreme(np.minimum),
    basicops.Accum: _accumulate,
    crossover.NonZeroDifference: _last_difference,
}
