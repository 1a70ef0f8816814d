# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what has passed `iverson check`, one small file a strategy, beside the bars.

    <store>/checks/strategies.rsi_reversion.RsiReversion.json

A pass holds for the source it was given: the text of the strategy's module, of the modules of its
bases, and of every other module of the user's that those use. Parameters given in a system are not
part of it (their defaults are, being source), and neither are the bars. A strategy that was refused
loses the pass it had. Files are replaced whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from iverson.errors import ConfigError
from iverson.market.bars import Bars
from iverson.market.files import replace_file
from iverson.market.store import DEFAULT
from iverson.research.backtest import Setup
from iverson.research.failures import BACKTRADER, NOBODYS, OURS
from iverson.research.lookahead import check_lookahead
from iverson.research.lookahead_result import Check
from iverson.research.several import shape_of, written
from iverson.strategy import Strategy

FOLDER = "checks"


def check_and_note(
    setup: Setup,
    bars: Mapping[str, Bars],
    *,
    first: date,
    last: date,
    store: Path | str | None = None,
    **how: Any,
) -> Check:
    """Check a strategy over a range and note the answer; arguments as of `check_lookahead`."""
    result = check_lookahead(setup, bars, first=first, last=last, **how)
    note(result, store=store)
    return result


def passed(strategy: type[Strategy], *, store: Path | str | None = None) -> bool:
    """Whether a strategy has passed with its current source; False for what cannot be read."""
    try:
        kept = json.loads(_path(strategy, store).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    source = source_digest(strategy)
    return isinstance(kept, dict) and source is not None and kept.get("source") == source


def refuse_unchecked(strategy: type[Strategy], *, store: Path | str | None = None) -> None:
    """Raise `ConfigError` unless a strategy has passed with its current source."""
    if passed(strategy, store=store):
        return
    raise ConfigError(
        f"{strategy.__name__} has not passed `iverson check` for its current source; run "
        f"`iverson check {strategy.__module__}`"
    )


def note(check: Check, *, store: Path | str | None = None) -> Path | None:
    """Write a pass down, or take an earlier one away; returns its file, None without a pass.

    A strategy whose source is in no file (typed into a prompt or a notebook) gets no pass, because
    nobody could tell later whether it is still the same.
    """
    path = _path(check.strategy, store)
    source = source_digest(check.strategy)
    if not check.passed or source is None:
        path.unlink(missing_ok=True)
        return None
    kept = {
        "strategy": _name(check.strategy),
        "source": source,
        "parameters": {name: repr(value) for name, value in check.params.items()},
        "symbols": list(check.symbols),
        "first": str(check.first),
        "last": str(check.last),
        "decision_bars": check.decision_bars,
        "seed": check.seed,
    }
    text = json.dumps(kept, indent=1, sort_keys=True) + "\n"

    def write(part: Path) -> None:
        part.write_text(text, encoding="utf-8")

    replace_file(path, write)
    return path


def source_digest(strategy: type[Strategy]) -> str | None:
    """Return the SHA-256 of a strategy's source and what of the user's it uses; None: no file."""
    total = hashlib.sha256((_name(strategy) + shape_of(strategy)).encode())
    return _digest(total, {one.__module__ for one in written(strategy)})


def parts_digest(parts: Iterable[object]) -> str | None:
    """Return the SHA-256 of the user's modules that the classes of parts are written in.

    Parts are rules, a sizing: what decides beside the strategy. Iverson's own count for nothing.
    None: a class is in no file.
    """
    names = {type(part).__module__ for part in parts}
    theirs = {name for name in names if name.partition(".")[0] != "iverson"}
    return _digest(hashlib.sha256(), theirs)


def _digest(total: Any, names: set[str]) -> str | None:
    sources = {}
    for name in _closure(names):
        file = getattr(sys.modules.get(name), "__file__", None)
        if file is None or not Path(file).is_file():
            return None
        sources[name] = Path(file).read_bytes()
    for name in sorted(sources):
        total.update(f"\n{name} {len(sources[name])}\n".encode())
        total.update(sources[name])
    return str(total.hexdigest())


def _closure(names: set[str]) -> set[str]:
    """Return modules and the user's modules that they use, by what stands in their globals."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        module = sys.modules.get(name)
        left.extend(used for used in _uses(module) if used not in found)
    return found


def _uses(module: ModuleType | None) -> Iterator[str]:
    for value in vars(module).values() if module is not None else ():
        name = value.__name__ if isinstance(value, ModuleType) else _home(value)
        used = sys.modules.get(name) if name else None
        file = getattr(used, "__file__", None)
        if name and file and not file.startswith((OURS, BACKTRADER, *NOBODYS)):
            yield name


def _home(value: object) -> str | None:
    """Return the module in which a class or a function was written."""
    name = getattr(value, "__module__", None) if callable(value) else None
    return name if isinstance(name, str) else None


def _name(strategy: type[Strategy]) -> str:
    return f"{strategy.__module__}.{strategy.__qualname__}"


def _path(strategy: type[Strategy], store: Path | str | None) -> Path:
    folder = DEFAULT if store is None else Path(store)
    return folder / FOLDER / f"{quote(_name(strategy), safe='')}.json"
