# SPDX-License-Identifier: GPL-3.0-or-later
"""A run cut in two and carried over is the run: same fills, same trades, same equity.

Two things end at the seam by design: entries that still work, and the last session of a run
decides none. The cuts here lie where neither happens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.model import Signal
from iverson.monitoring.record import Record
from iverson.research.backtest import Outcome, Prepared, Setup, simulate
from iverson.risk.sizing import RiskSizing
from iverson.strategy import Strategy
from iverson.testing import bars, signal

CASH = 100_000.0
CENT = 0.005
IN = "100 100/100/98/99"  # a limit of 99 is filled on bar 2


class Scheduled(Strategy):
    """Signals by session, so that a run from the middle gives the same ones."""

    params: Any = dict(schedule=None)
    warm_up = 0

    def signals(self) -> Any:
        assert self.desk.now is not None
        for one in self.p.schedule.get(self.desk.now.session, ()):
            yield replace(one, at=self.desk.now.at, session=self.desk.now.session)


def run_cut(
    series: Mapping[str, Bars],
    schedule: Mapping[date, list[Signal]],
    cuts: list[date],
    **options: Any,
) -> list[Outcome]:
    """Run over all sessions, handing positions over after each session in `cuts`."""
    sessions = sorted({session for one in series.values() for session in one.session.tolist()})
    setup = Setup(Scheduled, rules=(), params=dict(schedule=schedule), cash=CASH, **options)
    outcomes: list[Outcome] = []
    begins = [sessions[0], *(sessions[sessions.index(cut) + 1] for cut in cuts)]
    for first, last in zip(begins, [*cuts, sessions[-1]], strict=True):
        outcomes.append(
            simulate(
                setup,
                Prepared.of(series),
                first=first,
                last=last,
                opening=outcomes[-1].opening if outcomes else None,
                at_end="close" if last == sessions[-1] else "carry",
            )
        )
    return outcomes


def joined(outcomes: list[Outcome]) -> Record:
    return Record(values=[value for outcome in outcomes for value in outcome.record.values])


def summary(record: Record) -> tuple[Any, ...]:
    fills = [(f.session, f.symbol, f.side, f.leg, f.size, f.price) for f in record.fills]
    trades = [
        (t.symbol, t.entry_session, t.exit_session, t.size, t.exit_reason, t.ambiguous)
        for t in record.trades
    ]
    return fills, trades


def random_series(rng: np.random.Generator) -> dict[str, Bars]:
    series = {}
    for symbol in ("AAA", "BBB"):
        price, words, splits, dividends = int(rng.integers(40, 160)) * 100, [], {}, {}
        for number in range(24):
            if number and rng.random() < 0.05:
                ratio = float(rng.choice([2.0, 1.5, 0.5]))
                splits[number], price = ratio, round(price / ratio)
            if rng.random() < 0.08:
                dividends[number] = 0.25
            step = max(2, price // 40)
            opened = price + int(rng.integers(-step, step + 1))
            price = opened + int(rng.integers(-step, step + 1))
            high = max(opened, price) + int(rng.integers(0, step))
            low = min(opened, price) - int(rng.integers(0, step))
            volume = rng.choice([0, 3_000, 1_000_000], p=[0.05, 0.15, 0.8])
            words.append("/".join(f"{p / 100:.2f}" for p in (opened, high, low, price)))
            words[-1] += f"@{volume}"
        series[symbol] = bars(" ".join(words), symbol=symbol, splits=splits, dividends=dividends)
    return series


def random_schedule(
    rng: np.random.Generator, series: Mapping[str, Bars], quiet: list[date]
) -> dict[date, list[Signal]]:
    schedule: dict[date, list[Signal]] = {}
    for symbol, one in series.items():
        for session, close in zip(one.session.tolist(), one.close.tolist(), strict=True):
            if session in quiet or rng.random() < 0.6:
                continue
            sign = int(rng.choice([1, -1]))
            sessions = rng.choice([0, 1, 3, -1])
            schedule.setdefault(session, []).append(
                signal(
                    symbol=symbol,
                    side="long" if sign > 0 else "short",
                    limit=close * (1 + 0.005 * sign),
                    stop=close * (1 - 0.03 * sign),
                    target=close * (1 + 0.04 * sign) if rng.random() < 0.7 else None,
                    max_sessions=None if sessions < 0 else int(sessions),
                )
            )
    return schedule


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), cut=st.integers(1, 22), second=st.integers(1, 22))
def test_a_run_cut_anywhere_and_carried_is_the_run(seed: int, cut: int, second: int) -> None:
    rng = np.random.default_rng(seed)
    series = random_series(rng)
    sessions = series["AAA"].session.tolist()
    cuts = sorted({sessions[cut], sessions[second]})
    schedule = random_schedule(rng, series, quiet=cuts)
    options = dict(costs=Costs(), reading=rng.choice(["worst", "base", "best"]))

    whole = run_cut(series, schedule, [], **options)
    parts = run_cut(series, schedule, cuts, **options)

    assert summary(joined(parts)) == summary(joined(whole))
    assert [row.equity for row in joined(parts).equity] == pytest.approx(
        [row.equity for row in joined(whole).equity], abs=CENT
    )
    assert [trade.pnl for trade in joined(parts).trades] == pytest.approx(
        [trade.pnl for trade in joined(whole).trades], abs=CENT
    )


def ten_shares() -> dict[str, Any]:
    """The sizing that buys ten shares four dollars from their stop, without costs."""
    risk = 10 * 4.0 / CASH
    return dict(costs=Costs.none(), sizing=RiskSizing(risk=(0, 0, 0, 0, risk)))


def seam(given_bars: Bars, one: Signal, *, cut: int) -> tuple[Record, Record]:
    """The uncut run and the one cut after bar `cut`, with one signal on bar 1."""
    sessions = given_bars.session.tolist()
    series, schedule = {"TEST": given_bars}, {sessions[0]: [one]}
    whole = run_cut(series, schedule, [], **ten_shares())
    return joined(whole), joined(run_cut(series, schedule, [sessions[cut - 1]], **ten_shares()))


def test_a_carried_position_keeps_a_triggered_stop() -> None:
    """4 of 10 were stopped on the last day: the other 6 go at the next open, as without a seam."""
    words = IN + " 98/98/94/96@40 gap 97 98"

    whole, parts = seam(bars(words), signal(limit=99, stop=95, target=None), cut=3)

    assert [(f.side, f.size, f.price) for f in parts.fills] == [
        ("buy", 10, 99),
        ("sell", 4, 95),
        ("sell", 6, 97),
    ]
    assert summary(parts) == summary(whole)


def test_a_split_and_a_dividend_on_the_first_day_after_the_seam_count() -> None:
    """20 shares, stopped at 47.50; ten cents on each are $2."""
    words = IN + " 99 gap 49 49/49/46/47 47"
    given_bars = bars(words, splits={3: 2.0}, dividends={3: 0.1})

    whole, parts = seam(given_bars, signal(limit=99, stop=95, max_sessions=None), cut=3)

    assert [(f.side, f.size, f.price) for f in parts.fills] == [("buy", 10, 99), ("sell", 20, 47.5)]
    assert summary(parts) == summary(whole)
    assert parts.trades[0].dividends == pytest.approx(2.0)
    assert parts.equity[-1] == whole.equity[-1]


def test_equity_counts_a_carried_position_whose_symbol_is_gone() -> None:
    """Delisted between two runs: worth its last mark, and handed on."""
    gone = bars(IN + " 99", symbol="GONE")
    calm = bars("50 50 50 50 50", symbol="CALM")
    sessions = calm.session.tolist()
    schedule = {sessions[0]: [signal(symbol="GONE", limit=99, stop=95, max_sessions=None)]}

    parts = run_cut({"GONE": gone, "CALM": calm}, schedule, [sessions[2]], **ten_shares())

    assert [row.equity for row in joined(parts).equity] == pytest.approx([CASH] * 5)
    (left,) = parts[-1].opening.carried
    assert (left.symbol, left.size, left.mark) == ("GONE", 10, 99)


def test_equity_counts_a_carried_position_that_does_not_print_at_once() -> None:
    """The first session of the next run misses one symbol's bar."""
    late = bars(IN + " 99 98 98", symbol="LATE")
    keep = np.array([0, 1, 2, 4])
    names = ("at", "session", "open", "high", "low", "close", "volume", "factor", "dividend")
    late = Bars("LATE", late.interval, *(getattr(late, name)[keep] for name in names))
    calm = bars("50 50 50 50 50", symbol="CALM")
    sessions = calm.session.tolist()
    schedule = {sessions[0]: [signal(symbol="LATE", limit=99, stop=95, max_sessions=None)]}
    series = {"LATE": late, "CALM": calm}

    parts = joined(run_cut(series, schedule, [sessions[2]], **ten_shares()))

    assert [row.equity - CASH for row in parts.equity] == pytest.approx([0, 0, 0, 0, -10])
    assert [fill.leg for fill in parts.fills] == ["entry", "fold end"]
