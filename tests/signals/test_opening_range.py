# SPDX-License-Identifier: GPL-3.0-or-later
"""The opening range against an oracle that goes through clock times, one bar after another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import iverson as iv
from iverson.engine.cerebro import LeanCerebro
from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.research.backtest import Feed
from tests.minute_bars import (
    PRICE,
    REACH,
    VOLUME,
    clock_at,
    flat_at,
    quiet,
    sessions_from,
    with_volume,
)

NAMES = ("high", "low", "breakout", "gap", "atr", "width", "relative_volume")
NEW_YORK = ZoneInfo("America/New_York")
FIRST = date(2024, 2, 20)
HALF = date(2024, 7, 3)  # closes at 13:00


def lines(bars: Bars, *, runonce: bool = True, **params: Any) -> dict[str, Any]:
    """The lines over bars as a run leaves them, in one pass or bar by bar."""

    class Holding(bt.Strategy):
        def __init__(self) -> None:
            self.opening = iv.OpeningRange(self.data, **params)

    cerebro = LeanCerebro(stdstats=False, runonce=runonce)
    cerebro.adddata(Feed(bars).data(slice(0, len(bars))))
    cerebro.addstrategy(Holding)
    opening = cerebro.run()[0].opening
    return {name: np.array(getattr(opening.lines, name).array) for name in NAMES}


def at(bars: Bars, session: date, clock: str) -> int:
    """The number of a bar, by session and New York time of its right edge."""
    local = pd.DatetimeIndex(bars.at).tz_localize("UTC").tz_convert(NEW_YORK)
    found = (bars.session == np.datetime64(session)) & (local.strftime("%H:%M") == clock)
    assert found.sum() == 1
    return int(np.flatnonzero(found)[0])


# -- by hand ---------------------------------------------------------------------------------------

DAYS = sessions_from(FIRST, 6)
LAST = DAYS[-1]
UP, HIGHER = PRICE + 1, PRICE + 2


@pytest.mark.parametrize("runonce", [True, False])
def test_range_is_known_at_ten_and_never_before(runonce: bool) -> None:
    bars = quiet(DAYS, rows={(LAST, "09:31"): (PRICE, UP, PRICE, PRICE)})
    found = lines(bars, runonce=runonce, sessions=3)
    ten = at(bars, LAST, "10:00")

    assert np.isnan(found["high"][ten - 29 : ten]).all()
    assert (found["high"][ten:] == UP).all()
    assert (found["low"][ten:] == PRICE - REACH).all()


@pytest.mark.parametrize("runonce", [True, False])
def test_bar_at_ten_belongs_to_the_range_and_the_next_does_not(runonce: bool) -> None:
    rows = {(LAST, "10:00"): flat_at(UP), (LAST, "10:01"): flat_at(HIGHER)}
    bars = quiet(DAYS, rows=rows)
    found = lines(bars, runonce=runonce, sessions=3)

    assert found["high"][-1] == UP + REACH
    assert np.flatnonzero(found["breakout"]).tolist() == [at(bars, LAST, "10:01")]


@pytest.mark.parametrize("runonce", [True, False])
@pytest.mark.parametrize(("moved", "way"), [(UP, 1.0), (PRICE - 1, -1.0)])
def test_only_the_first_close_outside_breaks_out(moved: float, way: float, runonce: bool) -> None:
    other = 2 * PRICE - moved
    rows = {
        (LAST, c): flat_at(p) for c, p in [("11:00", moved), ("11:30", moved), ("12:00", other)]
    }
    bars = quiet(DAYS, rows=rows)
    found = lines(bars, runonce=runonce, sessions=3)["breakout"]

    assert found[at(bars, LAST, "11:00")] == way
    assert np.count_nonzero(found) == 1


@pytest.mark.parametrize("runonce", [True, False])
@pytest.mark.parametrize(
    ("length", "missing", "valid"),
    [
        (1, 2, True), (1, 3, False),
        (2, 1, True), (2, 2, False),
        (5, 0, True), (5, 1, False),
        (10, 0, True), (10, 1, False),
        (15, 0, True), (15, 1, False),
    ],
)  # fmt: skip
def test_range_needs_28_of_its_30_minutes(
    length: int, missing: int, valid: bool, runonce: bool
) -> None:
    gone = [clock_at(30 - length * number) for number in range(missing)]
    bars = quiet(DAYS, length=length, holes=frozenset((LAST, clock) for clock in gone))
    found = lines(bars, runonce=runonce, sessions=3)

    assert math.isnan(found["high"][-1]) is not valid


@pytest.mark.parametrize("runonce", [True, False])
def test_minutes_in_which_nothing_traded_are_missing(runonce: bool) -> None:
    bars = quiet(DAYS)
    volume = bars.volume.copy()
    volume[[at(bars, LAST, clock) for clock in ("09:31", "09:45", "09:50")]] = 0
    found = lines(with_volume(bars, volume), runonce=runonce, sessions=3)

    assert math.isnan(found["high"][-1])


@pytest.mark.parametrize("runonce", [True, False])
@pytest.mark.parametrize(("until", "breaks"), [(60, True), (61, False)])
@pytest.mark.parametrize(("session", "clock"), [(LAST, "15:00"), (HALF, "12:00")])
def test_no_breakout_in_the_last_hour_of_any_session(
    session: date, clock: str, until: int, breaks: bool, runonce: bool
) -> None:
    days = [new_york().offset(session, number) for number in range(-5, 1)]
    bars = quiet(days, rows={(session, clock): flat_at(UP)})
    found = lines(bars, runonce=runonce, sessions=3, until=until)

    assert np.count_nonzero(found["breakout"]) == breaks


@pytest.mark.parametrize("runonce", [True, False])
def test_gap_width_and_volume_are_measured_against_the_sessions_before(runonce: bool) -> None:
    # sessions of 3.0, 3.0 and 3.0 dollars; today opens a dollar higher and trades twice as much
    rows = {(day, clock_at(200)): (PRICE, PRICE + 1.5, PRICE - 1.5, PRICE) for day in DAYS}
    rows |= {(LAST, clock_at(m)): flat_at(UP) for m in range(1, 31)}
    bars = quiet(DAYS, rows=rows)
    volume = np.where(bars.session == np.datetime64(LAST), 2 * VOLUME, VOLUME)
    found = lines(with_volume(bars, volume), runonce=runonce, sessions=3)

    assert found["gap"][-1] == UP / PRICE - 1
    assert found["atr"][-1] == 3.0
    assert found["width"][-1] == 2 * REACH / 3.0
    assert found["relative_volume"][-1] == 2.0


@pytest.mark.parametrize("runonce", [True, False])
def test_a_split_is_no_gap(runonce: bool) -> None:
    rows = {(LAST, clock_at(m)): flat_at(PRICE / 2) for m in range(1, 391)}
    bars = quiet(DAYS, rows=rows)
    today = bars.session == np.datetime64(LAST)
    split = replace(
        bars,
        factor=np.where(today, 2.0, 1.0),
        volume=np.where(today, 2 * VOLUME, VOLUME),  # twice as many shares, each worth half
    )
    found = lines(split, runonce=runonce, sessions=3)

    assert found["gap"][-1] == 0.0
    assert found["relative_volume"][-1] == 1.0
    assert not found["breakout"].any()


def test_first_session_is_not_used_because_it_may_have_begun_before_its_first_bar() -> None:
    found = lines(quiet(DAYS), sessions=3)

    assert np.isnan(found["high"][:390]).all()
    assert not np.isnan(found["high"][390 + 29 : 780]).any()


@pytest.mark.parametrize(
    ("length", "params"),
    [(1, dict(minutes=0)), (7, {}), (60, {}), (1, dict(sessions=0)), (1, dict(until=-1))],
)
def test_ranges_that_cannot_be_made_are_refused(length: int, params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="opening range"):
        lines(quiet(DAYS[:1], length=length), **params)


def test_daily_bars_are_refused_with_what_to_do() -> None:
    daily = iv.System(iv.Strategy, ["IBM"]).load()["IBM"][:5]
    with pytest.raises(ConfigError, match='interval="1m"'):
        lines(daily)


# -- the oracle ------------------------------------------------------------------------------------


class Bar(NamedTuple):
    """What the oracle sees of a bar; prices and volume are corrected for splits."""

    clock: datetime  # New York
    open: float
    high: float
    low: float
    close: float
    volume: float


class Session(NamedTuple):
    """What it remembers of a session; `volume` None without a valid range."""

    high: float
    low: float
    close: float
    volume: float | None


class Asked(NamedTuple):
    """The parameters, and the minutes of a bar."""

    minutes: int
    until: int
    sessions: int
    length: int


def oracle(bars: Bars, asked: Asked) -> dict[str, list[float]]:
    """The lines, worked out from clock times in New York and nothing of the indicator's."""
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    before: list[Session] = []
    for day in sorted(set(bars.session.tolist())):
        opened, closed = (
            edge(day).astimezone(NEW_YORK) for edge in (new_york().open_at, new_york().close_at)
        )
        ten = opened + timedelta(minutes=asked.minutes)
        counting: list[Bar] = []
        broken = False
        for bar in day_bars(bars, day):
            regular = bar.clock - timedelta(minutes=asked.length) >= opened and bar.clock <= closed
            if regular and bar.volume != 0:
                counting.append(bar)
            values = dict.fromkeys(NAMES, math.nan) | {"breakout": 0.0}
            if regular and bar.clock >= ten and before:
                opening = [one for one in counting if one.clock <= ten]
                values |= known(counting, opening, before, asked)
            outside = bar.close > values["high"] or bar.close < values["low"]
            in_time = bar.clock <= closed - timedelta(minutes=asked.until)
            if outside and bar.volume != 0 and in_time and not broken:
                values["breakout"] = 1.0 if bar.close > values["high"] else -1.0
                broken = True
            for name in NAMES:
                found[name].append(values[name])
        if counting:
            opening = [one for one in counting if one.clock <= ten]
            before.append(
                Session(
                    max(one.high for one in counting),
                    min(one.low for one in counting),
                    counting[-1].close,
                    math.fsum(one.volume for one in opening) if valid(opening, asked) else None,
                )
            )
    return found


def day_bars(bars: Bars, day: date) -> Iterator[Bar]:
    for row in np.flatnonzero(bars.session == np.datetime64(day)).tolist():
        utc = bars.at[row].astype("datetime64[s]").item().replace(tzinfo=UTC)
        prices = (
            getattr(bars, n)[row] * bars.factor[row] for n in ("open", "high", "low", "close")
        )
        yield Bar(utc.astimezone(NEW_YORK), *prices, bars.volume[row] / bars.factor[row])


def valid(opening: list[Bar], asked: Asked) -> bool:
    return len(opening) * asked.length >= asked.minutes - 2


def known(
    counting: list[Bar], opening: list[Bar], before: list[Session], asked: Asked
) -> dict[str, float]:
    if not valid(opening, asked):
        return {}
    values = {
        "high": max(one.high for one in opening),
        "low": min(one.low for one in opening),
        "gap": counting[0].open / before[-1].close - 1.0,
    }
    past = list(pairwise(before))[-asked.sessions :]
    if len(past) < asked.sessions:
        return values
    ranges = [max(b.high, a.close) - min(b.low, a.close) for a, b in past]
    values["atr"] = math.fsum(ranges) / asked.sessions
    if values["atr"] > 0:
        values["width"] = (values["high"] - values["low"]) / values["atr"]
    volumes = [b.volume for _, b in past if b.volume is not None]
    if 2 * len(volumes) >= asked.sessions and sum(volumes) > 0:
        usual = math.fsum(volumes) / len(volumes)
        values["relative_volume"] = math.fsum(one.volume for one in opening) / usual
    return values


WEEKS = {
    "to summer time": date(2024, 3, 6),  # the clock changes on Sunday the 10th
    "to winter time": date(2024, 10, 30),  # on Sunday the 3rd of November
    "half days": date(2024, 7, 1),  # the 3rd closes at 13:00, the 4th is a holiday
    "Thanksgiving": date(2024, 11, 25),
}


@some.composite
def markets(draw: Any) -> Bars:
    """Sessions with holes, bars without volume, bars outside of hours, and sometimes a split."""
    length = draw(some.sampled_from([1, 2, 5, 10, 15]))
    count = draw(some.integers(4, 7))
    days = sessions_from(WEEKS[draw(some.sampled_from(sorted(WEEKS)))], count)
    rng = np.random.default_rng(draw(some.integers(0, 2**32 - 1)))
    bars = quiet(days, length=length)
    n = len(bars)
    close = PRICE + np.round(np.cumsum(rng.normal(0, 0.15, n)), 2)
    opened = np.r_[PRICE, close[:-1]]
    first = np.r_[True, bars.session[1:] != bars.session[:-1]]
    opened[first] += np.round(rng.normal(0, 1, first.sum()), 2)
    day = np.cumsum(first) - 1
    split = np.where(day >= draw(some.integers(1, count + 2)), 2.0, 1.0)
    reach = np.round(rng.random((2, n)) / 4, 2)
    prices = {
        "open": opened,
        "high": np.maximum(opened, close) + reach[0],
        "low": np.minimum(opened, close) - reach[1],
        "close": close,
    }
    volume = rng.integers(0, 5_000, n).astype(float)
    volume[rng.random(n) < draw(some.sampled_from([0.0, 0.02, 0.2]))] = 0
    whole = replace(
        bars,
        factor=split,
        volume=volume,
        at=bars.at - draw(some.sampled_from([0, 0, 3])) * np.timedelta64(1, "m"),
        **{name: price / split for name, price in prices.items()},
    )
    kept = rng.random(n) >= draw(some.sampled_from([0.0, 0.01, 0.05, 0.5]))
    kept[0] = True
    return whole[np.flatnonzero(kept)]


@settings(max_examples=60)
@given(
    bars=markets(), minutes=some.sampled_from([30, 30, 60]), until=some.sampled_from([0, 60, 65])
)
def test_lines_are_the_oracles_to_the_bit_in_one_pass_and_bar_by_bar(
    bars: Bars, minutes: int, until: int
) -> None:
    options = dict(minutes=minutes, until=until, sessions=2)
    expected = oracle(bars, Asked(**options, length=int(bars.interval.removesuffix("m"))))
    once, stepped = (lines(bars, runonce=runonce, **options) for runonce in (True, False))

    for name in NAMES:
        assert once[name].tobytes() == stepped[name].tobytes(), name
        np.testing.assert_array_equal(once[name], expected[name], err_msg=name)


def test_extended_hours_change_nothing() -> None:
    """The same sessions with bars from 08:00 to 18:00 around them."""
    days = sessions_from(FIRST, 6)
    bars = quiet(days, rows={(LAST, "10:30"): flat_at(UP)})
    around = []
    for day in days:
        opened = np.datetime64(new_york().open_at(day).replace(tzinfo=None), "ns")
        around += [opened + np.timedelta64(m, "m") for m in (*range(-90, 1), *range(391, 510))]
    n = len(around)
    wild = np.full(n, 3 * PRICE)
    order = np.argsort(np.r_[bars.at, around], kind="stable")
    columns = {
        name: np.r_[getattr(bars, name), wild][order] for name in ("open", "high", "low", "close")
    }
    mixed = replace(
        bars,
        at=np.r_[bars.at, around][order],
        session=np.r_[bars.session, np.repeat(np.array(days, "datetime64[D]"), n // len(days))][
            order
        ],
        volume=np.full(len(order), VOLUME),
        factor=np.ones(len(order)),
        dividend=np.zeros(len(order)),
        **columns,
    )
    regular = np.isin(mixed.at, bars.at)
    alone, among = lines(bars, sessions=3), lines(mixed, sessions=3)

    for name in NAMES:
        np.testing.assert_array_equal(among[name][regular], alone[name])
        outside = among[name][~regular]
        assert (outside == 0).all() if name == "breakout" else np.isnan(outside).all()


def test_python_takes_a_step_a_session_not_a_bar() -> None:
    """So that 100,000 minutes take a moment; steps are counted, because machines differ."""
    from iverson.signals import opening_range, sessions

    calls = 0

    class Counting(sessions.Past):
        def add(self, *facts: float) -> None:
            nonlocal calls
            calls += 1
            super().add(*facts)

    bars = quiet(sessions_from(FIRST, 40))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opening_range, "Past", Counting)
        feed = Feed(bars)
        names = ("datetime", "open", "high", "low", "close", "volume")
        columns = opening_range.Columns(*(np.array(feed.columns[name]) for name in names))
        opening_range.over(columns, opening_range.Rule.of(30, 1, until=60, sessions=14))

    assert calls == 40
