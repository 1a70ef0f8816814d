# SPDX-License-Identifier: GPL-3.0-or-later
"""What the next message says, of all the alerts that wait: pure, and simple enough to explain.

An alert goes in a message of its own, critical ones first, as long as at most five wait, fewer than
ten messages were sent within ten minutes and fifteen within an hour (a critical one then waits for
a quiet minute). Otherwise what waits is gathered: one message names every critical alert and counts
the others by kind. Such messages are a minute apart, two after ten messages within an hour, five
after fifteen: a storm of an hour is some twenty messages. What does not fit follows at once, and of
more than 300 critical ones each is cut to the beginning of its words. Reports come last, each
alone, and of many of a kind the last few.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from iverson.monitoring.alerts import KINDS, REPORTS
from iverson.monitoring.message import TEXT_LIMIT, length, split

ALONE = 5  # alerts that may wait and still go one by one
BUSY, WITHIN = 10, timedelta(minutes=10)  # messages sent within a time that are enough
# Of gathered messages, by how many messages were sent within the last hour.
MANY_AN_HOUR, QUIET = 15, timedelta(minutes=1)
SPACINGS = (
    (MANY_AN_HOUR, timedelta(minutes=5)),
    (BUSY, timedelta(minutes=2)),
    (0, timedelta(minutes=1)),
)
HOUR = timedelta(hours=1)
SETTLE = timedelta(seconds=3)  # in which the fills of one order come together
LAST_REPORTS = 3  # of a kind that are told when more wait
MANY, SHORT = 300, 40  # critical alerts beyond which so many characters of each have to do
AGAIN = "(possibly told before)"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An alert that waits; `since` when it was queued, `unsure` that it may have been told."""

    key: str
    seq: int
    kind: str
    text: str
    line: str
    group: str
    since: datetime
    silent: bool = False
    unsure: bool = False

    @property
    def critical(self) -> bool:
        """Whether it must not be lost."""
        return KINDS[self.kind].critical


@dataclass(frozen=True, slots=True)
class Draft:
    """A message, the keys of all that it tells, and of one told alone its kind.

    `pictured` is the row that a picture, or a report's charts, would show.
    """

    text: str
    keys: tuple[str, ...]
    silent: bool
    pictured: int | None = None
    kind: str = ""


def next_message(
    waiting: Sequence[Waiting],
    *,
    now: datetime,
    sent: Sequence[datetime],
    lost: int = 0,
    ending: bool = False,
) -> Draft | None:
    """Return the message that may be sent now, None when nothing may.

    Parameters
    ----------
    waiting: in the order of the journal.
    sent: when the messages of the last hour were sent, the newest last.
    lost: alerts that were given up because they were old, to be mentioned.
    ending: nothing will come together any more, so nothing is waited for.
    """
    units = _units([one for one in waiting if one.kind not in REPORTS])
    if not units:
        reports = [one for one in waiting if one.kind in REPORTS]
        crowded = _of_the_hour(sent, now) >= BUSY
        if crowded and not ending and now - sent[-1] < _spacing(sent, now):
            return None
        return _report(reports, lost)
    recent = sum(1 for at in sent if now - at < WITHIN)
    calm = _of_the_hour(sent, now) < MANY_AN_HOUR
    if len(units) <= ALONE and recent < BUSY and (calm or now - sent[-1] >= QUIET):
        ripe = [
            several
            for several in units
            if several[-1].critical or (calm and (ending or now - several[0].since >= SETTLE))
        ]
        ripe.sort(key=lambda several: not several[-1].critical)
        if ripe or calm:
            return _alone(ripe[0], lost) if ripe else None
    began_before = bool(sent) and any(several[0].since <= sent[-1] for several in units)
    if sent and now - sent[-1] < _spacing(sent, now) and not began_before and not ending:
        return None
    return _gathered(units, lost)


def _spacing(sent: Sequence[datetime], now: datetime) -> timedelta:
    """Return how far apart gathered messages are now: the further the longer a storm lasts."""
    there = _of_the_hour(sent, now)
    return next(spacing for least, spacing in SPACINGS if there >= least)


def _of_the_hour(sent: Sequence[datetime], now: datetime) -> int:
    return sum(1 for at in sent if now - at < HOUR)


def _units(waiting: Sequence[Waiting]) -> list[list[Waiting]]:
    """Put alerts of one group together, in the place of the first."""
    found: dict[str, list[Waiting]] = {}
    for one in waiting:
        found.setdefault(one.group or one.key, []).append(one)
    return list(found.values())


def _alone(several: list[Waiting], lost: int) -> Draft:
    newest = several[-1]
    foot = f"\n<i>{lost} older alerts were not told</i>" if lost else ""
    again = f"{AGAIN}\n" if any(one.unsure for one in several) else ""
    return Draft(
        f"{again}{newest.text}{foot}",
        tuple(one.key for one in several),
        newest.silent,
        newest.seq if newest.kind in ("exit filled", *REPORTS) else None,
        newest.kind,
    )


def _report(reports: list[Waiting], lost: int) -> Draft | None:
    """Tell a report; where many of a kind wait, the last few of them only."""
    if not reports:
        return None
    same = [one for one in reports if one.kind == reports[0].kind]
    older = max(0, len(same) - LAST_REPORTS)
    draft = _alone([same[older]], lost)
    if not older:
        return draft
    name, _, _ = draft.kind.partition(" ")
    return replace(
        draft,
        text=f"{draft.text}\n<i>{older:,} older ones: iverson report {name}</i>",
        keys=(*(one.key for one in same[:older]), *draft.keys),
    )


def _gathered(units: list[list[Waiting]], lost: int) -> Draft:
    critical = [several for several in units if several[-1].critical]
    others = [several for several in units if not several[-1].critical]
    told: list[list[Waiting]] = []
    lines = [f"<b>{sum(map(len, units)):,} alerts at once</b>"]
    room = TEXT_LIMIT - length(lines[0]) - 700  # for the counts, of at most every kind
    for several in critical:
        again = f" {AGAIN}" if any(one.unsure for one in several) else ""
        line = several[-1].line + again
        if len(critical) > MANY and length(line) > SHORT:
            line = f"{split(line, SHORT)[0].rstrip()}…{again}"
        room -= length(line) + 1
        if room < 0:
            break
        lines.append(line)
        told.append(several)
    if len(told) < len(critical):
        lines.append(f"… and {len(critical) - len(told):,} more that matter, which follow")
    elif others:
        counts = Counter(several[-1].kind for several in others)
        words = [
            f"{KINDS[kind].sign} {count:,} {KINDS[kind].several}" for kind, count in counts.items()
        ]
        lines.append(("besides " if critical else "") + ", ".join(words))
        lines.append("<i>each of them: iverson alerts, iverson journal</i>")
        told += others
    if lost:
        lines.append(f"<i>{lost:,} older ones were not told</i>")
    flat = [one for several in told for one in several]
    return Draft("\n".join(lines), tuple(one.key for one in flat), all(one.silent for one in flat))
