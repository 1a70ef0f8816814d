# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report page is made of: sections of words, tables and pictures; and numbers as text.

Everything here is plain text; the template escapes it. Fractions become percents only here.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import PurePosixPath, PureWindowsPath

from iverson.monitoring.measured import Metric

NONE = "n/a"
LABELS = {
    "cagr": "Return a year (CAGR)",
    "max_drawdown": "Maximum drawdown",
    "sharpe": "Sharpe ratio",
    "win_rate": "Win rate",
    "average_holding": "Average holding, sessions",
    "expectancy": "Expectancy, in average losses",
    "exposure": "Sessions with a position",
    "turnover": "Turnover a year",
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a head; the first `left` columns are words, the others numbers.

    `wrap` lets long cells break over several lines; otherwise the table scrolls sideways.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    left: int = 1
    wrap: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """An image as a `data:` address, with the words for who cannot see it."""

    address: str
    words: str
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """One headline number; `tone` is good, bad, weak or plain."""

    label: str
    value: str
    interval: str
    basis: str
    note: str
    tone: str


@dataclass(frozen=True, slots=True)
class Section:
    """A chapter of the page."""

    id: str
    title: str
    words: tuple[str, ...] = ()
    parts: tuple[Table | Picture, ...] = ()
    after: tuple[str, ...] = ()

    @property
    def blocks(self) -> tuple[tuple[str, Table | Picture], ...]:
        """Tables and pictures, each with the name of its kind, for the template."""
        return tuple(("table" if isinstance(p, Table) else "picture", p) for p in self.parts)


def percent(value: float, digits: int = 2) -> str:
    """Write a fraction as a percentage."""
    return NONE if not math.isfinite(value) else minus(f"{value:,.{digits}%}")


def number(value: float, digits: int = 2) -> str:
    """Write a number; infinite and missing ones as words."""
    if math.isnan(value):
        return NONE
    if math.isinf(value):
        return "infinite" if value > 0 else "−infinite"
    return minus(f"{value:,.{digits}f}")


def money(value: float, digits: int = 2) -> str:
    """Write dollars."""
    if not math.isfinite(value):
        return NONE
    text = f"${abs(value):,.{digits}f}"
    return f"−{text}" if value < 0 and text.strip("$0.,") else text


def minus(text: str) -> str:
    """Give negative numbers their sign, and zero none."""
    if text.startswith("-"):
        return "−" + text[1:] if re.search("[1-9]", text) else text[1:]
    return text


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: 1 trade, 2 trades."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def in_unit(value: float, unit: str) -> str:
    """Write a metric's value in its unit."""
    if unit == "fraction":
        return percent(value)
    return money(value) if unit == "dollars" else number(value)


def span(low: float, high: float, unit: str = "ratio") -> str:
    """Write an interval, or nothing where there is none."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"{in_unit(low, unit)} to {in_unit(high, unit)}"


def label(name: str) -> str:
    """Write a metric's name for people."""
    return LABELS.get(name, name.replace("_", " ").capitalize())


def basis(metric: Metric) -> str:
    """Say what a metric rests on."""
    noun = "trade" if metric.name in TRADE_METRICS else "session"
    return plural(metric.observations, noun)


TRADE_METRICS = frozenset(
    ["win_rate", "profit_factor", "average_trade", "expectancy", "payoff_ratio", "average_holding"]
)


def target(metric: Metric) -> str:
    """Write a metric's target."""
    if metric.target is None:
        return ""
    bound = f"{metric.target:g}" if metric.unit == "ratio" else percent(metric.target, 0)
    return f"above {bound}"


def tile(metric: Metric) -> Tile:
    """Make the tile of a headline number."""
    note, tone = metric.note, "plain"
    if not metric.enough:
        tone = "weak"
    elif metric.met is not None:
        tone = "good" if metric.met else "bad"
    if metric.target is not None:
        note = f"{note or 'meets the target'} ({target(metric)})"
    return Tile(
        label=label(metric.name),
        value=in_unit(metric.value, metric.unit),
        interval=span(metric.low, metric.high, metric.unit),
        basis=basis(metric),
        note=note,
        tone=tone,
    )


def without_paths(text: str) -> str:
    """Keep of every absolute path only its last part: a report travels, a folder does not."""
    return "; ".join(_last_part(part) for part in text.split("; "))


def _last_part(text: str) -> str:
    if PurePosixPath(text).is_absolute():
        return PurePosixPath(text).name
    return PureWindowsPath(text).name if PureWindowsPath(text).is_absolute() else text


def without_addresses(text: str) -> str:
    """Take memory addresses out of a repr: they differ from run to run."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
