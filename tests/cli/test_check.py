# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson check`: the verdict, where it comes from, and the exit code."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from iverson.cli.main import main
from iverson.market import sample
from iverson.research.checked import passed
from strategies.rsi_reversion import RsiReversion

ROOT = Path(__file__).parents[2]
RANGE = ("--from", "2005", "--to", "2005-09", "--symbols", "IBM", "--sample", "3")
LEAKY = """
import backtrader as bt
import iverson as iv


class Tomorrow(iv.Strategy):
    def entry(self, data):
        return iv.Long(bt.If(data.close(1) > data.close, 4, 0), data.close, data.close * 0.97)


system = iv.System(Tomorrow, symbols=["IBM"])
"""
DONE, REFUSED, BROKEN = 0, 1, 2
COLUMNS = 80


@pytest.fixture
def iverson(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])
    monkeypatch.setenv("COLUMNS", str(COLUMNS))
    (tmp_path / "tomorrow_strategy.py").write_text(LEAKY)

    def run(*arguments: str, code: int = DONE, verb: str = "check") -> tuple[str, str]:
        with pytest.raises(SystemExit) as left:
            main((*verb.split(), *arguments))
        shown = capfd.readouterr()
        assert left.value.code == code, shown.err
        return shown.out, shown.err

    return run


def test_clean_strategy_passes_and_the_pass_is_kept_beside_the_bars(
    iverson: Any, tmp_path: Path
) -> None:
    shown, _ = iverson("strategies.rsi_reversion", *RANGE)

    assert shown.splitlines()[-1].endswith("passed")
    assert "refused" not in shown
    assert max(len(line) for line in shown.splitlines()) <= COLUMNS
    assert passed(RsiReversion, store=tmp_path / "data" / "cache")


@pytest.mark.parametrize(
    ("system", "verb", "making", "span"),
    [
        ("strategies.news_reversal", "news synthesize",
         ("--symbols", "IBM"), ("--from", "2005", "--to", "2006")),
        ("strategies.opening_range", "bars synthesize",
         ("IBM", "--from", "2012-07", "--to", "2012-09"), ("--from", "2012-09", "--to", "2012-09")),
    ],
    ids=["news", "minutes"],
)  # fmt: skip
def test_strategy_whose_data_does_not_ship_says_how_to_try_it_and_passes(
    iverson: Any, system: str, verb: str, making: tuple[str, ...], span: tuple[str, ...]
) -> None:
    """As somebody new does it: refused, told what to do, done, passed."""
    few = ("--symbols", "IBM", "--sample", "2", "--decisions", "3")
    _, refused = iverson(system, *span, *few, code=BROKEN)
    made, _ = iverson(*making, verb=verb)
    shown, _ = iverson(system, *span, *few)

    assert f"`iverson {verb}`" in refused
    assert len(refused.splitlines()) == 1
    assert "SYNTHETIC" in made
    assert shown.splitlines()[-1].endswith("passed")


def test_leak_is_refused_with_its_first_bar_and_line(iverson: Any, tmp_path: Path) -> None:
    shown, _ = iverson("tomorrow_strategy", *RANGE, code=REFUSED)
    as_json, _ = iverson("tomorrow_strategy", *RANGE, "--json", code=REFUSED)
    as_csv, _ = iverson("tomorrow_strategy", *RANGE, "--csv", code=REFUSED)

    ibm = sample.load(["IBM"])["IBM"]
    rows = {row["check"]: row for row in reversed(json.loads(as_json))}
    arriving = rows["bars arrive one at a time"]
    place = ibm.session.tolist().index(
        next(one for one in ibm.session.tolist() if str(one) == arriving["session"])
    )
    assert shown.splitlines()[-1].endswith("refused")
    assert max(len(line) for line in shown.splitlines()) <= COLUMNS
    assert (arriving["verdict"], arriving["line"]) == ("refused", "close(+1)")
    assert float(arriving["whole"]) == ibm.close[place + 1] * ibm.factor[place + 1]
    assert [row["line"] for row in csv.DictReader(io.StringIO(as_csv))] == [
        row["line"] for row in json.loads(as_json)
    ]
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("strategies.rsi_reversion", "--from", "2031"), "the range is empty|no bars between"),
        (("nowhere",), "no module 'nowhere'"),
        (("strategies.rsi_reversion", "--set", "perod=3"), "did you mean 'period'"),
        (("strategies.rsi_reversion", "--csv", "--json"), "choose one"),
        (("strategies.rsi_reversion", "--sample", "0"), "sample"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    iverson: Any, arguments: tuple[str, ...], words: str
) -> None:
    _, said = iverson(*arguments, code=BROKEN)

    assert any(word in said for word in words.split("|"))
    assert len(said.splitlines()) == 1
