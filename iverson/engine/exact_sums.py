# SPDX-License-Identifier: GPL-3.0-or-later
"""Rolling sums that equal `math.fsum` of every window, without a loop.

Backtrader's averages use `math.fsum`: the exact sum, rounded once. A running sum of floats is not
that, but a running sum of integers is exact: each value becomes an integer multiple of one power
of two, held in two 64-bit limbs, and a window's sum is a difference of two running sums, rounded
once on the way back.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LIMB = 30  # bits of the low limb
_WIDEST = 82  # bits of a window's sum that two limbs hold so that one rounding is left
_MANTISSA = 53
_STRETCH = 4096  # sums at a time: values near each other in time are near each other in size


def rolling_sums(values: Floats, period: int) -> Floats:
    """Return the sum of each `period` consecutive finite values, correctly rounded."""
    count = max(0, len(values) - period + 1)
    sums = np.empty(count)
    for start in range(0, count, _STRETCH):
        end = min(start + _STRETCH, count)
        stretch = values[start : end + period - 1]
        found = _by_limbs(stretch, period)
        sums[start:end] = _by_window(stretch, period) if found is None else found
    return sums


def _by_window(values: Floats, period: int) -> list[float]:
    listed = values.tolist()
    return [math.fsum(listed[at : at + period]) for at in range(len(listed) - period + 1)]


def _by_limbs(values: Floats, period: int) -> Floats | None:
    """Return the sums, None when values lie too many powers of two apart for two limbs."""
    largest = float(np.abs(values).max())
    if largest == 0.0:
        return np.zeros(len(values) - period + 1)
    width = math.frexp(largest)[1] + period.bit_length()
    shift = _shift(values, room=_WIDEST - width)
    if shift is None:
        return None
    whole = np.ldexp(values, shift)
    high = np.floor(np.ldexp(whole, -_LIMB))
    low = whole - np.ldexp(high, _LIMB)
    # running sums may wrap around; differences of wrapped integers are right all the same
    high_sums = _windows(high, period)
    low_sums = _windows(low, period)
    high_sums += low_sums >> _LIMB
    low_sums &= (1 << _LIMB) - 1
    sums = np.ldexp(high_sums.astype(np.float64), _LIMB) + low_sums
    return np.ldexp(sums, -shift)


def _shift(values: Floats, *, room: int) -> int | None:
    """Return by which power of two to multiply so that every value is an integer."""
    mantissas, exponents = np.frexp(values[values != 0.0])
    shift = _MANTISSA - int(exponents.min())
    if shift > room:  # as wide as mantissas may be; look how wide these are
        integers = np.ldexp(mantissas, _MANTISSA).astype(np.int64)
        trailing = np.frexp((integers & -integers).astype(np.float64))[1] - 1
        shift = _MANTISSA - int((exponents + trailing).min())
    return shift if shift <= room else None


def _windows(limbs: Floats, period: int) -> NDArray[np.int64]:
    running = np.zeros(len(limbs) + 1, dtype=np.int64)
    np.cumsum(limbs.astype(np.int64), out=running[1:])
    return running[period:] - running[:-period]
