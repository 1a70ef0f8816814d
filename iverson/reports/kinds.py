# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of periodic reports, each imported when it is asked for.

A kind K is made by the function K of the module `iverson.reports.K`. It takes a journal, the name
of a run as `run` and, under the name noted here, the day or the span to report; both may be None.
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
    """A kind: what it tells, in a sentence, and the name of the argument that says when."""

    words: str
    when: str


KINDS = {
    "daily": Periodic(
        "One session: trades, profit, open positions, slippage, denials, incidents.", "session"
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
