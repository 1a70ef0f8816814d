# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: every engine on equal work, each measurement in a process of its own.

Prints the tables and puts them into docs/speed.md. Engines take turns, so that a busy moment of
the machine does not fall on one of them.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.bench import plan
from tests.bench.environments import TOP, NotAvailable, python_of
from tests.bench.measure import Failed, Measured, measure
from tests.bench.page import UNFINISHED, merged, put_between_markers, rows_of, sections
from tests.bench.plan import Engine
from tests.bench.table import table

PAGE = TOP / "docs" / "speed.md"


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201 (a command: it prints)


def main() -> None:
    """Measure, print, save."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--peers", default="", help="names, or all: " + " ".join(plan.PEERS))
    asked.add_argument("--works", default="all", help="names, or all: " + " ".join(plan.EVERY))
    asked.add_argument("--long", action="store_true", help="also what takes an hour")
    asked.add_argument("--minutes", type=float, help="then stop; 10 for us and for each peer")
    asked.add_argument("--page", type=Path, default=PAGE)
    options = asked.parse_args()
    wanted = list(plan.PEERS) if options.peers == "all" else options.peers.split()
    works = list(plan.EVERY) if options.works == "all" else options.works.split()
    for names, known in ((wanted, plan.PEERS), (works, plan.EVERY)):
        unknown = [name for name in names if name not in known]
        if unknown:
            sys.exit(f"{unknown[0]!r} is not known; choose of {', '.join(known)}, with spaces")

    engines = [(engine, Path(sys.executable)) for engine in plan.OWN]
    absent = []
    for peer in wanted:
        try:
            engines.append((plan.PEERS[peer], python_of(peer)))
        except NotAvailable as reason:
            absent.append(f"{plan.PEERS[peer].title}: not available ({reason})")
            say(absent[-1])
    minutes = options.minutes or plan.MINUTES * (1 + len(wanted)) * (12 if options.long else 1)
    bounds = Bounds.of(minutes, long=options.long)
    tables = rows_of(options.page)
    for work in works:
        tables[work] = merged(tables.get(work, {}), measured_work(work, engines, bounds))
        say("\n".join(sections(tables, [work])) + "\n")
        text = "\n\n".join([heading(), *sections(tables, plan.EVERY), notes(absent)])
        put_between_markers(options.page, text)  # so that Ctrl-C keeps what is done
    say(f"saved in {options.page}")


@dataclass(frozen=True)
class Bounds:
    """When to stop: points of `time.monotonic`, and seconds for one process."""

    again: float  # first processes of later works are worth more than further ones of this
    end: float
    each: float
    long: bool

    @classmethod
    def of(cls, minutes: float, *, long: bool) -> Bounds:
        """Make the bounds of a run that begins now."""
        now, seconds = time.monotonic(), 60.0 * minutes
        each = plan.LONG_SECONDS if long else plan.TIMEOUT_SECONDS
        return cls(now + seconds / 2, now + seconds, each, long)


def measured_work(work: str, engines: list[tuple[Engine, Path]], bounds: Bounds) -> dict[str, str]:
    """Measure all engines on one work and return its rows."""
    found: dict[str, list[Measured]] = {}
    without: dict[str, str] = {}
    loads: dict[str, float] = {}
    spent = dict.fromkeys(engines, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "bars.npz"
        make = [sys.executable, "-m", "tests.bench.data", work, data]
        subprocess.run(make, cwd=TOP, check=True)
        for number in range(plan.REPEATS):
            for one in engines:
                engine, python = one
                works = engine.works + (engine.long if bounds.long else ())
                if work not in works or engine.title in without:
                    continue
                if number and (spent[one] > plan.ENOUGH_SECONDS or time.monotonic() > bounds.again):
                    continue
                left = bounds.end - time.monotonic()
                say(f"{work} {engine.title}, {number + 1} of at most {plan.REPEATS}")
                try:
                    if left < 1.0:
                        raise Failed("no time left")
                    done = measure(python, engine.module, work, data, min(bounds.each, left))
                except Failed as reason:
                    spent[one] = math.inf
                    if number == 0 or not str(reason).startswith(UNFINISHED):
                        without[engine.title] = str(reason)
                    continue
                spent[one] += done.cold_cpu + done.cpu
                found.setdefault(engine.title, []).append(done)
                loads[engine.title] = max(loads.get(engine.title, 0.0), os.getloadavg()[0])
    reference = found.get("plain Python loop")
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    when = {title: f"{today}, {loads[title]:.1f}" if title in loads else today
            for title in {**found, **without}}  # fmt: skip
    return table({**found, **without}, reference[0].rows if reference else None, when)


def heading() -> str:
    """Say where and with what; the rows say when."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("numba", "numpy", "pandas"))
    return (
        f"Last run with {os.cpu_count()} cores ({platform.machine()}, {platform.system()}), "
        f"Python {platform.python_version()}, Iverson and stock Backtrader with {packages}."
    )


def notes(absent: list[str]) -> str:
    """List what is missing, and why."""
    known = [*plan.OWN, *plan.PEERS.values()]
    lines = [f"- {one.title}: {one.without}" for one in known if one.without]
    return "\n".join(["Not measured:", "", *lines, *(f"- {one}" for one in absent)])


if __name__ == "__main__":
    main()
