# SPDX-License-Identifier: GPL-3.0-or-later
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from iverson.errors import ConfigError
from iverson.execution.costs import Costs
from iverson.market.bars import Bars
from iverson.model import Verdict
from iverson.research.shadow import NEVER, follow
from iverson.research.shadow_book import by_rule, follow_denied, shadow_frame
from iverson.testing import bars, run_signals, signal

FREE = Costs.none()
DAYS = bars("100 100 100 100 100 100 100").session

# A long signal at the close of bar 1 (100): limit 100, stop 98, target 104, three sessions.
PATHS = {
    "limit touched only": "100 | 100.5/103/100/102 102/103/101/102",
    "never reached": "100 | 101/103/100.5/102 102/103/101/102",
    "filled on the second day": "100 | 101/103/100.5/102 100/101/99/100.5 101 102 103",
    "filled at the open, below": "100 | 99.5/101/99/100 101 102 103 104",
    "inside, then the stop next day": "100 | 100.5/101/99/100 99/99.5/97/98 98",
    "stopped in the entry bar": "100 | 100.5/101/97/98 98 98",
    "gapped through the stop": "100 | 99.5/100/99/99.5 gap 95 95",
    "opened below the stop": "100 | gap 96 96 96",
    "target next day": "100 | 99.5/101/99/100 100/105/100/104 104",
    "gapped over the target": "100 | 99.5/101/99/100 gap 106 106",
    "both in one bar": "100 | 99.5/101/99/100 100/106/97/101 101",
    "target in the entry bar, maybe before": "100 | 100.5/105/99/100 101 101 101 101",
    "target in the entry bar, surely": "100 | 100.5/105/99/104.5 104.5 104",
    "time limit": "100 | 99.5/101/99/100 100.5 101 101.5 102 102.5",
    "run ends first": "100 | 99.5/101/99/100 100.5",
}


def broker(given: Bars, one, **options):
    outcome = run_signals(given, {1: one}, rules=(), **options)
    return outcome.record.trades[0] if outcome.record.trades else None


def at_close_of_first(given: Bars, **changes):
    at = pd.Timestamp(given.at[0]).tz_localize("UTC").to_pydatetime()
    return signal(at=at, session=given.session[0].item(), **changes)


def compare(given: Bars, one, costs=FREE, reading="worst"):
    trade = broker(given, one, costs=costs, reading=reading)
    shadow = follow(one, given, costs=costs, reading=reading)
    if trade is None:
        assert not shadow.filled
        return
    expected = (trade.entry_session, trade.exit_session, trade.exit_reason, trade.ambiguous)
    actual = (shadow.entry_session, shadow.exit_session, shadow.exit_reason, shadow.ambiguous)
    assert expected == actual
    assert (shadow.entry, shadow.exit) == pytest.approx((trade.entry, trade.exit), abs=1e-9)
    assert shadow.pnl == pytest.approx(trade.pnl / trade.size, abs=1e-9)


@pytest.mark.parametrize("reading", ["worst", "base", "best"])
@pytest.mark.parametrize("words", PATHS.values(), ids=PATHS.keys())
def test_a_signal_fills_as_it_would_at_the_broker(words, reading):
    given = bars(words)

    compare(given, at_close_of_first(given), reading=reading)


@pytest.mark.parametrize("words", PATHS.values(), ids=PATHS.keys())
def test_a_short_signal_fills_as_it_would_at_the_broker(words):
    given = bars(words)
    low, high = 200.0 - given.high, 200.0 - given.low
    mirrored = replace(given, open=200 - given.open, close=200 - given.close, low=low, high=high)

    compare(mirrored, at_close_of_first(given, side="short", stop=102.0, target=96.0))


def test_random_signals_fill_as_at_the_broker():
    generator = np.random.default_rng(7)
    costs = Costs(spread_bps=20.0)
    for _ in range(60):
        closes = 100 * np.exp(np.cumsum(generator.normal(0, 0.02, 9)))
        opens = closes * np.exp(generator.normal(0, 0.01, 9))
        reach = np.exp(np.abs(generator.normal(0, 0.015, (2, 9))))
        rows = zip(opens, np.maximum(opens, closes) * reach[0],
                   np.minimum(opens, closes) / reach[1], closes, strict=True)  # fmt: skip
        words = " ".join("/".join(f"{price:.2f}" for price in row) for row in rows)
        given = bars(words)
        close = float(given.close[0])
        one = at_close_of_first(
            given, limit=close, stop=close * 0.97, target=close * 1.03,
            max_sessions=int(generator.integers(0, 4)),
        )  # fmt: skip

        for reading in ("worst", "base", "best"):
            compare(given, one, costs, reading)


def test_profit_is_per_share_after_half_the_spread():
    given = bars("100 | 99.5/101/99/100 100.5 101 101.5")
    wide = Costs(spread_bps=20.0, sec_fee=0, taf_per_share=0, cat_per_share=0)  # 0.1 % half spread

    shadow = follow(at_close_of_first(given), given, costs=wide)

    # Bought at the open, 99.50 + 0.0995 up to the tick; left at the close of session 3, 101.50.
    entry, left = 99.60, 101.39
    assert (shadow.entry, shadow.exit, shadow.exit_reason) == (entry, left, "time limit")
    assert shadow.pnl == pytest.approx(left - entry)
    assert shadow.r_multiple == pytest.approx((left - entry) / 2.0)


def test_never_filled_makes_nothing():
    given = bars("100 | 101 102 99 99")

    shadow = follow(at_close_of_first(given), given, costs=FREE)

    assert (shadow.filled, shadow.exit_reason, shadow.pnl) == (False, NEVER, 0.0)
    assert math.isnan(shadow.r_multiple)


def test_a_longer_validity_fills_later():
    given = bars("100 | 101 102 102/102/99/100 100")

    shadow = follow(at_close_of_first(given), given, costs=FREE, entry_sessions=3)

    assert shadow.entry_session == DAYS[3].item()


def test_a_missed_entry_is_bought_at_the_next_open_when_asked():
    given = bars("100 | 101/103/100.5/102 103 105 105")

    shadow = follow(at_close_of_first(given), given, costs=FREE, at_open=True)

    assert (shadow.entry, shadow.exit, shadow.exit_reason) == (101.0, 104.0, "target")
    assert shadow.r_multiple == pytest.approx(3.0 / 2.0)


def test_a_split_while_holding_converts_prices_and_shares():
    given = bars("100 | 99/101/99/100 gap 50 | 50/50/48.5/49", splits={2: 2.0})

    shadow = follow(at_close_of_first(given), given, costs=FREE)

    # Bought at 99; after 2 for 1 the stop 98 is 49: two shares at 49 are 98.
    assert (shadow.exit, shadow.exit_reason) == (49.0, "stop")
    assert shadow.pnl == pytest.approx(2 * 49.0 - 99.0)


def test_a_split_before_the_entry_withdraws_it():
    given = bars("100 | gap 50 50 50", splits={1: 2.0})

    assert not follow(at_close_of_first(given), given, costs=FREE).filled


def test_a_dividend_while_holding_counts():
    given = bars("100 | 99/101/99/100 100 100 100", dividends={1: 9.0, 2: 0.5})

    shadow = follow(at_close_of_first(given), given, costs=FREE)

    assert shadow.pnl == pytest.approx(100.0 - 99.0 + 0.5)


def test_it_ends_with_the_fold():
    given = bars("100 | 99/101/99/100 101 102 103")

    shadow = follow(at_close_of_first(given), given, costs=FREE, until=DAYS[2].item())

    assert (shadow.exit_session, shadow.exit_reason) == (DAYS[2].item(), "fold end")
    assert shadow.exit == 101.0


def test_a_faulty_signal_is_refused():
    given = bars("100 100")

    with pytest.raises(ConfigError, match="confidence is 9"):
        follow(at_close_of_first(given, confidence=9), given)


def test_a_signal_that_rounds_to_a_fault_is_refused_and_never_followed():
    given = bars("100 100")
    fine = at_close_of_first(given, limit=100.009, stop=99.991)

    assert fine.fault() is None
    with pytest.raises(ConfigError, match="stop 100 must lie below the limit 100"):
        follow(fine, given)
    assert list(follow_denied([denied(fine, "price grid")], {"TEST": given})) == []


def denied(one, rule):
    return Verdict(one, approved=False, size=0, rule=rule, reason="so")


def test_the_shadow_book_sums_up_by_rule():
    given = bars("100 | 99/101/99/100 100/105/100/104 104")
    won = at_close_of_first(given)
    never = at_close_of_first(given, limit=90.0, stop=88.0)
    faulty = at_close_of_first(given, confidence=0)
    verdicts = [
        denied(won, "max positions"),
        denied(won, "max positions"),
        denied(never, "max positions"),
        denied(never, "correlation"),
        denied(faulty, "signal"),
        Verdict(won, approved=True, size=1, rule="risk", reason="fine"),
    ]

    table = by_rule(shadow_frame(follow_denied(verdicts, {"TEST": given}, costs=FREE)))

    gain = (104.0 - 99.0) / 2.0
    assert table.index.tolist() == ["max positions", "correlation"]
    assert table.loc["max positions", ["denied", "filled"]].tolist() == [3, 2]
    assert table.loc["max positions", "total_r"] == pytest.approx(2 * gain)
    assert table.loc["max positions", "low"] == pytest.approx(2 * gain)
    assert table.loc["correlation", ["denied", "filled", "total_r"]].tolist() == [1, 0, 0.0]
    assert math.isnan(table.loc["correlation", "mean_r"])


def test_an_empty_shadow_book_has_no_rules():
    assert by_rule(shadow_frame([])).empty
