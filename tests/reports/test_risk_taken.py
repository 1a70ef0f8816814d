# SPDX-License-Identifier: GPL-3.0-or-later
"""What was at risk at a close: to the working stops, in waiting entries, and to a bad night."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.book import Position
from iverson.model import CashFlow
from iverson.reports.risk_taken import MINIMUM_GAPS, held_at_closes, overnight_gaps, stress_loss
from iverson.testing import bars, noise
from tests.reports.hand_made import account, approved, close, fill, order, sessions, told_of

MONDAY = date(2024, 1, 8)
MON, TUE, WED, THU, FRI = sessions(MONDAY, 5)
SIZE, LIMIT, STOP = 10, 100.0, 96.0
BOUGHT = approved(MON, SIZE, limit=LIMIT, stop=STOP)
ENTRY = order(BOUGHT, MON, "entry", "accepted", LIMIT)
FILLED = order(BOUGHT, TUE, "entry", "filled", LIMIT)
STOPS = order(BOUGHT, TUE, "stop", "accepted", STOP)
WEEK = [
    account(MON, 10_000),
    BOUGHT,  # decided after the close, so at risk from Monday's close on
    ENTRY,
    fill(ENTRY, TUE, 99.0),
    FILLED,
    STOPS,
    account(TUE, 10_010, held=1_000, positions=1),
    account(WED, 10_050, held=1_040, positions=1),
    fill(order(BOUGHT, THU, "stop", "filled", STOP), THU, STOP),
    order(BOUGHT, THU, "stop", "filled", STOP),
    account(THU, 9_970),
]


def test_open_risk_is_working_entry_then_position_to_its_stop_then_nothing() -> None:
    marks = {"TEST": bars("101 100 104 95", start=MON)}
    held = held_at_closes(told_of(WEEK), MON, FRI, bars=marks)

    assert [one.session for one in held] == [MON, TUE, WED, THU]
    assert [one.open_risk for one in held] == [
        SIZE * (LIMIT - STOP),  # working
        SIZE * (100 - STOP),  # held, at the close
        SIZE * (104 - STOP),
        0.0,
    ]
    assert [one.exposure for one in held] == pytest.approx([0, 1_000 / 10_010, 1_040 / 10_050, 0])
    assert all(one.marked for one in held)


def test_without_bars_a_position_is_marked_at_its_entry_and_the_night_is_unknown() -> None:
    held = held_at_closes(told_of(WEEK), TUE, WED)

    assert [one.open_risk for one in held] == [SIZE * (99.0 - STOP)] * 2
    assert not any(one.marked for one in held)
    assert all(math.isnan(one.stress) for one in held)


def test_position_without_a_working_stop_is_all_at_risk() -> None:
    bare = [value for value in WEEK[:7] if value is not STOPS]
    (held,) = held_at_closes(told_of(bare), TUE, TUE, bars={"TEST": bars("101 100", start=MON)})

    assert held.open_risk == SIZE * 100.0


def test_entry_filled_in_part_counts_once() -> None:
    part = [*WEEK[:3], fill(ENTRY, TUE, 99.0, size=4), STOPS, account(TUE, 10_000, 400, 1)]
    (held,) = held_at_closes(told_of(part), TUE, TUE, bars={"TEST": bars("101 100", start=MON)})

    assert held.open_risk == 4 * (100 - STOP) + 6 * (LIMIT - STOP)


def test_split_changes_shares_and_stop_and_not_the_risk() -> None:
    split = CashFlow(close(WED), WED, "TEST", "split", 0.0, 2.0)
    values = [*WEEK[:7], split, account(WED, 10_050, held=1_040, positions=1)]
    halves = {"TEST": bars("101 100 52", start=MON, splits={2: 2.0})}
    (held,) = held_at_closes(told_of(values), WED, WED, bars=halves)

    (position,) = held.positions
    assert (position.size, position.stop) == (2 * SIZE, STOP / 2)
    assert held.open_risk == 2 * SIZE * (52 - STOP / 2)


def test_gaps_take_splits_out_and_dividends_in() -> None:
    made = bars("100 100/101/99/100 50/50/50/50 48/50/48/50", splits={2: 2.0}, dividends={3: 2.0})

    assert overnight_gaps(made, until=date(2024, 12, 31)) == pytest.approx([0.0, 0.0, 0.0])


@given(st.integers(0, 50), st.sampled_from([1, -1]))
def test_stress_loss_is_the_quantile_of_gaps_counted_by_hand(seed: int, side: int) -> None:
    made = noise("TEST", seed=seed, sessions=300)["TEST"]
    gapped = made[:]  # noise opens at the close before: move the opens
    generator = np.random.default_rng(seed)
    opened = gapped.open * np.exp(generator.normal(0, 0.02, len(gapped)))
    object.__setattr__(gapped, "open", opened)
    until = gapped.session[250].item()
    position = Position("TEST", side * 7, 50.0, 40.0, 30.0, until)

    lost, count = stress_loss(position, gapped, until=until)

    losses = sorted(
        -side * (gapped.open[row] / gapped.close[row - 1] - 1.0) for row in range(1, 251)
    )
    place = 0.995 * (len(losses) - 1)  # between which two of them, in order
    below = int(place)
    expected = losses[below] + (place - below) * (losses[below + 1] - losses[below])
    assert count == 250 >= MINIMUM_GAPS
    assert lost == pytest.approx(7 * 40.0 * max(0.0, expected))


def test_a_bad_night_of_the_future_is_not_known_yet() -> None:
    calm, crash = "100 " * 5, "gap 50"
    made = {"TEST": bars(calm + crash, start=MON)}
    held = held_at_closes(told_of(WEEK), TUE, WED, bars=made)

    assert [one.stress for one in held] == [0.0, 0.0]
    assert not held[0].enough
