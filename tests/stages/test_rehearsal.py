# SPDX-License-Identifier: GPL-3.0-or-later
"""`System.rehearse` and `System.review`: what they take, what they say, what they refuse."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from iverson.errors import ConfigError, DataError
from iverson.market import sample
from iverson.market.feeds import MADE_UP
from iverson.market.synthesis import synthesize
from iverson.monitoring.record import EquityRow
from iverson.simulator.ledger import Cover
from iverson.stages.herald import Herald
from iverson.stages.rehearsed import Rehearsal, open_seconds, share_seconds
from iverson.stages.review_report import render
from iverson.stages.traded import rehearsed_range
from strategies.opening_range import both_sides
from tests.stages.heralding import Remembering, named
from tests.stages.trading_kit import history, system

FIRST, LAST = date(2005, 3, 1), date(2005, 3, 11)
SEED = 3


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rehearsal") / "iverson.db"


@pytest.fixture(scope="module")
def made(journal: Path) -> Any:
    return system(journal.parent)


@pytest.fixture(scope="module")
def rehearsal(made: Any, journal: Path) -> Rehearsal:
    result: Rehearsal = made.rehearse(FIRST, LAST, journal=journal, seed=SEED)
    return result


def test_rehearsal_says_what_journal_and_exchange_have(rehearsal: Rehearsal) -> None:
    told = str(rehearsal)

    assert len(rehearsal.fills) == len(rehearsal.ledger["fills"]) > 0
    assert f"fills        {len(rehearsal.ledger['fills'])} (the exchange has" in told
    assert f"{FIRST} to {LAST}" in told
    assert "at most 1 each" in told
    assert "unprotected  0.0 share-seconds" in told
    assert rehearsal.equity.iloc[-1] == pytest.approx(float(rehearsal.ledger["account"]["equity"]))
    assert set(rehearsal.orders_per_decision.values()) == {1}


def test_review_explains_every_dollar(rehearsal: Rehearsal, made: Any, journal: Path) -> None:
    review = made.review(journal)
    run, backtest = list(review.parity.equity.values())[-1]

    causes = sum(dollars for _, dollars in review.parity.by_cause().values())
    assert review.parity.unexplained == pytest.approx(0.0, abs=0.01)
    assert causes == pytest.approx(run - backtest, abs=0.01)
    assert (review.first, review.last, review.notes) == (FIRST, LAST, ())
    assert review.run == rehearsal.run


def test_corrected_bar_is_the_cause_feed(rehearsal: Rehearsal, made: Any, journal: Path) -> None:
    """The store's bar is another one now; what the run saw still makes the same backtest."""
    bars = history()
    close = bars["IBM"].close.copy()
    low = bars["IBM"].low.copy()
    place = int(bars["IBM"].session.searchsorted(pd.Timestamp(FIRST).to_datetime64()))
    close[place] -= 0.5
    low[place] -= 0.5
    later = replace(made, bars={**bars, "IBM": replace(bars["IBM"], close=close, low=low)})

    review = later.review(journal)

    assert review.notes == ("1 of the seen bars are others in the store now",)
    assert str(review.parity) == str(made.review(journal).parity)


def test_symbol_whose_bars_had_ended_does_not_move_the_start(made: Any, tmp_path: Path) -> None:
    bars = history()
    bars["AAPL"] = bars["AAPL"].between(date.min, date(2005, 2, 1))
    ended = replace(made, bars=bars)

    ended.rehearse(FIRST, date(2005, 3, 3), journal=tmp_path / "j.db")

    review = ended.review(tmp_path / "j.db")
    assert review.first == FIRST
    assert not {"feed", "signal", "risk"} & set(review.parity.by_cause())


def test_other_settings_are_noted(rehearsal: Rehearsal, made: Any, journal: Path) -> None:
    (note,) = made.with_params(oversold=30).review(journal).notes

    assert note == "the system has other settings now than when the run began: oversold"


def test_page_carries_everything_and_is_the_same_twice(
    rehearsal: Rehearsal, made: Any, journal: Path
) -> None:
    review = made.review(journal)
    page = render(review)

    assert page == render(made.review(journal))
    assert "data:image/svg+xml;base64," in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    for cause in review.parity.by_cause():
        assert cause in page
    assert str(journal.parent) not in page


def test_second_rehearsal_in_a_journal_is_a_run_of_its_own(
    rehearsal: Rehearsal, made: Any, journal: Path
) -> None:
    again = made.rehearse(FIRST, date(2005, 3, 2), journal=journal, seed=SEED)

    assert again.run == f"{rehearsal.run}-2"
    assert len(again.of(EquityRow)) == 2


def test_minutes_are_rehearsed_and_reviewed_too(tmp_path: Path) -> None:
    """One session of made-up minutes; without a journal it is kept as long as the result."""
    daily = sample.load(["IBM"])["IBM"].between(date(2012, 10, 1), date(2012, 12, 28))
    minutes = {"IBM": synthesize(daily, seed=1)}
    made = replace(both_sides, symbols=["IBM"], bars=minutes, params=dict(volume=0.1))

    channel = Remembering()
    result = made.rehearse(
        "2012-12-28", herald=lambda file, clock: Herald(file, channel=channel, clock=clock)
    )

    assert result.sessions == 1
    assert len(named(channel.took, " left by ")) == len(result.trades) > 0
    assert channel.closed
    assert result.journal.exists()
    review = made.review(result.journal)
    assert review.parity.decisions > 0
    assert MADE_UP in str(result)
    assert MADE_UP in str(review)
    assert not {"feed", "signal", "risk"} & set(review.parity.by_cause())
    assert review.parity.unexplained == pytest.approx(0.0, abs=0.01)


def test_unknown_scenario_and_empty_range_are_one_sentence(made: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no scenario 'outages'"):
        made.rehearse("2005-03", scenario="outages", journal=tmp_path / "a.db")
    with pytest.raises(ConfigError, match="no bars between"):
        made.rehearse("2030", journal=tmp_path / "a.db")
    assert not (tmp_path / "a.db").exists()


def test_review_without_a_run_or_without_its_bars_is_one_sentence(
    made: Any, journal: Path, rehearsal: Rehearsal, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="has no run 'paper-X' of RsiReversion"):
        made.review(journal, run="paper-X")
    copy = tmp_path / "copy.db"
    copy.write_bytes(journal.read_bytes())
    with pytest.raises(DataError, match="parity needs the file"):
        made.review(copy, run=rehearsal.run)


def test_range_is_that_of_the_start_or_the_last_month() -> None:
    bars = history()

    assert rehearsed_range(bars, "2005-03", None, sessions=1) == (FIRST, date(2005, 3, 31))
    assert rehearsed_range(bars, FIRST, None, sessions=1) == (FIRST, FIRST)
    assert rehearsed_range(bars, None, None, sessions=2) == (date(2005, 6, 29), date(2005, 6, 30))


def test_share_seconds_count_regular_hours_only() -> None:
    """Ten bare shares from ten minutes before a close to five minutes after the next open."""
    close = datetime(2024, 1, 2, 21, tzinfo=UTC)
    opened = datetime(2024, 1, 3, 14, 30, tzinfo=UTC)
    start, end = close.replace(hour=20, minute=50), opened.replace(minute=35)
    ten, none = Decimal(10), Decimal(0)

    assert open_seconds(start, end) == 15 * 60
    covers = [
        Cover(start, "a", "IBM", ten, none),
        Cover(end, "a", "IBM", ten, ten),
        Cover(start, "a", "AAPL", none, none),
    ]
    assert share_seconds(covers, end.replace(hour=20)) == 10 * 15 * 60


@pytest.mark.parametrize("stream", [False, True], ids=["wakes", "stream"])
def test_process_that_finds_no_venue_is_told_and_a_later_one_trades(
    made: Any, *, stream: bool
) -> None:
    rehearsal = made.rehearse("2005-03-01", "2005-03-09", scenario="maintenance", stream=stream)

    assert {rule for _, rule, _ in rehearsal.alarms} == {"run"}
    (words, *_) = [words for _, _, words in rehearsal.alarms]
    assert "it does not trade now: Alpaca gave no usable answer to GET /account" in words
    assert rehearsal.ledger["fills"]
