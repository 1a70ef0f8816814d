# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens beside the trading and is journaled too: alarms, signs of life, commands, drills."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from iverson.model import Stage


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person has to see: which rule noticed it, and what it noticed, in words."""

    at: datetime
    rule: str
    reason: str
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A sign of life of whatever trades the run.

    `due` is the instant by which the next one comes when all is well, so that whoever watches
    needs no timetable of its own; None: it has ended as planned, and none is to come.
    """

    at: datetime
    stage: Stage
    due: datetime | None
    doing: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A change of what one trade may risk: the new level and its cap, a fraction of equity."""

    at: datetime
    session: date
    level: int
    cap: float
    reason: str


@dataclass(frozen=True, slots=True)
class Command:
    """What a person asked of the robot from outside, and what became of it, in words.

    `by` is who asked, as "telegram 12345" or "command line".
    """

    at: datetime
    text: str
    by: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Drill:
    """A rehearsed emergency: what was tried, whether it went as it must, and what was seen."""

    at: datetime
    item: str
    passed: bool
    evidence: str
    symbol: str = ""
