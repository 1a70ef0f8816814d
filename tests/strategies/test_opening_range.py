# SPDX-License-Identifier: GPL-3.0-or-later
"""Strategy C: what it enters, where it protects, and that it is flat by the close."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pytest

import iverson as iv
from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.market.calendar import new_york
from iverson.market.synthesis import synthesize
from iverson.research.backtest import Prepared, Setup, simulate
from iverson.research.results import Run
from iverson.risk import rules
from iverson.testing import noise
from strategies.opening_range import OpeningRangeBreakout, both_sides, grid, system
from tests.minute_bars import (
    PRICE,
    REACH,
    VOLUME,
    flat_at,
    quiet,
    sessions_from,
    summed,
    with_volume,
)

DAYS = sessions_from(date(2024, 5, 1), 20)
DAY = DAYS[-2]  # the last one only carries what is open
UP, DOWN = PRICE + 0.5, PRICE - 0.5
RANGE = 4.0  # dollars between a session's extremes, every day
COLLAR, STOP_ATRS, REWARD = 0.001, 0.5, 2.0  # the strategy's own
CASH = 100_000.0


def market(rows: dict[str, Any], *, busy: str = "", price: float = PRICE) -> Bars:
    """Quiet days that reach $4 at noon, and one with other bars, ten times as `busy` at one."""
    wide = {(day, "12:30"): (price, price + RANGE / 2, price - RANGE / 2, price) for day in DAYS}
    bars = quiet(DAYS, rows=wide | {(DAY, clock): row for clock, row in rows.items()}, price=price)
    if not busy:
        return bars
    hour, minute = (int(part) for part in busy.split(":"))
    edge = new_york().open_at(DAY).replace(tzinfo=None)
    at = np.datetime64(edge, "ns") + np.timedelta64(60 * hour + minute - 570, "m")
    return with_volume(bars, np.where(bars.at == at, 10 * VOLUME, VOLUME))


def go(bars: Bars, **params: Any) -> Any:
    setup = Setup(
        OpeningRangeBreakout, rules=(), costs=Costs.none(), cash=CASH, params=params,
        sizing=iv.RiskSizing(risk=(0.01,) * 5, volume=1.0),
    )  # fmt: skip
    return simulate(setup, Prepared.of({"TEST": bars}), first=DAYS[16], last=DAYS[-1]).record


@pytest.mark.parametrize(("to", "side", "way"), [(UP, "long", 1), (DOWN, "short", -1)])
def test_first_close_outside_is_entered_with_a_collar_a_stop_and_a_target(
    to: float, side: str, way: int
) -> None:
    record = go(market({"11:00": flat_at(to)}, busy="11:00"))
    (verdict,) = record.verdicts
    signal = verdict.signal

    limit = to * (1 + way * COLLAR)
    other_side = PRICE - way * REACH
    atr_away = limit - way * STOP_ATRS * RANGE
    nearest = max(other_side, atr_away) if way > 0 else min(other_side, atr_away)
    assert (signal.side, signal.session, verdict.approved) == (side, DAY, True)
    assert signal.limit == pytest.approx(limit, abs=0.01)
    assert signal.stop == pytest.approx(nearest, abs=0.01)
    assert signal.target == pytest.approx(limit + REWARD * (limit - nearest), abs=0.03)


@pytest.mark.parametrize(
    ("params", "bound"),
    [(dict(stop_atrs=0.1), 0.1 * RANGE), (dict(stop_atrs=9.0), UP - PRICE + REACH)],
)
def test_stop_is_the_nearest_of_range_and_atr(params: dict[str, float], bound: float) -> None:
    (verdict,) = go(market({"11:00": flat_at(UP)}, busy="11:00"), **params).verdicts

    assert verdict.signal.risk_per_share == pytest.approx(
        bound + COLLAR * UP, abs=0.02 + COLLAR * UP
    )


def test_stop_is_never_more_than_five_percent_away() -> None:
    rows = {"09:40": (PRICE, PRICE, PRICE - 20, PRICE), "11:00": flat_at(UP)}
    (verdict,) = go(market(rows, busy="11:00"), stop_atrs=50.0).verdicts

    away = verdict.signal.risk_per_share / verdict.signal.limit
    assert 0.049 < away <= 0.05


def test_breakout_without_volume_is_none() -> None:
    assert not go(market({"11:00": flat_at(UP)})).verdicts
    assert go(market({"11:00": flat_at(UP)}), volume=1.0).verdicts


def test_a_symbol_breaks_out_once_a_day() -> None:
    rows = {"11:00": flat_at(UP), "12:00": flat_at(UP), "13:00": flat_at(DOWN)}

    assert len(go(market(rows), volume=0.5).verdicts) == 1


@pytest.mark.parametrize(("clock", "signals"), [("14:55", 1), ("14:56", 0), ("15:30", 0)])
def test_no_entry_could_fill_after_three(clock: str, signals: int) -> None:
    record = go(market({clock: flat_at(UP)}), volume=0.5)

    assert len(record.verdicts) == signals
    assert all(
        fill.at <= new_york().close_at(DAY) - HOUR for fill in record.fills if fill.leg == "entry"
    )


def test_what_has_not_moved_for_weeks_has_no_setup() -> None:
    """Without a true range there is no place for a stop; a fault would end the whole run."""
    bars = market({"11:00": flat_at(UP)}, busy="11:00")
    before = bars.session < np.datetime64(DAY)
    still = replace(bars, **{name: np.where(before, PRICE, getattr(bars, name))
                             for name in ("open", "high", "low", "close")})  # fmt: skip

    assert len(go(bars).verdicts) == 1
    assert not go(still).verdicts


HOUR = np.timedelta64(1, "h").item()


def test_position_is_left_the_same_day_before_the_close() -> None:
    rows = {
        f"{h:02d}:{m:02d}": flat_at(UP)
        for h in range(11, 17)
        for m in range(60)
        if (h, m) <= (16, 0)
    }
    (trade,) = go(market(rows), volume=0.5).trades

    assert (trade.entry_session, trade.exit_session, trade.exit_reason) == (DAY, DAY, "time limit")
    assert trade.exit_at < new_york().close_at(DAY)


def test_evidence_makes_confidence() -> None:
    plain = go(market({"11:00": flat_at(UP)}), volume=0.5, narrow=0.0).verdicts[0].signal
    narrow = go(market({"11:00": flat_at(UP)}), volume=0.5).verdicts[0].signal
    assert (plain.confidence, narrow.confidence) == (1, 2)

    bars = market({"11:00": flat_at(UP)})
    for times, points in ((1.4, 0), (1.5, 1), (2.0, 2), (9.0, 2)):
        opening = (bars.session == np.datetime64(DAY)) & (np.arange(len(bars)) % 390 < 30)
        busy = with_volume(bars, np.where(opening, times * VOLUME, VOLUME))
        found = go(busy, volume=0.5, narrow=0.0).verdicts[0].signal
        assert found.confidence == 1 + points, times
        assert found.reason == pytest.approx(times)


@pytest.mark.parametrize(
    ("gap", "to", "points"), [(0.01, 0.5, 1), (0.01, -0.5, 0), (-0.01, -0.5, 1)]
)
def test_a_gap_is_evidence_for_its_own_side(gap: float, to: float, points: int) -> None:
    there = PRICE * (1 + gap)
    bars = market({"11:00": flat_at(PRICE + to)})
    after = bars.session >= np.datetime64(DAY)
    moved = replace(bars, **{n: getattr(bars, n) + np.where(after, there - PRICE, 0.0)
                             for n in ("open", "high", "low", "close")})  # fmt: skip

    assert go(moved, volume=0.5, narrow=0.0).verdicts[0].signal.confidence == 1 + points


@cache
def made() -> dict[str, Bars]:
    """Minutes of which there is nothing to find, in bars of five so that the tests stay quick."""
    daily = noise("AAA BBB CCC", seed=7, sessions=60)
    return {symbol: summed(synthesize(one), 5) for symbol, one in daily.items()}


@cache
def ran() -> Run:
    return replace(both_sides, symbols=["AAA", "BBB", "CCC"], bars=made()).backtest(volume=0.8)


def test_defaults_trade_longs_only_and_journal_the_shorts() -> None:
    run = replace(system, symbols=["AAA", "BBB", "CCC"], bars=made()).backtest(volume=0.8)

    assert set(run.trades["side"]) == {"long"}
    assert "long only" in set(run.denied["rule"])
    assert set(ran().trades["side"]) == {"long", "short"}


def test_nothing_is_held_over_night_and_no_symbol_trades_twice_a_day() -> None:
    trades = ran().trades

    assert len(trades) > 10
    assert (trades["entry_session"] == trades["exit_session"]).all()
    assert not trades.duplicated(["symbol", "entry_session"]).any()


def test_every_signal_is_faultless_and_within_the_rules() -> None:
    for verdict in ran().record.verdicts:
        assert verdict.signal.fault() is None
        assert verdict.rule not in ("stop distance", "signal")


def test_one_pass_and_bar_by_bar_decide_the_same() -> None:
    """The engine's passes against Backtrader's own `next`, through the whole spine."""

    class Stepped(OpeningRangeBreakout):
        """The same, with Backtrader's passes switched off."""

        def start(self) -> None:
            self.cerebro._disable_runonce()
            super().start()

    Stepped.__name__ = OpeningRangeBreakout.__name__
    records = [
        simulate(
            Setup(kind, rules=rules.standard(short=True), params=dict(volume=0.8)),
            Prepared.of(made()),
            first=made()["AAA"].session[15 * 78].item(),
            last=made()["AAA"].session[30 * 78].item(),
        ).record.values
        for kind in (OpeningRangeBreakout, Stepped)
    ]

    assert len(records[0]) > 10
    assert records[0] == records[1]


def test_grid_names_parameters_of_the_strategy() -> None:
    assert set(grid) <= {name for name, _ in OpeningRangeBreakout.params._getitems()}
