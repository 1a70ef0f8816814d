# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of periodic reports, each imported when it is asked for.

A kind K is made by the function K of the module `iverson.reports.K`. It takes a journal, the name
of a run as `run` and, under the name noted here, the day or the span to report; both may be None.
What else it can make use of is noted too: a page without it says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from iverson.errors import ConfigError

if TYPE_CHECKING:
    from iverson.monitoring.journal import Journal
    from iverson.reports.page import Page


@dataclass(frozen=True, slots=True)
class Periodic:
    """A kind: what it tells, in a sentence, and the name of the argument that says when.

    `says` explains that argument. `takes` names the further ones: "bars" (by symbol), "ledger" (the
    file of the trials), "expectation" (of a walk-forward).
    """

    words: str
    when: str
    says: str = "Day to report, as 2026-11-27; default the last."
    takes: tuple[str, ...] = ()


KINDS = {
    "daily": Periodic(
        "One session: trades, profit, open positions, slippage, denials, incidents.", "session"
    ),
    "weekly": Periodic(
        "One week: strategies, risk, metrics, what the rules saved or cost, suggestions.",
        "week",
        "Week to report, as 2026-W48 or a day within it; default the last.",
        ("bars", "ledger"),
    ),
    "monthly": Periodic(
        "One month: where the profit came from, drift from the walk-forward, regimes.",
        "month",
        "Month to report, as 2026-11 or a day within it; default the last.",
        ("bars", "expectation"),
    ),
}


def make_page(
    kind: str, journal: Journal, *, run: str | None = None, when: str | None = None, **more: Any
) -> Page:
    """Make the page of a kind; the last run and its last day or span by default.

    Raises
    ------
    ConfigError: no such kind, or a day that cannot be read.
    DataError: no such run, or nothing noted then.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no {kind!r} report; expected one of {', '.join(KINDS)}")
    make: Callable[..., Page] = getattr(import_module(f"iverson.reports.{kind}"), kind)
    return make(journal, run=run, **{KINDS[kind].when: when}, **more)
