# SPDX-License-Identifier: GPL-3.0-or-later
"""A review: a run of a journal beside the backtest of the bars that it saw.

The backtest gets the history up to the first seen bar, then the bars as they were seen, and trades
over the same sessions with the same cash. So what differs is what trading did, not what a vendor
has corrected since; where it has, and the decision is another one, the cause is "feed".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.feeds import MADE_UP, is_synthetic
from iverson.model import Stage
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import EquityRow, RunRow
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.research.journaling import run_row
from iverson.stages.parity import Parity, compare
from iverson.stages.rehearsed import booked
from iverson.stages.seen import changed, seen_rows, with_seen

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STAGES = (Stage.REHEARSE, Stage.PAPER, Stage.LIVE)


@dataclass(frozen=True)
class Review:
    """A run and its parity. `notes` say what makes the comparison weaker than it looks."""

    run: str
    system: str
    stage: Stage
    first: date
    last: date
    parity: Parity
    notes: tuple[str, ...] = ()
    symbols: tuple[str, ...] = ()

    @property
    def made_up(self) -> bool:
        """Whether the bars were made by a computer."""
        return MADE_UP in self.notes

    def plot(self) -> Figure:
        """Draw both accounts and the dollars between them."""
        from iverson.stages.review_report import equity_chart

        return equity_chart(self)

    def __str__(self) -> str:
        """Say it in a few lines."""
        head = f"{self.run}, {self.first} to {self.last}, beside its backtest"
        return "\n".join([head, str(self.parity), *(f"note: {note}" for note in self.notes)])

    __repr__ = __str__


def review(
    setup: Setup, bars: Mapping[str, Bars], *, journal: Path | str, run: str | None = None
) -> Review:
    """Lay a run beside its backtest.

    Parameters
    ----------
    bars: as the store has them now.
    run: which one; None takes the last of this strategy that sent orders.

    Raises
    ------
    ConfigError: the journal has no such run.
    DataError: the bars that it saw were not kept.
    """
    with Journal(journal, read_only=True) as book:
        row, name = _run(book, setup, run)
        values = booked(book.values(run=name))
    rows = seen_rows(journal, name)
    foreign = sorted(set(rows) - set(bars))
    if foreign:
        raise ConfigError(
            f"the run saw {', '.join(foreign)}, which the system does not have; give the system "
            "that ran"
        )
    replayed = {symbol: with_seen(bars[symbol], rows[symbol]) for symbol in bars if symbol in rows}
    days = sorted(date.fromisoformat(one["session"]) for own in rows.values() for one in own)
    # A symbol whose bars had ended before is seen with its last one, no session of the run.
    marked = [value.session for value in values if isinstance(value, EquityRow)]
    first, last = min(marked, default=days[0]), days[-1]
    # A session more than there are bars of: what is decided on the last bar is decided here too.
    outcome = simulate(
        replace(setup, cash=row.cash),
        Prepared.of(replayed),
        first=first,
        last=new_york().offset(last, 1),
        at_end="carry",
    )
    other = {(symbol, at) for symbol, own in rows.items() for at in changed(bars[symbol], own)}
    marks = {symbol: float(one.close[-1]) for symbol, one in replayed.items()}
    parity = compare(values, outcome.record.values, marks=marks, other_bars=frozenset(other))
    return Review(
        name, row.strategy, row.stage, first, last, parity,
        notes=tuple(_notes(row, setup, replayed, other)), symbols=tuple(replayed),
    )  # fmt: skip


def _run(book: Journal, setup: Setup, run: str | None) -> tuple[RunRow, str]:
    found = [
        (row, str(name))
        for name in book.runs()["run"].unique()
        for row in book.values("run", run=str(name))
        if isinstance(row, RunRow) and run in (None, name) and _is_of(setup, row)
    ]
    if not found:
        which = f"no run {run!r}" if run else "no run"
        raise ConfigError(
            f"{book.path} has {which} of {setup.strategy.__name__} in rehearsal, paper or live; "
            "`iverson journal runs` lists what it has"
        )
    return found[-1]


def _is_of(setup: Setup, row: RunRow) -> bool:
    return row.stage in STAGES and row.strategy == setup.strategy.__name__


def _notes(
    row: RunRow, setup: Setup, bars: Mapping[str, Bars], other: set[tuple[str, datetime]]
) -> Any:
    from iverson.market.source import passport

    if any(is_synthetic(one.feed) for one in bars.values()):
        yield MADE_UP
    now = run_row(setup, passport(bars), row.stage, row.cash, seed=None).parameters
    names = sorted({*now, *row.parameters} - {"feed"})
    differ = [name for name in names if repr(now.get(name)) != repr(row.parameters.get(name))]
    if differ:
        yield f"the system has other settings now than when the run began: {', '.join(differ)}"
    if other:
        yield f"{len(other)} of the seen bars are others in the store now"
