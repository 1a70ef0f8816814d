# SPDX-License-Identifier: GPL-3.0-or-later
"""The same page for a telephone, a browser, a terminal and a program: quoted, bounded, the same."""

from __future__ import annotations

import json as standard
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from iverson.market.feeds import MADE_UP, MADE_UP_BESIDE
from iverson.reports import html, json, phone, terminal
from iverson.reports.daily import daily
from iverson.reports.page import Page, Section, Table, cell, clean
from tests.reports.week import FRI, HOSTILE, THU, TUE, WED, journal, run_row

ALLOWED = {"b", "i", "code", "pre"}
HIDDEN = re.compile(
    "[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]"
)


class Tags(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        assert not attrs or tag not in ALLOWED

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def pages() -> list[Page]:
    with journal() as opened:
        return [daily(opened, session=day) for day in (TUE, WED, THU, FRI)]


def plain_page(*sections: Section, **changes: str) -> Page:
    made = Page("daily", "T", "S", "H", sections, "r", FRI, FRI)
    return replace(made, **changes)


@pytest.mark.parametrize("number", range(4))
def test_the_telephone_gets_only_our_tags_whatever_is_quoted(number: int) -> None:
    text = phone.text(pages()[number])

    found = Tags(text)
    assert set(found.tags) <= ALLOWED
    assert not found.open
    assert not HIDDEN.search(text)
    assert "evil.com" not in text
    assert "@you" not in text
    assert not re.search(r"(?<![\w<])/kill", text)
    assert phone.length(text) <= phone.TEXT_LIMIT


def test_hostile_words_are_quoted_not_lost() -> None:
    tuesday, wednesday, thursday, _ = pages()

    for page in (tuesday, wednesday):  # the reason of an entry, then of a closed trade
        browser = html.render(page)
        assert "<script" not in browser
        assert "&lt;script&gt;" in browser
        assert not HIDDEN.search(browser)
        assert "\x1b" not in terminal.render(page)
    assert "AAPL +9%" in Tags(phone.text(tuesday)).words.replace("&amp;", "&")
    assert "www[.]evil[.]com" in phone.text(thursday)
    assert (
        HOSTILE
        in standard.loads(json.render(thursday))["sections"]["incidents"]["incidents"][1]["text"]
    )


def test_a_very_long_page_fits_into_one_message_and_says_what_is_missing() -> None:
    long = tuple(f"{number} & " + "x" * 90 for number in range(200))
    page = plain_page(*(Section(f"Part {n}", lines=long) for n in range(6)))

    text = phone.text(page)

    assert phone.length(text) <= phone.TEXT_LIMIT
    assert re.search(r"… and \d+ more", text)
    assert not Tags(text).open


def test_even_one_endless_line_does_not_break_the_message() -> None:
    text = phone.text(plain_page(Section("Part", lines=("<" * 10_000,))))

    assert phone.length(text) <= phone.TEXT_LIMIT
    assert not Tags(text).open


def test_length_is_counted_in_utf_16_after_parsing() -> None:
    assert phone.length("<b>a&amp;\N{ROCKET}</b>") == 4


def test_a_section_of_one_line_stands_beside_its_title() -> None:
    page = plain_page(
        Section("One", lines=("alone",)), Section("Two", lines=("a", "b")),
        Section("Hidden", lines=("c",), on_phone=False),
    )  # fmt: skip

    assert phone.text(page).endswith("<b>One</b>: alone\n\n<b>Two</b>\na\nb")


def test_a_narrow_table_is_set_in_fixed_width_and_a_wide_one_left_out() -> None:
    narrow = Table(("Rule", "N"), (("size", 1),))
    wide = Table(("x" * 50, "N"), (("size", 1),))
    page = plain_page(Section("Narrow", table=narrow), Section("Wide", ("words",), table=wide))

    text = phone.text(page)

    assert "<pre>Rule  N\nsize  1</pre>" in text
    assert text.count("<pre>") == 1


def test_photos_are_the_charts_of_what_is_on_the_phone() -> None:
    found = phone.render(pages()[1])

    # the trades' exits were told with pictures of their own
    assert [photo.caption for photo in found.photos] == ["Week, 2026-03-04: result"]
    assert all(photo.png.startswith(b"\x89PNG") for photo in found.photos)


def test_without_matplotlib_the_words_go_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    page = pages()[1]
    monkeypatch.setattr(phone, "find_spec", lambda name: None)

    assert phone.render(page) == phone.Message(phone.text(page), ())


def test_nothing_is_loaded_from_anywhere() -> None:
    page = html.render(pages()[1])

    for address in re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", page):
        assert address.startswith(("data:", "#")), address
    assert "default-src 'none'" in page
    assert "<link" not in page


def test_the_same_journal_gives_the_same_bytes() -> None:
    first, second = pages()[1], pages()[1]

    assert html.render(first) == html.render(second)
    assert json.render(first) == json.render(second)
    assert terminal.render(first) == terminal.render(second)
    assert phone.render(first) == phone.render(second)


def test_json_keeps_its_schema() -> None:
    found = standard.loads(json.render(pages()[1]))

    assert found["schema"] == 1
    assert set(found) == {
        *("schema", "kind", "run", "first", "last", "title", "headline", "made_up", "sections")
    }
    assert {name: sorted(facts) for name, facts in found["sections"].items()} == {
        "result": sorted([
            *("equity_usd", "cash_usd", "positions_usd", "net_pnl_usd", "return_fraction"),
            *("realised_pnl_usd", "open_pnl_change_usd", "open_pnl_usd", "other_pnl_usd"),
            *("deposits_usd", "net_pnl_to_date_usd", "return_to_date_fraction"),
            *("drawdown_fraction", "max_drawdown_fraction", "won", "closed"),
            *("win_rate_fraction", "win_rate_to_date_fraction", "win_rate_to_date_low_fraction"),
            *("win_rate_to_date_high_fraction", "trades_to_date", "win_rate_enough_data"),
        ]),
        "trades": ["ambiguous", "closed", "opened"],
        "open_positions": ["planned_loss_fraction", "planned_loss_usd", "positions"],
        "entries": sorted([
            *("orders_ended", "filled", "partly", "expired", "canceled", "rejected", "working"),
            *("fill_rate_fraction", "fill_rate_to_date_fraction", "orders_ended_to_date"),
        ]),
        "slippage": sorted([
            *("usd", "bps", "model_usd", "model_bps", "priced_fills", "to_date_usd"),
            *("to_date_bps", "spread_usd", "commission_usd", "fills", "modelled_fills"),
        ]),
        "denied_signals": ["approved", "by_rule", "denied", "signals"],
        "incidents": ["count", "halts_in_force", "incidents"],
        "data": sorted([
            *("feed", "symbols", "last_bar_at", "sessions_to_date", "sessions_missed"),
            *("heartbeats", "notes"),
        ]),
    }  # fmt: skip


def test_undefined_numbers_are_null_and_dates_are_text() -> None:
    facts = {"a": float("nan"), "b": float("inf"), "c": date(2026, 3, 2), "d": (1, 2.5), "e": True}
    found = standard.loads(json.render(plain_page(Section("Some part", facts=facts))))

    assert found["sections"]["some_part"] == {
        "a": None, "b": None, "c": "2026-03-02", "d": [1, 2.5], "e": True,
    }  # fmt: skip


def test_made_up_bars_are_called_so_everywhere() -> None:
    with journal(row=run_row(feed="SYNTHETIC minutes")) as opened:
        page = daily(opened, session=FRI)
    with journal() as opened:
        real = daily(opened, session=FRI)

    assert MADE_UP in terminal.render(page)
    assert MADE_UP in phone.text(page)
    assert "SYNTHETIC: " in html.render(page)
    assert standard.loads(json.render(page))["made_up"] == MADE_UP
    assert page.mark == "SYNTHETIC BARS"
    assert replace(page, made_up=MADE_UP_BESIDE).mark == "SYNTHETIC DATA"
    assert not real.mark
    for marked, plain in zip(phone.render(page).photos, phone.render(real).photos, strict=True):
        assert marked.png != plain.png  # the words are written across the picture


def test_clean_keeps_one_visible_line() -> None:
    assert clean("a\r\n\tb\u2028c \u200bd\x00\u202e") == "a b c d"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "n/a"), (float("nan"), "n/a"), ("", ""), (True, "yes"), (-1234, "−1,234"),
        (-0.001, "0.00"), (1234.567, "1,234.57"), (date(2026, 3, 2), "2026-03-02"),
    ],
)  # fmt: skip
def test_cells_are_written_for_people(value: object, expected: str) -> None:
    assert cell(value) == expected
