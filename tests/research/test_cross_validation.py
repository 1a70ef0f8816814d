# SPDX-License-Identifier: GPL-3.0-or-later
"""Combinatorial purged cross-validation of a search, and the purge that nothing reaches across."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.monitoring.record import TrialRow
from iverson.research.cross_validation import cross_validate
from iverson.research.ledger import pack
from iverson.research.walk_forward import default_gap, longest_holding
from iverson.testing import noise
from strategies.rsi_reversion import RsiReversion

GROUPS, TEST_GROUPS, PURGE, SESSIONS = 6, 2, 4, 600
SPLITS = math.comb(GROUPS, TEST_GROUPS)
PATHS = SPLITS * TEST_GROUPS // GROUPS
BARS = noise("AAA BBB", seed=3, sessions=SESSIONS, start=date(2012, 1, 3))
DAYS = BARS["AAA"].session
HOW = dict(groups=GROUPS, test_groups=TEST_GROUPS, purge=PURGE, embargo=0, longest_holding=3)


def rows(returns: np.ndarray) -> list[TrialRow]:
    first, last = DAYS[0].item(), DAYS[-1].item()
    return [
        TrialRow(
            datetime(2026, 1, 2, tzinfo=UTC), "m:S", "code", "rules", "bars", {"n": n},
            first, last, 1, 0.0, 0.0, pack(column),
        )
        for n, column in enumerate(returns.T)
    ]  # fmt: skip


def test_search_that_only_remembers_its_luck_loses_it_on_every_path() -> None:
    """Each set wins in one group only: what is chosen elsewhere earns nothing there."""
    returns = np.full((SESSIONS, GROUPS), 0.0)
    generator = np.random.default_rng(1)
    for group, part in enumerate(np.array_split(np.arange(SESSIONS), GROUPS)):
        returns[part, group] = 0.01 + 0.001 * generator.standard_normal(part.size)
    found = cross_validate(rows(returns), BARS, **HOW)
    assert found.returns.shape == (SESSIONS, PATHS)
    assert len(found.chosen) == SPLITS
    assert (found.paths["total_return"] == 0.0).all()


def test_set_that_is_good_everywhere_is_chosen_everywhere_and_keeps_its_returns() -> None:
    generator = np.random.default_rng(2)
    returns = 0.01 * generator.standard_normal((SESSIONS, 5))
    returns[:, 3] += 0.02
    found = cross_validate(rows(returns), BARS, **HOW)
    assert [one["n"] for one in found.chosen] == [3] * SPLITS
    for path in found.returns.to_numpy().T:
        assert np.array_equal(path, returns[:, 3])
    assert found.paths["total_return"].iloc[0] == pytest.approx(np.prod(1 + returns[:, 3]) - 1)


@pytest.mark.parametrize(("purge", "chosen"), [(0, 1), (PURGE, 0)])
def test_sessions_beside_what_is_judged_do_not_choose(purge: int, chosen: int) -> None:
    """The second set earns only in the sessions right after the first group; the other loses."""
    generator = np.random.default_rng(3)
    returns = np.zeros((SESSIONS, 2))
    returns[:, 0] = 1e-4 * generator.standard_normal(SESSIONS) - 1e-4
    returns[SESSIONS // GROUPS :][:PURGE, 1] = 0.01
    found = cross_validate(rows(returns), BARS, **{**HOW, "test_groups": 1, "purge": purge})
    assert found.chosen[0]["n"] == chosen


def test_trials_over_other_sessions_than_the_bars_are_refused() -> None:
    short = rows(np.zeros((SESSIONS - 1, 2)))
    with pytest.raises(ConfigError, match="list at different times"):
        cross_validate(short, BARS, **HOW)
    with pytest.raises(ConfigError, match="no trial with returns"):
        cross_validate([replace(short[0], returns="")], BARS, **HOW)


def test_walk_forward_is_cross_validated_with_its_own_gap(tmp_path) -> None:
    system = iv.System(RsiReversion, list(BARS), bars=BARS, store=tmp_path)
    grid = dict(period=[5, 10], oversold=[30, 40])
    result = system.walk_forward(in_sample="1y", out_of_sample="3mo", grid=grid)
    limit = dict(RsiReversion.params._getitems())["max_sessions"]
    assert result.plan.purge == limit + 1  # an entry works for one session
    assert not any("purge" in note for note in result.notes)
    shorter = system.walk_forward(in_sample="1y", out_of_sample="3mo", purge=limit)
    assert any(f"purge {limit}" in note and "must be closed" in note for note in shorter.notes)
    found = result.cross_validate()
    assert found.returns.shape[1] == PATHS
    assert any(f"purge {limit + 1}" in words for words in found.assumptions)
    assert f"{PATHS} paths from {SPLITS} splits" in str(found)


@pytest.mark.parametrize(
    ("sets", "longest", "gap"),
    [
        ([dict(max_sessions=2), dict(max_sessions=7)], 7, 8),
        ([dict(max_sessions=2, entry_sessions=3)], 2, 5),
        ([dict(max_sessions=2), dict(max_sessions=None)], None, 0),
    ],
)
def test_default_purge_is_the_longest_holding_and_the_wait_to_enter(sets, longest, gap) -> None:
    setup = iv.System(RsiReversion, ["AAA"], bars=BARS)._setup({})
    assert longest_holding(setup, sets) == longest
    assert default_gap(setup, sets) == gap
