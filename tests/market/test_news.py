# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of headlines answers with what was known, and never forgets or changes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import ConfigError, DataError
from iverson.market.news import Headline, end_of_day, headline
from iverson.market.news_store import HEADER, Added, NewsStore

NOON = datetime(2024, 1, 3, 17, 0, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def item(text: str = "Acme beats estimates", *, at: datetime = NOON, **more: object) -> Headline:
    more.setdefault("source", "wire")
    more.setdefault("symbols", ["ACME"])
    return headline(text, published_at=at, **more)  # type: ignore[arg-type]  # by keyword


@pytest.fixture
def store(tmp_path: Path) -> NewsStore:
    return NewsStore(tmp_path / "news")


# When a headline is known


def test_vendors_stamp_is_when_an_item_is_known() -> None:
    made = item()

    assert (made.seen_at, made.published_at, made.observed) == (NOON, NOON, False)


def test_edited_item_of_the_past_is_known_from_its_edit_on() -> None:
    """The vendor has the edited text only, so nobody can say what it was before."""
    assert item(updated_at=NOON + HOUR).seen_at == NOON + HOUR


def test_own_clock_goes_before_the_vendors_stamp() -> None:
    seen = NOON + 5 * HOUR

    assert seen == item(seen_at=seen, observed=True).seen_at


@pytest.mark.parametrize(
    "stamp",
    [
        date(2024, 7, 3),
        datetime(2024, 7, 3, tzinfo=UTC),
        datetime(2024, 7, 3, 4, tzinfo=UTC),
        datetime(2024, 7, 3, tzinfo=timezone(timedelta(hours=-4))),
    ],
    ids=["date", "midnight UTC", "midnight New York in UTC", "midnight with an offset"],
)
def test_item_dated_by_day_is_known_at_the_end_of_that_day(stamp: datetime | date) -> None:
    assert datetime(2024, 7, 4, 4, tzinfo=UTC) == headline("Acme", published_at=stamp).seen_at


def test_end_of_day_follows_summer_time() -> None:
    assert datetime(2024, 1, 4, 5, tzinfo=UTC) == end_of_day(date(2024, 1, 3))


def test_instant_without_a_zone_is_refused() -> None:
    with pytest.raises(ConfigError, match="has no time zone"):
        headline("Acme", published_at=datetime(2024, 1, 3, 12))  # noqa: DTZ001 (what is refused)


def test_symbols_are_in_upper_case_once_and_sorted() -> None:
    assert item(symbols=["ibm", " ACME", "IBM", ""]).symbols == ("ACME", "IBM")


# What the store keeps


def test_what_was_added_is_read_back(store: NewsStore) -> None:
    one = item(summary="Good.", id="7", seen_at=NOON + HOUR, observed=True)

    assert Added(1, 0, 0) == store.add([one])
    assert [one] == NewsStore(store.folder).states()


def test_repeat_is_left_out(store: NewsStore) -> None:
    store.add([item()])

    assert Added(0, 0, 1) == store.add([item()])
    assert Added(0, 0, 1) == store.add([replace(item(), id="other id")])
    assert len(store) == 1


def test_edit_is_a_revision_that_never_changes_the_past(store: NewsStore) -> None:
    first = item(id="7")
    store.add([first])
    edited = item("Acme misses estimates", id="7", updated_at=NOON + 2 * HOUR)

    assert Added(0, 1, 0) == store.add([edited])
    assert [first] == store.as_of(NOON + HOUR)
    (now,) = store.as_of(NOON + 2 * HOUR)
    assert (
        now.headline, now.revision, now.seen_at,
    ) == ("Acme misses estimates", 1, NOON + 2 * HOUR)  # fmt: skip


def test_older_state_that_comes_in_later_changes_nothing(store: NewsStore) -> None:
    store.add([item("Acme misses estimates", id="7", updated_at=NOON + HOUR)])

    assert Added(0, 0, 1) == store.add([item("Acme beats estimates", id="7")])


def test_nothing_is_known_before_it_was_seen(store: NewsStore) -> None:
    store.add([item()])

    assert store.as_of(NOON - timedelta(microseconds=1)) == []
    assert len(store.as_of(NOON)) == 1


def test_one_headline_under_several_symbols_is_one_item(store: NewsStore) -> None:
    assert Added(1, 0, 1) == store.add([item(symbols=["ACME"]), item(symbols=["IBM"])])
    (one,) = store.states()
    assert one.symbols == ("ACME", "IBM")


def test_symbol_that_is_named_later_is_known_later(store: NewsStore) -> None:
    store.add([item(symbols=["ACME"])])
    store.add([item(at=NOON + HOUR, symbols=["IBM"])])

    assert [one.symbols for one in store.as_of(NOON)] == [("ACME",)]
    assert [one.symbols for one in store.as_of(NOON + HOUR)] == [("ACME", "IBM")]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (item(at=NOON + 23 * HOUR, id="b"), True),
        (item(at=NOON + 25 * HOUR, id="b"), False),
        (item(id="b", source="another"), False),
        (item("ACME BEATS ESTIMATES!", id="b"), True),
    ],
    ids=["within a day", "a day later", "another source", "other marks"],
)
def test_same_words_of_a_source_within_a_day_are_one_item(
    store: NewsStore, other: Headline, same: bool
) -> None:
    store.add([item(id="a"), other])

    assert len(store) == (1 if same else 2)


def test_item_without_symbols_is_kept(store: NewsStore) -> None:
    store.add([item(symbols=[])])

    assert [one.symbols for one in store.states()] == [()]


# The file


def test_last_line_that_was_cut_off_is_dropped_and_written_over(store: NewsStore) -> None:
    store.add([item(id="a")])
    whole = store.path.read_bytes()
    store.path.write_bytes(whole + b'{"id":"b","revi')

    again = NewsStore(store.folder)
    assert [one.id for one in again.states()] == ["a"]
    again.add([item("Acme cuts outlook", id="b")])
    assert [one.id for one in NewsStore(store.folder).states()] == ["a", "b"]


@pytest.mark.parametrize("kept", [0, 5, len(HEADER) - 1])
def test_header_that_was_cut_off_is_an_empty_store(store: NewsStore, kept: int) -> None:
    store.folder.mkdir()
    store.path.write_bytes(HEADER[:kept])

    assert len(store) == 0
    store.add([item()])
    assert len(NewsStore(store.folder)) == 1


def _edit(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b"beats", b"beast"), *lines[2:]]


def _remove(lines: list[bytes]) -> list[bytes]:
    return [lines[0], *lines[2:]]


def _swap(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[2], lines[1]]


@pytest.mark.parametrize("damage", [_edit, _remove, _swap])
def test_line_that_was_changed_removed_or_moved_is_found(
    store: NewsStore, damage: Callable[[list[bytes]], list[bytes]]
) -> None:
    store.add([item(id="a"), item("Acme cuts outlook", id="b")])
    store.path.write_bytes(b"".join(damage(store.path.read_bytes().splitlines(keepends=True))))

    with pytest.raises(DataError, match=r"line 2 of .* was changed, or one before it was taken"):
        NewsStore(store.folder).states()


def test_file_of_another_kind_is_refused_and_left_alone(store: NewsStore) -> None:
    store.folder.mkdir()
    store.path.write_text("something else\n", encoding="utf-8")

    with pytest.raises(DataError, match="holds no headlines of Iverson's"):
        store.add([item()])
    assert store.path.read_text(encoding="utf-8") == "something else\n"


def test_two_programs_that_write_do_not_tear_the_file(store: NewsStore) -> None:
    other = NewsStore(store.folder)
    store.add([item(id="a")])
    assert [one.id for one in other.states()] == ["a"]
    store.add([item("Acme cuts outlook", id="b")])

    with pytest.raises(DataError, match="another program wrote"):
        other.add([item("Acme wins order", id="c")])
    assert [one.id for one in other.states()] == ["a", "b"]
    other.add([item("Acme wins order", id="c")])
    assert [one.id for one in NewsStore(store.folder).states()] == ["a", "b", "c"]


def test_every_line_is_json_with_a_digest(store: NewsStore) -> None:
    store.add([item("Café “Acme”", id="a")])
    row = json.loads(store.path.read_text(encoding="utf-8").splitlines()[1])

    assert ("Café “Acme”", store.digest) == (row["headline"], row["sum"])


TEXTS = st.sampled_from(["Acme beats", "Acme misses", "Acme cuts", "Acme wins"])
ITEMS = st.lists(
    st.builds(
        lambda text, minutes, edit, number, symbol: item(
            text,
            at=NOON + timedelta(minutes=minutes),
            updated_at=NOON + timedelta(minutes=minutes + edit),
            id=str(number),
            symbols=[symbol],
        ),
        TEXTS, st.integers(0, 5000), st.integers(0, 60), st.integers(1, 6), st.sampled_from("AB"),
    ),
    max_size=12,
)  # fmt: skip


@given(st.lists(ITEMS, max_size=4), st.integers(0, 5100))
def test_what_was_known_stays_what_it_was(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Headline]], minutes: int
) -> None:
    """Items that come in later, known later, change no answer about before."""
    store = NewsStore(tmp_path_factory.mktemp("news"))
    at = NOON + timedelta(minutes=minutes)
    for batch in batches:
        store.add([one for one in batch if one.seen_at <= at])
    before = store.as_of(at)
    for batch in batches:
        store.add([one for one in batch if one.seen_at > at])

    assert before == store.as_of(at)
    assert store.states() == NewsStore(store.folder).states()
    assert all(one.seen_at <= at for one in before)
