# SPDX-License-Identifier: GPL-3.0-or-later
"""A pass holds for the source that passed, and for no other."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import iverson as iv
from iverson.errors import ConfigError
from iverson.market import sample
from iverson.research import checked
from iverson.research.lookahead_result import Check

MODULE, HELPER = "strategy_that_is_checked", "levels_that_it_uses"
SOURCE = f"""
import backtrader as bt
import iverson as iv
from {HELPER} import level


class Dips(iv.Strategy):
    params = dict(fall=0.02)

    def entry(self, data):
        fell = data.close AGO < level(data, self.p.fall)
        return iv.Long(bt.If(fell, 4, 0), data.close, data.close * 0.97)
"""
CLEAN, LEAKY = SOURCE.replace(" AGO", ""), SOURCE.replace(" AGO", "(1)")
LEVEL = "def level(data, fall):\n    return data.close(-1) * (1 - fall)\n"
RANGE = ("2005", "2005-06")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Write the strategy and its helper anew and import them."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def written(source: str = CLEAN, helper: str = LEVEL) -> ModuleType:
        (tmp_path / f"{HELPER}.py").write_text(helper)
        (tmp_path / f"{MODULE}.py").write_text(source)
        for name in (HELPER, MODULE):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module(MODULE)

    yield written
    for name in (HELPER, MODULE):
        sys.modules.pop(name, None)


def examine(module: ModuleType, store: Path) -> Check:
    system = iv.System(
        module.Dips,
        ["IBM"],
        bars=sample.load(["IBM"]),
        store=store,
        rules=[iv.rules.MaxPositions()],
    )
    return system.check(*RANGE, sample=3, decisions=3)


def test_pass_holds_until_the_source_changes(write: Any, tmp_path: Path) -> None:
    store = tmp_path / "store"
    module = write()
    before = checked.passed(module.Dips, store=store)
    result = examine(module, store)

    assert not before
    assert result.passed, str(result)
    assert checked.passed(module.Dips, store=store)
    checked.refuse_unchecked(module.Dips, store=store)
    assert checked.passed(write().Dips, store=store)  # the same text, imported again
    assert not checked.passed(write(CLEAN.replace("0.02", "0.03")).Dips, store=store)
    assert not checked.passed(write(helper=LEVEL.replace("(-1)", "(1)")).Dips, store=store)
    assert checked.passed(write().Dips, store=store)


def test_other_store_knows_nothing_of_it(write: Any, tmp_path: Path) -> None:
    module = write()
    examine(module, tmp_path / "one")

    assert not checked.passed(module.Dips, store=tmp_path / "two")
    with pytest.raises(ConfigError, match="has not passed `iverson check` for its current source"):
        checked.refuse_unchecked(module.Dips, store=tmp_path / "two")


def test_refusal_takes_an_earlier_pass_away(write: Any, tmp_path: Path) -> None:
    module = write()
    examine(module, tmp_path)
    leaky = write(LEAKY)

    assert not examine(leaky, tmp_path).passed
    assert not checked.passed(leaky.Dips, store=tmp_path)
    assert not checked.passed(write().Dips, store=tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"source": null}', "\x00"])
def test_damaged_record_is_no_pass(write: Any, tmp_path: Path, text: str) -> None:
    module = write()
    examine(module, tmp_path)
    (file,) = (tmp_path / checked.FOLDER).iterdir()
    kept = json.loads(file.read_text())
    file.write_text(text)

    assert kept["symbols"] == ["IBM"]
    assert not checked.passed(module.Dips, store=tmp_path)


def test_strategy_typed_into_a_prompt_gets_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Typed(iv.Strategy):
        def entry(self, data):
            return iv.Long(4 * (data.close < data.open), data.close, data.close * 0.97)

    monkeypatch.setitem(sys.modules, "__prompt__", ModuleType("__prompt__"))  # has no file
    Typed.__module__ = "__prompt__"
    system = iv.System(Typed, ["IBM"], bars=sample.load(["IBM"]), store=tmp_path)

    assert system.check(*RANGE, sample=2, decisions=2).passed
    assert not checked.passed(Typed, store=tmp_path)
    assert not (tmp_path / checked.FOLDER).exists()


def test_digest_of_parts_follows_the_users_own_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Iverson's rules count for nothing, a rule of the user's by its module's text."""
    module = tmp_path / "my_guards.py"
    text = "import iverson as iv\n\n\nclass Mine(iv.RiskRule):\n    pass\n"
    module.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    rule = importlib.import_module("my_guards").Mine()
    standard = iv.rules.standard()
    before = checked.parts_digest((*standard, rule))

    assert checked.parts_digest(standard) == checked.parts_digest(())
    assert before not in (None, checked.parts_digest(standard))
    module.write_text(text.replace("pass", "limit = 3"))
    assert checked.parts_digest((*standard, rule)) not in (None, before)
    module.unlink()
    assert checked.parts_digest((*standard, rule)) is None
    sys.modules.pop("my_guards")
