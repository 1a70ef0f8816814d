# SPDX-License-Identifier: GPL-3.0-or-later
"""A glance at a run: how it stands by its journal, and what its broker shows of it right now."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Self

from iverson.config import Settings
from iverson.errors import DataError, IversonError
from iverson.execution.alpaca.venue import Venue
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.monitoring.standing import AtBroker, Standing, standing_of
from iverson.stages.reaching import at_broker, reaching

TRADING = frozenset({Stage.PAPER, Stage.LIVE})  # stages whose time is this machine's


class Glance:
    """Looks again and again through one connection; use it in a `with`.

    Parameters
    ----------
    run: its name; None takes the journal's last.
    by_journal: ask no broker. Without keys, or with another account's, none is asked either, and
        `fault` says so.

    Raises
    ------
    DataError: no journal, no run in it, or not this one.
    """

    def __init__(
        self,
        journal: Path,
        *,
        chosen: Settings,
        clock: Callable[[], datetime],
        run: str | None = None,
        by_journal: bool = False,
    ) -> None:
        self._journal, self._clock = journal, clock
        with Journal(journal, read_only=True) as book:
            runs = book.runs()
        names = list(dict.fromkeys(runs["run"]))
        if not names:
            raise DataError(f"{journal} has no run yet; begin one with `iverson paper`")
        if run is not None and run not in names:
            raise DataError(f"{journal} has no run {run!r}; it has {', '.join(names)}")
        self.run = run or names[-1]
        self._stage = Stage(runs.loc[runs["run"] == self.run, "stage"].iloc[-1])
        self._by_journal = by_journal or self._stage in (Stage.BACKTEST, Stage.WALK_FORWARD)
        self._chosen = chosen
        self._open = ExitStack()
        self._venue: Venue | None = None
        self.fault = ""

    def __enter__(self) -> Self:
        if self._by_journal:
            return self
        try:
            reach = reaching(self._chosen, self._stage, self._clock)
            self._venue = self._open.enter_context(reach())
        except IversonError as error:
            self.fault = f"no broker asked: {error}"
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def look(self) -> tuple[Standing, AtBroker | None]:
        """Return how the run stands now; a broker that does not answer is a `fault`, no error."""
        broker = None
        at = self._clock() if self._stage in TRADING else None
        if self._venue is not None:
            self.fault = ""
            try:
                at = self._venue.clock()
                broker = at_broker(self._venue, at)
            except IversonError as error:
                self.fault = f"the broker does not answer: {error}"
        with Journal(self._journal, read_only=True) as book:
            return standing_of(book, self.run, at=at), broker
