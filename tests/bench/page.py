# SPDX-License-Identifier: GPL-3.0-or-later
"""The page keeps its rows: a run replaces those it measured and leaves all others as they are.

Rows are read back from the page itself. Each carries the date and the load of its own run, and
its ratios are to the Iverson of that run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.bench.table import HEAD, cells, cpu_of
from tests.bench.work import WORKS

BEGIN, END = "<!-- measured by make bench: begin -->", "<!-- measured by make bench: end -->"
UNFINISHED = ("stopped after", "no time left", "not compared")  # says nothing of the engine

Tables = dict[str, dict[str, str]]  # work, engine, line


def rows_of(page: Path) -> Tables:
    """Return the rows that stand on a page, by work and engine.

    Raises
    ------
    ValueError: the page has no markers.
    """
    text = page.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text.partition(BEGIN)[2]:
        raise ValueError(f"{page} has no '{BEGIN}' with its end; put both where tables shall stand")
    found: Tables = {}
    work = ""
    for line in text.partition(BEGIN)[2].partition(END)[0].splitlines():
        if line.startswith("### "):
            work = line.removeprefix("### ").partition(":")[0]
        elif line.startswith("| ") and line != HEAD.partition("\n")[0]:
            found.setdefault(work, {})[engine_of(line)] = line
    return found


def engine_of(line: str) -> str:
    """Return the engine of a row, without its version."""
    return re.sub(r" \d\S*$", "", cells(line)[0])


def merged(before: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """Return the rows of both, those of `now` where there are two.

    Figures are not lost to a run cut short.
    """
    known = {one for one, line in before.items() if cpu_of(line) is not None}
    cut_short = {one for one, line in now.items() if cells(line)[8].startswith(UNFINISHED)}
    return before | {one: line for one, line in now.items() if one not in known & cut_short}


def sections(tables: Tables, works: Iterable[str]) -> list[str]:
    """Return the tables as text, the quickest engine first."""
    return [
        "\n".join([f"### {work}: {WORKS[work].title}", "", HEAD, *_ranked(tables[work])])
        for work in works
        if tables.get(work)
    ]


def _ranked(rows: Mapping[str, str]) -> list[str]:
    return sorted(rows.values(), key=lambda line: (cpu_of(line) is None, cpu_of(line) or 0.0))


def put_between_markers(page: Path, text: str) -> None:
    """Replace what stands between the markers of a page, all of it or, when ended, nothing."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    new = page.with_name(page.name + ".new")
    new.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
    new.replace(page)
