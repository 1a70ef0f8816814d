# SPDX-License-Identifier: GPL-3.0-or-later
"""Hours: what the exchange answers about its clock and its calendar.

Sessions, early closes and one-off closures come from `iverson.market.calendar`; the time zone
follows New York's daylight saving. Extended hours run from 04:00 to 20:00 New York on every
session, as Alpaca's calendar says. The settlement date is counted in sessions: one after the trade
since 28 May 2024, two since 5 September 2017, three before (SEC rule 15c6-1).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

from iverson.market.calendar import NEW_YORK, new_york

ZONE = ZoneInfo(NEW_YORK)
FIRST, LAST = date(1970, 1, 1), date(2029, 12, 31)
PRE_OPEN, POST_CLOSE = time(4), time(20)
Phase = Literal["closed", "pre", "core", "post"]
ONE_DAY, TWO_DAYS = date(2024, 5, 28), date(2017, 9, 5)

MARKETS = {
    "NYSE": ("New York Stock Exchange", "XNYS"),
    "NASDAQ": ("National Association of Securities Dealers Automated Quotations", "XNAS"),
    "IEX": ("Investors Exchange", "IEXG"),
}


def local(at: datetime) -> str:
    """Write an instant with New York's offset, as the clock does."""
    return _trimmed(at.astimezone(ZONE))


def zulu(at: datetime) -> str:
    """Write an instant in UTC with a Z, without trailing zeros of a second's fraction."""
    return _trimmed(at.astimezone(UTC)).replace("+00:00", "Z")


def session_on(day: date) -> bool:
    """Tell whether the exchange opens on a date."""
    return new_york().is_session(day)


def midnight(day: date) -> datetime:
    """Return the instant at which a date begins in New York."""
    return datetime.combine(day, time(), ZONE).astimezone(UTC)


@lru_cache(maxsize=256)
def edges(session: date) -> tuple[datetime, datetime, datetime, datetime]:
    """Return a session's four edges in UTC: extended open, open, close, extended close."""
    calendar = new_york()
    pre = datetime.combine(session, PRE_OPEN, ZONE).astimezone(UTC)
    post = datetime.combine(session, POST_CLOSE, ZONE).astimezone(UTC)
    return pre, calendar.open_at(session), calendar.close_at(session), post


def is_open(at: datetime) -> bool:
    """Tell whether regular trading is on; the close itself is no longer part of it."""
    day = at.astimezone(ZONE).date()
    if not session_on(day):
        return False
    _, opens, closes, _ = edges(day)
    return opens <= at < closes


def next_close(at: datetime) -> datetime:
    """Return the first close strictly after an instant."""
    calendar = new_york()
    session = calendar.offset(at.astimezone(ZONE).date(), 0)
    close = calendar.close_at(session)
    return close if close > at else calendar.close_at(calendar.offset(session, 1))


def phase(at: datetime) -> tuple[Phase, datetime]:
    """Return the phase of the day and the instant it ends."""
    day = at.astimezone(ZONE).date()
    calendar = new_york()
    if session_on(day):
        pre, opens, closes, post = edges(day)
        phases: list[tuple[datetime, Phase]] = [
            (pre, "closed"),
            (opens, "pre"),
            (closes, "core"),
            (post, "post"),
        ]
        for until, name in phases:
            if at < until:
                return name, until
        return "closed", edges(calendar.offset(day, 1))[0]
    return "closed", edges(calendar.offset(day, 0))[0]


def clock(at: datetime) -> dict[str, Any]:
    """Answer /v2/clock."""
    return {
        "timestamp": local(at),
        "is_open": is_open(at),
        "next_open": local(new_york().next_open(at)),
        "next_close": local(next_close(at)),
    }


def calendar_days(
    first: date | None, last: date | None, *, by_settlement: bool = False
) -> list[dict[str, str]]:
    """Answer /v2/calendar: the sessions from one date to another, both included.

    Without dates all of 1970 to 2029, which is also the most there is. With `by_settlement` the
    dates are those of settlement.
    """
    if first is None and last is None:
        return list(_whole_calendar())
    lower, upper = max(first or FIRST, FIRST), min(last or LAST, LAST)
    if lower > upper:
        return []
    slack = timedelta(days=15 if by_settlement else 0)
    rows = [_calendar_day(day) for day in _sessions(max(lower - slack, FIRST), upper)]
    if by_settlement:
        return [
            row for row in rows if lower.isoformat() <= row["settlement_date"] <= upper.isoformat()
        ]
    return rows


def market_clock(market: str, at: datetime) -> dict[str, Any]:
    """Answer one row of /v3/clock; `market` is a key of `MARKETS`."""
    name, until = phase(at)
    return {
        "market": _market(market),
        "timestamp": local(at),
        "is_market_day": session_on(at.astimezone(ZONE).date()),
        "next_market_open": local(new_york().next_open(at)),
        "next_market_close": local(next_close(at)),
        "phase": name,
        "phase_until": local(until),
    }


def market_calendar(market: str, first: date, last: date, *, utc: bool = False) -> dict[str, Any]:
    """Answer /v3/calendar/{market}, in New York's time or in UTC."""
    write = zulu if utc else local
    rows = []
    for day in _sessions(max(first, FIRST), min(last, LAST)):
        pre, opens, closes, post = (write(edge) for edge in edges(day))
        rows.append(
            {
                "date": day.isoformat(),
                "pre_start": pre,
                "pre_end": opens,
                "core_start": opens,
                "core_end": closes,
                "post_start": closes,
                "post_end": post,
                "settlement_date": settlement(day).isoformat(),
            }
        )
    return {"market": _market(market), "calendar": rows}


def settlement(session: date) -> date:
    """Return the session on which trades of a session are settled."""
    days = 1 if session >= ONE_DAY else 2 if session >= TWO_DAYS else 3
    return new_york().offset(session, days)


def market_named(text: str) -> str | None:
    """Return the key of `MARKETS` for an acronym or a market identifier code, None if unknown."""
    wanted = text.strip().upper()
    for acronym, (_, mic) in MARKETS.items():
        if wanted in (acronym, mic):
            return acronym
    return None


@lru_cache(maxsize=1)
def _whole_calendar() -> list[dict[str, str]]:
    return [_calendar_day(day) for day in _sessions(FIRST, LAST)]


def _calendar_day(session: date) -> dict[str, str]:
    _, opens, closes, _ = edges(session)
    return {
        "date": session.isoformat(),
        "open": f"{opens.astimezone(ZONE):%H:%M}",
        "close": f"{closes.astimezone(ZONE):%H:%M}",
        "session_open": f"{PRE_OPEN:%H%M}",
        "session_close": f"{POST_CLOSE:%H%M}",
        "settlement_date": settlement(session).isoformat(),
    }


def _sessions(first: date, last: date) -> Iterable[date]:
    if first > last:
        return []
    days: list[date] = new_york().between(first, last).tolist()
    return days


def _market(acronym: str) -> dict[str, str]:
    name, mic = MARKETS[acronym]
    return {"acronym": acronym, "name": name, "mic": mic, "timezone": NEW_YORK}


def _trimmed(at: datetime) -> str:
    text = at.isoformat(timespec="microseconds")
    whole, rest = text.split(".")
    fraction = rest[:6].rstrip("0")
    return f"{whole}.{fraction}{rest[6:]}" if fraction else f"{whole}{rest[6:]}"
