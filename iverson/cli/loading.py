# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding a system by name: `module` or `module:system`, as uvicorn does."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from iverson.errors import ConfigError, IversonError

if TYPE_CHECKING:
    from iverson.system import System

SystemArgument = Annotated[
    str,
    typer.Argument(
        metavar="SYSTEM",
        help="Module that defines `system`, as strategies.rsi_reversion, or module:name.",
    ),
]
From = Annotated[str | None, typer.Option("--from", help="First day: 2005, 2005-03 or 2005-03-31.")]
To = Annotated[str | None, typer.Option("--to", help="Last day, inclusive; 2012 is all of it.")]
Sets = Annotated[
    list[str] | None, typer.Option("--set", help="A parameter, as period=10; repeatable.")
]
Symbols = Annotated[
    str | None, typer.Option("--symbols", help="Symbols instead of the system's own, as AAPL,MSFT.")
]
UniverseFile = Annotated[
    Path | None,
    typer.Option(
        "--universe",
        help="CSV of symbol, from, to: who belonged when; its symbols instead of the system's own.",
    ),
]
Cash = Annotated[float | None, typer.Option(help="Starting equity, dollars.")]
JournalFile = Annotated[
    Path | None,
    typer.Option("--journal", help="Append everything that happened to this file (SQLite)."),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def load_system(name: str) -> tuple[System, ModuleType]:
    """Import a module and return its system and the module.

    Raises
    ------
    ConfigError: no such module, a module that fails when imported, no such name in it, or
    something that is no System.
    """
    from iverson.system import System

    module_name, _, attribute = name.partition(":")
    _refuse_path(module_name)
    module = _import(module_name)
    attribute = attribute or "system"
    system = getattr(module, attribute, None)
    if system is None:
        names = [key for key, value in vars(module).items() if isinstance(value, System)]
        hint = (
            f"it has {', '.join(names)}, so write {module_name}:{names[0]}"
            if names
            else "add `system = iv.System(...)` to it"
        )
        raise ConfigError(f"module {module_name!r} has no {attribute!r}; {hint}")
    if not isinstance(system, System):
        raise ConfigError(
            f"{module_name}:{attribute} is a {type(system).__name__}; expected an iv.System, as in "
            "`system = iv.System(MyStrategy, symbols=[...])`"
        )
    return system, module


def configured(
    system: System,
    *,
    sets: list[str] | None,
    symbols: str | None,
    cash: float | None,
    universe: Path | None = None,
) -> System:
    """Return the system with what the command line changes."""
    from dataclasses import replace

    from iverson.config import settings
    from iverson.research.search_space import check_space, parse_space

    changes: dict[str, Any] = {}
    chosen = settings()
    space = parse_space(*(sets or []))
    for name, values in space.items():
        if len(values) != 1:
            raise ConfigError(
                f"--set {name} has {len(values)} values; expected one, as {name}={values[0]} "
                "(several are for `iverson walk-forward --grid`)"
            )
    check_space(space, system.parameters, owner=system.name)
    if universe is not None:
        changes |= _member_changes(system, universe)
    if symbols is not None:
        changes["symbols"] = [one.strip() for one in symbols.split(",") if one.strip()]
    if cash is not None:
        changes["cash"] = cash
    if system.store is None and system.bars is None:
        changes["store"] = chosen.store
    changed = replace(system, **changes)
    return changed.with_params(**{name: values[0] for name, values in space.items()})


def _member_changes(system: System, table: Path) -> dict[str, Any]:
    """Return the universe of a file, with what the system's own asks of price and volume."""
    from dataclasses import replace

    from iverson.market.universe import Universe

    if system.universe is None:
        return {"universe": Universe(membership=table), "symbols": ()}
    return {"universe": replace(system.universe, symbols=(), membership=table), "symbols": ()}


def _refuse_path(name: str) -> None:
    if not (name.endswith(".py") or "/" in name or "\\" in name):
        return
    path = Path(name)
    if path.is_absolute() or ".." in path.parts:
        raise ConfigError(
            f"{name!r} is a path; run this in {path.parent} and name the module: {path.stem}"
        )
    raise ConfigError(
        f"{name!r} is a path; write it as a module: {'.'.join(path.with_suffix('').parts)}"
    )


def _import(name: str) -> ModuleType:
    try:
        if all(part.isidentifier() for part in name.split(".")) and find_spec(name) is not None:
            return import_module(name)
    except IversonError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise ConfigError(_failed_import(name, error)) from error
    except (Exception, SystemExit) as error:
        raise ConfigError(_failed_import(name, error)) from error
    raise ConfigError(
        f"no module {name!r} here; run this in the folder that holds it, "
        "and write strategies.rsi_reversion for strategies/rsi_reversion.py"
    )


def _failed_import(name: str, error: BaseException) -> str:
    """Say what failed and in which of the user's lines, if there is one."""
    from iverson.research.failures import place_of

    where, said = place_of(error), str(error)
    if isinstance(error, SyntaxError):
        where, said = f"{Path(error.filename or '?').name}:{error.lineno}", error.msg
    at = f" at {where}" if where else ""
    return f"module {name!r} cannot be imported: {type(error).__name__}{at}: {said}; mend the file"
