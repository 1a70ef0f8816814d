# SPDX-License-Identifier: GPL-3.0-or-later
"""What a session's last bar decides: sent for the next session, or nothing, and in both the same.

An entry is good until the end of the next session unless its strategy gives it minutes. Minutes
after the close nobody trades: what would be over before the next open is never sent, because it
would meet an open that it was not meant for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iverson.book import Halt
from iverson.execution.costs import Costs
from iverson.market import sample
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.synthesis import synthesize
from iverson.model import Answer, Fill, Intent, OrderEvent, Signal, Verdict
from iverson.monitoring.journal import Journal
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.risk.rules import OneSystemPerSymbol
from iverson.simulator.data_settings import DataSwitches
from iverson.simulator.settings import Switches
from iverson.stages.rehearse_stream import rehearse_minutes
from iverson.stages.rehearsed import Rehearsal
from iverson.strategy import Strategy
from iverson.testing import signal

DAYS = [day.item() for day in new_york().between(date(2012, 4, 3), date(2012, 4, 5))]
SEED = 11
TRADED = np.timedelta64(40, "m")  # longer than any entry here waits
ABOVE = 1.02  # the limit of a buy that the next open would fill


class AtTheClose(Strategy):
    """Wants to buy on a session's last bar, or some minutes before, above the market or below."""

    params: Any = dict(minutes_before=0, reach=ABOVE)
    warm_up = 5

    def signals(self) -> Iterator[Signal]:
        """Yield it."""
        now = self.desk.now
        assert now is not None
        if now.at != new_york().close_at(now.session) - timedelta(minutes=self.p.minutes_before):
            return
        limit = round(self.data.close[0] / self.data.factor[0] * self.p.reach, 2)
        yield signal(
            symbol="IBM", at=now.at, session=now.session, limit=limit, stop=round(0.96 * limit, 2),
            target=round(1.10 * limit, 2), max_sessions=0, strategy=type(self).__name__,
        )  # fmt: skip


def bars() -> dict[str, Bars]:
    """Minutes of a symbol that trades near open and close only; what is between decides nothing."""
    daily = sample.load(["IBM"])["IBM"]
    whole = synthesize(daily.between(date(2012, 4, 2), DAYS[-1]), seed=SEED)
    after_open = whole.at - new_york().opens(whole.session)
    before_close = new_york().closes(whole.session) - whole.at
    return {"IBM": whole[np.flatnonzero((after_open <= TRADED) | (before_close < TRADED))]}


def both(tmp_path: Path, **params: Any) -> tuple[Outcome, Rehearsal, list[Any]]:
    setup = Setup(
        AtTheClose, (OneSystemPerSymbol(),), costs=Costs.none(), cash=100_000.0, params=params,
        through_ticks=0, volume_share=1.0,
    )  # fmt: skip
    given = bars()
    backtest = simulate(setup, Prepared.of(given), first=DAYS[0], last=DAYS[-1], at_end="carry")
    rehearsal = rehearse_minutes(
        setup, given, system="closing", first=DAYS[0], last=DAYS[-1],
        journal=tmp_path / "iverson.db", switches=Switches.exact(),
        data=DataSwitches(bar_delay=timedelta(0)),
    )  # fmt: skip
    with Journal(rehearsal.journal, read_only=True) as journal:
        return backtest, rehearsal, journal.values(run=rehearsal.run)


def of(values: list[Any], kind: Any) -> list[Any]:
    return [value for value in values if isinstance(value, kind)]


def told(fills: list[Fill]) -> list[tuple[Any, ...]]:
    return sorted((one.session, one.side, one.leg, one.size, one.price) for one in fills)


def test_entry_for_the_next_session_is_sent_and_fills_at_its_open_in_both(tmp_path: Path) -> None:
    backtest, rehearsal, values = both(tmp_path)

    assert of(values, Verdict) == of(backtest.record.values, Verdict)
    assert [one.signal.session for one in of(values, Verdict)] == DAYS[:-1]
    assert told(of(values, Fill)) == told(backtest.record.fills)
    assert [one.session for one in of(values, Fill) if one.leg == "entry"] == DAYS[1:]
    assert rehearsal.alarms == []


@pytest.mark.parametrize("minutes", [1, 30])
def test_entry_that_would_be_over_before_the_next_open_is_sent_by_neither(
    minutes: int, tmp_path: Path
) -> None:
    backtest, rehearsal, values = both(tmp_path, entry_minutes=minutes)

    assert of(values, Verdict) == of(backtest.record.values, Verdict)
    assert [one.approved for one in of(values, Verdict)] == [True] * len(DAYS[:-1])
    assert of(values, Fill) == backtest.record.fills == []
    assert of(values, Intent) == of(values, Answer) == of(values, Halt) == []
    assert rehearsal.ledger["orders"] == []
    assert rehearsal.alarms == []


def test_entry_whose_minutes_reach_beyond_the_close_is_withdrawn_at_the_close(
    tmp_path: Path,
) -> None:
    """At the venue it is good till canceled, and nobody may be there at the next open."""
    backtest, rehearsal, values = both(tmp_path, entry_minutes=5, minutes_before=2, reach=0.97)

    sent = rehearsal.ledger["orders"]
    entries = [one for one in sent if one["client_order_id"].startswith("iv1-")]
    assert [one["status"] for one in entries] == ["canceled"] * len(DAYS)
    closes = [new_york().close_at(day) for day in DAYS]
    ended = [datetime.fromisoformat(str(one["canceled_at"])) for one in entries]
    assert all(at <= close + timedelta(minutes=1) for at, close in zip(ended, closes, strict=True))
    assert of(values, Fill) == backtest.record.fills == []
    assert {one.status for one in of(values, OrderEvent) if one.leg == "entry"} == {
        "accepted", "expired",
    }  # fmt: skip
