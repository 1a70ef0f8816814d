# SPDX-License-Identifier: GPL-3.0-or-later
"""Headlines are one clean line of text, whatever the vendor put into them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.market.news_text import CUT, LONGEST_HEADLINE, clean, comparable


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("<p>Acme <b>beats</b>&nbsp;estimates</p>", "Acme beats estimates"),
        ("AT&amp;T &#8220;wins&#8221; order", "AT&T “wins” order"),
        ("&lt;b&gt;Acme&lt;/b&gt; falls", "Acme falls"),
        ("Acme<script>alert('x')</script> rises", "Acme rises"),
        ("Acme EPS <5 cents, margin >10 %", "Acme EPS <5 cents, margin >10 %"),
        ("Acme\u202e\u200f rises\u200b 5%\ufeff", "Acme rises 5%"),
        ("Acme\x00\x1b[31m falls\r\n today\t", "Acme [31m falls today"),
        ("Acme \ud83d falls", "Acme falls"),
        ("Cafe\u0301 Acme", "Café Acme"),
        ("  \n ", ""),
    ],
    ids=["tags", "entities", "tags as entities", "script", "no tag", "right to left", "control",
         "half a pair", "composed", "nothing"],
)  # fmt: skip
def test_text_is_cleaned(given: str, expected: str) -> None:
    assert expected == clean(given)


def test_ten_thousand_characters_are_cut_with_a_mark() -> None:
    cut = clean("word " * 2_000)

    assert len(cut) <= LONGEST_HEADLINE
    assert cut.endswith(CUT)


def test_text_of_the_longest_length_is_not_cut() -> None:
    text = "x" * LONGEST_HEADLINE

    assert text == clean(text)


@given(st.text(max_size=700))
def test_cleaning_leaves_one_short_line_without_hidden_characters(text: str) -> None:
    made = clean(text)

    assert len(made) <= LONGEST_HEADLINE
    assert made == " ".join(made.split())
    assert not {unicodedata.category(one) for one in made} & {"Cc", "Cf", "Cs"}
    made.encode()


def test_copies_of_a_headline_compare_equal() -> None:
    assert comparable("Acme Beats -- Raises!") == comparable("acme beats: raises")
    assert comparable("Acme beats 5") != comparable("Acme beats 6")
