# SPDX-License-Identifier: GPL-3.0-or-later
"""Each headline stands on the first bar that could know it, and is never moved by what follows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import BadBars, ConfigError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.columns import attach
from iverson.market.news import Headline, headline
from iverson.market.news_columns import NAMES, NewsColumns
from iverson.research.news import News
from iverson.testing import bars, noise

# Closes 21:00 UTC (16:00 New York) on four sessions of January 2024, a weekend after the third.
DAYS = bars("100 101 102 103", symbol="ACME", start=datetime(2024, 1, 3).date())  # noqa: DTZ001 (a date)
LATENCY = 60
GOOD, BAD, WORSE, NOTHING = "good", "bad", "worse", "nothing"
SCORES = {GOOD: 0.6, BAD: -0.5, "fine": 0.5, WORSE: -0.9, NOTHING: 0.0}


class Told:
    """A scorer that knows five words."""

    name, version = "told", "1"

    def score(self, headlines: list[str]) -> np.ndarray:
        return np.array([SCORES[one.split()[0]] for one in headlines])


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2024-01-{text}").replace(tzinfo=UTC)


def item(text: str, when: str, **more: object) -> Headline:
    more.setdefault("symbols", ["ACME"])
    more.setdefault("source", "wire")
    return headline(text, published_at=at(when), **more)  # type: ignore[arg-type]  # by keyword


def source(*items: Headline, latency: float = LATENCY) -> NewsColumns:
    news = News(states=items, scorer=Told(), latency_seconds=latency)
    return news.opened(["ACME"], "nowhere")  # type: ignore[arg-type]  # never looked at


def columns(
    *items: Headline, given: Bars = DAYS, latency: float = LATENCY
) -> dict[str, list[float]]:
    made = source(*items, latency=latency).columns(given)
    return {name: values.tolist() for name, values in made.items()}


@pytest.mark.parametrize(
    ("when", "row"),
    [
        ("03T20:30:00", None),  # before the first bar's end there is no bar before
        ("03T21:00:01", 1),
        ("04T02:00:00", 1),
        ("04T20:58:59", 1),
        ("04T20:59:00", 1),  # seen a minute before the close, known at the close
        ("04T20:59:01", 2),
        ("04T21:00:00", 2),  # at the close itself: too late by the latency
        ("05T21:30:00", 3),  # Friday evening counts on Monday
        ("07T12:00:00", 3),  # so does Sunday
        ("08T21:00:01", None),  # after the last bar
    ],
)
def test_headline_stands_on_the_first_bar_that_could_know_it(when: str, row: int | None) -> None:
    expected = [float(n == row) for n in range(len(DAYS))]

    assert expected == columns(item(GOOD, when))["news_count"]


def test_without_latency_the_close_itself_is_in_time() -> None:
    assert columns(item(GOOD, "04T21:00:00"), latency=0)["news_count"] == [0, 1, 0, 0]


def test_item_dated_by_day_stands_on_the_next_session() -> None:
    """It is known at midnight, after the close of its day."""
    assert columns(item(GOOD, "04"))["news_count"] == [0, 0, 1, 0]


def test_strongest_score_counts_and_between_equals_the_bad_one() -> None:
    made = columns(
        item(BAD, "04T15:00:01"), item(GOOD, "04T15:30:01"), item(NOTHING, "05T15:00:01")
    )

    assert [0, SCORES[GOOD], 0, 0] == made["news_score"]
    assert made["news_count"] == [0, 2, 1, 0]


def test_sources_are_counted_that_agree_with_the_score() -> None:
    made = columns(
        item(WORSE, "04T15:00:01"),
        item(f"{BAD} 2", "04T15:10:01", source="desk"),
        item(f"{BAD} 3", "04T15:20:01", source="desk"),
        item(GOOD, "04T15:30:01", source="blog"),
    )

    assert made["news_sources"] == [0, 2, 0, 0]
    assert made["news_count"] == [0, 4, 0, 0]


def test_last_bad_news_is_carried_on_with_its_age_and_the_price_before_it() -> None:
    made = columns(item(BAD, "04T15:00:01"), item(GOOD, "05T15:00:01"))

    assert np.array_equal([np.nan, -0.5, -0.5, -0.5], made["bad_news_score"], equal_nan=True)
    assert np.array_equal([np.nan, 0, 1, 2], made["bad_news_age"], equal_nan=True)
    assert np.array_equal([np.nan, 100, 100, 100], made["bad_news_price"], equal_nan=True)
    assert np.array_equal([np.nan, 1, 1, 1], made["bad_news_sources"], equal_nan=True)


def test_price_before_news_after_the_close_is_that_close() -> None:
    made = columns(item(BAD, "04T22:00:00"))

    assert np.array_equal([np.nan, np.nan, 101, 101], made["bad_news_price"], equal_nan=True)


def test_price_is_in_the_units_of_the_lines() -> None:
    split = replace(DAYS, factor=np.array([1.0, 2.0, 2.0, 2.0]))
    made = columns(item(BAD, "04T22:00:00"), given=split)

    assert made["bad_news_price"][2] == 101 * 2.0


def test_worst_of_several_gives_score_and_price() -> None:
    made = columns(item(BAD, "03T22:00:00"), item(WORSE, "04T22:00:00"), item(BAD, "04T23:00:00"))

    assert np.array_equal([np.nan, -0.5, -0.9, -0.9], made["bad_news_score"], equal_nan=True)
    assert np.array_equal([np.nan, 100, 101, 101], made["bad_news_price"], equal_nan=True)


def test_without_headlines_there_is_nothing_and_nothing_bad() -> None:
    made = columns(item(GOOD, "04T15:00:01", symbols=["IBM"]))

    assert set(NAMES) == set(made)
    assert all(made[name] == [0, 0, 0, 0] for name in NAMES[:3])
    assert all(np.isnan(made[name]).all() for name in NAMES[3:])


def test_edit_in_time_counts_and_a_later_one_does_not() -> None:
    first = item(GOOD, "04T15:00:01", id="a")
    edited = lambda when: replace(first, headline=WORSE, seen_at=at(when), revision=1)

    assert columns(first, edited("04T16:00:00"))["news_score"] == [0, -0.9, 0, 0]
    assert columns(first, edited("04T22:00:00"))["news_score"] == [0, 0.6, 0, 0]
    assert columns(first, edited("04T22:00:00"))["news_count"] == [0, 1, 0, 0]


def test_symbol_named_later_has_the_item_later() -> None:
    first = item(BAD, "04T15:00:01", id="a", symbols=["IBM"])
    both = replace(first, symbols=("ACME", "IBM"), seen_at=at("05T15:00:01"), revision=1)

    assert columns(first, both)["news_count"] == [0, 0, 1, 0]


def test_minute_bars_know_a_headline_at_the_next_bars_end() -> None:
    opens = new_york().open_at(DAYS.session[1].item())
    ends = [opens + timedelta(minutes=n) for n in (1, 2, 3, 4)]
    minutes = replace(
        DAYS,
        interval="1m",
        at=np.array([one.replace(tzinfo=None) for one in ends], dtype="datetime64[ns]"),
        session=np.repeat(DAYS.session[1], 4),
    )
    seen = item(BAD, f"{ends[0] + timedelta(seconds=30):%dT%H:%M:%S}")
    made = columns(seen, given=minutes)

    assert made["news_count"] == [0, 0, 1, 0]  # 14:31:30, and 60 s later
    assert made["bad_news_price"][2] == 100  # the close of 14:31, before it was seen


# -- what was known, and other futures -------------------------------------------------------------

WHEN = st.integers(0, 7 * 24 * 60).map(lambda n: at("02T12:00:01") + timedelta(minutes=n))
STATES = st.lists(
    st.builds(
        lambda text, when, number, edit: replace(
            headline(text, published_at=when, symbols=["ACME"], source="wire", id=str(number)),
            seen_at=when + timedelta(minutes=edit),
        ),
        st.sampled_from(list(SCORES)), WHEN, st.integers(0, 8), st.integers(0, 3000),
    ),
    max_size=10,
)  # fmt: skip


@given(STATES, st.integers(0, len(DAYS) - 1), st.integers(0, 3))
def test_a_row_rests_on_nothing_after_its_bar(states: list[Headline], row: int, seed: int) -> None:
    whole = source(*states)
    when = DAYS.at[row].astype("datetime64[us]").item().replace(tzinfo=UTC)
    expected = whole.columns(DAYS)
    for other in (whole.as_of(when), whole.changed(when, seed)):
        made = other.columns(DAYS)
        for name in NAMES:
            assert np.array_equal(
                expected[name][: row + 1], made[name][: row + 1], equal_nan=True
            ), name


def test_another_future_is_another_one() -> None:
    whole = source(item(GOOD, "03T22:00:00"), item(GOOD, "05T15:00:01"))
    other = whole.changed(at("04T21:00:00"), 0).columns(DAYS)

    assert SCORES[GOOD] == other["news_score"][1]
    assert other["news_score"][2] < 0
    assert other["news_count"][2] > 1


# -- columns of the bars ---------------------------------------------------------------------------


def test_columns_travel_with_the_bars_and_are_part_of_their_digest() -> None:
    told = attach({"ACME": DAYS}, [source(item(BAD, "04T15:00:01"))])["ACME"]

    assert DAYS.digest != told.digest
    assert told.digest != replace(told, extra={**told.extra, "news_score": np.zeros(4)}).digest
    assert told[0:2].extra["news_score"].tolist() == [0, -0.5]
    assert "bad_news_age" in told.frame().columns


def test_column_of_another_length_is_refused() -> None:
    with pytest.raises(BadBars, match="column mood has shape"):
        replace(DAYS, extra={"mood": np.zeros(3)})


@pytest.mark.parametrize(
    ("name", "words"),
    [("close", "no name of a line"), ("my mood", "no name of a line"), ("mood", "there twice")],
)
def test_column_without_a_name_of_its_own_is_refused(name: str, words: str) -> None:
    class Mood:
        words = "mood"

        def columns(self, given: Bars) -> dict[str, np.ndarray]:
            return {name: np.zeros(len(given))}

    with pytest.raises(ConfigError, match=words):
        attach(noise("AAA", seed=1, sessions=5), [Mood(), Mood()])  # type: ignore[list-item]  # only columns
