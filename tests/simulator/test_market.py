# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import DataError
from iverson.simulator.assets import Asset, stable_id
from iverson.simulator.market import Market
from iverson.simulator.news import Article, known
from tests.simulator.history import daily_bars, joined, minute_bars

FIRST = "2024-11-25"  # Monday; the 28th is Thanksgiving, the 29th closes at 13:00
SESSIONS = [date(2024, 11, 25), date(2024, 11, 26), date(2024, 11, 27), date(2024, 11, 29)]
CLOSES = [100.0, 102.0, 51.0, 52.0]
MORNING = datetime(2024, 11, 25, 14, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def daily() -> Market:
    return Market(
        {
            "BBB": daily_bars("BBB", FIRST, CLOSES, splits={SESSIONS[2]: 2.0}),
            "AAA": daily_bars("AAA", FIRST, [10.0] * 4, dividends={SESSIONS[1]: 0.25}),
        }
    )


@pytest.fixture(scope="module")
def minutes() -> Market:
    return Market(
        {
            "AAA": minute_bars("AAA", FIRST, "08:01", "17:00"),
            "BBB": minute_bars("BBB", FIRST, "09:31", "16:00"),
        }
    )


def test_bars_come_by_end_and_then_by_symbol(daily: Market) -> None:
    everything = daily.bars_between(MORNING, MORNING + timedelta(days=30))

    assert [(bar.session, bar.symbol) for bar in everything] == [
        (session, symbol) for session in SESSIONS for symbol in ("AAA", "BBB")
    ]


def test_the_span_excludes_its_beginning_and_includes_its_end(daily: Market) -> None:
    close = datetime(2024, 11, 25, 21, tzinfo=UTC)

    assert daily.bars_between(close, close + timedelta(hours=1)) == []
    assert len(daily.bars_between(close - timedelta(hours=1), close)) == 2


def test_a_daily_bar_spans_its_session_and_half_days_end_at_one(daily: Market) -> None:
    bar = daily.last("BBB", datetime(2024, 11, 29, 18, tzinfo=UTC))

    assert bar is not None
    assert bar.start == datetime(2024, 11, 29, 14, 30, tzinfo=UTC)
    assert bar.end == datetime(2024, 11, 29, 18, tzinfo=UTC)


@given(st.integers(min_value=-2000, max_value=10 * 24 * 60))
def test_nothing_ends_after_the_instant_asked(offset: int) -> None:
    market = _MINUTES
    at = MORNING + timedelta(minutes=offset)
    seen = market.bars_between(datetime(2000, 1, 1, tzinfo=UTC), at)
    following = market.next_end(at)

    assert all(bar.end <= at for bar in seen)
    assert following is None or following > at
    for symbol in market.symbols:
        own = [bar for bar in seen if bar.symbol == symbol]
        assert market.last(symbol, at) == (own[-1] if own else None)
        assert list(market.bars_of(symbol, datetime(2000, 1, 1, tzinfo=UTC), at)) == own


def test_extended_hours_are_kept_and_every_minute_lasts_one(minutes: Market) -> None:
    own = list(minutes.bars_of("AAA", MORNING - timedelta(days=1), MORNING + timedelta(days=1)))

    assert own[0].start == datetime(2024, 11, 25, 13, 0, tzinfo=UTC)
    assert own[-1].end == datetime(2024, 11, 25, 22, 0, tzinfo=UTC)
    assert {bar.end - bar.start for bar in own} == {timedelta(minutes=1)}


def test_hours_counted_from_the_open_leave_a_short_last_bar() -> None:
    hours = joined(
        minute_bars("AAA", FIRST, "10:30", "15:30", minutes=60),
        minute_bars("AAA", FIRST, "16:00", "16:00", minutes=60),
    )
    market = Market({"AAA": hours})
    own = list(market.bars_of("AAA", MORNING, MORNING + timedelta(days=1)))

    assert own[0].start == MORNING
    assert own[-1].end - own[-1].start == timedelta(minutes=30)


def test_hours_on_the_clock_begin_at_the_open() -> None:
    market = Market({"AAA": minute_bars("AAA", FIRST, "10:00", "16:00", minutes=60)})
    first = market.last("AAA", MORNING + timedelta(minutes=30))

    assert first is not None
    assert first.start == MORNING


def test_splits_and_dividends_fall_on_their_ex_dates(daily: Market) -> None:
    assert daily.splits_on(SESSIONS[2]) == {"BBB": 2.0}
    assert daily.splits_on(SESSIONS[1]) == {}
    assert daily.dividends_on(SESSIONS[1]) == {"AAA": 0.25}
    assert daily.splits("BBB") == {SESSIONS[2]: 2.0}
    assert daily.dividends("BBB") == {}


def test_a_ratio_is_not_blurred_by_the_cumulative_factor() -> None:
    ratios = {SESSIONS[1]: 7.0, SESSIONS[2]: 1 / 3, SESSIONS[3]: 1.5}
    market = Market({"AAA": daily_bars("AAA", FIRST, [9.0] * 4, splits=ratios)})

    assert market.splits("AAA") == ratios


def test_identifiers_depend_on_seed_and_symbol_alone(daily: Market) -> None:
    asset = daily.asset("AAA")

    assert asset is not None
    assert asset.id == stable_id("AAA", seed=0)
    assert asset.id != stable_id("AAA", seed=1)
    assert asset.id != stable_id("BBB", seed=0)


def test_a_given_asset_replaces_the_liquid_default() -> None:
    hard = Asset("AAA", stable_id("AAA"), easy_to_borrow=False)
    other = Asset("ZZZ", stable_id("ZZZ"), tradable=False)
    market = Market({"AAA": daily_bars("AAA", FIRST, CLOSES)}, assets=[hard, other])

    assert market.asset("AAA") == hard
    assert market.asset("ZZZ") == other
    assert market.asset("nobody") is None
    assert market.last("ZZZ", datetime(2025, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("history", "words"),
    [
        ({}, "no interval"),
        ({"AAA": daily_bars("AAA", FIRST, [])}, "no interval"),
        (
            {"AAA": daily_bars("AAA", FIRST, CLOSES), "BBB": minute_bars("BBB", FIRST)},
            "1d, 1m",
        ),
        ({"AAA": daily_bars("BBB", FIRST, CLOSES)}, "the bars of BBB"),
        ({"AAA": minute_bars("AAA", "2024-11-28")}, "2024-11-28, when the exchange was closed"),
        (
            {
                "AAA": daily_bars(
                    "AAA", FIRST, [9.0] * 4, splits={SESSIONS[1]: 3.0}, dividends={SESSIONS[1]: 3.0}
                )
            },
            "dividend of 3 on 2024-11-26, which is not above 0 and below the close of 3 before",
        ),
    ],
)
def test_history_that_cannot_be_replayed_is_refused(history: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Market(history)  # type: ignore[arg-type]  # parametrize loses the type


def test_an_article_is_known_in_its_newest_version_that_was_out() -> None:
    first = Article(1, "Maker recalls", MORNING, MORNING)
    later = Article(1, "Maker recalls all", MORNING, MORNING + timedelta(hours=1))
    other = Article(2, "Rates unchanged", MORNING, MORNING + timedelta(minutes=5))
    market = Market(
        {"AAA": daily_bars("AAA", FIRST, CLOSES)},
        news=[later, other, first],
    )

    assert known(market.news, at=MORNING) == [first]
    assert known(market.news, at=MORNING + timedelta(hours=1)) == [other, later]
    assert market.news_between(MORNING, MORNING + timedelta(hours=1)) == [other, later]
    assert market.next_news(MORNING) == other.updated_at
    assert market.next_news(later.updated_at) is None


def test_an_article_has_instants_in_order() -> None:
    with pytest.raises(DataError, match="before it is created"):
        Article(1, "x", MORNING, MORNING - timedelta(seconds=1))
    with pytest.raises(DataError, match="time zone"):
        Article(1, "x", datetime(2024, 1, 1), MORNING)  # noqa: DTZ001  # the mistake to be refused


_MINUTES = Market(
    {
        "AAA": minute_bars("AAA", FIRST, "08:01", "17:00"),
        "BBB": minute_bars("BBB", FIRST, "09:31", "16:00"),
    }
)
