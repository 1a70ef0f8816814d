# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios: scripts with a name and one sentence, bundled or written by the user, in TOML.

    [lost-reply]
    says = "The exchange takes the first order, and its answer is a 504 of the proxy."
    switches = { partial_probability = 0.0 }

    [[lost-reply.fault]]
    on = "POST /v2/orders"
    do = "status"
    status = 504
    executed = true

`iverson.simulator.faults` has what a fault may wait for and do; `switches` are those of
`iverson.simulator.settings`. The bundled ones are in `scenarios.toml`, to be read and copied.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import time
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

from iverson.errors import ConfigError
from iverson.simulator.faults import RESHAPING, Fault, fault
from iverson.simulator.settings import Switches

BUNDLED = Path(__file__).with_name("scenarios.toml")
KEYS = ("says", "switches", "fault")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A script: its name, what it says of itself, how the exchange differs, and its faults."""

    name: str
    says: str
    faults: tuple[Fault, ...] = ()
    switches: Mapping[str, Any] = field(default_factory=dict)

    def check_loadable(self) -> None:
        """Refuse a script that has to be there from the start, for one that is loaded later."""
        if self.switches or any(one.do in RESHAPING for one in self.faults):
            raise ConfigError(
                f"scenario {self.name!r} changes switches or history, which is possible before the "
                "exchange opens only; start it with this scenario"
            )

    def applied_to(self, switches: Switches) -> Switches:
        """Return switches with those that the scenario sets."""
        return replace(switches, **self.switches)


@lru_cache(maxsize=1)
def bundled() -> dict[str, Scenario]:
    """Return the bundled scenarios by name, in the order of the file."""
    return read(BUNDLED)


def scenario(name: str) -> Scenario:
    """Find a scenario: the name of a bundled one, a file with one, or `file.toml:name`.

    `ConfigError` in one sentence for an unknown name, a file that cannot be read or is no script.
    """
    if name in bundled():
        return bundled()[name]
    place, _, wanted = name.partition(".toml")
    if name == place:
        close = get_close_matches(name, bundled(), n=1)
        hint = f"did you mean {close[0]!r}?" if close else "`iverson simulator --list` names them"
        raise ConfigError(f"there is no scenario {name!r}; {hint}")
    found = read(Path(f"{place}.toml"))
    wanted = wanted.removeprefix(":")
    if not wanted and len(found) == 1:
        return next(iter(found.values()))
    if wanted not in found:
        raise ConfigError(
            f"{place}.toml has the scenarios {', '.join(found)}; write {place}.toml:NAME"
        )
    return found[wanted]


def read(path: Path) -> dict[str, Scenario]:
    """Read a file of scenarios by name; `ConfigError` says what is wrong and where."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; check the name") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML: {error}; mend it") from error
    try:
        made = {name: _scenario(name, table) for name, table in tables.items()}
    except ConfigError as error:
        raise ConfigError(f"{path.name}, {error}") from error
    if not made:
        raise ConfigError(f"{path} has no scenario; expected a table with `says` and faults")
    return made


def _scenario(name: str, table: object) -> Scenario:
    if not isinstance(table, dict):
        raise ConfigError(f"{name} is not a table; put the script under [name-of-the-scenario]")
    for key in table:
        if key not in KEYS:
            raise ConfigError(f"scenario {name!r} has no {key!r}; it has {', '.join(KEYS)}")
    says = table.get("says")
    if not isinstance(says, str) or not says.strip():
        raise ConfigError(f"scenario {name!r} says nothing; add `says`, one sentence")
    listed = table.get("fault", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ConfigError(f"scenario {name!r}: write each fault under [[{name}.fault]]")
    try:
        faults = tuple(fault(one) for one in listed)
        switches = _switches(table.get("switches", {}))
        Switches(**switches)
    except ConfigError as error:
        raise ConfigError(f"scenario {name!r}: {error}") from error
    return Scenario(name, says.strip(), faults, switches)


def _switches(table: object) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise ConfigError("switches is not a table; write switches = { name = value }")
    known = {one.name: one for one in fields(Switches)}
    made = {}
    for name, value in table.items():
        if name not in known or name == "halts":
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there is {', '.join(known)}"
            raise ConfigError(f"there is no switch {name!r}; {hint}")
        made[name] = _like(known[name].default, str(known[name].type), name, value)
    return made


def _like(usual: object, kind: str, name: str, value: Any) -> Any:
    """Return a value of TOML as the kind of its switch's usual one."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(usual, bool) and isinstance(value, bool):
        return value
    if kind == "int | None":
        if type(value) is int:
            return value
    elif isinstance(usual, Decimal) or usual is None:
        if number:
            return Decimal(str(value))
    elif isinstance(usual, tuple) and isinstance(value, list):
        return tuple(float(one) for one in value)
    elif isinstance(usual, float) and number:
        return float(value)
    elif type(usual) is type(value) and isinstance(usual, int | str | time):
        return value
    raise ConfigError(f"the switch {name} is {value!r}; expected a value like {usual!r}")
