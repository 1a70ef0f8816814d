# SPDX-License-Identifier: GPL-3.0-or-later
"""Several strategies that declare what they read and need: headlines, a feed, an interval."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import iverson as iv
from iverson.errors import ConfigError, Refused
from iverson.market import news_synthetic, sample
from iverson.market.synthesis import synthesize
from iverson.research.several import Several, combined
from iverson.testing import noise
from strategies.news_reversal import NewsReversal
from strategies.opening_range import OpeningRangeBreakout
from strategies.rsi_reversion import RsiReversion

SYMBOLS = ["AAPL", "IBM", "MSFT"]
SPAN = ("2003", "2004")
LOOSE = {"NewsReversal.fall": 0.5, "NewsReversal.worst": -0.4}  # enough trades for short tests


@cache
def headlines() -> tuple[Any, ...]:
    """SYNTHETIC: they say nothing about the strategies, and all about how they are run."""
    return tuple(news_synthetic.synthesize(sample.load(SYMBOLS), seed=0))


def both(*uses: Any, **options: Any) -> iv.System:
    given: dict[str, Any] = dict(
        symbols=SYMBOLS, bars=sample.load(SYMBOLS), columns=[iv.News(states=headlines())]
    )
    return iv.System(uses or (RsiReversion, NewsReversal), **{**given, **options})


@cache
def ran() -> Any:
    return both(params=LOOSE).backtest(*SPAN)


def test_what_each_reads_and_the_strictest_feed_are_those_of_the_whole() -> None:
    class Whole(RsiReversion):
        """Needs the whole tape, and reads what the news strategy reads too."""

        reads = ("bad_news_age", "news_count")
        least_feed = "sip"

    two = combined([iv.Use(RsiReversion), iv.Use(NewsReversal)])
    three = combined([iv.Use(Whole), iv.Use(RsiReversion), iv.Use(NewsReversal)])

    assert two.reads == NewsReversal.reads
    assert sorted(three.reads) == sorted({*Whole.reads, *NewsReversal.reads})
    assert (two.least_feed, three.least_feed) == ("iex", "sip")


@pytest.mark.parametrize(
    ("uses", "feed", "refused"),
    [
        ((RsiReversion,), "delayed_sip", False),
        ((RsiReversion, NewsReversal), "delayed_sip", True),
        ((NewsReversal, RsiReversion), "delayed_sip", True),
        ((RsiReversion, NewsReversal), "iex", False),
    ],
)
def test_feed_that_is_too_late_for_one_is_refused_for_all(
    uses: Any, feed: str, refused: bool
) -> None:
    told = {symbol: replace(one, feed=feed) for symbol, one in sample.load(SYMBOLS).items()}
    system = both(*uses, bars=told)
    if not refused:
        assert system.load().keys() == told.keys()
        return

    with pytest.raises(Refused, match=r"NewsReversal.* needs at least the feed 'iex'"):
        system.backtest(*SPAN)


def test_feed_that_is_none_is_refused_by_the_name_of_who_asks_for_it() -> None:
    class Odd(RsiReversion):
        """Asks for a feed that nobody has."""

        least_feed = "fast"

    with pytest.raises(ConfigError, match="least_feed of Odd is 'fast'; expected one of delayed"):
        both(RsiReversion, Odd)


def test_absent_columns_are_refused_by_the_name_of_who_reads_them() -> None:
    with pytest.raises(ConfigError, match=r"^NewsReversal reads bad_news_score.*iv\.News"):
        both(columns=[]).backtest(*SPAN)


def test_both_trade_and_each_is_told_apart() -> None:
    run = ran()
    table = run.by_strategy

    assert list(table.index) == ["RsiReversion", "NewsReversal"]
    assert (table["trades"] > 5).all()
    assert table["trades"].sum() == len(run.trades)
    assert table["pnl"].sum() == pytest.approx(run.equity.iloc[-1] - run.start, abs=0.01)


def test_news_strategy_reads_its_own_lines_beside_another() -> None:
    run = ran()
    own = run.trades[run.trades["strategy"] == "NewsReversal"]

    for trade in own.itertuples():
        bars = run.bars[trade.symbol]
        entered = int(np.searchsorted(bars.session, np.datetime64(trade.entry_session, "D")))
        assert bars.extra["bad_news_score"][entered - 1] <= LOOSE["NewsReversal.worst"]


def test_each_waits_for_its_entry_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """In sessions, and in minutes, which daily bars leave aside."""
    asked: dict[str, set[tuple[int, float | None]]] = {}
    waits = Several.waits

    def noted(self: Any, signal: Any) -> tuple[int, float | None]:
        found = waits(self, signal)
        asked.setdefault(signal.strategy, set()).add(found)
        return found

    monkeypatch.setattr(Several, "waits", noted)
    own = {"NewsReversal.entry_sessions": 3, "RsiReversion.entry_minutes": 5.0}
    run = both(params={**LOOSE, **own}).backtest(*SPAN)

    assert asked == {"RsiReversion": {(1, 5.0)}, "NewsReversal": {(3, None)}}
    assert (run.by_strategy["trades"] > 5).all()


def test_walk_forward_tunes_both_and_tells_them_apart() -> None:
    grid = {"RsiReversion.oversold": [30, 35], "NewsReversal.patience": [3, 5]}
    result = both(params=LOOSE).walk_forward(
        "2002", "2004", in_sample="1y", out_of_sample="6mo", grid=grid, minimum_trades=3
    )

    assert result.parameters == tuple(grid)
    assert result.trials == 4
    assert set(result.trades["strategy"]) == {"RsiReversion", "NewsReversal"}
    assert result.by_strategy["trades"].sum() == len(result.trades)


def test_check_passes_both_and_catches_one_that_peeks(tmp_path: Path) -> None:
    class Peeks(NewsReversal):
        """Knows tomorrow's close."""

        def entry(self, data: Any) -> Any:
            found = super().entry(data)
            return replace(found, target=data.close(1) * 2)

    how: Any = dict(start="2003", end="2003-06", sample=3, decisions=4)

    assert both(params=LOOSE, store=tmp_path).check(**how).passed
    peeking = both(RsiReversion, iv.Use(Peeks, dict(fall=0.5, worst=-0.4)), store=tmp_path)
    assert not peeking.check(**how).passed


def test_minute_strategy_and_a_daily_one_are_two_systems() -> None:
    with pytest.raises(ConfigError) as daily:
        both(RsiReversion, OpeningRangeBreakout).backtest(*SPAN)
    words = str(daily.value)

    assert "an opening range needs a feed of minute bars, and this is one of days" in words
    assert "strategies of days, which need a system of their own" in words
    assert "\n" not in words


def test_bars_of_days_and_minutes_in_one_system_are_refused() -> None:
    daily = noise("AAA BBB", seed=7, sessions=70)
    mixed = {"AAA": daily["AAA"], "BBB": synthesize(daily["BBB"])}

    with pytest.raises(
        ConfigError, match=r"bars of AAA are of 1d and those of BBB of 1m; .* one interval"
    ):
        iv.System([RsiReversion, OpeningRangeBreakout], ["AAA", "BBB"], bars=mixed).backtest()
