# SPDX-License-Identifier: GPL-3.0-or-later
"""A universe through the whole of a system: backtest, walk-forward, search, check, journal."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import iverson as iv
from iverson.cli.main import app
from iverson.errors import ConfigError
from iverson.market import sample
from iverson.market.universe import Universe
from iverson.research.backtest import Prepared, Setup
from iverson.research.lint import lint
from iverson.research.report import render
from iverson.research.report_facts import Facts
from iverson.research.results import Run
from iverson.research.search import Task
from iverson.research.sweep import engine_score, explain, kernel_runs, score_of
from iverson.research.trials import conditions_of
from iverson.research.walk_result import WalkForward
from iverson.risk import rules
from strategies.rsi_reversion import RsiReversion

NAMES = ["AAPL", "IBM", "MSFT"]
SPELL = (date(2006, 3, 1), date(2006, 9, 29))
MEMBERS = Universe(membership=[("AAPL", *SPELL), ("IBM", None, None), ("MSFT", None, None)])
LARGE = Universe(NAMES, minimum_close=30.0, largest=2)
FIRST, LAST = date(2006, 1, 3), date(2007, 6, 29)


def system(universe: Any, **options: Any) -> iv.System:
    return iv.System(RsiReversion, universe, bars=sample.load(NAMES), **options)


@pytest.fixture(scope="module")
def run() -> Run:
    return system(MEMBERS).backtest("2006", "2007-06")


@pytest.fixture(scope="module")
def walked() -> WalkForward:
    return system(MEMBERS).walk_forward(
        "2005", "2007-06", in_sample="1y", out_of_sample="6mo", grid=dict(period=[7, 14])
    )


def test_entries_are_decided_inside_the_spells_only(run: Run) -> None:
    approved = [one.signal for one in run.record.verdicts if one.approved]
    ours = [one.session for one in approved if one.symbol == "AAPL"]

    assert ours
    assert all(SPELL[0] <= session <= SPELL[1] for session in ours)
    outside = run.denied[run.denied["rule"] == "membership"]
    assert set(outside["symbol"]) == {"AAPL"}
    assert outside["session"].dt.date.gt(SPELL[1]).any()
    assert (outside["limit"] == 1).all()


def test_nothing_else_about_the_other_symbols_changes() -> None:
    """A symbol that is never in leaves what a run without it leaves."""
    never = [("AAPL", "1999-01-01", "1999-12-31"), ("IBM", None, None), ("MSFT", None, None)]
    bars = sample.load(NAMES)
    with_it = iv.System(RsiReversion, Universe(membership=never), bars=bars).backtest("2006")
    without = iv.System(RsiReversion, NAMES[1:], bars=bars).backtest("2006")

    assert with_it.record.trades == without.record.trades
    assert with_it.record.equity == without.record.equity


def test_denials_by_price_and_rank_carry_their_numbers() -> None:
    denied = system(LARGE).backtest("2006", "2007-06").denied
    ranks = denied[denied["rule"] == "largest by dollar volume"]

    assert {"minimum close", "largest by dollar volume"} <= set(denied["rule"])
    assert set(ranks["value"]) == {3.0}
    assert set(ranks["limit"]) == {2.0}


@pytest.mark.parametrize("universe", [MEMBERS, LARGE])
def test_kernel_scores_a_universe_like_the_engine(universe: Universe) -> None:
    pytest.importorskip("numba")
    setup = Setup(RsiReversion, rules.standard(), universe=universe)
    prepared = Prepared.of(sample.load(NAMES))
    sets = tuple(dict(period=period) for period in (5, 7, 14))
    task = Task((0, 0), setup, sets, FIRST, LAST, "sharpe", 1)
    plain = Task((0, 0), Setup(RsiReversion, rules.standard()), sets, FIRST, LAST, "sharpe", 1)

    assert explain(setup, prepared) is None
    runs = kernel_runs(task, prepared)
    assert None not in runs
    for params, found in zip(sets, runs, strict=True):
        assert found is not None
        assert repr(score_of(task, params, found)) == repr(engine_score(task, params, prepared))
    others = [repr(score_of(plain, p, r)) for p, r in zip(sets, kernel_runs(plain, prepared),
                                                          strict=True) if r]  # fmt: skip
    assert others != [repr(score_of(task, p, r)) for p, r in zip(sets, runs, strict=True) if r]


def test_rule_of_a_universe_stands_among_the_others_too() -> None:
    own = rules_of_members()
    one = iv.System(RsiReversion, NAMES, rules=own, bars=sample.load(NAMES)).backtest("2006")

    assert one.record.trades == system(MEMBERS).backtest("2006").record.trades
    assert explain(Setup(RsiReversion, own)) is None


def rules_of_members() -> tuple[iv.RiskRule, ...]:
    from iverson.risk.universe import Membership

    return (*rules.standard(), Membership(universe=MEMBERS))


def test_only_a_universe_without_membership_is_called_biased(run: Run, walked: WalkForward) -> None:
    bare = system(NAMES).backtest("2006", "2007-06")
    filtered = system(LARGE).backtest("2006", "2007-06")

    for result in (bare, filtered):
        assert any("survivorship-biased" in note for note in result.notes)
        assert "survivorship" in [one.kind for one in lint(result)]
    for one in (run, walked):
        assert not any("survivorship" in note for note in one.notes)
        assert "survivorship" not in [finding.kind for finding in lint(one)]


def test_report_says_whose_fate_was_known(walked: WalkForward) -> None:
    words = render(Facts(walked))

    assert "survivorship" not in words.lower()
    assert "Point-in-time universe: 3 symbols, 3 spells" in words
    assert MEMBERS.digest[:12] in words


def test_symbols_of_the_table_without_bars_are_counted() -> None:
    table = [("AAPL", None, None), ("GONE", "2001-01-02", "2006-05-01"), ("LOST", None, None)]
    found = iv.System(RsiReversion, Universe(membership=table), bars=sample.load(["AAPL"]))
    result = found.backtest("2006", "2007-06")

    assert "no bars for 2 of 3 symbols of the universe: GONE, LOST" in result.notes
    (finding,) = [one for one in lint(result) if one.kind == "absent symbols"]
    assert finding.number == 2
    assert list(result.bars) == ["AAPL"]


def test_a_universe_without_any_bars_is_refused() -> None:
    table = Universe(membership=[("GONE", None, None), ("LOST", None, None)])

    with pytest.raises(ConfigError, match="GONE, LOST"):
        iv.System(RsiReversion, table, bars=sample.load(["AAPL"])).backtest()
    with pytest.raises(iv.IversonError, match="LOST"):
        iv.System(RsiReversion, table).backtest()


def test_membership_is_a_condition_of_a_trial() -> None:
    base = Setup(RsiReversion, rules.standard())
    later = Universe(membership=[("AAPL", SPELL[0], None), *MEMBERS.membership[1:]])

    found = {conditions_of(s) for s in (base, Setup(RsiReversion, rules.standard(),
             universe=MEMBERS), Setup(RsiReversion, rules.standard(), universe=later))}  # fmt: skip
    assert len(found) == 3


def test_resumed_search_takes_nothing_from_another_membership(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    how: Any = dict(in_sample="1y", out_of_sample="6mo", grid=dict(period=[7, 14]), resume=kept)
    system(MEMBERS).walk_forward("2005", "2006", **how)
    lines = len(kept.read_text(encoding="utf-8").splitlines())

    system(MEMBERS).walk_forward("2005", "2006", **how)
    assert len(kept.read_text(encoding="utf-8").splitlines()) == lines
    system(NAMES).walk_forward("2005", "2006", **how)
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 2 * lines - 1


def test_journal_names_the_universe(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    system(MEMBERS).backtest("2006", "2006", journal=path)

    with iv.Journal(path, read_only=True) as journal:
        (row,) = journal.values("run")
        denied = journal.verdicts()
    assert row.parameters["universe"] == repr(MEMBERS)
    assert "membership" in set(denied["rule"])


def test_check_passes_with_a_universe() -> None:
    assert system(LARGE).check("2006", "2006-08", sample=10, decisions=10).passed


def test_system_keeps_its_universe_when_it_changes() -> None:
    one = system(MEMBERS)

    assert one.symbols == MEMBERS.symbols
    assert one.with_params(period=7).universe == MEMBERS
    assert iv.System(RsiReversion, ["IBM"], universe=MEMBERS).symbols == ("IBM",)
    with pytest.raises(ConfigError, match="FB: not in the universe"):
        iv.System(RsiReversion, ["FB"], universe=MEMBERS)
    with pytest.raises(ConfigError, match="universe is 'AAPL'"):
        iv.System(RsiReversion, ["AAPL"], universe="AAPL")  # type: ignore[arg-type]  # the fault


def test_command_line_takes_a_file_of_members(tmp_path: Path) -> None:
    table = tmp_path / "members.csv"
    table.write_text(f"symbol,from,to\nAAPL,{SPELL[0]},{SPELL[1]}\nIBM,,\nXXX,,\n")
    arguments = ["backtest", "strategies.rsi_reversion", "--from", "2006", "--to", "2007-06"]

    plain = CliRunner().invoke(app, arguments)
    found = CliRunner().invoke(app, [*arguments, "--universe", str(table)])

    assert (plain.exit_code, found.exit_code) == (0, 0)
    assert "survivorship-biased" in plain.output
    assert "survivorship-biased" not in found.output
    assert "RsiReversion on AAPL, IBM" in found.output
    assert "no bars for 1 of 3 symbols of the universe: XXX" in found.output
    refused = CliRunner().invoke(app, [*arguments, "--universe", str(tmp_path / "none.csv")])
    assert refused.exit_code != 0
