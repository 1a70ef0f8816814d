# SPDX-License-Identifier: GPL-3.0-or-later
"""A page for the telephone: one message in Telegram's HTML, and the charts as photos.

Only <b>, <i>, <code> and <pre>; what is quoted is cleaned and escaped, and neither a link nor a
command can be made of it. A section of one line stands beside its title. The message stays within
what Telegram takes: long sections are cut first, and say how much is missing.
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from iverson.monitoring.message import TEXT_LIMIT, harmless, length
from iverson.reports.page import Page, Section, clean
from iverson.reports.terminal import columns

CAPTION_WORDS = 200  # letters; Telegram takes 1,024
NARROW = 36  # letters of fixed width in a line of a telephone
MOST_LINES = (12, 8, 5, 3, 2, 1)  # of a section, the first that fits


@dataclass(frozen=True, slots=True)
class Photo:
    """A chart as PNG, and its caption in Telegram's HTML."""

    png: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: the text, then the photos."""

    html: str
    photos: tuple[Photo, ...]


def render(page: Page, *, photos: bool = True) -> Message:
    """Return the message of a page; without `photos`, or without matplotlib, nothing is drawn."""
    drawn = photos and find_spec("matplotlib") is not None
    return Message(text(page), tuple(_photos(page)) if drawn else ())


def text(page: Page) -> str:
    """Return the page as Telegram's HTML, at most 4,096 characters once parsed."""
    for most in MOST_LINES:
        shown = _text(page, most)
        if length(shown) <= TEXT_LIMIT:
            return shown
    return _cut(_text(page, 1))


def quoted(words: str) -> str:
    """Return words cleaned and escaped, without anything that becomes a link or a command."""
    return html.escape(harmless(clean(words)), quote=False)


def _text(page: Page, most: int) -> str:
    lines = [
        *([f"<b>{quoted(page.made_up)}</b>", ""] if page.made_up else []),
        f"<b>{quoted(page.title)}</b>",
        f"<i>{quoted(page.subtitle)}</i>",
        f"<b>{quoted(page.headline)}</b>",
    ]
    for section in page.sections:
        if section.on_phone:
            lines += ["", *_section(section, most)]
    return "\n".join(lines)


def _section(section: Section, most: int) -> list[str]:
    title = quoted(section.title)
    given = section.lines if section.phone is None else section.phone
    lines = [quoted(line) for line in _few(given, most)]
    table = _table(section, most)
    if len(lines) == 1 and not table:
        return [f"<b>{title}</b>: {lines[0]}"]
    return [f"<b>{title}</b>", *lines, *table]


def _table(section: Section, most: int) -> list[str]:
    if section.phone is not None or section.table is None:
        return []
    rows = columns(section.table)
    if max(map(len, rows)) > NARROW:
        return []
    shown = "\n".join(html.escape(row, quote=False) for row in [rows[0], *_few(rows[1:], most)])
    return [f"<pre>{shown}</pre>"]


def _few(lines: Sequence[str], most: int) -> list[str]:
    rest = len(lines) - most
    return list(lines) if rest <= 0 else [*lines[:most], f"… and {rest} more"]


def _cut(message: str) -> str:
    """Keep the whole lines that fit; a line never holds half a tag."""
    kept: list[str] = []
    room = TEXT_LIMIT - 2
    for line in message.split("\n"):
        room -= length(line) + 1
        if room < 0:
            return "\n".join([*kept, "…"])
        kept.append(line)
    return message


def _photos(page: Page) -> list[Photo]:
    from iverson.research.charts_style import marked, styled

    found = []
    for section in page.sections:
        if section.chart is None or not (section.on_phone and section.chart_on_phone):
            continue
        stream = io.BytesIO()
        with styled(), marked(page.mark):
            section.chart().savefig(stream, format="png")
        caption = quoted(f"{page.title}: {section.title.lower()}"[:CAPTION_WORDS])
        found.append(Photo(stream.getvalue(), caption))
    return found
