# SPDX-License-Identifier: GPL-3.0-or-later
"""Who runs what, in which environment, and within which bounds."""

from __future__ import annotations

from dataclasses import dataclass

MINUTES = 10.0  # for our own engines and for each peer; what is left then is not measured
TIMEOUT_SECONDS = 300.0  # of the wall clock, for one engine doing one work
LONG_SECONDS = 3600.0  # the same with --long, which measures what usually takes too long
REPEATS = 5  # processes for each engine and work, in turns ...
ENOUGH_SECONDS = 20.0  # ... but no further one once they have taken this much CPU

_SMALL = ("W1", "W2", "W3/10", "W4", "W5/10")
_CROSS = ("W1", "W2", "W3/10")
EVERY = (*_CROSS, "W3", "W4", "W5/10", "W5")


@dataclass(frozen=True)
class Engine:
    """One engine: its module in `engines`, its name, what it does, and what it does not, why."""

    module: str
    title: str
    works: tuple[str, ...]
    without: str = ""
    long: tuple[str, ...] = ()


OWN = (
    Engine("iverson", "Iverson", EVERY),
    Engine("reference", "plain Python loop", EVERY),
    Engine("backtrader", "stock Backtrader", _SMALL, "W3 and W5 only with LONG=1", ("W3", "W5")),
)

# By the name for `make bench PEERS=...`, which is that of a file in `requirements`.
PEERS = {
    "vectorbt": Engine("vectorbt", "vectorbt", EVERY),
    "backtesting": Engine(
        "backtesting", "backtesting.py", (*_CROSS, "W4"), "W5: one symbol to an account"
    ),
    "backtrader_next": Engine(
        "backtrader_next", "backtrader_next", _SMALL, "W3 and W5 only with LONG=1", ("W3", "W5")
    ),
    "back-trader-cpp": Engine(
        "back_trader_cpp", "back-trader-cpp", (*_CROSS, "W3", "W4", "W5/10"),
        "the full W5 is left out for its memory, see W4",
    ),
    "nautilus_trader": Engine(
        "nautilus_trader", "nautilus_trader", _CROSS, "brackets and portfolios not written here"
    ),
    "lib-pybroker": Engine("pybroker", "PyBroker", _CROSS, "brackets not written here"),
}  # fmt: skip
