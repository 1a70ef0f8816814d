# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PLR0917 (numba takes no keyword-only arguments)
"""From an entry's lines to its signals, as the spine and the desk bring them to the gate.

Written as plain Python; `kernel_code` makes machine code of it on first use.
"""

from __future__ import annotations

import math

from iverson.execution.ticks import round_down, round_up
from iverson.research.kernel_state import Flags, Floats, Ints, Record, Records

FAULTY = -1


def gather(
    confidence: Floats, limit: Floats, stop: Floats, target: Floats, factor: Floats,
    steps: Ints, heard: Flags, symbol: int, direction: int, signals: Records,
) -> int:  # fmt: skip
    """Write what one entry of one symbol signals, by bar; return how many, or `FAULTY`.

    The lines, the step of each bar, and where the spine listens: (bars,). No `target`, shape (0,):
    none, which is NaN in `signals`. Without a fault before and one after the prices are on the grid
    (`bracket.on_grid`) a signal is denied, as by `Desk.review`, and left out.
    """
    count = 0
    for bar in range(len(confidence)):
        given = confidence[bar]
        if given == 0.0 or math.isnan(given) or not heard[bar]:
            continue
        if not (1.0 <= given <= 5.0 and given == math.floor(given)):
            return FAULTY
        signal = signals[count]
        signal.step, signal.symbol, signal.direction = steps[bar], symbol, direction
        signal.confidence = int(given)
        signal.limit, signal.stop = limit[bar] / factor[bar], stop[bar] / factor[bar]
        signal.target = math.nan
        if len(target):
            signal.target = target[bar] / factor[bar]
            if not signal.target > 0.0:
                return FAULTY
        if is_faulty(signal):
            return FAULTY
        put_on_grid(signal)
        if not is_faulty(signal):
            count += 1
    return count


def put_on_grid(signal: Record) -> None:
    """Round prices as `bracket.on_grid`: the limit the way that pays less, the others inwards."""
    if signal.direction > 0:
        signal.limit, signal.stop = round_down(signal.limit), round_up(signal.stop)
        if not math.isnan(signal.target):
            signal.target = round_up(signal.target)
    else:
        signal.limit, signal.stop = round_up(signal.limit), round_down(signal.stop)
        if not math.isnan(signal.target):
            signal.target = round_down(signal.target)


def is_faulty(signal: Record) -> bool:
    """Whether prices make a signal that the gate refuses: `Signal.fault`; a NaN target is none."""
    side, limit, stop, target = signal.direction, signal.limit, signal.stop, signal.target
    if not (0 < limit < math.inf and 0 < stop < math.inf) or math.isinf(target):
        return True
    if (limit - stop) * side <= 0:
        return True
    wrong: bool = not math.isnan(target) and (target <= 0 or (target - limit) * side <= 0)
    return wrong
