# SPDX-License-Identifier: GPL-3.0-or-later
"""The evening's report: told by itself when the account of a session is noted.

The daily report every session, the weekly digest with the last session of a week, the monthly
review with the last of a month: alerts like any other, each once, with its charts as photos.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from iverson.errors import DataError, IversonError
from iverson.market.calendar import new_york
from iverson.monitoring.alerts import REPORTS, Alert
from iverson.monitoring.journal import Journal
from iverson.monitoring.message import message
from iverson.monitoring.record import EquityRow
from iverson.reports import phone
from iverson.reports.kinds import KINDS, make_page
from iverson.reports.page import Page
from iverson.research.trials import LEDGER


class Evening:
    """Makes the reports of a journal that are due.

    `store` has the bars before the run and, beside them, the trial ledger for the weekly
    suggestions; `expected` is the journal of the walk-forward that the monthly review asks.
    """

    def __init__(self, journal: Path, *, store: Path, expected: Path | None = None) -> None:
        self._journal, self._store, self._expected = journal, store, expected

    def alerts(self, seq: int, run: str, row: EquityRow, *, off: frozenset[str]) -> Iterator[Alert]:
        """Make an alert of each report that is due with the account of a session.

        `off` names the kinds that nobody wants. A report that cannot be made says so in its place.
        """
        for kind in due(row.session):
            if kind in off:
                continue
            try:
                text = phone.render(self._page(kind, run, row.session), photos=False).html
            except (IversonError, ValueError, ArithmeticError, LookupError) as error:
                text = message(
                    "<b>The {kind} of {session} could not be made</b>: {why}",
                    kind=kind, session=str(row.session), why=str(error),
                )  # fmt: skip
            line = message("{kind} of {session}", kind=kind, session=str(row.session))
            key = f"{run}#{seq}#{kind}"
            yield Alert(key, seq, kind, row.at, text, line)

    def photos(self, kind: str, seq: int) -> tuple[phone.Photo, ...]:
        """Draw the charts of a report that was told; none without matplotlib.

        Raises
        ------
        DataError: the row is no account of a session.
        """
        if find_spec("matplotlib") is None:
            return ()
        with Journal(self._journal, read_only=True) as journal:
            found = next(journal.each_of_runs("equity", after=seq - 1), None)
        if found is None or found[0] != seq:
            raise DataError(f"row {seq} of {self._journal} is no account of a session")
        _, run, row = found
        assert isinstance(row, EquityRow)
        return phone.render(self._page(kind, run, row.session)).photos

    def _page(self, kind: str, run: str, session: date) -> Page:
        name, _, _ = kind.partition(" ")
        with Journal(self._journal, read_only=True) as journal:
            more = beside(name, journal, run=run, store=self._store, expected=self._expected)
            return make_page(name, journal, run=run, when=session.isoformat(), **more)


def beside(
    name: str, journal: Journal, *, run: str | None, store: Path, expected: Path | None
) -> dict[str, Any]:
    """Find what a report takes beside the journal: bars, the trial ledger, a walk-forward."""
    from iverson.reports.expectation import read_expectation
    from iverson.stages.report_bars import bars_of_run

    found: dict[str, Any] = {}
    takes = KINDS[name].takes
    if "bars" in takes:
        found["bars"] = bars_of_run(journal, run=run, store=store)
    if "ledger" in takes:
        found["ledger"] = store / LEDGER
    if "expectation" in takes and expected is not None:
        with Journal(expected, read_only=True) as other:
            found["expectation"] = read_expectation(other)
    return found


def evening_text(journal: Path) -> Callable[[str], str]:
    """Return what gives the daily report of a run as Telegram's HTML, or says why there is none."""

    def text(run: str) -> str:
        try:
            with Journal(journal, read_only=True) as book:
                return phone.render(make_page("daily", book, run=run), photos=False).html
        except IversonError as error:
            return message("{why}", why=str(error))

    return text


def due(session: date) -> tuple[str, ...]:
    """Return the kinds of report that a session ends: daily, and where it is the last, more."""
    following = new_york().offset(session, 1)
    daily, weekly, monthly = REPORTS
    return (
        daily,
        *([weekly] if following.isocalendar()[:2] != session.isocalendar()[:2] else []),
        *([monthly] if following.month != session.month else []),
    )
