# SPDX-License-Identifier: GPL-3.0-or-later
"""A page as plain lines for a terminal: every section, tables in columns."""

from __future__ import annotations

from collections.abc import Iterator

from iverson.reports.page import Page, Section, Table, clean

GAP = 2


def render(page: Page) -> str:
    """Return the page as text."""
    lines = [
        *([clean(page.made_up), ""] if page.made_up else []),
        clean(page.title),
        clean(page.subtitle),
        clean(page.headline),
    ]
    for section in page.sections:
        lines += ["", clean(section.title), *_section(section)]
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    for line in section.lines:
        yield f"  {clean(line)}"
    if section.table is not None:
        for line in columns(section.table):
            yield f"  {line}"


def columns(table: Table) -> list[str]:
    """Return a table as lines, the words to the left and the numbers to the right."""
    rows = [tuple(map(clean, row)) for row in (table.columns, *table.written())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (" " * GAP)
        .join(
            text.ljust(width) if place < table.words else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        .rstrip()
        for row in rows
    ]
