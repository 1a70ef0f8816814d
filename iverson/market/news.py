# SPDX-License-Identifier: GPL-3.0-or-later
"""Headlines as they became known: one value for each state in which an item was seen.

`seen_at` is the instant from which the text could be known. It is our own clock's when the item
came in while we watched (`observed`), and otherwise the vendor's word: the later of publication
and last edit, because a vendor hands out an edited text only. An item dated by day is known at the
end of that day in New York, for nobody can say earlier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from zoneinfo import ZoneInfo

from iverson.errors import ConfigError
from iverson.market.calendar import NEW_YORK, midnight
from iverson.market.news_text import LONGEST_SUMMARY, clean, comparable

_NEW_YORK = ZoneInfo(NEW_YORK)
SYNTHETIC = "SYNTHETIC"  # source of headlines that were made up


@dataclass(frozen=True, slots=True)
class Headline:
    """One state of an item; `revision` 0 is the first. Instants are UTC.

    `symbols` may be empty: such an item is kept and never used.
    """

    id: str
    seen_at: datetime
    published_at: datetime
    updated_at: datetime
    headline: str
    source: str
    symbols: tuple[str, ...] = ()
    summary: str = ""
    observed: bool = False
    revision: int = 0


def headline(
    text: str,
    *,
    published_at: datetime | date,
    source: str = "",
    symbols: Iterable[str] = (),
    id: str = "",  # noqa: A002 (the field's name)
    updated_at: datetime | None = None,
    seen_at: datetime | None = None,
    summary: str = "",
    observed: bool = False,
) -> Headline:
    """Make a headline of what a vendor delivered: text cleaned, symbols in upper case and sorted.

    `published_at` as a date, or at midnight of UTC or New York: the hour is not known, and the item
    is known at the end of that day. Without `id` one is made of text, source and publication.

    `ConfigError` for an instant without a time zone.
    """
    published = _known_from(published_at)
    updated = max(published, _known_from(updated_at)) if updated_at is not None else published
    seen = updated if seen_at is None else _utc(seen_at)
    words, origin = clean(text), clean(source, longest=80)
    made = f"{comparable(words)}|{origin.casefold()}|{published.isoformat()}"
    return Headline(
        id=clean(id, longest=80) or hashlib.sha256(made.encode()).hexdigest()[:16],
        seen_at=seen,
        published_at=published,
        updated_at=updated,
        headline=words,
        source=origin,
        symbols=tuple(sorted({symbol.strip().upper() for symbol in symbols if symbol.strip()})),
        summary=clean(summary, longest=LONGEST_SUMMARY),
        observed=observed,
    )


def end_of_day(day: date) -> datetime:
    """Return the instant at which a date is over in New York, UTC."""
    return midnight(day + timedelta(days=1))


def _known_from(stamp: datetime | date) -> datetime:
    if not isinstance(stamp, datetime):
        return end_of_day(stamp)
    at = _utc(stamp)
    for zone in (stamp.tzinfo, UTC, _NEW_YORK):
        local = at.astimezone(zone)
        if local.time() == clock_time():
            return end_of_day(local.date())
    return at


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ConfigError(f"instant {at} has no time zone; expected one, as {at}+00:00")
    return at.astimezone(UTC)
