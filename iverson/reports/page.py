# SPDX-License-Identifier: GPL-3.0-or-later
"""A periodic report as plain values: sections of lines, tables and charts, each with its facts.

Whoever makes a page knows nothing of how it is shown. `phone`, `html`, `terminal` and `json` turn
the same page into what goes to a telephone, a browser, a terminal and a program; they escape, so
everything here is plain text. The same journal gives the same page.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from iverson.market.feeds import MADE_UP_BESIDE, SYNTHETIC
from iverson.monitoring.message import visible
from iverson.research.report_parts import NONE, minus

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["daily", "weekly", "monthly"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a head; the first `words` columns are words and stand left, the others numbers.

    A cell is shown by `cell`: text as it is, so money and percents come written.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]
    words: int = 1

    def written(self) -> tuple[tuple[str, ...], ...]:
        """Return the rows as text."""
        return tuple(tuple(cell(value) for value in row) for row in self.rows)


@dataclass(frozen=True, slots=True)
class Section:
    """One chapter of a page.

    Parameters
    ----------
    lines
        Sentences, shown before the table.
    chart
        Draws the picture when somebody looks at one; called under no style of its own.
    facts
        The same in plain values for programs, dates and None included: units in the names
        (`pnl_usd`, `risk_fraction`), undefined numbers NaN or None.
    on_phone
        Whether the section is shown on the telephone.
    note
        How the numbers are defined, in small print.
    chart_on_phone
        Whether the telephone gets the chart as a photo.
    phone
        What the telephone shows in place of `lines` and the table; None: the lines, and the table
        when it is narrow enough for one.
    """

    title: str
    lines: tuple[str, ...] = ()
    table: Table | None = None
    chart: Callable[[], Figure] | None = None
    facts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    on_phone: bool = True
    note: str = ""
    phone: tuple[str, ...] | None = None
    chart_on_phone: bool = True

    @property
    def id(self) -> str:
        """The title as a name, "open_positions": the section's key in JSON, its anchor in HTML."""
        return re.sub(r"[^a-z0-9]+", "_", self.title.lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Page:
    """A report from `first` to `last`, both inclusive; a daily one has one session.

    `headline` is the one sentence to read when only one is read. `made_up` is what has to be said
    of data that was made up, "" when none was.
    """

    kind: Kind
    title: str
    subtitle: str
    headline: str
    sections: tuple[Section, ...]
    run: str
    first: date
    last: date
    made_up: str = ""

    @property
    def mark(self) -> str:
        """What is written across every picture of data that was made up; "" when none was."""
        beside = self.made_up == MADE_UP_BESIDE
        return f"{SYNTHETIC} {'DATA' if beside else 'BARS'}" if self.made_up else ""


def cell(value: object) -> str:
    """Write one cell of a table: text as it is, numbers with two digits, dates in ISO's order."""
    if value is None or value == "":
        return "" if value == "" else NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return minus(f"{value:,}")
    if isinstance(value, float):
        return minus(f"{value:,.2f}") if math.isfinite(value) else NONE
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return str(value)


def clean(text: str) -> str:
    """Return text as one visible line: what is shown may quote a headline or a venue's words."""
    return visible(text)
