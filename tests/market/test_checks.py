# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of fault is found where it was planted, and clean or merely wild bars have none."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest

from iverson.errors import BadBars
from iverson.market import actions as table
from iverson.market import sample
from iverson.market.calendar import Calendar
from iverson.market.checks import Fault, check, summary

FrameMaker = Callable[..., pd.DataFrame]

# A quiet month around 100, then around 50: within 1 % from one session to the next.
QUIET = [100.0 + 0.4 * np.sin(3.0 * n) for n in range(20)]
HALVED = [price / 2 for price in QUIET]


def kinds(faults: list[Fault]) -> list[tuple[str, str]]:
    return [(str(fault.session), fault.kind) for fault in faults]


def test_the_bundled_sample_has_no_faults(calendar: Calendar) -> None:
    assert check(sample.rows(), sample.actions(), calendar) == []


def test_an_empty_frame_has_no_faults(daily: FrameMaker, calendar: Calendar) -> None:
    assert check(daily([]), None, calendar) == []


def test_a_missing_column_is_an_error(daily: FrameMaker, calendar: Calendar) -> None:
    with pytest.raises(BadBars, match="no column volume"):
        check(daily([1.0]).drop(columns="volume"), None, calendar)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("open", np.nan, {"not a number"}),
        ("close", np.inf, {"not a number", "open or close outside high-low"}),
        ("open", 0.0, {"price not above zero", "open or close outside high-low"}),
        ("low", -1.0, {"price not above zero"}),
        ("volume", 0.0, {"zero volume"}),
        ("high", 100.05, {"open or close outside high-low"}),
        ("low", 100.9, {"high below low", "open or close outside high-low"}),
    ],
)
def test_an_impossible_row_is_found(
    daily: FrameMaker, calendar: Calendar, column: str, value: float, expected: set[str]
) -> None:
    frame = daily([100.0, 100.2, 100.1, 100.3, 100.2])
    frame.loc[2, ["open", "high", "low", "close"]] = [100.0, 100.8, 99.9, 100.1]
    frame.loc[2, column] = value

    faults = check(frame, None, calendar)

    assert {fault.kind for fault in faults} == expected
    assert {fault.session for fault in faults} == {date(2021, 3, 3)}


def test_missing_sessions_are_counted_between_first_and_last_only(
    daily: FrameMaker, calendar: Calendar
) -> None:
    frame = daily(QUIET[:8]).drop(index=[2, 5])

    assert kinds(check(frame, None, calendar)) == [
        ("2021-03-03", "missing session"),
        ("2021-03-08", "missing session"),
    ]


def test_a_session_missing_for_many_symbols_is_said_once_more(
    daily: FrameMaker, calendar: Calendar
) -> None:
    frames = [daily(QUIET[:6], symbol=name).drop(index=3) for name in ("AAA", "BBB", "CCC")]
    frames.append(daily(QUIET[:6], symbol="DDD"))

    faults = check(pd.concat(frames), None, calendar)

    many = [fault for fault in faults if fault.kind == "session missing for many"]
    assert [(fault.symbol, fault.session, fault.value) for fault in many] == [
        ("*", date(2021, 3, 4), 3.0)
    ]
    assert "3 of 4 symbols" in many[0].detail


def test_a_row_on_a_holiday_is_found(daily: FrameMaker, calendar: Calendar) -> None:
    frame = daily(QUIET[:3], first="2021-04-01")
    frame.loc[1, "session"] = pd.Timestamp("2021-04-02")  # Good Friday

    assert ("2021-04-02", "holiday row") in kinds(check(frame, None, calendar))


def test_duplicates_say_whether_they_agree(daily: FrameMaker, calendar: Calendar) -> None:
    frame = daily(QUIET[:4])
    other = frame.iloc[[2]].assign(volume=5.0)

    faults = check(pd.concat([frame, frame.iloc[[1]], other]), None, calendar)

    found = {(str(f.session), f.detail) for f in faults if f.kind == "duplicate"}
    assert found == {("2021-03-02", "same values again"), ("2021-03-03", "other values")}


def test_a_row_out_of_order_is_found(daily: FrameMaker, calendar: Calendar) -> None:
    frame = daily(QUIET[:5]).iloc[[0, 2, 1, 3, 4]]

    assert kinds(check(frame, None, calendar)) == [("2021-03-02", "unsorted")]


def test_a_file_that_runs_backwards_is_one_fault(daily: FrameMaker, calendar: Calendar) -> None:
    faults = check(daily(QUIET[:5]).iloc[::-1], None, calendar)

    assert [(fault.kind, fault.detail) for fault in faults] == [("unsorted", "newest bar first")]


def test_three_identical_bars_are_stale_and_two_are_not(
    daily: FrameMaker, calendar: Calendar
) -> None:
    frame = daily([100.0, 101.0, 101.0, 101.0, 102.0, 102.0, 100.0])

    faults = check(frame, None, calendar)

    assert [(str(f.session), f.kind, f.value) for f in faults] == [("2021-03-02", "stale", 3.0)]


def test_a_flat_bar_without_volume_is_stale(daily: FrameMaker, calendar: Calendar) -> None:
    frame = daily(QUIET[:4])
    frame.loc[2, ["open", "high", "low", "close", "volume"]] = [100.0, 100.0, 100.0, 100.0, 0.0]

    assert kinds(check(frame, None, calendar)) == [
        ("2021-03-03", "stale"),
        ("2021-03-03", "zero volume"),
    ]


def test_a_close_that_comes_back_is_a_spike(daily: FrameMaker, calendar: Calendar) -> None:
    closes = [*QUIET[:10], 60.0, *QUIET[10:]]

    assert kinds(check(daily(closes), None, calendar)) == [("2021-03-15", "spike")]


def test_an_extreme_low_of_one_bar_is_a_spike(daily: FrameMaker, calendar: Calendar) -> None:
    frame = daily(QUIET)
    frame.loc[10, "low"] = 15.0

    faults = check(frame, None, calendar)

    assert kinds(faults) == [("2021-03-15", "spike")]
    assert "looks like" in faults[0].detail


@pytest.mark.parametrize("level", [0.58, 1.55])
def test_a_jump_that_stays_is_news_and_no_fault(
    daily: FrameMaker, calendar: Calendar, level: float
) -> None:
    closes = [*QUIET, *(price * level for price in QUIET)]

    assert check(daily(closes), None, calendar) == []


def test_a_wild_market_has_no_spikes(daily: FrameMaker, calendar: Calendar) -> None:
    wild = [100.0 * (1.25 if n % 2 else 0.9) for n in range(30)]

    faults = check(daily(wild), None, calendar)

    assert [fault for fault in faults if fault.kind == "spike"] == []


@pytest.mark.parametrize(("factor", "bars"), [(0.1, 1), (100.0, 1), (0.01, 3)])
def test_a_run_wrong_by_a_power_of_ten_is_found(
    daily: FrameMaker, calendar: Calendar, factor: float, bars: int
) -> None:
    frame = daily(QUIET)
    frame.loc[10 : 9 + bars, ["open", "high", "low", "close"]] *= factor

    faults = check(frame, None, calendar)

    assert {fault.kind for fault in faults} == {"factor of ten"}
    assert [fault.value for fault in faults] == pytest.approx([factor] * bars, rel=0.02)


def test_a_single_field_wrong_by_ten_is_named(daily: FrameMaker, calendar: Calendar) -> None:
    frame = daily(QUIET)
    frame.loc[10, "high"] = 10.0

    tens = [fault for fault in check(frame, None, calendar) if fault.kind == "factor of ten"]

    assert [fault.detail.split()[0] for fault in tens] == ["high"]


def test_an_unlisted_split_is_suspected(daily: FrameMaker, calendar: Calendar) -> None:
    faults = check(daily(QUIET + HALVED), table.empty(), calendar)

    assert [(str(f.session), f.kind, f.value) for f in faults] == [
        ("2021-03-29", "unadjusted split", 2.0)
    ]
    assert "looks like" in faults[0].detail


def test_an_unlisted_reverse_split_of_a_penny_stock_is_suspected(
    daily: FrameMaker, calendar: Calendar
) -> None:
    closes = [price / 400 for price in QUIET] + [price / 40 * 0.85 for price in QUIET]

    faults = check(daily(closes), None, calendar)

    assert [f.kind for f in faults if f.kind == "unadjusted split"] == ["unadjusted split"]


def test_halving_on_ten_times_the_volume_is_news(daily: FrameMaker, calendar: Calendar) -> None:
    frame = daily(QUIET + HALVED)
    frame.loc[20, "volume"] = 20_000.0

    assert check(frame, None, calendar) == []


def test_a_listed_split_with_its_jump_is_no_fault(daily: FrameMaker, calendar: Calendar) -> None:
    split = table.table([("AAA", "2021-03-29", "split", 2.0)])

    assert check(daily(QUIET + HALVED), split, calendar) == []


def test_a_listed_split_without_a_jump_means_already_adjusted(
    daily: FrameMaker, calendar: Calendar
) -> None:
    split = table.table([("AAA", "2021-03-29", "split", 2.0)])

    assert kinds(check(daily(QUIET + QUIET), split, calendar)) == [
        ("2021-03-29", "already adjusted")
    ]


def test_one_split_with_a_jump_and_one_without_is_a_mixed_adjustment(
    daily: FrameMaker, calendar: Calendar
) -> None:
    splits = table.table([("AAA", "2021-03-15", "split", 4.0), ("AAA", "2021-03-29", "split", 2.0)])

    assert kinds(check(daily(QUIET + HALVED), splits, calendar)) == [
        ("2021-03-15", "already adjusted"),
        ("2021-03-15", "mixed adjustment"),
    ]


def test_adj_close_that_agrees_with_the_dividend_is_no_fault(
    daily: FrameMaker, calendar: Calendar
) -> None:
    frame = daily(QUIET)
    dividend = table.table([("AAA", "2021-03-15", "dividend", 1.0)])
    for factor in (1 - 1.0 / QUIET[9], QUIET[10] / (QUIET[10] + 1.0)):
        frame["adj_close"] = [price * (factor if n < 10 else 1.0) for n, price in enumerate(QUIET)]

        assert check(frame, dividend, calendar) == []


@pytest.mark.parametrize("implied", [0.0, 0.01, 3.0])
def test_adj_close_that_contradicts_the_dividend_is_a_mixed_adjustment(
    daily: FrameMaker, calendar: Calendar, implied: float
) -> None:
    frame = daily(QUIET)
    factor = 1 - implied / QUIET[9]
    frame["adj_close"] = [price * (factor if n < 10 else 1.0) for n, price in enumerate(QUIET)]
    dividend = table.table([("AAA", "2021-03-15", "dividend", 1.0)])

    assert kinds(check(frame, dividend, calendar)) == [("2021-03-15", "mixed adjustment")]


def test_a_large_dividend_that_the_price_ignores_is_implausible(
    daily: FrameMaker, calendar: Calendar
) -> None:
    dividend = table.table([("AAA", "2021-03-15", "dividend", 40.0)])

    assert kinds(check(daily(QUIET), dividend, calendar)) == [
        ("2021-03-15", "implausible dividend")
    ]


def test_a_large_dividend_that_the_price_follows_is_no_fault(
    daily: FrameMaker, calendar: Calendar
) -> None:
    closes = [*QUIET[:10], *(price - 30.0 for price in QUIET[10:])]
    dividend = table.table([("AAA", "2021-03-15", "dividend", 30.0)])

    assert check(daily(closes), dividend, calendar) == []


def test_the_summary_counts_by_symbol_and_kind() -> None:
    faults = [
        Fault("BBB", date(2021, 3, 2), "spike", "x"),
        Fault("AAA", date(2021, 3, 3), "stale", "x"),
        Fault("AAA", date(2021, 3, 1), "stale", "x"),
    ]

    rows = summary(faults).to_numpy().tolist()

    assert rows == [
        ["AAA", "stale", 2, date(2021, 3, 1), date(2021, 3, 3)],
        ["BBB", "spike", 1, date(2021, 3, 2), date(2021, 3, 2)],
    ]
    assert summary([]).empty
