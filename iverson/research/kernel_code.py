# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel as machine code: compiled by numba on first use, kept on disk.

numba is looked for here and nowhere else; without it nothing of the sweep is used.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from iverson.execution import corporate_actions, costs, fills, ticks
from iverson.research import kernel, kernel_broker, kernel_fills, kernel_signals, kernel_state
from iverson.risk import rules, sizing

_SOURCES = (
    ticks, fills, costs, corporate_actions, rules, sizing,
    kernel, kernel_broker, kernel_fills, kernel_signals, kernel_state,
)  # fmt: skip


# Handing an account over to a function takes as long as most of them do. Inlined, what is called on
# most bars makes a run four times as fast, and the compiler needs an eighth longer.
_INLINED = (
    kernel.halts, kernel.expire_positions, kernel.review, kernel.sized, kernel.exposure,
    kernel.place,
    kernel_broker.broker_step, kernel_broker.expire, kernel_broker.leave_gone,
    kernel_broker.corporate_actions, kernel_broker.match, kernel_broker.legs_at_open,
    kernel_broker.legs_inside, kernel_broker.entry_at_open,
    kernel_fills.enter, kernel_fills.buying_power,
)  # fmt: skip
_CALLED = (
    ticks.tick_size, ticks.round_down, ticks.round_up,
    fills.limit_at_open, fills.limit_inside, fills.stop_at_open, fills.stop_inside,
    fills.high_first, fills.exit_path,
    costs.half_spread, costs.commission, corporate_actions.whole,
    rules.exceeds, rules.total_risk, rules.has_fallen, rules.allowed_loss, sizing.shares,
    kernel.highest, kernel.correlated, kernel.add,
    kernel_signals.put_on_grid, kernel_signals.is_faulty,
    kernel_broker.withdraw_entries, kernel_broker.close_all, kernel_broker.convert,
    kernel_broker.entry_inside, kernel_broker.fitting, kernel_broker.through,
    kernel_fills.leave, kernel_fills.leave_at_limit, kernel_fills.worse,
    kernel_fills.settle, kernel_fills.fee_of, kernel_fills.closed_pnl,
    kernel_fills.touch, kernel_fills.join, kernel_fills.drop_finished, kernel_fills.remove,
)  # fmt: skip


@lru_cache(maxsize=1)
def compiled() -> Any:
    """Return `run` as machine code; made once, then kept on disk until a source file changes.

    Raises
    ------
    ImportError: numba is not installed.
    """
    return _machine_code(kernel.run)


@lru_cache(maxsize=1)
def compiled_gather() -> Any:
    """Return `gather` as machine code."""
    return _machine_code(kernel_signals.gather)


def _machine_code(function: Any) -> Any:
    numba = import_module("numba")
    register = import_module("numba.extending").register_jitable
    for parts, inlined in ((_CALLED, False), (_INLINED, True)):  # unsaid, it is the caller's
        for part in parts:
            register(_nrt=False, forceinline=inlined)(part)
    made = numba.njit(function, nogil=True, _nrt=False)
    _keep(made)
    return made


def _keep(made: Any) -> None:
    """Let numba keep the machine code on disk; stale when any file that goes into it has changed.

    Numba itself looks at the file of `run` alone. Where its cache has no place or another shape,
    nothing is kept: exact, and some seconds slower in each process.
    """
    files = (__file__, *(str(module.__file__) for module in _SOURCES))
    digest = hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()
    try:
        made.enable_caching()
        index = made._cache._cache_file  # noqa: SLF001 (numba)
        index._source_stamp = (*index._source_stamp, digest)  # noqa: SLF001 (numba)
    except (AttributeError, TypeError, RuntimeError, OSError):
        made._cache = import_module("numba.core.caching").NullCache()  # noqa: SLF001 (numba)
