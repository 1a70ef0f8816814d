# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of values that a journal holds, and the stamps by which a row of each is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from operator import attrgetter
from typing import Any, Literal, get_args

from iverson.book import Halt
from iverson.model import (
    Answer,
    CashFlow,
    Execution,
    Fill,
    Intent,
    OrderEvent,
    Signal,
    Trade,
    Verdict,
)
from iverson.monitoring.events import Alarm, Command, Drill, Heartbeat, Step
from iverson.monitoring.record import EquityRow, FoldRow, Note, Release, RunRow, TrialRow

Value = (
    RunRow
    | Signal
    | Verdict
    | Intent
    | Answer
    | Execution
    | OrderEvent
    | Fill
    | CashFlow
    | Trade
    | EquityRow
    | Halt
    | Release
    | FoldRow
    | TrialRow
    | Note
    | Alarm
    | Heartbeat
    | Step
    | Command
    | Drill
)
Kind = Literal[
    "run",
    "signal",
    "verdict",
    "intent",
    "answer",
    "execution",
    "order",
    "fill",
    "cash_flow",
    "trade",
    "equity",
    "halt",
    "release",
    "fold",
    "trial",
    "note",
    "alarm",
    "heartbeat",
    "step",
    "command",
    "drill",
]
KINDS: dict[Kind, type[Value]] = dict(zip(get_args(Kind), get_args(Value), strict=True))

Stamps = tuple[datetime | None, date | None, str | None]


def kind_of(value: Value) -> Kind:
    """Name the kind of a value; a TypeError names what may be journaled instead."""
    kind = _KIND_OF.get(type(value))
    if kind is None:
        raise TypeError(
            f"a {type(value).__name__} cannot be journaled; expected one of "
            f"{', '.join(known.__name__ for known in KINDS.values())}"
        )
    return kind


def stamps_of(kind: Kind, value: Value) -> Stamps:
    """Give the instant, the session and the symbol of a value; None for what it has not."""
    return _STAMPS[kind](value)


_KIND_OF: dict[type, Kind] = {row: kind for kind, row in KINDS.items()}
_STAMPS: dict[Kind, Callable[[Any], Stamps]] = {
    "run": lambda row: (row.at, None, None),
    "signal": attrgetter("at", "session", "symbol"),
    "verdict": attrgetter("signal.at", "signal.session", "signal.symbol"),
    "intent": attrgetter("at", "session", "symbol"),
    "answer": attrgetter("at", "session", "symbol"),
    "execution": attrgetter("at", "session", "symbol"),
    "order": attrgetter("at", "session", "symbol"),
    "fill": attrgetter("at", "session", "symbol"),
    "cash_flow": attrgetter("at", "session", "symbol"),
    "trade": attrgetter("exit_at", "exit_session", "symbol"),
    "equity": lambda row: (row.at, row.session, None),
    "halt": lambda row: (row.since, None, None),
    "release": lambda row: (row.at, row.session, None),
    "fold": lambda row: (None, row.out_of_sample_start, None),
    "trial": lambda row: (row.at, row.last, row.strategy),  # found by its strategy's name
    "note": lambda row: (row.at, None, row.symbol),
    "alarm": lambda row: (row.at, None, row.symbol),
    "heartbeat": lambda row: (row.at, None, None),
    "step": lambda row: (row.at, row.session, None),
    "command": lambda row: (row.at, None, None),
    "drill": lambda row: (row.at, None, row.symbol),
}
