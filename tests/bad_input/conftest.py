# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder with good and bad strategies in it, and the command line to run them."""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from iverson.cli.main import main

HEAD = """import backtrader as bt
import iverson as iv
from iverson.market import sample

BARS = {symbol: bars[1200:1500] for symbol, bars in sample.load(["AAPL", "IBM"]).items()}


class Dip(iv.Strategy):
    params = dict(period=5, max_sessions=2)

    def entry(self, data):
        dip = data.close < bt.ind.SMA(data, period=self.p.period)
        return iv.Long(
            confidence=bt.If(dip, 3, 0), limit=data.close, stop=data.close * 0.97,
            target=data.close * 1.03,
        )


"""
SYSTEM = "system = iv.System({strategy}, symbols=['AAPL', 'IBM'], bars=BARS)\n"
ENTRY = (HEAD + "class Bad(Dip):\n    def entry(self, data):\n        BODY\n\n\n") + SYSTEM.format(
    strategy="Bad"
)
SIGNALS = (
    HEAD
    + "class Bad(Dip):\n    def signals(self):\n        BODY\n\n\n"
    + SYSTEM.format(strategy="Bad")
)
LONG = "return iv.Long(confidence={0}, limit={1}, stop={2}, target={3})"
CLOSE, STOP, TARGET = "data.close", "data.close * 0.97", "data.close * 1.03"


def entry(
    *, confidence: str = "3", limit: str = CLOSE, stop: str = STOP, target: str = TARGET
) -> str:
    """A module whose entry always wants in, with one thing wrong."""
    return ENTRY.replace("BODY", LONG.format(confidence, limit, stop, target))


MODULES = {
    "good": HEAD + SYSTEM.format(strategy="Dip") + "grid = dict(period=[3, 5])\n",
    "no_system": HEAD,
    "other_name": HEAD + SYSTEM.format(strategy="Dip").replace("system =", "mine ="),
    "wrong_type": "system = 42\n",
    "broken_syntax": "import iverson as iv\n\nclass Half(\n",
    "broken_import": "import iverson\nimport pandass\n",
    "broken_code": "import iverson\n\nvalue = 1 / 0\n",
    "leaves": "raise SystemExit('bye')\n",
    "no_grid": HEAD + SYSTEM.format(strategy="Dip"),
    "bad_params": HEAD + "system = iv.System(Dip, ['IBM'], params=dict(perod=3))\n",
    "rule_class": HEAD + "system = iv.System(Dip, ['IBM'], rules=[iv.rules.LongOnly])\n",
    "one_rule": HEAD + "system = iv.System(Dip, ['IBM'], rules=iv.rules.LongOnly())\n",
    "no_rule": HEAD + "system = iv.System(Dip, ['IBM'], rules=['long only'])\n",
    "twice": HEAD + "system = iv.System(Dip, ['IBM', 'IBM'])\n",
    "no_symbols": HEAD + "system = iv.System(Dip, [])\n",
    "number_symbol": HEAD + "system = iv.System(Dip, [7])\n",
    "no_strategy": HEAD + "system = iv.System(42, ['IBM'])\n",
    "instance": HEAD + "system = iv.System(Dip, ['IBM'], sizing=iv.RiskSizing)\n",
    "nothing": HEAD + "class Empty(iv.Strategy):\n    pass\n\n\n" + SYSTEM.format(strategy="Empty"),
    "no_super": (
        HEAD
        + "class Own(Dip):\n    def __init__(self):\n        self.x = 1\n\n\n"
        + SYSTEM.format(strategy="Own")
    ),
    "short_bars": HEAD
    + "system = iv.System(Dip, ['IBM'], bars={'IBM': BARS['IBM'][:40]})\ngrid = dict(period=[3])\n",
    "entry_raises": ENTRY.replace("BODY", "raise KeyError('sentiment')"),
    "entry_none": ENTRY.replace("BODY", "return None"),
    "entry_number": ENTRY.replace("BODY", "if data.close[0] > 3: pass"),
    "entry_divides": entry(confidence="data.close / (data.close - data.close)"),
    "signals_raise": SIGNALS.replace("BODY", "yield 1 / 0"),
    "signals_none": SIGNALS.replace("BODY", "return None"),
    "signals_words": SIGNALS.replace("BODY", "return ['buy']"),
    "rule_raises": HEAD
    + "class Careless(iv.RiskRule):\n    def deny(self, signal, book):\n"
    + "        return book.nope\n\n\n"
    + "system = iv.System(Dip, ['IBM'], bars=BARS, rules=[Careless()])\ngrid = dict(period=[3])\n",
    "nan_limit": entry(limit="data.close * float('nan')"),
    "nan_stop": entry(stop="float('nan')"),
    "infinite_target": entry(target="float('inf')"),
    "wrong_side": entry(stop="data.close * 1.02") + "grid = dict(period=[3, 5])\n",
    "wrong_target": entry(target="data.close * 0.99"),
    "half_sure": entry(confidence="2.5"),
    "too_sure": entry(confidence="9"),
    "negative": entry(confidence="-1"),
}


class Result(NamedTuple):
    """What a command did: exit code, what it printed, the files that it made or changed."""

    code: object
    out: str
    err: str
    changed: list[str]


Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "half.csv").write_text("Date,Open,High\n2021-03-01,1,2\n")
    (tmp_path / "words.csv").write_text(
        "Date,Open,High,Low,Close,Volume\n2021-03-01,1,2,x,1,5\n2021-03-02,1,2,1,1,5\n"
    )
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "week.csv").write_text(
        "Date,Open,High,Low,Close,Volume\n2021-03-01,1,2,1,1,5\n2021-03-02,1,2,1,1,5\n"
    )
    (tmp_path / "notes.db").write_text("this is no journal, but somebody's notes " * 200)
    (tmp_path / "a_file").write_text("x")
    (tmp_path / "a_folder").mkdir()
    return tmp_path


@pytest.fixture
def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    loaded = set(sys.modules)

    def invoke(*arguments: str) -> Result:
        before = snapshot(folder)
        with pytest.raises(SystemExit) as left:
            main(arguments)
        shown = capfd.readouterr()
        after = snapshot(folder)
        changed = sorted(name for name in before | after if before.get(name) != after.get(name))
        return Result(left.value.code, shown.out, shown.err, changed)

    yield invoke
    for name in set(sys.modules) & set(MODULES) - loaded:
        del sys.modules[name]


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and folder with what is in it."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        )
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts
    }
