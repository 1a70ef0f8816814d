# SPDX-License-Identifier: GPL-3.0-or-later
"""A page for the browser: one file that carries everything it shows, in the look of our reports.

The same page gives the same bytes; nothing is loaded from anywhere.
"""

from __future__ import annotations

from iverson.reports.page import Page, Section, clean
from iverson.research import report_parts as parts
from iverson.research.charts_style import data_uri, marked
from iverson.research.pages import template

NARROW = 7.0  # inches; such a picture is made to be read on a telephone


def render(page: Page) -> str:
    """Return the page as HTML."""
    with marked(page.mark):
        chapters = [_chapter(section) for section in page.sections]
    return template("page.html.j2").render(
        kind=page.kind,
        title=clean(page.title),
        subtitle=clean(page.subtitle),
        headline=clean(page.headline),
        made_up=clean(page.made_up),
        sections=chapters,
    )


def _chapter(section: Section) -> parts.Section:
    found: list[parts.Table | parts.Picture] = []
    if section.table is not None:
        table = section.table
        head = tuple(map(clean, table.columns))
        rows = tuple(tuple(map(clean, row)) for row in table.written())
        wrap = table.words == len(head)  # numbers would be broken, too
        found.append(parts.Table(head, rows, left=table.words, wrap=wrap))
    if section.chart is not None:
        figure = section.chart()
        words = clean(f"{section.title}, as a chart")
        narrow = figure.get_figwidth() < NARROW
        found.append(parts.Picture(data_uri(figure), words, narrow=narrow))
    return parts.Section(
        id=section.id,
        title=clean(section.title),
        words=tuple(map(clean, section.lines)),
        parts=tuple(found),
        after=(clean(section.note),) if section.note else (),
    )
