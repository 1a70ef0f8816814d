# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages: whatever a value contains, the tags are the template's; cuts are whole messages."""

from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as some

from iverson.monitoring.message import INVISIBLE, VALUE_LIMIT, length, message, plain, shown, split
from tests.monitoring.bot_api import parse

TEMPLATE = "<b>{symbol}</b> left by {reason}\n<i>{news}</i>"
TAGS = ("b", "/b", "i", "/i")
NASTY = some.one_of(
    some.text(),
    some.lists(
        some.sampled_from(
            [
                "<b>", "</b>", "</i>", "<a href='http://evil.com'>", "&", "&lt;", "&#60;", "{news}",
                "{0.__class__}", "%s", "https://evil.com/x?y=1", "evil.com", "t.me/joinchat", " ",
                "tg://resolve?domain=x", "@everyone", "/kill", "10.0.0.1", "\u202e", "\u200b", "\n",
                "\x00", "＜b＞", "ｅvil．com", "a.b", "mail@evil.org", "\ud800", "%2e", "。com",
            ]
        )
    ).map("".join),
)  # fmt: skip


@given(NASTY, NASTY, NASTY)
def test_tags_of_a_message_are_those_of_its_template(symbol: str, reason: str, news: str) -> None:
    made = message(TEMPLATE, symbol=symbol, reason=reason, news=news)

    text, tags, links = parse(made)
    assert tags == TAGS
    assert links == ()
    assert text.count("\n") == TEMPLATE.count("\n")
    assert plain(made) == text
    made.encode()


@given(NASTY)
def test_value_is_one_short_visible_line(value: str) -> None:
    told = shown(value)

    assert len(told) <= VALUE_LIMIT
    assert not INVISIBLE & set(told)
    assert all(letter.isprintable() for letter in told)


@pytest.mark.parametrize("value", ["AAPL", "BRK.B", "$1,234.50", "-0.5 R", "rsi(2) = 4.7 < 10", 3])
def test_what_is_harmless_is_shown_as_it_is(value: object) -> None:
    assert plain(message("{value}", value=value)) == str(value)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("see https://evil.com", "see https[:]// evil[.]com"),
        ("@bob", "(at)bob"),
        ("/kill now", "/ kill now"),
        ("10.0.0.1", "10[.]0[.]0[.]1"),
        ("evil.\u200bcom", "evil[.]com"),
        ("two\nlines\t\x1b[31m", "two lines [31m"),
        ("a\u202eb", "ab"),
    ],
)
def test_nothing_can_be_tapped_or_hidden(value: str, told: str) -> None:
    assert shown(value) == told


@given(
    some.lists(
        some.sampled_from(
            ["<b>", "</b>", "<i>", "</i>", "word ", "&amp;", "\n", "🔵", "&lt;x&gt; ", "längeres"]
        ),
        max_size=200,
    ),
    some.integers(5, 40),
    some.integers(3, 60),
)
def test_pieces_are_whole_messages_that_say_all(parts: list[str], limit: int, first: int) -> None:
    whole = _closed(parts)

    pieces = split(whole, limit, first=first)

    assert all(length(one) <= (limit if number else first) for number, one in enumerate(pieces))
    for one in pieces:
        parse(one)
    assert "".join("".join(map(plain, pieces)).split()) == "".join(plain(whole).split())


def test_pieces_end_with_lines_and_keep_open_tags() -> None:
    lines = ["<b>" + "x" * 50, "y" * 30 + "</b>", "z" * 20]

    pieces = split("\n".join(lines), 60)

    assert [parse(one)[0].strip() for one in pieces] == ["x" * 50, "y" * 30 + "\n" + "z" * 20]
    assert parse(pieces[1])[1] == ("b", "/b")


def test_length_counts_what_is_shown_in_utf_16() -> None:
    assert length("<b>&amp;🔵</b>") == len("&") + 2
    assert length(html.escape("a < b")) == len("a < b")


def _closed(parts: list[str]) -> str:
    """Make sound HTML of parts: what is closed was opened, what is opened is closed."""
    inside: list[str] = []
    made = []
    for part in parts:
        if part.startswith("</"):
            if not inside or inside[-1] != part[2:-1]:
                continue
            inside.pop()
        elif part in ("<b>", "<i>"):
            inside.append(part[1:-1])
        made.append(part)
    return "".join([*made, *(f"</{tag}>" for tag in reversed(inside))])
