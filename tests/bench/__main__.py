# SPDX-License-Identifier: GPL-3.0-or-later
"""`make bench`: every engine on equal work, each measurement in a process of its own.

Prints the tables and puts them into docs/speed.md. Engines take turns, so that a busy moment of
the machine does not fall on one of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import plan
from tests.bench.environments import TOP, NotAvailable, python_of
from tests.bench.measure import Failed, Measured, measure
from tests.bench.plan import Engine
from tests.bench.table import put_between_markers, table
from tests.bench.work import WORKS

PAGE = TOP / "docs" / "speed.md"


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201


def main() -> None:
    """Measure, print, save."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--peers", default="", help="names, or all: " + " ".join(plan.PEERS))
    asked.add_argument("--works", default="all", help="names, or all: " + " ".join(plan.EVERY))
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
    versions: dict[str, str] = {}
    parts = []
    for work in works:
        parts.append(measured_work(work, engines, versions))
        say(parts[-1] + "\n")
        text = "\n\n".join([heading(versions), *parts, notes(absent)])
        put_between_markers(options.page, text)  # so that Ctrl-C keeps what is done
    say(f"saved in {options.page}")


def measured_work(work: str, engines: list[tuple[Engine, Path]], versions: dict[str, str]) -> str:
    """Measure all engines on one work and return its table."""
    found: dict[str, list[Measured]] = {}
    without: dict[str, str] = {}
    spent = dict.fromkeys(engines, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "bars.npz"
        make = [sys.executable, "-m", "tests.bench.data", work, data]
        subprocess.run(make, cwd=TOP, check=True)
        for number in range(plan.REPEATS):
            for one in engines:
                engine, python = one
                if work not in engine.works or engine.title in without:
                    continue
                if spent[one] > plan.ENOUGH_SECONDS:
                    continue
                say(f"{work} {engine.title}, {number + 1} of at most {plan.REPEATS}")
                try:
                    done = measure(python, engine.module, work, data, plan.TIMEOUT_SECONDS)
                except Failed as reason:
                    without[engine.title] = str(reason)
                    continue
                spent[one] += done.cold_cpu + done.cpu
                found.setdefault(engine.title, []).append(done)
                versions.update(done.versions)
    reference = found.get("plain Python loop")
    lines = table({**found, **without}, reference[0].rows if reference else None)
    return "\n".join([f"### {work}: {WORKS[work].title}", "", *lines])


def heading(versions: dict[str, str]) -> str:
    """Say when, where and with what."""
    packages = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    return (
        f"Measured on {datetime.now(UTC):%Y-%m-%d} with {os.cpu_count()} cores "
        f"({platform.machine()}, {platform.system()}), Python {platform.python_version()}; load of "
        f"the machine at the end {load}.\n\n{packages}."
    )


def notes(absent: list[str]) -> str:
    """List what is missing, and why."""
    known = [*plan.OWN, *plan.PEERS.values()]
    lines = [f"- {one.title}: {one.without}" for one in known if one.without]
    return "\n".join(["Not measured:", "", *lines, *(f"- {one}" for one in absent)])


if __name__ == "__main__":
    main()
