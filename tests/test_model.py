# SPDX-License-Identifier: GPL-3.0-or-later
"""The vocabulary: what is a fault, what is at risk, what is left to spend."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError, fields, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson import model
from iverson.book import Halt, Position
from iverson.model import Bracket, Denial, Trade, Verdict
from iverson.testing import START, at, book, signal

PRICES = st.floats(0.01, 10_000.0)
SIZES = st.integers(-10_000, 10_000).filter(bool)
EPS = 1e-6


def position(size: int, mark: float, stop: float, symbol: str = "A") -> Position:
    return Position(symbol, size, mark, mark, stop, START)


# -- Signal ---------------------------------------------------------------------------------------

SOUND: list[dict[str, Any]] = [
    {},
    dict(target=None),
    dict(max_sessions=None),
    dict(max_sessions=0),
    dict(reason=29.7),
    dict(stop=99.99),
    dict(target=100.01),
    dict(side="short", stop=102.0, target=96.0),
    dict(side="short", stop=102.0, target=None),
    *(dict(confidence=level) for level in range(1, 6)),
    dict(limit=0.0002, stop=0.0001, target=0.0003),
]


@pytest.mark.parametrize("changes", SOUND)
def test_sound_signal_has_no_fault(changes: dict[str, Any]) -> None:
    assert signal(**changes).fault() is None


FAULTY: list[tuple[dict[str, Any], str]] = [
    *((dict(confidence=c), "expected a whole number from 1 to 5") for c in (0, 6, -1, 10**9)),
    *((dict(confidence=c), "whole number") for c in (3.5, 5.0, math.nan, math.inf)),
    *((dict(confidence=c), "whole number") for c in (True, False, "5", None)),
    *((dict(side=s), "expected 'long' or 'short'") for s in ("buy", "", None, "LONG")),
    *(
        ({name: price}, f"{name} is ")
        for name in ("limit", "stop", "target")
        for price in (0.0, -1.0, math.nan, math.inf, -math.inf)
    ),
    (dict(stop=100.0), "stop 100 must lie below the limit 100"),
    (dict(stop=103.0), "stop 103 must lie below the limit 100"),
    (dict(target=100.0), "target 100 must lie above the limit 100"),
    (dict(target=99.0), "target 99 must lie above the limit 100"),
    (dict(side="short"), "stop 98 must lie above the limit 100"),
    (dict(side="short", stop=102.0), "target 104 must lie below the limit 100"),
    (dict(side="short", stop=100.0, target=90.0), "stop 100 must lie above the limit 100"),
    (dict(max_sessions=-1), "max_sessions is -1; expected a whole number of 0 or more"),
    ({"max_sessions": 1.5}, "max_sessions is 1.5; expected a whole number of 0 or more"),
    ({"limit": None}, "limit is None; expected a finite price above 0"),
    ({"stop": "98"}, "stop is '98'; expected a finite price above 0"),
]


@pytest.mark.parametrize(("changes", "words"), FAULTY)
def test_faulty_signal_says_what_is_wrong(changes: dict[str, Any], words: str) -> None:
    assert words in (signal(**changes).fault() or "")


@given(PRICES, PRICES, st.sampled_from(["long", "short"]))
def test_stop_is_sound_exactly_when_it_loses(limit: float, stop: float, side: str) -> None:
    one = signal(side=side, limit=limit, stop=stop, target=None)

    assert (one.fault() is None) is (one.risk_per_share > 0)
    assert one.risk_per_share == pytest.approx((limit - stop) * one.direction)


# -- Denial, Verdict, Halt, Trade -----------------------------------------------------------------


def test_denial_is_words_that_carry_numbers() -> None:
    bare, told = Denial("too much"), Denial("too much", limit=1.0, value=2.0)

    assert bare == told == "too much"
    assert (told.limit, told.value) == (1.0, 2.0)
    assert math.isnan(bare.limit)
    assert math.isnan(bare.value)


def test_verdict_knows_its_risk_and_its_price() -> None:
    for side, stop in (("long", 98.0), ("short", 102.0)):
        verdict = Verdict(signal(side=side, stop=stop), True, 50, "risk", "")
        assert (verdict.risk, verdict.notional) == (100.0, 5_000.0)


SINCE = at("2024-01-02 16:00")


@pytest.mark.parametrize(
    ("halt", "now", "then"),
    [
        (Halt("h", "", SINCE, SINCE + timedelta(hours=24)), True, False),
        (Halt("h", "", SINCE, latched=True), True, True),
        (Halt("h", "", SINCE, SINCE, latched=True), True, True),
        (Halt("h", "", SINCE), True, True),
        (Halt("h", "", SINCE, SINCE), False, False),
    ],
)
def test_halt_holds_until_its_end_and_a_latched_one_for_good(
    halt: Halt, now: bool, then: bool
) -> None:
    assert halt.in_force(SINCE) is now
    assert halt.in_force(SINCE + timedelta(hours=24)) is then


@pytest.mark.parametrize(("pnl", "risk", "expected"), [(50, 25, 2), (-25, 25, -1), (0, 25, 0)])
def test_trade_counts_in_units_of_its_risk(pnl: float, risk: float, expected: float) -> None:
    assert _trade(pnl, risk).r_multiple == expected


def _trade(pnl: float, risk: float) -> Trade:
    return Trade(
        "A", "long", 10, SINCE, START, 100.0, SINCE, START, 101.0, pnl, 0.0, 0.0, 0.0, 1,
        "target", 5, risk, 98.0, 104.0, False,
    )  # fmt: skip


@pytest.mark.parametrize("risk", [0.0, math.nan])
def test_trade_without_planned_risk_has_no_multiple(risk: float) -> None:
    assert math.isnan(_trade(10.0, risk).r_multiple)


# -- Position -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "mark", "stop", "risk"),
    [
        (100, 50.0, 48.0, 200.0),
        (-100, 50.0, 52.0, 200.0),
        (100, 50.0, 50.0, 0.0),
        (100, 50.0, 51.0, 0.0),  # the stop locks in a profit
        (-100, 50.0, 49.0, 0.0),
        (100, 50.0, math.nan, 5_000.0),
        (-100, 50.0, math.nan, 5_000.0),
    ],
)
def test_position_risks_the_way_from_the_mark_to_the_stop(
    size: int, mark: float, stop: float, risk: float
) -> None:
    assert position(size, mark, stop).risk == risk


@given(SIZES, PRICES, PRICES)
def test_position_risk_is_never_negative_and_mirrors(size: int, mark: float, stop: float) -> None:
    one = position(size, mark, stop)
    mirrored = position(-size, mark, 2 * mark - stop)

    assert one.risk >= 0
    assert one.risk == pytest.approx(mirrored.risk, rel=1e-6, abs=1e-6)
    assert one.notional == abs(size) * mark
    assert one.direction * size > 0


# -- Book -----------------------------------------------------------------------------------------

POSITIONS = st.dictionaries(
    st.sampled_from("ABCDE"), st.tuples(SIZES, PRICES, st.one_of(PRICES, st.just(math.nan)))
).map(lambda found: {name: position(*one, symbol=name) for name, one in found.items()})
PENDING = st.dictionaries(st.sampled_from("DEFGH"), st.integers(1, 1_000)).map(
    lambda found: {
        name: Verdict(signal(symbol=name), True, size, "risk", "") for name, size in found.items()
    }
)


@given(POSITIONS, PENDING, st.floats(1_000.0, 1e9))
def test_book_adds_up(
    positions: dict[str, Position], pending: dict[str, Verdict], equity: float
) -> None:
    of = book(equity=equity, positions=positions, pending=pending)
    committed = sum(p.notional for p in positions.values()) + sum(
        v.notional for v in pending.values()
    )

    assert of.symbols == set(positions) | set(pending)
    assert of.open_risk == pytest.approx(
        sum(p.risk for p in positions.values()) + sum(v.risk for v in pending.values())
    )
    assert of.buying_power == pytest.approx(max(0.0, equity - committed), abs=equity * 1e-9)
    assert 0 <= of.buying_power <= equity


@given(st.floats(1.0, 1e9), st.floats(1.0, 1e9), st.floats(1.0, 1e9))
def test_drawdown_is_a_fraction_below_the_high(equity: float, high: float, close: float) -> None:
    of = book(equity=equity, high=high, equity_at_previous_close=close)

    assert -1 <= of.drawdown <= 0
    assert of.drawdown == pytest.approx(min(0.0, (equity - high) / high), abs=1e-12)
    assert of.day_pnl == equity - close


def test_book_without_a_high_has_no_drawdown() -> None:
    assert book(high=0.0).drawdown == 0.0


# -- all of it ------------------------------------------------------------------------------------

SAMPLES = [
    signal(),
    Verdict(signal(), True, 5, "risk", ""),
    position(1, 1.0, 0.5),
    Halt("h", "", SINCE),
    book(),
    _trade(1.0, 1.0),
    Bracket("k", "A", "long", 1, 100.0, 98.0, None, 3, SINCE),
]


@pytest.mark.parametrize("value", SAMPLES, ids=lambda value: type(value).__name__)
def test_values_cannot_be_changed(value: Any) -> None:
    first = fields(value)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(value, first, getattr(value, first))
    assert replace(value) == value


def test_maps_of_an_untold_book_cannot_be_changed() -> None:
    assert isinstance(book().positions, MappingProxyType)
    assert isinstance(book().pending, MappingProxyType)


def test_stages_are_spelled_as_they_are_typed() -> None:
    assert [str(stage) for stage in model.Stage] == [
        "backtest",
        "walk_forward",
        "rehearse",
        "paper",
        "live",
    ]


def test_missing_number_equals_a_missing_number() -> None:
    """Two NaN of different origin; dataclasses of Python 3.13 on would find them unequal."""
    one, other = (Verdict(signal(), False, 0, "r", "why", limit=float("nan")) for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert one != replace(other, limit=1.0)
    assert one != signal()
