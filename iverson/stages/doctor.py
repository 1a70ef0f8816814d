# SPDX-License-Identifier: GPL-3.0-or-later
"""The doctor: looks at everything a trading robot rests on, and says what to do about each fault.

Nothing is changed, sent or traded. A question that fails is a finding, not an error, and the rest
is asked all the same.
"""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from iverson.config import Settings
from iverson.errors import IversonError
from iverson.market import store as stores
from iverson.market.bars import DAILY
from iverson.market.calendar import new_york
from iverson.monitoring.journal import Journal
from iverson.redaction import redacted
from iverson.research.checked import passed
from iverson.stages.traded import Traded
from iverson.stages.watch import signs_of

State = Literal["well", "bad", "not set up"]
LEAST_BYTES = 500_000_000  # of free space: a journal's year, bars of some hundred symbols
LEAST_PYTHON = (3, 11)
PRIVATE_FILES = (Path(".env"), Path("iverson.toml"))


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, what was seen; for what is bad, what to do."""

    what: str
    state: State
    said: str
    remedy: str = ""


def found(what: str, look: Callable[[], str], remedy: str = "") -> Finding:
    """Look, and turn an error into a finding."""
    try:
        return Finding(what, "well", look())
    except (IversonError, OSError) as error:
        sentence, _, advice = str(error).partition("; ")
        return Finding(what, "bad", redacted(sentence), remedy or redacted(advice))


def examine_machine(
    settings: Settings, *, now: datetime, disk: Callable[[Path], int] | None = None
) -> Iterator[Finding]:
    """Look at versions, private files, disk, journal and the signs of life in it.

    `disk` returns the free bytes of a folder; None asks the system.
    """
    yield found("versions", _versions, "make the environment anew, as `make test` does")
    yield from _private_files()
    free = disk or (lambda folder: shutil.disk_usage(folder).free)
    for name, path in (("journal", settings.journal.parent), ("store", settings.store)):
        yield _room(name, _there(path), free)
    yield _journal(settings.journal)
    yield _signs(settings.journal, now)
    if settings.ping_url is None:
        yield Finding(
            "ping", "not set up", "nobody is told by ping that the robot lives",
            "set IVERSON_PING_URL to a dead-man service or to `iverson watch --listen`",
        )  # fmt: skip
    else:
        yield Finding("ping", "well", "an address is set; whether it answers shows at a wake")


def examine_system(system: Traded, *, now: datetime) -> Iterator[Finding]:
    """Look at a system: its check for future data, and how new its bars are."""
    strategy = system.setup.strategy
    if passed(strategy, store=system.store):
        yield Finding("check", "well", f"{strategy.__name__} has passed for its current source")
    else:
        yield Finding(
            "check", "bad", f"{strategy.__name__} has not passed for its current source",
            f"run `iverson check {strategy.__module__}`",
        )  # fmt: skip
    yield found("bars", lambda: _bars(system, now), "run `iverson bars fetch`")


def _versions() -> str:
    if sys.version_info < LEAST_PYTHON:
        raise IversonError(f"Python is {sys.version.split()[0]}, expected 3.11 or newer")
    wrong = []
    for line in requires("iverson") or ():
        needed = Requirement(line)
        if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
            continue
        try:
            there = version(needed.name)
        except PackageNotFoundError:
            wrong.append(f"{needed.name} is missing")
            continue
        if not needed.specifier.contains(there, prereleases=True):
            wrong.append(f"{needed.name} is {there}, expected {needed.specifier}")
    if wrong:
        raise IversonError(", ".join(wrong))
    names = ("iverson", "backtrader", "alpaca-py")
    return f"Python {sys.version.split()[0]}, " + ", ".join(f"{n} {version(n)}" for n in names)


def _private_files() -> Iterator[Finding]:
    """Look who else may read the files that may hold keys; not where there are no such bits."""
    if os.name != "posix":
        return
    for path in PRIVATE_FILES:
        if not path.is_file():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            said = f"others on this machine may read it ({mode:04o})"
            yield Finding(str(path), "bad", said, f"chmod 600 {path}")
        else:
            yield Finding(str(path), "well", "only you may read it")


def _room(name: str, folder: Path, free: Callable[[Path], int]) -> Finding:
    def look() -> str:
        if not os.access(folder, os.W_OK):
            raise IversonError(f"{folder} cannot be written to; choose another place")
        left = free(folder)
        if left < LEAST_BYTES:
            raise IversonError(f"{left / 1e6:,.0f} MB are free at {folder}; make room")
        return f"{left / 1e9:,.1f} GB free at {folder}"

    return found(f"disk of the {name}", look)


def _there(path: Path) -> Path:
    """Return the nearest folder that exists: the rest is made when it is needed."""
    path = path.absolute()
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _journal(path: Path) -> Finding:
    if not path.exists():
        return Finding("journal", "not set up", f"there is none at {path}; the first run makes it")

    def look() -> str:
        with Journal(path, read_only=True) as journal:
            broken = journal.verify()
            if broken is not None:
                raise IversonError(
                    f"row {broken} of {path} is not as it was written, or missing; keep the file "
                    "and do not trade on it"
                )
            return f"{path} is whole: {journal.head.seq} rows"

    return found("journal", look)


def _signs(journal: Path, now: datetime) -> Finding:
    def look() -> str:
        signs, _ = signs_of(journal)
        late = [one for one in signs if one.due is not None and now > one.due]
        if late:
            words = ", ".join(f"{one.run} since {one.due:%Y-%m-%d %H:%M} UTC" for one in late)
            raise IversonError(
                f"late: {words}; look whether its timer or service runs (systemctl list-timers)"
            )
        alive = [f"{one.run} at {one.at:%Y-%m-%d %H:%M} UTC" for one in signs]
        return ", ".join(alive) if alive else "none yet"

    if not journal.exists():
        return Finding("signs of life", "not set up", "there is no journal yet")
    return found("signs of life", look)


def _bars(system: Traded, now: datetime) -> str:
    newest = {symbol: one.session[-1].item() for symbol, one in system.load().items() if len(one)}
    if not newest:
        raise IversonError("there are none")
    calendar = new_york()
    last = calendar.session_of(now)
    if calendar.close_at(last) > now:
        last = calendar.offset(last, -1)
    behind = sorted(symbol for symbol, session in newest.items() if session < last)
    kind = "daily" if system.interval == DAILY else system.interval
    if behind:
        raise IversonError(
            f"{kind} bars of {', '.join(behind)} end before {last} "
            f"(the oldest on {min(newest.values())})"
        )
    return f"{kind} bars of {len(newest)} symbols up to {last} in {system.store or stores.DEFAULT}"
