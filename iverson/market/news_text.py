# SPDX-License-Identifier: GPL-3.0-or-later
"""What vendors put into headlines, made into one clean line of text.

Tags go, entities become characters, control and direction marks disappear (a right-to-left mark
turns the rest of a terminal's line around), and a text that is too long is cut with a mark.
"""

from __future__ import annotations

import html
import re
import unicodedata

LONGEST_HEADLINE = 500  # characters
LONGEST_SUMMARY = 2_000
CUT = " [cut]"

_SILENT = re.compile(r"<(script|style)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"</?[a-z!][^<>]*>", re.IGNORECASE)  # "EPS <5 cents" is no tag
_ORDINARY = re.compile(r"[ -%'-;=?-~]*")  # printable ASCII without & < >


def clean(text: str, *, longest: int = LONGEST_HEADLINE) -> str:
    """Return one line of text without tags, entities, control and direction characters.

    Longer ones end in " [cut]" and have `longest` characters. Tags that were written as entities
    are tags.
    """
    if not _ORDINARY.fullmatch(text):
        text = _visible(html.unescape(_without_tags(html.unescape(_without_tags(text)))))
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    return text[: longest - len(CUT)].rstrip() + CUT


def comparable(headline: str) -> str:
    """Return what two copies of a headline have in common: its letters and digits, caseless."""
    return "".join(character for character in headline.casefold() if character.isalnum())


def _without_tags(text: str) -> str:
    if "<" not in text:
        return text
    return _TAG.sub(" ", _SILENT.sub(" ", text))


def _visible(text: str) -> str:
    """Drop what is not seen: Cf marks, Cs halves of pairs; Cc characters become spaces."""
    shown = []
    for character in unicodedata.normalize("NFC", text):
        kind = unicodedata.category(character)
        if kind in ("Cf", "Cs", "Co", "Cn"):
            continue
        shown.append(" " if kind in ("Cc", "Zl", "Zp") else character)
    return "".join(shown)
