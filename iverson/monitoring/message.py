# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages in Telegram's HTML: a template of ours and values of anybody's.

A value may quote a headline or an error, so it is data: it cannot add or close a tag, hide what is
there, break the line, become a link or a command, or be longer than a sentence. The tags of a
message are those of its template, whatever the values are.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

TEXT_LIMIT, CAPTION_LIMIT = 4096, 1024  # of Telegram, in characters that are shown
VALUE_LIMIT = 200
# Letters that show nothing, beside the control and format characters.
INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_PLACE = re.compile(r"\{(\w+)\}")
_DOT = re.compile(r"(?<=\w)\.(?=[^\W\d_]{2})")
_ADDRESS = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_COMMAND = re.compile(r"(?<!\w)/(?=\w)")
_TOKEN = re.compile(
    r"<(/?)([a-z][a-z0-9-]*)([^<>]*)>|&(?:#\d+|#x[0-9a-fA-F]+|[a-zA-Z]+);|.", re.DOTALL
)


def message(template: str, /, **values: Any) -> str:
    """Put values into a template of Telegram's HTML, as `<b>{symbol}</b>: {reason}`.

    Each value is shown as its text, cleaned by `shown` and escaped; nothing in it is a format.
    """

    def put(place: re.Match[str]) -> str:
        return html.escape(shown(values[place[1]]), quote=True)

    return _PLACE.sub(put, template)


def shown(value: Any) -> str:
    """Return a value as one visible line of at most 200 characters that nobody is misled by."""
    text = harmless(visible(str(value), "NFKC"))
    return text if len(text) <= VALUE_LIMIT else text[: VALUE_LIMIT - 1].rstrip() + "…"


def visible(text: str, form: Literal["NFC", "NFKC"] = "NFC") -> str:
    """Return a text as one line without control, zero-width and direction characters.

    Nobody may hide, turn around or break a line with what he is quoted with. `form` is Unicode's
    normal form of the result.
    """
    return " ".join("".join(map(_visible, unicodedata.normalize(form, text))).split())


def harmless(text: str) -> str:
    """Return a text of which no link, mention or command can be made.

    `evil.com` is `evil[.]com`, `@name` is `(at)name`, `/kill` is `/ kill`.
    """
    text = text.replace("://", "[:]//").replace("@", "(at)")
    text = _ADDRESS.sub(lambda found: found[0].replace(".", "[.]"), text)
    return _COMMAND.sub("/ ", _DOT.sub("[.]", text))


def plain(text: str) -> str:
    """Return what a message shows, without its tags."""
    return "".join(html.unescape(one.text) for one in _tokens(text) if not one.tag)


def length(text: str) -> int:
    """Return how long a message is once it is parsed, as Telegram counts: in UTF-16."""
    return sum(one.length for one in _tokens(text))


def split(text: str, limit: int = TEXT_LIMIT, *, first: int | None = None) -> list[str]:
    """Cut a message into pieces that are whole messages, each within the limit once parsed.

    At the end of a line where there is one, else between words, never within a tag or an entity;
    tags that are open at a cut are closed and opened again. `first` is the limit of the first one.
    """
    rest, pieces, room = list(_tokens(text)), [], limit if first is None else first
    while sum(one.length for one in rest) > room:
        cut = _cut(rest, room)
        piece, rest = rest[:cut], rest[cut:]
        inside = _open(piece)
        pieces.append("".join(one.text for one in piece) + _closing(inside))
        rest = [*inside, *_without_break(rest)]
        room = limit
    return [one for one in [*pieces, "".join(one.text for one in rest)] if plain(one).strip()]


class _Token(NamedTuple):
    """A tag, an entity or a character; `length` is what it counts once it is parsed."""

    text: str
    tag: str = ""
    closes: bool = False

    @property
    def length(self) -> int:
        if self.tag:
            return 0
        return len(html.unescape(self.text).encode("utf-16-le", "surrogatepass")) // 2


def _tokens(text: str) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        yield _Token(found[0], found[2] or "", bool(found[1]))


def _cut(tokens: list[_Token], room: int) -> int:
    """Return how many tokens fit, cut where it is read best."""
    total, fits = 0, 0
    for one in tokens:
        total += one.length
        if total > room:
            break
        fits += 1
    for mark in ("\n", " "):
        breaks = [at for at in range(fits, fits // 2, -1) if tokens[at - 1].text == mark]
        if tokens[fits].text == mark:
            return fits
        if breaks:
            return breaks[0]
    return max(fits, 1)


def _open(tokens: list[_Token]) -> list[_Token]:
    inside: list[_Token] = []
    for one in tokens:
        if one.tag and one.closes and inside:
            inside.pop()
        elif one.tag and not one.closes:
            inside.append(one)
    return inside


def _closing(inside: list[_Token]) -> str:
    return "".join(f"</{one.tag}>" for one in reversed(inside))


def _without_break(tokens: list[_Token]) -> list[_Token]:
    return tokens[1:] if tokens and tokens[0].text in "\n " and not tokens[0].tag else tokens


def _visible(letter: str) -> str:
    kind = unicodedata.category(letter)
    if letter in "\t\n\r\v\f\x85" or kind in ("Zl", "Zp", "Zs"):
        return " "
    return "" if kind in ("Cc", "Cf", "Cs", "Co", "Cn") or letter in INVISIBLE else letter
