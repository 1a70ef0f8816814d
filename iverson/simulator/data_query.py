# SPDX-License-Identifier: GPL-3.0-or-later
"""Queries: the parameters of a data request, read strictly, and the pages of an answer.

A limit counts rows over all symbols. Rows are sorted by symbol, then in time; a token names the
last row of a page and is opaque to the client. A date without a time is taken as midnight in New
York, which is where daily bars are stamped.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from iverson.simulator.hours import midnight, zulu

SYMBOL = re.compile(r"[A-Z][A-Z0-9./-]{0,20}")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(\.\d{1,9})?(Z|z|[+-]\d\d:\d\d)")
YEARS = range(1900, 2201)
_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f", "")
Query = Mapping[str, str]
Row = tuple[str, datetime, dict[str, Any]]


class Refusal(Exception):
    """An answer other than 200: a status and a message, and a code where the real thing has one."""

    def __init__(self, status: int, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"message": message}
        if code is not None:
            self.body = {"code": code, "message": message}


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of one answer and the token of the next, None on the last page."""

    rows: list[Row]
    token: str | None

    def by_symbol(self) -> dict[str, list[dict[str, Any]]]:
        """Group the rows under their symbols; a symbol without rows is left out."""
        grouped: dict[str, list[dict[str, Any]]] = {}
        for symbol, _, row in self.rows:
            grouped.setdefault(symbol, []).append(row)
        return grouped


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: strictly after this row, None from the start."""

    symbol: str
    at: datetime

    def token(self) -> str:
        """Write the token that leads back here."""
        return base64.urlsafe_b64encode(f"{self.symbol}|{zulu(self.at)}".encode()).decode()


def symbols(query: Query, *, required: bool = True) -> list[str]:
    """Return the symbols asked for, sorted, each once; 400 for none or for a bad name."""
    named = [one.strip() for one in query.get("symbols", "").split(",") if one.strip()]
    if required and not named:
        raise Refusal(400, "symbols is required")
    return sorted({symbol(one) for one in named})


def symbol(text: str) -> str:
    """Return a symbol as it is; 400 for what cannot be one."""
    if not SYMBOL.fullmatch(text):
        raise Refusal(400, f"invalid symbol: {text}")
    return text


def limit(query: Query, *, default: int, most: int) -> int:
    """Return the number of rows of a page; 400 outside 1 to `most`."""
    text = query.get("limit", "") or str(default)
    if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= most:
        raise Refusal(400, f"invalid limit: {text}; it must be between 1 and {most}")
    return int(text)


def choice(query: Query, name: str, allowed: Iterable[str], *, default: str) -> str:
    """Return one of the allowed words; 400 otherwise."""
    value = query.get(name, "") or default
    if value not in allowed:
        raise Refusal(400, f"invalid {name}: {value}")
    return value


def flag(query: Query, name: str, *, default: bool = False) -> bool:
    """Return a boolean written as True, true, t or 1; 400 otherwise."""
    text = query.get(name, str(default)).lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise Refusal(400, f"invalid {name}: {query[name]}")


def instant(query: Query, name: str) -> datetime | None:
    """Return an instant given as RFC 3339 or a date, None when absent; 400 otherwise."""
    text = query.get(name, "")
    if not text:
        return None
    stamp = moment(text)
    if stamp is None:
        raise Refusal(400, f"invalid {name}: {text}")
    return stamp


def day(query: Query, name: str) -> date | None:
    """Return a date, also out of an instant, None when absent; 400 otherwise."""
    text = query.get(name, "")
    if not text:
        return None
    found = _date(text[:10])
    if found is None or moment(text) is None:
        raise Refusal(400, f"invalid {name}: {text}")
    return found


def moment(text: str) -> datetime | None:
    """Read RFC 3339 (nanoseconds are cut to microseconds) or a date; None for anything else.

    Years from 1900 to 2200 only, so that nothing that is counted from them overflows.
    """
    day = _date(text[:10])
    if day is None or len(text) == 10:
        return None if day is None else midnight(day)
    # A plus sign that the client forgot to encode arrives as a space.
    match = _STAMP.fullmatch(re.sub(r" (\d\d:\d\d)$", r"+\1", text))
    if match is None:
        return None
    try:
        zone = "+00:00" if match[4] in "Zz" else match[4]
        fraction = (match[3] or ".0")[:7]
        return datetime.fromisoformat(f"{match[1]}T{match[2]}{fraction}{zone}").astimezone(UTC)
    except ValueError:
        return None


def cursor(query: Query) -> Cursor | None:
    """Read the token of a page; 400 for one that was never given out."""
    token = query.get("page_token", "")
    if not token:
        return None
    try:
        name, _, stamp = base64.urlsafe_b64decode(token.encode()).decode().partition("|")
    except (binascii.Error, UnicodeError):
        raise Refusal(400, "invalid page_token") from None
    at = moment(stamp)
    if at is None or not SYMBOL.fullmatch(name):
        raise Refusal(400, "invalid page_token")
    return Cursor(name, at)


def page(rows: Iterator[Row], *, size: int) -> Page:
    """Take the first `size` rows, with a token if any are left."""
    taken: list[Row] = []
    for row in rows:
        if len(taken) == size:
            last = taken[-1]
            return Page(taken, Cursor(last[0], last[1]).token())
        taken.append(row)
    return Page(taken, None)


def _date(text: str) -> date | None:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if found.year in YEARS else None
