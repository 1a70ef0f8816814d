# SPDX-License-Identifier: GPL-3.0-or-later
"""Which code a search runs: one digest, so that results of other code are never taken for it.

What a module imports is read from its source, wherever in it the import stands and whatever name
it brings, so that every process sees the same, before its first batch and after.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any

from iverson.errors import ConfigError
from iverson.research.backtest import Setup
from iverson.research.failures import BACKTRADER, NOBODYS, OURS
from iverson.research.several import uses_of

VERSIONS = ("backtrader", "exchange-calendars", "numpy", "pandas")


def code_of(setup: Setup) -> str:
    """Return the SHA-256, hexadecimal, of all code that decides the scores of a search.

    These are the sources of Iverson, of the modules of strategy, rules, sizing and costs and of
    what these import; of what is installed, the versions, and those of Python and `VERSIONS`. A
    source counts as it was when it was first asked for after its import: what is written into it
    later does not run. What is imported by a computed name, or read as data, is not known here.

    Raises
    ------
    ConfigError: a class that was defined where there is no file, as in a notebook.
    """
    total = hashlib.sha256(_foundation().encode())
    for name, fact in sorted(_users(setup).items()):
        total.update(f"|{name}|{fact}".encode())
    return total.hexdigest()


@cache
def _foundation() -> str:
    facts = [f"{name} {version(name)}" for name in VERSIONS]
    total = hashlib.sha256(repr([*sys.version_info[:2], *facts]).encode())
    for file in sorted(Path(OURS).rglob("*.py")):
        total.update(file.relative_to(OURS).as_posix().encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def _users(setup: Setup) -> dict[str, str]:
    """Return digests of the user's modules and versions of installed ones, by name."""
    strategies = (use.strategy for use in uses_of(setup.strategy))
    parts = (
        *strategies, type(setup.sizing), type(setup.costs), *map(type, setup.rules),
        *((type(setup.capital),) if setup.capital else ()),
    )  # fmt: skip
    found: dict[str, str] = {}
    for part in parts:
        for base in part.__mro__:
            module = sys.modules.get(base.__module__)
            file = getattr(module, "__file__", None)
            if file is None and base.__module__ not in sys.stdlib_module_names - {"__main__"}:
                raise ConfigError(
                    f"{base.__name__} has no source file, so what was found with it cannot be "
                    "told from what other code finds; put it into a module and import it"
                )
            if file is not None:
                _follow(base.__module__, str(file), "", found)
    return found


def _follow(name: str, file: str, importer: str, found: dict[str, str]) -> None:
    """Note a module, and what it imports unless it is installed."""
    top = name.partition(".")[0]
    if name in found or file.startswith((OURS, BACKTRADER)):
        return
    if file.startswith(NOBODYS):
        if top in sys.stdlib_module_names:
            return
        if importer and importer.partition(".")[0] != top:
            found[top] = _version(top)
            return
    source = _source(name, file)
    found[name] = source.digest
    for other in source.imports:
        spec = _spec(other)
        if spec is not None and spec.has_location and spec.origin is not None:
            _follow(other, spec.origin, name, found)


@dataclass(frozen=True)
class _Source:
    """A module's file as it was when `spec` was new; a reload makes another."""

    spec: Any
    digest: str
    imports: tuple[str, ...]


_SOURCES: dict[str, _Source] = {}


def _source(name: str, file: str) -> _Source:
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    known = _SOURCES.get(name)
    if module is None or known is None or known.spec is not spec:
        text = Path(file).read_bytes()
        package = getattr(module, "__package__", None) or _package_of(name)
        imports = sorted(set(_imports(text, package))) if file.endswith(".py") else ()
        known = _Source(spec, hashlib.sha256(text).hexdigest(), tuple(imports))
    if module is not None:
        _SOURCES[name] = known
    return known


def _imports(text: bytes, package: str) -> Iterator[str]:
    """Yield the modules that a source may import; some names are no modules, but values in one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python said it when the module was imported
            tree = ast.parse(text)
    except SyntaxError:
        return  # nobody could import it; a change of it counts all the same
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            base = resolve_name(dots + (node.module or ""), package) if dots else node.module
            names = [f"{base}.{one.name}" for one in node.names]
        for name in names:
            steps = name.split(".")
            yield from (".".join(steps[: count + 1]) for count in range(len(steps)))


def _spec(name: str) -> ModuleSpec | None:
    """Find a module without importing anything; None when there is none of this name."""
    module = sys.modules.get(name)
    if module is not None and getattr(module, "__spec__", None) is not None:
        return module.__spec__
    above, _, last = name.rpartition(".")
    if not above:
        return find_spec(last) if last not in sys.modules else None
    package = _spec(above)
    if package is None or package.submodule_search_locations is None:
        return None
    return PathFinder.find_spec(name, package.submodule_search_locations)


def _package_of(name: str) -> str:
    spec = _spec(name)
    return (spec.parent or "") if spec is not None else ""


@cache
def _version(top: str) -> str:
    """Return the version of the distribution that brings a module, "" when none says it does."""
    try:
        return version(top)
    except PackageNotFoundError:
        return " ".join(f"{one} {version(one)}" for one in packages_distributions().get(top, ()))
