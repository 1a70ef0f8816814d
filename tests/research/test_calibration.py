# SPDX-License-Identifier: GPL-3.0-or-later
"""What confidence is worth: the steps, the verdict on their order, and flat sizing."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import iverson as iv
from iverson.errors import ConfigError
from iverson.monitoring.intervals import wilson
from iverson.research.calibration import MINIMUM_FOR_INTERVAL, calibration
from iverson.testing import bars


def trades(r_by_step: dict, risk_by_step: dict | None = None) -> pd.DataFrame:
    rows = []
    for step, multiples in r_by_step.items():
        risk = (risk_by_step or {}).get(step, 50.0)
        rows += [(step, one * risk, risk, one) for one in multiples]
    return pd.DataFrame(rows, columns=["confidence", "pnl", "risk", "r_multiple"])


def coin(share: float, count: int) -> list[float]:
    """So many trades of +1.5 R and -1 R, the given share of them won."""
    won = round(share * count)
    return [1.5] * won + [-1.0] * (count - won)


def test_each_step_has_its_own_numbers():
    table = trades({2: coin(0.4, 40), 4: coin(0.6, 50)}, {2: 50.0, 4: 150.0})

    steps = calibration(table).steps

    assert steps.index.tolist() == [2, 4]
    for step, mine in table.groupby("confidence"):
        row = steps.loc[step]
        wins = int((mine["pnl"] > 0).sum())
        assert row["trades"] == len(mine)
        assert row["hit_rate"] == wins / len(mine)
        assert (row["hit_rate_low"], row["hit_rate_high"]) == wilson(wins, len(mine))
        assert row["mean_r"] == pytest.approx(mine["r_multiple"].mean())
        assert row["mean_pnl"] == pytest.approx(mine["pnl"].mean())
        assert row["pnl"] == pytest.approx(mine["pnl"].sum())
        assert row["mean_risk"] == mine["risk"].iloc[0]
        assert row["enough"]
        for name in ("mean_r", "mean_pnl"):
            assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_expectancys_limits_are_about_those_of_the_normal_law():
    generator = np.random.default_rng(2)
    multiples = generator.normal(0.2, 1.0, 400)

    row = calibration(trades({3: multiples}), resamples=4000).steps.loc[3]

    error = multiples.std(ddof=1) / math.sqrt(400)
    assert row["mean_r_low"] == pytest.approx(multiples.mean() - 1.96 * error, abs=0.15 * error)
    assert row["mean_r_high"] == pytest.approx(multiples.mean() + 1.96 * error, abs=0.15 * error)


def test_few_trades_have_a_hit_rate_with_limits_but_no_bootstrap():
    few = calibration(trades({2: coin(0.5, 40), 5: coin(0.5, MINIMUM_FOR_INTERVAL - 1)})).steps
    more = calibration(trades({2: coin(0.5, 40), 5: coin(0.5, MINIMUM_FOR_INTERVAL)})).steps

    assert not few.loc[5, "enough"]
    assert math.isfinite(few.loc[5, "hit_rate_low"])
    assert math.isnan(few.loc[5, "mean_r_low"])
    assert math.isfinite(more.loc[5, "mean_r_low"])


VERDICTS = {
    "rising": {2: coin(0.35, 60), 3: coin(0.5, 60), 4: coin(0.7, 60)},
    "falling": {2: coin(0.7, 60), 3: coin(0.5, 60), 4: coin(0.35, 60)},
    "not shown": {2: coin(0.5, 60), 3: coin(0.45, 60), 4: coin(0.55, 60)},
    # A hundred trades rise, then the highest step loses it all again.
    "broken": {2: coin(0.2, 100), 3: coin(0.7, 100), 4: coin(0.75, 100), 5: coin(0.4, 60)},
    "too few": {2: coin(0.1, 15), 4: coin(0.9, 14)},
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_order_of_the_steps_gives_the_verdict(verdict):
    found = calibration(trades(VERDICTS[verdict]))

    assert found.verdict == verdict
    assert found.calibrated == (verdict == "rising")
    said = " ".join(found.sentences())
    assert ("Flat sizing would be honest" in said) == (verdict != "rising")


def test_one_step_alone_cannot_be_ordered():
    found = calibration(trades({3: coin(0.6, 90)}))

    assert found.verdict == "too few"
    assert math.isnan(found.test.z)


def test_the_steps_that_fall_are_named():
    found = calibration(trades(VERDICTS["broken"]))

    assert found.drops == ((3, 5), (4, 5))
    assert "step 5 below 3, 5 below 4" in found.sentences()[0]


def test_flat_sizing_stakes_the_mean_risk_on_every_trade():
    table = trades({2: coin(0.6, 60), 5: coin(0.4, 20)}, {2: 50.0, 5: 200.0})

    found = calibration(table)

    mean = (60 * 50.0 + 20 * 200.0) / 80
    multiples = 60 * (0.6 * 1.5 - 0.4) + 20 * (0.4 * 1.5 - 0.6)
    assert found.mean_risk == pytest.approx(mean)
    assert found.flat == pytest.approx(multiples * mean)
    assert found.sized == pytest.approx(table["pnl"].sum())
    assert found.gain.low < found.sized - found.flat < found.gain.high
    assert f"${found.flat:,.2f} instead of ${found.sized:,.2f}" in found.sentences()[1]


whole = st.lists(st.tuples(st.integers(1, 5), st.floats(-2, 3), st.floats(1, 200)), min_size=1)


@settings(max_examples=50)
@given(whole)
def test_what_sizing_earned_is_the_covariance_of_r_and_risk(rows):
    table = pd.DataFrame(rows, columns=["confidence", "r_multiple", "risk"])
    table["pnl"] = table["r_multiple"] * table["risk"]

    found = calibration(table, resamples=100)

    covariance = np.cov(table["r_multiple"], table["risk"], ddof=0)[0, 1]
    assert found.sized - found.flat == pytest.approx(len(table) * covariance, abs=1e-6)
    even = calibration(table.assign(risk=7.0, pnl=7.0 * table["r_multiple"]), resamples=100)
    assert even.flat == pytest.approx(even.sized, abs=1e-9)


def test_trades_without_a_confidence_or_a_risk_are_left_out_and_counted():
    plain = pd.DataFrame(
        [(0, 10.0, 50.0, 0.2), (3, 10.0, math.nan, math.nan)],
        columns=["confidence", "pnl", "risk", "r_multiple"],
    )
    table = trades({3: coin(0.6, 40)})

    found = calibration(pd.concat([table, plain], ignore_index=True))

    assert (found.trades, found.left_out) == (40, 2)
    assert found.sized == pytest.approx(table["pnl"].sum())


def test_without_trades_there_is_nothing_to_say_but_that():
    found = calibration(trades({}))

    assert found.verdict == "too few"
    assert found.steps.empty
    assert len(found.sentences()) == 1
    assert str(found).startswith("There are too few trades")


def test_the_same_seed_gives_the_same_limits_and_another_other_ones():
    table = trades(VERDICTS["not shown"], {2: 40.0, 4: 90.0})

    first, again, other = (calibration(table, seed=seed) for seed in (1, 1, 2))

    pd.testing.assert_frame_equal(first.steps, again.steps)
    assert first.gain == again.gain
    assert first.gain != other.gain


def test_on_noise_confidence_is_believed_at_most_as_often_as_the_level_says():
    times, level = 300, 0.05
    generator = np.random.default_rng(11)
    noise = np.clip(generator.normal(0.1, 1.2, (times, 90)), -1.0, 1.5)

    believed = sum(
        calibration(trades({2: row[:50], 3: row[50:80], 5: row[80:]}), resamples=100).calibrated
        for row in noise
    )

    reach = 3 * math.sqrt(level * (1 - level) / times)
    assert 0 < believed / times < level + reach


class Both(iv.Strategy):
    params = dict(max_sessions=1)
    warm_up = 63

    def entry(self, data):
        return iv.Long(
            confidence=2 + (data.close > data.open) * 2, limit=data.close, stop=data.close * 0.96
        )


def test_a_runs_own_trades_are_taken_as_they_are():
    closes = 100 + np.random.default_rng(5).choice([-1, -0.5, 0.5, 1], 300).cumsum()
    words = " ".join(f"{close:.2f}" for close in closes)
    system = iv.System(Both, ["TEST"], bars={"TEST": bars(words)})
    run = system.backtest()

    found = calibration(run.trades, seed=run.seed)

    assert found.trades == len(run.trades) > 30
    assert found.sized == pytest.approx(run.trades["pnl"].sum())
    assert set(found.steps.index) == {2, 4}
    assert "confidence 2: " in str(found)


def test_too_few_resamples_for_a_tail_are_refused() -> None:
    with pytest.raises(ConfigError, match="resamples=0 are too few for a tail"):
        calibration(trades({2: [1.0] * 12}), resamples=0)
