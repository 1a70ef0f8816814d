# SPDX-License-Identifier: GPL-3.0-or-later
"""What a strategy did wrong, in one sentence: errors it raised, signals nobody can trade.

In paper and live trading a faulty signal is denied, journaled and an alert. In research it ends
the run, because a result that silently left signals out would be a result of something else.
"""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import backtrader as bt

from iverson.errors import ConfigError, IversonError
from iverson.market.bars import Bars
from iverson.monitoring.record import Record

if TYPE_CHECKING:
    from iverson.strategy import Strategy

OURS = str(Path(__file__).parents[1])
BACKTRADER = str(Path(bt.__file__).parent)
NOBODYS = ("<frozen", *{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})
HINTS = {
    ZeroDivisionError: "use bt.DivByZero(a, b, zero=...) for lines that can be 0",
    AttributeError: "lines beside the prices are named first, as reads = ('news_score',)",
    IndexError: "entry() gets lines, not numbers: compare them with bt.If and bt.And, not with [0]",
}


@contextmanager
def blamed(strategy: type, params: Mapping[str, Any]) -> Iterator[None]:
    """Turn an error raised by a strategy, or by its lines, into a `ConfigError` that names it.

    Errors of Iverson's own pass as they are, faults of its own code too.
    """
    try:
        yield
    except IversonError:
        raise
    except Exception as error:
        where = place_of(error)
        in_lines = traceback.extract_tb(error.__traceback__)[-1].filename.startswith(BACKTRADER)
        if not where and not in_lines:
            raise
        at = f"at {where}" if where else "while its lines were computed"
        hint = next((f"; {text}" for kind, text in HINTS.items() if isinstance(error, kind)), "")
        if isinstance(error, AttributeError) and "'Lines_" not in str(error):
            hint = ""  # not of a line
        raise ConfigError(
            f"{named(strategy, params)} failed {at}: {type(error).__name__}: {error}; "
            f"mend the strategy{hint}"
        ) from error


def refuse_absent_columns(strategy: type[Strategy], bars: Mapping[str, Bars]) -> None:
    """Raise `ConfigError` when the bars lack a column that a strategy reads."""
    if not strategy.reads:
        return
    from iverson.research.several import uses_of

    for symbol, use in product(bars, uses_of(strategy)):
        if use.symbols and symbol not in use.symbols:
            continue
        absent = [name for name in use.strategy.reads if name not in bars[symbol].extra]
        if absent:
            raise ConfigError(
                f"{use.name} reads {', '.join(absent)}, which the bars of {symbol} do not "
                "have; give the system what makes them, as iv.System(..., columns=[iv.News()])"
            )


def place_of(error: BaseException) -> str:
    """Return file:line of the innermost frame that is the user's; "" when there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((OURS, BACKTRADER, *NOBODYS)):
            return f"{Path(frame.filename).name}:{frame.lineno}"
    return ""


def refuse_faults(record: Record, strategy: type, params: Mapping[str, Any]) -> None:
    """Raise for the first signal that the gate found faulty, or could not judge.

    Raises
    ------
    ConfigError: with the strategy, symbol, session and what was wrong.
    """
    for verdict in record.verdicts:
        if not verdict.alert or verdict.rule == "equity":
            continue  # an account that is lost is a result, not a fault
        signal = verdict.signal
        about = f"{named(strategy, params)}, {signal.symbol} on {signal.session}"
        if verdict.rule != "signal":
            raise ConfigError(f"{about}: {verdict.rule}: {verdict.reason}; mend the rule")
        if signal.reason == "plain order":
            raise ConfigError(
                f"{about}: an order without a usable stop ({verdict.reason}); send it as a bracket "
                "with a stop, or yield a Signal"
            )
        raise ConfigError(
            f"{about}: {verdict.reason}; mend {_source(strategy, signal.strategy)}, or give such "
            "bars confidence 0"
        )


def named(strategy: type, params: Mapping[str, Any]) -> str:
    """Name a strategy with the parameters it was given."""
    given = ", ".join(f"{name}={value!r}" for name, value in params.items() if name != "desk")
    return f"{strategy.__name__}({given})"


def _source(strategy: type, name: str) -> str:
    from iverson.research.several import uses_of
    from iverson.strategy import Strategy

    if not issubclass(strategy, Strategy):
        return "signals()"
    uses = uses_of(strategy)
    used = next((use.strategy for use in uses if use.name == name), strategy)
    verb = "entry()" if used.signals is Strategy.signals else "signals()"
    return f"{verb} of {name}" if len(uses) > 1 else verb
