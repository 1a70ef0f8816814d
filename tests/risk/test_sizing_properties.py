# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever the account and the signal, no bound is exceeded and no share is left out."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from iverson.book import Position
from iverson.model import Signal, Verdict
from iverson.risk.sizing import RiskSizing, Sized, shares
from iverson.testing import START, FixedHistory, book, signal

SIZING = RiskSizing()
SLACK = Fraction(1, 10**11)  # relative: float noise, far below one share of any real account
CENTS = st.integers(min_value=2, max_value=500_000)
EQUITIES = st.floats(min_value=100.0, max_value=1e8)
VOLUMES = st.floats(min_value=0.0, max_value=1e9)
CONFIDENCES = st.integers(min_value=1, max_value=5)
SIDES = st.sampled_from(["long", "short"])


def on_cents(side: str, limit: int, distance: int, confidence: int = 5) -> Signal:
    """A signal whose prices are whole cents, as the price grid makes them."""
    away = min(distance, limit - 1)
    stop = limit - away if side == "long" else limit + away
    return signal(side=side, limit=limit / 100, stop=stop / 100, target=None, confidence=confidence)


def sized(one: Signal, equity: float, volume: float, committed: float = 0.0) -> Sized:
    held = Position("HELD", 1, committed, committed, 0.0, START)
    of = book(
        equity=equity,
        positions={"HELD": held} if committed else {},
        history=FixedHistory(volume=volume),
    )
    return SIZING.size(one, of)


def bounds(
    one: Signal, equity: float, volume: float, committed: float
) -> list[tuple[Fraction, Fraction]]:
    """Each bound as what it allows and what a share takes of it, in exact arithmetic."""
    price = Fraction(one.limit)
    risk = Fraction(SIZING.risk[one.confidence - 1])
    return [
        (Fraction(equity) * risk, Fraction(one.risk_per_share)),
        (Fraction(equity) * Fraction(SIZING.notional), price),
        (max(Fraction(0), Fraction(equity) - Fraction(committed)), price),
        (Fraction(volume) * Fraction(SIZING.volume), Fraction(1)),
    ]


@given(
    side=SIDES,
    limit=CENTS,
    distance=CENTS,
    confidence=CONFIDENCES,
    equity=EQUITIES,
    volume=VOLUMES,
    invested=st.floats(0.0, 1.2),
)
def test_no_bound_is_exceeded_and_one_share_more_would_break_one(
    *,
    side: str,
    limit: int,
    distance: int,
    confidence: int,
    equity: float,
    volume: float,
    invested: float,
) -> None:
    one = on_cents(side, limit, distance, confidence)
    committed = equity * invested
    size = sized(one, equity, volume, committed).size
    allowed = bounds(one, equity, volume, committed)

    assert size >= 0
    assert all(size * share <= most * (1 + SLACK) for most, share in allowed)
    assert any((size + 1) * share > most * (1 - SLACK) for most, share in allowed)


@given(
    side=SIDES,
    limit=CENTS,
    distance=CENTS,
    equity=EQUITIES,
    volume=VOLUMES,
    one=CONFIDENCES,
    other=CONFIDENCES,
)
def test_more_confidence_never_gives_fewer_shares(
    *, side: str, limit: int, distance: int, equity: float, volume: float, one: int, other: int
) -> None:
    low, high = sorted((one, other))
    less = sized(on_cents(side, limit, distance, low), equity, volume)
    more = sized(on_cents(side, limit, distance, high), equity, volume)

    assert less.size <= more.size


@given(
    side=SIDES,
    limit=CENTS,
    distance=CENTS,
    confidence=CONFIDENCES,
    volume=VOLUMES,
    one=EQUITIES,
    other=EQUITIES,
)
def test_more_equity_never_gives_fewer_shares(
    *,
    side: str,
    limit: int,
    distance: int,
    confidence: int,
    volume: float,
    one: float,
    other: float,
) -> None:
    low, high = sorted((one, other))
    entry = on_cents(side, limit, distance, confidence)

    assert sized(entry, low, volume).size <= sized(entry, high, volume).size


@given(CENTS, CENTS, CENTS, EQUITIES)
def test_wider_stop_never_gives_more_shares(
    limit: int, one: int, other: int, equity: float
) -> None:
    near, far = sorted((one, other))
    tight = sized(on_cents("long", limit, near), equity, 1e9)
    wide = sized(on_cents("long", limit, far), equity, 1e9)

    assert wide.size <= tight.size


@given(CENTS, CENTS, CONFIDENCES, EQUITIES, VOLUMES)
def test_long_and_short_are_sized_alike(
    limit: int, distance: int, confidence: int, equity: float, volume: float
) -> None:
    assume(distance < limit)
    long, short = (
        sized(on_cents(side, limit, distance, confidence), equity, volume).size
        for side in ("long", "short")
    )

    # the two differ by the float noise of limit - stop, which can be worth one share at an edge
    assert abs(long - short) <= 1


@given(st.integers(1, 10_000_000), st.integers(1, 100_000_000))
@example(3, 100)
@example(1, 1)
def test_budget_of_exactly_n_shares_gives_n(n: int, tenths_of_cents: int) -> None:
    price = tenths_of_cents / 1000

    assert shares(n * price, price) == n
    assert shares(math.fsum([price] * min(n, 1000)), price) == min(n, 1000)


@given(st.integers(1, 1_000_000), st.integers(2, 500_000))
def test_a_cent_less_than_n_shares_gives_one_less(n: int, cents: int) -> None:
    assume(n * cents < 10**10)

    assert shares((n * cents - 1) / 100, cents / 100) == n - 1


@pytest.mark.parametrize(
    ("equity", "limit", "stop", "confidence", "expected"),
    [
        (10_000.0, 100.1, 98.1, 5, 19),  # notional: 2,000 / 100.1
        (100_000.0, 3.3, 3.2, 2, 5_000),  # 500 / 0.1, which is 0.0999... in floats
        (100_000.0, 1.1, 1.0, 2, 5_000),
        (30_000.0, 10.0, 9.7, 3, 600),  # notional: exactly 600, risk 1,000
        (30_000.0, 10.0, 9.5, 3, 600),  # both bounds exactly 600
        (30_000.0, 10.0, 9.4, 3, 500),  # 300 / 0.6, 0.5999... in floats
    ],
)
def test_whole_numbers_of_shares_are_not_lost_to_float_noise(
    equity: float, limit: float, stop: float, confidence: int, expected: int
) -> None:
    entry = signal(limit=limit, stop=stop, target=None, confidence=confidence)

    assert sized(entry, equity, 1e9).size == expected


@pytest.mark.parametrize("budget", [0.0, -1.0, math.nan, -math.inf])
def test_no_budget_buys_nothing(budget: float) -> None:
    assert shares(budget, 10.0) == 0


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan])
def test_price_that_is_none_buys_nothing(price: float) -> None:
    assert shares(1_000.0, price) == 0


@given(EQUITIES, CENTS, st.integers(0, 5_000), st.floats(0.0, 1.5))
def test_pending_entries_reserve_buying_power(
    equity: float, limit: int, waiting: int, invested: float
) -> None:
    entry = on_cents("long", limit, limit // 20 or 1)
    pending = {"OTHER": Verdict(on_cents("long", 1_000, 50), True, waiting, "risk", "")}
    held = {"HELD": Position("HELD", -1, 1.0, equity * invested, math.nan, START)}
    of = book(equity=equity, positions=held, pending=pending, history=FixedHistory(volume=1e9))
    size = SIZING.size(entry, of).size

    assert size == 0 or (
        size * entry.limit + 10.0 * waiting + equity * invested <= equity * (1 + 1e-9)
    )
