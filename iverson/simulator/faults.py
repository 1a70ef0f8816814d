# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults: what goes wrong, when, as data; the script that counts the matches and says what is due.

A fault waits for one kind of thing (`on`), counts those that fit (`symbol`, `leg`), and acts on the
chosen ones (`nth`). Counting happens in the order in which the exchange does things, so the same
script on the same history and the same requests goes wrong in the same places.

    on = "POST /v2/orders"      a request; * is any method or any one part of a path, ** at the
                                end of a path any rest
    on = "event fill"           an update of the trading stream; "event *" is any of them
    on = "data bar"             a message of a data stream: bar, updated bar, daily bar, trade,
                                quote, status, news; "data *bar" is any of the three bars
    on = "session 2 09:45"      an instant: the second session replayed, New York time
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import time
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Literal

from iverson.errors import ConfigError

Kind = Literal["request", "event", "data", "session"]
DATA = ("bar", "updated bar", "daily bar", "trade", "quote", "status", "news")
LEGS = ("", "entry", "stop", "target")
METHODS = ("GET", "POST", "PATCH", "DELETE", "*")

REQUEST: tuple[Kind, ...] = ("request",)
STREAM: tuple[Kind, ...] = ("event", "data")
ANY: tuple[Kind, ...] = ("request", "event", "session")
SESSION: tuple[Kind, ...] = ("session",)
# action -> the kinds it can answer, what it must be told, what it may be told
ACTIONS: dict[str, tuple[tuple[Kind, ...], tuple[str, ...], tuple[str, ...]]] = {
    "status": (REQUEST, ("status",), ("executed", "code", "message", "body")),
    "stall": (REQUEST, (), ("executed", "wall_seconds")),
    "reset": (REQUEST, (), ("executed",)),
    "empty": (REQUEST, (), ("executed",)),
    "truncate": (REQUEST, (), ()),
    "late": (REQUEST, (), ("until", "seconds")),
    "reject": (REQUEST, (), ("message",)),
    "partial": (REQUEST, ("share",), ()),
    "drop": (STREAM, (), ()),
    "duplicate": (STREAM, (), ()),
    "reorder": (STREAM, (), ()),
    "mute": (STREAM, (), ()),
    "close": (STREAM, (), ()),
    "set": (STREAM, ("field", "value"), ()),
    "remove": (STREAM, ("field",), ()),
    "text": (STREAM, (), ()),
    "revoke keys": (ANY, (), ()),
    "restore keys": (ANY, (), ()),
    "lag": (ANY, ("steps",), ()),
    "halt": (ANY, (), ()),
    "resume": (ANY, (), ()),
    "order": (ANY, ("side", "qty"), ("limit",)),
    "deposit": (ANY, ("dollars",), ()),
    "block": (ANY, (), ()),
    "unblock": (ANY, (), ()),
    "gap": (SESSION, ("ratio",), ()),
    "split": (SESSION, ("ratio",), ()),
}
STREAM_ACTIONS = frozenset(do for do, (kinds, _, _) in ACTIONS.items() if kinds == STREAM)
REQUEST_ACTIONS = frozenset(do for do, (kinds, _, _) in ACTIONS.items() if kinds == REQUEST)
RESHAPING = frozenset({"gap", "split"})
NEEDS_SYMBOL_AT_A_TIME = {"halt", "resume", "order", "gap", "split"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of a script.

    on, do : what it waits for and what it then does; see the module and `ACTIONS`
    nth : which of the matches: "1", "2-4", "3-" (from the third on) or "every"
    symbol, leg : only these; leg is entry, stop or target. What is done at an instant is done to
        the symbol, or to all with "*"; a stranger's order is of the first
    executed : the exchange has done what the request asks before its answer is lost
    status, code, message, body : of the answer instead; a body that begins with "<" is HTML
    wall_seconds : how long to stall, by the wall clock; 0 until the client hangs up
    until, seconds : a late answer comes after this event, or after so many simulated seconds
    share : fraction of the order that is filled; nothing follows
    field, value : of a message, as "order.status"
    steps : by how many steps REST lags the stream, 0 to end it
    side, qty, limit : of the order that somebody else places; no limit is a market order
    dollars : negative takes out. ratio : of prices (gap, 0.8) or new shares for one old (split)
    """

    on: str
    do: str
    nth: str = "1"
    symbol: str = ""
    leg: str = ""
    executed: bool = False
    status: int = 0
    code: int = 0
    message: str = ""
    body: str = ""
    wall_seconds: float = 0.0
    until: str = ""
    seconds: float = 0.0
    share: float = 0.0
    field: str = ""
    value: Any = None
    steps: int = 0
    side: str = ""
    qty: float = 0.0
    limit: float = 0.0
    dollars: float = 0.0
    ratio: float = 0.0

    def __post_init__(self) -> None:
        kind = self.kind
        if self.do not in ACTIONS:
            close = get_close_matches(self.do, ACTIONS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected {', '.join(ACTIONS)}"
            raise ConfigError(f"fault on {self.on!r}: there is no action {self.do!r}; {hint}")
        kinds, needed, _ = ACTIONS[self.do]
        if kind not in kinds:
            raise ConfigError(
                f"fault on {self.on!r}: {self.do!r} cannot answer this; it goes with a "
                f"{' or '.join(kinds)}"
            )
        for name in needed:
            if not getattr(self, name):
                raise ConfigError(f"fault {self.do!r} on {self.on!r} needs {name!r}; add it")
        if self.leg not in LEGS:
            raise ConfigError(f"fault on {self.on!r}: leg {self.leg!r} is not entry, stop, target")
        if kind == "session" and self.do in NEEDS_SYMBOL_AT_A_TIME and not self.symbol:
            raise ConfigError(f"fault {self.do!r} on {self.on!r} needs a 'symbol'; add it")
        _which(self)

    @property
    def kind(self) -> Kind:
        """What it waits for: a request, an event, a message of data or an instant."""
        first, _, rest = self.on.partition(" ")
        if first in METHODS and rest.startswith("/"):
            return "request"
        if first == "event" and re.fullmatch(r"[a-z_]+|\*", rest):
            return "event"
        if first == "data" and any(fnmatchcase(name, rest) for name in DATA):
            return "data"
        if first == "session" and re.fullmatch(r"[1-9]\d*( ([01]\d|2[0-3]):[0-5]\d)?", rest):
            return "session"
        raise ConfigError(
            f"a fault waits for {self.on!r}; expected a request as 'POST /v2/orders', 'event "
            f"fill', 'data bar' ({', '.join(DATA)}) or 'session 2 09:45'"
        )

    @property
    def session(self) -> int:
        """Number of the session replayed, from 1."""
        return int(self.on.split()[1])

    @property
    def time(self) -> time:
        """Time of day in New York, 09:30 unless told."""
        words = self.on.split()
        return time.fromisoformat(words[2]) if len(words) > 2 else time(9, 30)

    def chosen(self, number: int) -> bool:
        """Whether the match of this number, from 1, is one of its own."""
        first, last = _which(self)
        return first <= number and (last is None or number <= last)


def fault(table: Mapping[str, Any]) -> Fault:
    """Read a fault from a table of TOML; `ConfigError` says which key or value is wrong."""
    known = {one.name: one.type for one in fields(Fault)}
    where = f"fault on {table.get('on', '?')!r}"
    for name in table:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(known)}"
            raise ConfigError(f"{where} has no {name!r}; {hint}")
    for name in ("on", "do"):
        if name not in table:
            raise ConfigError(f"{where} has no {name!r}; add it, as {name} = ...")
    given = {name: _typed(where, name, known[name], value) for name, value in table.items()}
    made = Fault(**given)
    told = {"on", "do", "nth", "symbol", "leg", *ACTIONS[made.do][1], *ACTIONS[made.do][2]}
    for name in given:
        if name not in told:
            raise ConfigError(f"{where}: {made.do!r} does not use {name!r}; remove it")
    return made


def _typed(where: str, name: str, kind: object, value: Any) -> Any:
    if kind == "Any":
        return value
    if kind == "str" and name == "nth" and type(value) is int:
        return str(value)
    allowed = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}[str(kind)]
    if type(value) not in allowed:
        words = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true/false"}
        raise ConfigError(f"{where}: {name} is {value!r}; expected {words[str(kind)]}")
    return float(value) if kind == "float" else value


def _which(one: Fault) -> tuple[int, int | None]:
    if one.nth == "every":
        return 1, None
    match = re.fullmatch(r"([1-9]\d*)(-?)([1-9]\d*)?", one.nth)
    if match is None or (match[3] and not match[2]):
        raise ConfigError(
            f"fault on {one.on!r}: nth is {one.nth!r}; expected as 1, 2-4, 3- or every"
        )
    first = int(match[1])
    if not match[2]:
        return first, first
    return first, int(match[3]) if match[3] else None


class Script:
    """The faults of one run with their counters; mutable, and asked in the loop's thread only.

    `fired` tells what was done, in order, as (fault, what it answered).
    """

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self.enabled = True
        self.load(faults)

    def load(self, faults: Iterable[Fault]) -> None:
        """Begin anew with these faults."""
        self.faults = tuple(faults)
        self.fired: list[tuple[Fault, str]] = []
        self._seen = [0] * len(self.faults)
        self._of: dict[Kind, list[int]] = {}
        for number, one in enumerate(self.faults):
            self._of.setdefault(one.kind, []).append(number)

    @property
    def lags(self) -> bool:
        """Whether REST is to lag behind the stream at some time."""
        return any(one.do == "lag" for one in self.faults)

    @property
    def acts_on_events(self) -> bool:
        """Whether an event of the trading stream makes something happen to the exchange."""
        return self.enabled and any(
            self.faults[number].do not in STREAM_ACTIONS for number in self._of.get("event", [])
        )

    def waits_for(self, kind: Kind) -> bool:
        """Whether any fault waits for this kind of thing."""
        return self.enabled and kind in self._of

    def request(self, method: str, path: str, *, symbol: str = "", leg: str = "") -> list[Fault]:
        """Return the faults of a request, in the order of the script.

        Symbol and leg are those of the one order or symbol that it is about, if it is about one.
        """
        return self._due("request", f"{method} {path}", symbol=symbol, leg=leg)

    def message(
        self, kind: Literal["event", "data"], name: str, *, symbol: str, leg: str = ""
    ) -> list[Fault]:
        """Return the faults of a message to a client, in the order of the script."""
        return self._due(kind, f"{kind} {name}", symbol=symbol, leg=leg)

    def instants(self) -> list[Fault]:
        """Return the faults that wait for an instant, in the order of the script."""
        numbers = self._of.get("session", []) if self.enabled else []
        return [self.faults[number] for number in numbers]

    def fire(self, one: Fault, what: str) -> None:
        """Note that a fault was acted on."""
        self.fired.append((one, what))

    def _due(self, kind: Kind, what: str, *, symbol: str, leg: str) -> list[Fault]:
        found: list[Fault] = []
        for number in self._of.get(kind, []) if self.enabled else []:
            one = self.faults[number]
            if not _matches(one.on, what):
                continue
            if one.symbol not in ("", "*", symbol) or one.leg not in ("", leg):
                continue
            self._seen[number] += 1
            if one.chosen(self._seen[number]):
                self.fire(one, what)
                found.append(one)
        return found


def _matches(pattern: str, what: str) -> bool:
    if pattern.startswith(("event ", "data ")):
        return fnmatchcase(what, pattern)
    given, asked = pattern.split("/"), what.split("/")
    if given[-1] == "**":
        return len(asked) >= len(given) and all(map(fnmatchcase, asked, given[:-1]))
    return len(given) == len(asked) and all(map(fnmatchcase, asked, given))
