# SPDX-License-Identifier: GPL-3.0-or-later
"""Samplers: which sets a search tries, by what it was told; walks that end and go on."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import iverson as iv
from iverson.cli.main import BROKEN, main
from iverson.errors import ConfigError
from iverson.market import sample
from iverson.research import charts_search, samplers_optuna
from iverson.research.samplers import FIXED, GUIDED, Listed, checked, corners, listed_sets
from iverson.research.samplers_optuna import MOST, ROUND, Study, told_as
from iverson.research.search_scores import Score
from iverson.research.search_sets import Sets
from iverson.research.search_sobol import sobol_sets
from iverson.research.search_space import Integers, LogUniform, Uniform, grid, random_sets
from iverson.research.walk_result import WalkForward
from tests.research.search_systems import Dip

SMOOTH = {"a": list(range(100)), "b": Uniform(0.0, 1.0), "c": LogUniform(0.01, 10.0)}
TOP = {"a": 37, "b": 0.7, "c": 0.3}
ROUGH = {"n": [3, 1, 2], "word": ["x", "y"], "switch": [True, False], "one": [5]}

Answer = Callable[[Mapping[str, Any]], float]


def hill(params: Mapping[str, Any]) -> float:
    """One smooth hill, 0 at its top; each parameter from 0 to 1."""
    off = (params["a"] - TOP["a"]) / 100, params["b"] - TOP["b"], math.log10(params["c"] / TOP["c"])
    return -(off[0] ** 2 + off[1] ** 2 + (off[2] / 3) ** 2)


def scored(params: Mapping[str, Any], score: float, trades: int = 20) -> Score:
    return Score(params, score, trades, 0.0, 0.0, 0.0, 1)


def asked(study: Study, answer: Answer) -> list[list[Mapping[str, Any]]]:
    """The rounds a study asks for when it is answered so."""
    rounds = []
    while sets := study.ask():
        rounds.append(list(sets))
        study.tell([scored(one, answer(one)) for one in sets])
    return rounds


def flat(rounds: Sequence[Sequence[Any]]) -> list[Any]:
    return [one for sets in rounds for one in sets]


# What a study asks


@pytest.mark.parametrize("name", GUIDED)
def test_same_seed_and_scores_ask_for_the_same_sets(name: str) -> None:
    one, same, other = (asked(Study(name, SMOOTH, 50, seed), hill) for seed in (1, 1, 2))

    assert one == same
    assert one != other


@pytest.mark.parametrize("name", GUIDED)
def test_rounds_have_one_size_and_all_sets_differ(name: str) -> None:
    rounds = asked(Study(name, SMOOTH, 2 * ROUND + 5, 1), hill)

    assert [len(sets) for sets in rounds] == [ROUND, ROUND, 5]
    assert len({tuple(one.values()) for one in flat(rounds)}) == 2 * ROUND + 5


@pytest.mark.parametrize("name", GUIDED)
def test_sets_of_the_next_round_depend_on_the_scores_told(name: str) -> None:
    up = asked(Study(name, SMOOTH, 3 * ROUND, 1), hill)
    down = asked(Study(name, SMOOTH, 3 * ROUND, 1), lambda one: -hill(one))

    assert up[0] == down[0] == list(random_sets(SMOOTH, 3 * ROUND, 1))[:ROUND]
    assert up[1:] != down[1:]


@pytest.mark.parametrize("name", GUIDED)
def test_a_space_is_exhausted_without_asking_twice(name: str) -> None:
    """Though a sampler proposes its favourite again and again."""
    space = {"n": list(range(8)), "word": ["x", "y", "z"]}

    found = flat(asked(Study(name, space, 24, 3), lambda one: -abs(one["n"] - 6)))

    assert sorted(map(str, found)) == sorted(map(str, grid(space)))


@pytest.mark.parametrize("name", GUIDED)
def test_sets_hold_the_values_given_and_numbers_within_their_range(name: str) -> None:
    space = {**ROUGH, "whole": Integers(2, 20, 3), "b": Uniform(-1.0, 1.0),
             "c": LogUniform(0.001, 0.1)}  # fmt: skip

    found = flat(asked(Study(name, space, 60, 1), lambda one: one["b"]))

    for one in found:
        assert list(one) == list(space)
        assert all(one[key] in values for key, values in ROUGH.items())
        assert type(one["switch"]) is bool
        assert one["whole"] in space["whole"].values
        assert -1.0 <= one["b"] <= 1.0
        assert 0.001 <= one["c"] <= 0.1


@pytest.mark.parametrize("name", GUIDED)
def test_guided_sampler_climbs_a_hill_much_closer_than_random_draws(name: str) -> None:
    """Mean over seeds of the best of 100: about 5 % (tpe) and 15 % (cmaes) of random's distance."""
    seeds, trials = range(6), 100
    found = [max(map(hill, flat(asked(Study(name, SMOOTH, trials, s), hill)))) for s in seeds]
    drawn = [max(map(hill, random_sets(SMOOTH, trials, seed))) for seed in seeds]

    assert -np.mean(found) < 0.4 * -np.mean(drawn)


def test_too_few_trades_is_told_below_every_score_and_the_more_trades_the_better() -> None:
    none, some = (told_as(scored({}, -math.inf, trades)) for trades in (0, 9))
    scores = [told_as(scored({}, score)) for score in (-1e300, -0.5, 1.5, math.inf)]

    assert none < some < scores[0] == -MOST
    assert told_as(scored({}, math.nan, 9)) == some
    assert scores == sorted(scores)
    assert scores[-1] == MOST


@pytest.mark.parametrize("name", GUIDED)
def test_study_whose_sets_never_trade_goes_on(name: str) -> None:
    assert len(flat(asked(Study(name, SMOOTH, 45, 1), lambda _: -math.inf))) == 45


def test_optuna_says_nothing_and_its_own_setting_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    asked(Study("cmaes", ROUGH, 12, 1), lambda one: one["n"])

    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")


def test_seed_of_a_fold_is_the_same_whatever_folds_follow() -> None:
    seeds = [samplers_optuna.seed_of(7, fold) for fold in range(5)]

    assert len(set(seeds)) == 5
    assert samplers_optuna.seed_of(7, 0) == seeds[0]


# Samplers that know their sets


def test_sobol_sets_differ_and_fill_each_value_equally() -> None:
    space = {"a": list(range(8)), "b": list(range(4))}

    found = sobol_sets(space, 16, 1)

    assert len({tuple(one.values()) for one in found}) == 16
    assert sobol_sets(space, 16, 1) == found != sobol_sets(space, 16, 2)
    assert sorted(map(str, sobol_sets(space, 32, 1))) == sorted(map(str, grid(space)))


def test_sobol_points_leave_smaller_gaps_than_random_ones() -> None:
    space = {"a": Uniform(2.0, 4.0), "b": LogUniform(0.01, 1.0)}
    n = 64

    found = sobol_sets(space, n, 3)

    for place in (
        [(one["a"] - 2.0) / 2.0 for one in found],
        [math.log10(one["b"] / 0.01) / 2.0 for one in found],
    ):  # a point in each of n equal parts
        assert sorted(int(n * at) for at in place) == list(range(n))


def test_listed_sets_are_asked_for_once() -> None:
    sampler = Listed(grid({"a": [1, 2]}))

    assert list(sampler.ask()) == [{"a": 1}, {"a": 2}]
    assert not sampler.ask()


def test_combinations_are_made_when_looked_at() -> None:
    """A billion of them take no memory; slices and equality are those of a list."""
    sets = grid({name: range(1000) for name in "abc"})

    assert isinstance(sets, Sets)
    assert len(sets) == 10**9
    assert sets[10**9 - 1] == sets[-1] == {"a": 999, "b": 999, "c": 999}
    assert sets[5:7] == [{"a": 0, "b": 0, "c": 5}, {"a": 0, "b": 0, "c": 6}]


def test_corners_begin_with_all_the_greatest() -> None:
    found = corners({"n": [3, 9, 1], "b": Uniform(0.0, 2.0), "word": ["x", "y", "z"]})

    assert found[0] == {"n": 9, "b": 2.0, "word": "x"}
    assert len(found) == 2 * 2 * 3
    assert {one["n"] for one in found} == {1, 9}


# Names


def test_sampler_left_out_is_grid_or_random_by_trials() -> None:
    assert checked(None, ROUGH, None) == "grid"
    assert checked(None, ROUGH, 3) == "random"
    assert listed_sets("grid", ROUGH, None, 0) == grid(ROUGH)
    assert listed_sets("random", ROUGH, 5, 7) == random_sets(ROUGH, 5, 7)
    assert len(listed_sets("tpe", ROUGH, 5, 7)) == 0


@pytest.mark.parametrize(
    ("sampler", "trials", "words"),
    [
        ("bayes", 5, "choose one of grid, random, qmc, tpe, cmaes"),
        ("grid", 5, "leave trials out"),
        ("random", None, "needs trials"),
        ("tpe", None, "needs trials"),
        ("tpe", 13, "12 combinations"),
        ("qmc", 0, "expected 1 or more"),
        ("tpe", 0, "expected 1 or more"),
    ],
)
def test_sampler_that_cannot_be_is_one_sentence(sampler: str, trials: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        checked(sampler, ROUGH, trials)


@pytest.mark.parametrize(("name", "absent"), [("tpe", "optuna"), ("cmaes", "cmaes")])
def test_without_optuna_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, name: str, absent: str
) -> None:
    monkeypatch.setitem(sys.modules, absent, None)

    with pytest.raises(ConfigError, match=rf"needs {absent}.*pip install 'iverson\[optuna\]'"):
        checked(name, SMOOTH, 5)


# Walks

GRID = {"period": Integers(2, 12), "max_sessions": [1, 2, 3, 5, 8]}
TRIALS = 2 * ROUND
BARS = {symbol: bars[1000:1640] for symbol, bars in sample.load(["AAPL", "IBM"]).items()}
SYSTEM = iv.System(Dip, list(BARS), bars=BARS)
LENGTHS: dict[str, Any] = dict(in_sample="1y", out_of_sample="6mo", minimum_trades=1)


def walk(sampler: str = "tpe", system: iv.System = SYSTEM, **options: Any) -> WalkForward:
    trials = None if sampler == "grid" else TRIALS
    usual: dict[str, Any] = {"grid": GRID, "trials": trials, "seed": 5, **LENGTHS}
    return system.walk_forward(sampler=sampler, **{**usual, **options})


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> WalkForward:
    return walk(journal=tmp_path_factory.getbasetemp() / "whole.db")


@pytest.fixture
def whole(result: WalkForward, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The journal of a walk that nothing disturbed."""
    return (tmp_path_factory.getbasetemp() / "whole.db").read_bytes()


def sets_of(result: WalkForward, fold: int) -> list[tuple[Any, ...]]:
    return [tuple(score.params.values()) for score in result.results[fold].scores]


def test_each_fold_tries_as_many_different_sets_of_its_own(result: WalkForward) -> None:
    folds = range(len(result.results))
    tried = {one for fold in folds for one in sets_of(result, fold)}

    assert all(len(set(sets_of(result, fold))) == TRIALS for fold in folds)
    assert len({tuple(sets_of(result, fold)) for fold in folds}) == len(folds) > 1
    assert result.trials == len(tried) > TRIALS
    assert result.trials_a_fold == TRIALS
    assert f"{TRIALS} parameter sets each" in str(result)


def test_result_copes_with_sets_that_differ(result: WalkForward, tmp_path: Path) -> None:
    assert math.isnan(result.rank_stability)
    assert list(result.stability.index) == list(GRID)
    assert result.values("period") == list(GRID["period"].values)
    words = result.report(tmp_path).read_text(encoding="utf-8")
    assert f"{result.trials:,} different ones" in words


@pytest.mark.parametrize("name", FIXED)
def test_fixed_samplers_try_the_same_sets_in_every_fold(name: str) -> None:
    found = walk(name)

    assert len({tuple(sets_of(found, fold)) for fold in range(len(found.results))}) == 1
    assert found.trials == found.trials_a_fold == len(found.plan.sets)


@pytest.mark.parametrize("name", GUIDED)
def test_number_of_processes_changes_nothing(name: str, tmp_path: Path) -> None:
    for jobs in (1, 2):
        walk(name, jobs=jobs, journal=tmp_path / f"{jobs}.db")

    assert (tmp_path / "1.db").read_bytes() == (tmp_path / "2.db").read_bytes()


def test_later_bars_change_no_set_that_an_earlier_fold_asked_for(result: WalkForward) -> None:
    last = result.results[0].fold.out_of_sample.last
    cut = {
        symbol: bars[: int(np.searchsorted(bars.session, np.datetime64(last), side="right"))]
        for symbol, bars in BARS.items()
    }

    again = walk(system=iv.System(Dip, list(BARS), bars=cut))

    assert len(again.results) == 1 < len(result.results)
    assert again.results[0].scores == result.results[0].scores


def test_a_parameter_of_many_values_is_drawn_in_steps() -> None:
    """Every score has its cell, and the best of all is in the picture."""
    found = walk(
        "random", grid={"max_sessions": Integers(1, 60)}, trials=charts_search.MOST_VALUES + 5
    )

    drawn = charts_search.view(found)

    assert [len(values) for values in drawn.values] == [charts_search.STEPS]
    for fold in found.results:
        table = charts_search.cells(fold, drawn)
        assert np.nanmax(table) == max(score.score for score in fold.scores)
        assert not np.isnan(table).any()
    assert f"max_sessions in {charts_search.STEPS} steps" in charts_search.heat_map_words(found)


def test_unknown_sampler_on_the_command_line_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["walk-forward", "strategies.rsi_reversion", "--sampler", "bayes", "--trials", "3"])

    assert left.value.code == BROKEN
    assert "choose one of grid, random, qmc, tpe, cmaes" in " ".join(capfd.readouterr().err.split())


class Stop(Exception):
    """The walk is ended here."""


def test_walk_ended_in_any_round_goes_on_to_the_same_journal(tmp_path: Path, whole: bytes) -> None:
    file, told = tmp_path / "done.jsonl", []

    def stop(done: int, total: int) -> None:
        told.append(total)
        if len(told) in (1, 4):  # in the first round, and in the second
            raise Stop

    for _ in range(2):
        with pytest.raises(Stop):
            walk(resume=file, progress=stop)
    before = file.read_bytes()

    walk(resume=file, journal=tmp_path / "again.db")

    assert file.read_bytes().startswith(before)
    assert len(file.read_bytes()) > len(before)
    assert (tmp_path / "again.db").read_bytes() == whole
    assert set(told) == {len(walk("random", trials=1).results) * TRIALS}


def test_walk_that_was_killed_goes_on_to_the_same_journal(tmp_path: Path, whole: bytes) -> None:
    file = tmp_path / "done.jsonl"
    script = (
        "import os, signal, sys\n"
        "from tests.research.test_samplers import ROUND, walk\n"
        "def kill(done, total):\n"
        "    if done > total // 2:\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "walk(resume=sys.argv[1], progress=kill)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(file)],
        check=False, timeout=100, capture_output=True, env=dict(os.environ),
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    kept = file.read_bytes()

    result = walk(resume=file, journal=tmp_path / "again.db")

    assert kept.count(b"\n") > 1
    assert file.read_bytes().startswith(kept)
    assert (tmp_path / "again.db").read_bytes() == whole
    assert result.trials_a_fold == TRIALS
