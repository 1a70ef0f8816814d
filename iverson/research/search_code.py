# SPDX-License-Identifier: GPL-3.0-or-later
"""Which code a search runs: one digest, so that results of other code are never taken for it."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

from iverson.errors import ConfigError
from iverson.research.backtest import Setup
from iverson.research.failures import BACKTRADER, NOBODYS, OURS

VERSIONS = ("backtrader", "exchange-calendars", "numpy", "pandas")


def code_of(setup: Setup) -> str:
    """Return the SHA-256, hexadecimal, of all code that decides the scores of a search.

    These are the sources of Iverson, of the modules of strategy, rules, sizing and costs and of
    what these import, unless it is installed; and the versions of Python and `VERSIONS`.

    Raises
    ------
    ConfigError: a class that was defined where there is no file, as in a notebook.
    """
    total = hashlib.sha256(_foundation().encode())
    for name, file in sorted(_users(setup).items()):
        total.update(f"|{name}|".encode())
        total.update(file.read_bytes())
    return total.hexdigest()


@cache
def _foundation() -> str:
    facts = [f"{name} {version(name)}" for name in VERSIONS]
    total = hashlib.sha256(repr([*sys.version_info[:2], *facts]).encode())
    for file in sorted(Path(OURS).rglob("*.py")):
        total.update(file.relative_to(OURS).as_posix().encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def _users(setup: Setup) -> dict[str, Path]:
    parts = (setup.strategy, type(setup.sizing), type(setup.costs), *map(type, setup.rules))
    found: dict[str, Path] = {}
    for part in parts:
        for base in part.__mro__:
            module = sys.modules.get(base.__module__)
            file = getattr(module, "__file__", None)
            if module is None or _foundations(module):
                continue
            if file is None:
                raise ConfigError(
                    f"{base.__name__} has no source file, so what was found with it cannot be "
                    "told from what other code finds; put it into a module and import it"
                )
            _follow(module, found)
    return found


def _follow(module: ModuleType, found: dict[str, Path]) -> None:
    """Note the module's file, and those of the modules it takes something from."""
    name = module.__name__
    if name in found or not getattr(module, "__file__", None):
        return
    found[name] = Path(str(module.__file__))
    for other in _imported(module):
        same = other.__name__.partition(".")[0] == name.partition(".")[0]
        if not _foundations(other) and (same or not _installed(other)):
            _follow(other, found)


def _imported(module: ModuleType) -> Iterator[ModuleType]:
    for value in list(vars(module).values()):
        if isinstance(value, ModuleType):
            yield value
        elif isinstance(name := getattr(value, "__module__", None), str) and name in sys.modules:
            yield sys.modules[name]


def _foundations(module: ModuleType) -> bool:
    """Whether `_foundation` or the language itself answers for it."""
    file = getattr(module, "__file__", None)
    if file is None:
        return module.__name__ in sys.stdlib_module_names - {"__main__"}
    return str(file).startswith((OURS, BACKTRADER))


def _installed(module: ModuleType) -> bool:
    return str(getattr(module, "__file__", None) or "<frozen").startswith(tuple(NOBODYS))
