# SPDX-License-Identifier: GPL-3.0-or-later
"""One digest of all code that decides scores: other code is never taken for it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from iverson.errors import ConfigError
from iverson.research import search_code
from iverson.research.search import Task
from iverson.research.search_code import code_of
from iverson.research.search_worker import Load, keep, work
from tests.research.search_systems import BARS, SETUP, SPANS

MINE = """import iverson as iv
{imports}

class Mine(iv.Strategy):
    def entry(self, data):
        {inside}
        return iv.Long(3, data.close, data.close * 0.9)
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Modules that a test wrote are gone after it."""
    yield
    for name in [name for name in sys.modules if name.startswith("my_")]:
        del sys.modules[name]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Write my_helper.py and my_strategy.py, import them, give the setup of the strategy."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(imports: str, inside: str = "pass") -> Any:
        (tmp_path / "my_helper.py").write_text("PERIOD = 3\n")
        (tmp_path / "my_strategy.py").write_text(MINE.format(imports=imports, inside=inside))
        importlib.invalidate_caches()
        return replace(SETUP, strategy=importlib.import_module("my_strategy").Mine)

    return write


def changed(folder: Path, name: str, text: str) -> None:
    """Edit a module, and import it again when it was imported."""
    with (folder / f"{name}.py").open("a") as file:
        file.write(text)
    if name in sys.modules:
        importlib.reload(sys.modules[name])


@pytest.mark.parametrize(
    ("imports", "inside"),
    [
        ("import my_helper", "pass"),
        ("from my_helper import PERIOD", "pass"),
        ("from my_helper import *", "pass"),
        ("", "from my_helper import PERIOD"),
    ],
)
def test_changed_source_is_other_code(
    written: Callable[..., Any], tmp_path: Path, imports: str, inside: str
) -> None:
    """Of the strategy's module, and of a module it imports in whatever way."""
    setup = written(imports, inside)
    first = code_of(setup)
    assert code_of(setup) == first

    changed(tmp_path, "my_helper", "PERIOD = 40\n")
    second = code_of(setup)
    changed(tmp_path, "my_strategy", "# a word\n")
    third = code_of(setup)

    assert len({first, second, third}) == 3


def test_modules_of_the_same_package_are_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By relative imports too, and from a package's own `__init__`."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_desk").mkdir()
    (tmp_path / "my_desk" / "__init__.py").write_text("from my_desk.terms import PERIOD\n")
    (tmp_path / "my_desk" / "terms.py").write_text("PERIOD = 3\n")
    (tmp_path / "my_desk" / "own.py").write_text(
        MINE.format(imports="from . import PERIOD", inside="pass")
    )
    importlib.invalidate_caches()
    setup = replace(SETUP, strategy=importlib.import_module("my_desk.own").Mine)
    first = code_of(setup)

    with (tmp_path / "my_desk" / "terms.py").open("a") as file:
        file.write("PERIOD = 40\n")
    importlib.reload(sys.modules["my_desk.terms"])

    assert code_of(setup) != first


def test_code_is_the_same_before_and_after_a_late_import(written: Callable[..., Any]) -> None:
    """A worker that has run a batch has imported more than one that has not."""
    setup = written("", "from my_helper import PERIOD")
    before = code_of(setup)
    assert "my_helper" not in sys.modules

    importlib.import_module("my_helper")

    assert code_of(setup) == before


def test_code_is_what_was_imported_not_what_was_written_since(
    written: Callable[..., Any], tmp_path: Path
) -> None:
    """A worker that stays has the module it imported; a search with the new one is refused."""
    setup = written("")
    load = Load.of(BARS)
    keep(load)
    here = code_of(setup)
    with (tmp_path / "my_strategy.py").open("a") as file:
        file.write("# a word\n")
    there = here[::-1]  # what a fresh process says of the new text
    task = Task((0, 0), setup, ({},), *SPANS[0], "sharpe", 1)

    assert code_of(setup) == here
    assert isinstance(work(0, task, load.digest, there)[1], ConfigError)

    importlib.reload(sys.modules["my_strategy"])
    assert code_of(setup) != here


def test_other_version_of_an_installed_package_is_other_code(
    written: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = written("import joblib")
    first = code_of(setup)
    version = search_code.version
    monkeypatch.setattr(search_code, "_version", search_code._version.__wrapped__)  # uncached

    monkeypatch.setattr(
        search_code, "version", lambda name: "0" if name == "joblib" else version(name)
    )

    assert code_of(setup) != first
