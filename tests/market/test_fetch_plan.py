# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan asks for what is missing, in pieces, and stopping anywhere leaves no gap."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from iverson.market.calendar import new_york
from iverson.market.fetch_plan import Piece, plan

SESSIONS: list[date] = new_york().between(date(2024, 1, 2), date(2024, 12, 31)).tolist()


def pieces(
    symbols: list[str], covered: dict[str, tuple[date, date]], **options: object
) -> list[Piece]:
    given_options = {"interval": "1d", "recheck": 5, "calendar": new_york(), **options}
    first = given_options.pop("first", SESSIONS[0])
    return plan(symbols, covered, first=dict.fromkeys(symbols, first), **given_options)  # type: ignore[arg-type]  # options of a test


def test_new_symbols_share_a_piece_and_known_ones_are_asked_for_their_end() -> None:
    covered = {"OLD": (SESSIONS[0], SESSIONS[100])}

    found = pieces(["A", "OLD", "B"], covered, last=SESSIONS[-1])

    assert found == [
        Piece(("A", "B"), SESSIONS[0], SESSIONS[-1]),
        Piece(("OLD",), SESSIONS[96], SESSIONS[-1]),
    ]


def test_minutes_come_in_smaller_pieces() -> None:
    found = pieces(["A", "B"], {}, last=SESSIONS[-1], interval="1m", rows=100 * 960)

    assert [(piece.symbols, piece.first) for piece in found] == [
        (symbol, SESSIONS[start]) for symbol in (("A",), ("B",)) for start in (0, 100, 200)
    ]


def test_what_lies_within_the_stored_sessions_is_not_asked_for() -> None:
    covered = {"A": (SESSIONS[0], SESSIONS[100])}

    assert pieces(["A"], covered, last=SESSIONS[50]) == []


@given(
    low=st.integers(0, 250),
    length=st.integers(0, 250),
    first=st.integers(0, 251),
    last=st.integers(0, 251),
    recheck=st.integers(1, 20),
    rows=st.integers(1, 300),
    stop=st.integers(0, 40),
)
def test_stopping_after_any_piece_leaves_no_gap(  # noqa: PLR0917 (hypothesis names them)
    low: int, length: int, first: int, last: int, recheck: int, rows: int, stop: int
) -> None:
    high = min(low + length, len(SESSIONS) - 1)
    covered = {"A": (SESSIONS[low], SESSIONS[high])}

    found = pieces(
        ["A"], covered, first=SESSIONS[first], last=SESSIONS[last], recheck=recheck, rows=rows
    )

    known = set(SESSIONS[low : high + 1])
    for piece in found[:stop]:
        asked = [day for day in SESSIONS if piece.first <= day <= piece.last]
        ends = (SESSIONS.index(min(known)) - 1, SESSIONS.index(max(known)) + 1)
        assert any(ends[0] <= SESSIONS.index(day) <= ends[1] for day in asked)
        known |= set(asked)
        assert len(known) == SESSIONS.index(max(known)) - SESSIONS.index(min(known)) + 1
    if stop >= len(found):
        assert set(SESSIONS[first : last + 1]) <= known
