# SPDX-License-Identifier: GPL-3.0-or-later
"""Minutes made from daily bars add up to them, whatever the day was like."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from iverson.errors import BadBars, ConfigError
from iverson.market import sample
from iverson.market.bars import DAILY, Bars
from iverson.market.calendar import new_york
from iverson.market.hours import regular_hours
from iverson.market.synthesis import synthesize
from tests.minute_bars import sessions_from

FULL, HALF_DAY = 390, 210
NAMES = ("open", "high", "low", "close", "volume")


def summed(minutes: Bars) -> dict[str, np.ndarray[Any, Any]]:
    """Sum minutes up by session, the slow way."""
    rows = [minutes.session == day for day in np.unique(minutes.session)]
    return {
        "open": np.array([minutes.open[row][0] for row in rows]),
        "high": np.array([max(minutes.high[row]) for row in rows]),
        "low": np.array([min(minutes.low[row]) for row in rows]),
        "close": np.array([minutes.close[row][-1] for row in rows]),
        "volume": np.array([sum(minutes.volume[row].tolist()) for row in rows]),
    }


def each_day(minutes: Bars, values: Any) -> Any:
    """Repeat a value of each session for each of its minutes."""
    return values[np.unique(minutes.session, return_inverse=True)[1]]


@some.composite
def days(draw: Any) -> Bars:
    """Draw daily bars on whole cents: quiet and wild ones, without range, with few shares."""
    count = draw(some.integers(1, 4))
    cents = some.integers(1, 100_000)
    rows = []
    for _ in range(count):
        low, high = sorted((draw(cents), draw(cents)))
        if draw(some.booleans()):
            high = low + draw(some.integers(0, 5))
        inside = some.integers(low, high)
        volume = draw(some.one_of(some.integers(0, 500), some.integers(0, 10**10)))
        rows.append((draw(inside) / 100, high / 100, low / 100, draw(inside) / 100, float(volume)))
    table = np.array(rows)
    sessions = np.array(sessions_from(date(2024, 7, 2), count), "datetime64[D]")
    return Bars(
        symbol=draw(some.sampled_from(["AAA", "BBB"])),
        interval=DAILY,
        at=new_york().closes(sessions),
        session=sessions,
        factor=np.ones(count),
        dividend=np.zeros(count),
        **{name: table[:, place].copy() for place, name in enumerate(NAMES)},
    )


@settings(max_examples=60)
@given(days(), some.integers(0, 2**31))
def test_minutes_add_up_to_the_day_to_the_bit(daily: Bars, seed: int) -> None:
    minutes = synthesize(daily, seed=seed)

    for name, values in summed(minutes).items():
        assert values.tolist() == getattr(daily, name).tolist(), name


@settings(max_examples=60)
@given(days(), some.integers(0, 2**31))
def test_minutes_are_bars_of_whole_cents_and_shares_within_the_days_range(
    daily: Bars, seed: int
) -> None:
    minutes = synthesize(daily, seed=seed)

    assert (minutes.high <= each_day(minutes, daily.high)).all()
    assert (minutes.low >= each_day(minutes, daily.low)).all()
    assert (minutes.low <= np.minimum(minutes.open, minutes.close)).all()
    assert (minutes.high >= np.maximum(minutes.open, minutes.close)).all()
    for name in ("open", "high", "low", "close"):
        prices = getattr(minutes, name)
        assert (prices == np.round(prices, 2)).all()
    assert (minutes.volume == np.floor(minutes.volume)).all()
    assert (minutes.volume >= 0).all()
    enough = each_day(minutes, daily.volume >= FULL)
    assert (minutes.volume[enough] >= 1).all()


@settings(max_examples=20)
@given(days(), some.integers(0, 2**31))
def test_same_seed_same_bytes_and_a_session_does_not_know_its_neighbours(
    daily: Bars, seed: int
) -> None:
    whole = synthesize(daily, seed=seed)

    assert synthesize(daily, seed=seed).digest == whole.digest
    alone = synthesize(daily[len(daily) - 1 :], seed=seed)
    assert alone.close.tobytes() == whole.close[-len(alone) :].tobytes()
    assert alone.volume.tobytes() == whole.volume[-len(alone) :].tobytes()


def test_another_seed_another_symbol_and_another_session_are_other_minutes() -> None:
    daily = sample.load(["IBM"])["IBM"][:2]
    twice = replace(daily, **{n: getattr(daily, n)[[0, 0]] for n in NAMES})  # the same day again

    made = [synthesize(twice), synthesize(twice, seed=1), synthesize(replace(twice, symbol="X"))]
    paths = {one.close[rows].tobytes() for one in made for rows in (slice(390), slice(390, 780))}
    assert len(paths) == 2 * len(made)


def test_sessions_have_their_minutes_stamped_at_the_right_edge() -> None:
    days_ = sessions_from(date(2024, 7, 2), 3)  # a whole day, a half day, a whole day
    template = sample.load(["IBM"])["IBM"][:3]
    sessions = np.array(days_, "datetime64[D]")
    daily = replace(template, session=sessions, at=new_york().closes(sessions))
    minutes = synthesize(daily)

    assert np.unique(minutes.session, return_counts=True)[1].tolist() == [FULL, HALF_DAY, FULL]
    assert regular_hours(minutes) is minutes
    ends = np.flatnonzero(np.r_[minutes.session[1:] != minutes.session[:-1], True])
    assert (minutes.at[ends] == daily.at).all()


def test_real_days_with_their_splits_and_dividends() -> None:
    for daily in sample.load().values():
        part = daily.between(date(2005, 2, 1), date(2005, 4, 30))  # Apple split on February 28
        if not len(part):
            continue
        minutes = synthesize(part)
        for name, values in summed(minutes).items():
            assert values.tolist() == getattr(part, name).tolist()
        assert minutes.dividend.sum() == part.dividend.sum()
        assert (minutes.factor == each_day(minutes, part.factor)).all()


def test_volume_and_volatility_are_u_shaped() -> None:
    daily = sample.load(["IBM"])["IBM"]
    minutes = synthesize(daily.between(date(2010, 1, 1), date(2010, 12, 31)))
    counts = np.unique(minutes.session, return_counts=True)[1]
    full = np.repeat(counts == FULL, counts)
    volume = minutes.volume[full].reshape(-1, FULL).mean(axis=0)
    moves = np.abs(np.log(minutes.close / minutes.open))[full].reshape(-1, FULL).mean(axis=0)

    for line in (volume, moves):
        first, noon, last = line[:30].mean(), line[180:210].mean(), line[-30:].mean()
        assert first > 1.5 * noon
        assert last > 1.5 * noon


def test_they_say_that_they_were_made_up() -> None:
    assert synthesize(sample.load(["IBM"])["IBM"][:1]).feed == "SYNTHETIC"


def test_days_that_no_minutes_can_make_are_refused() -> None:
    daily = sample.load(["IBM"])["IBM"][:3]
    above = replace(daily, close=daily.high + np.array([0.0, 1.0, 0.0]))
    unknown = replace(daily, volume=np.array([1.0, 1.0, np.nan]))

    with pytest.raises(BadBars, match=f"IBM, {daily.session[0]}.*outside its range"):
        synthesize(replace(above, open=daily.high + 1))
    with pytest.raises(BadBars, match=f"IBM, {daily.session[1]}.*outside its range"):
        synthesize(replace(above, close=daily.close + np.array([0.0, 100.0, 0.0])))
    with pytest.raises(BadBars, match=f"IBM, {daily.session[2]}.*no volume"):
        synthesize(unknown)
    with pytest.raises(ConfigError, match="daily bars"):
        synthesize(synthesize(daily))
    with pytest.raises(ConfigError, match="seed is -1"):
        synthesize(daily, seed=-1)
