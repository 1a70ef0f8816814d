# SPDX-License-Identifier: GPL-3.0-or-later
"""Storms: few messages, and every critical alert named in one of them."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from iverson.monitoring.alerts import KINDS, REPORTS
from iverson.monitoring.gathering import (
    AGAIN,
    ALONE,
    BUSY,
    HOUR,
    SETTLE,
    SPACINGS,
    Draft,
    Waiting,
    next_message,
)
from iverson.monitoring.message import TEXT_LIMIT, length, message, plain
from tests.monitoring.bot_api import parse
from tests.monitoring.rows import AT

EVENTS = 10_000
FEW_MESSAGES = 25


def waiting(number: int, kind: str = "entry filled", *, since: float = 0, **more: Any) -> Waiting:
    line = message("<b>{kind}</b> named {number}", kind=kind, number=number)
    given: dict[str, Any] = dict(
        key=f"run#{number}", seq=number, kind=kind, text=f"{line}\nin full", line=line, group="",
        since=AT + timedelta(seconds=since),
    )  # fmt: skip
    return Waiting(**(given | more))


class Played:
    """Sends whatever may be sent, once a second, until nothing waits."""

    def __init__(self, arriving: dict[int, list[Waiting]]) -> None:
        self.drafts: list[Draft] = []
        self.told: dict[str, int] = {}
        sent: list[datetime] = []
        here: list[Waiting] = []
        self.delays: list[float] = []
        second = 0
        while arriving or here:
            now = AT + timedelta(seconds=second)
            here += arriving.pop(second, [])
            recent = [at for at in sent if now - at < HOUR]
            draft = next_message(here, now=now, sent=recent)
            if draft is not None:
                for key in draft.keys:
                    self.told[key] = self.told.get(key, 0) + 1
                gone = set(draft.keys)
                self.delays += [
                    (now - one.since).total_seconds()
                    for one in here
                    if one.key in gone and one.critical
                ]
                here = [one for one in here if one.key not in gone]
                self.drafts.append(draft)
                sent.append(now)
            second += 1


def storm(seconds: int, *, share: float, seed: int) -> dict[int, list[Waiting]]:
    chance = random.Random(seed)
    critical = [kind for kind in KINDS if KINDS[kind].critical]
    others = [kind for kind in KINDS if not KINDS[kind].critical and kind not in REPORTS]
    found: dict[int, list[Waiting]] = {}
    for number in range(EVENTS):
        second = chance.randrange(seconds)
        kind = chance.choice(critical if chance.random() < share else others)
        found.setdefault(second, []).append(waiting(number, kind, since=second))
    return found


@pytest.mark.parametrize("seconds", [1, 60, 600, 3600])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.05])
def test_storm_is_few_messages_and_loses_nothing(seconds: int, share: float) -> None:
    rows = storm(seconds, share=share, seed=seconds)
    every = [one for several in rows.values() for one in several]
    played = Played(rows)

    assert len(played.drafts) <= FEW_MESSAGES
    assert played.told == {one.key: 1 for one in every}
    whole = "\n".join(plain(draft.text) + "\n" for draft in played.drafts)
    for one in every:
        if one.critical:
            assert f"{one.kind} named {one.seq}\n" in whole
    for draft in played.drafts:
        parse(draft.text)
        assert length(draft.text) <= TEXT_LIMIT


def test_more_critical_alerts_than_can_be_read_are_each_named_in_short() -> None:
    rows = [waiting(number, "alarm", line=f"🚨 {number:05} {'x' * 90}") for number in range(1_000)]
    played = Played({0: list(rows)})

    assert len(played.drafts) <= FEW_MESSAGES
    whole = "".join(draft.text for draft in played.drafts)
    assert all(f"🚨 {number:05} " in whole for number in range(1_000))


def test_few_alerts_go_one_by_one_and_critical_ones_first() -> None:
    rows = [waiting(n) for n in range(ALONE - 1)] + [waiting(9, "halt")]
    played = Played({0: rows})

    assert [draft.keys for draft in played.drafts] == [
        ("run#9",),
        *((f"run#{n}",) for n in range(ALONE - 1)),
    ]
    assert all(draft.text.endswith("in full") for draft in played.drafts)


def test_one_more_than_a_few_are_gathered() -> None:
    played = Played({0: [waiting(n) for n in range(ALONE)] + [waiting(9, "halt")]})

    (draft,) = played.drafts
    assert plain(draft.text).splitlines() == [
        "6 alerts at once",
        "halt named 9",
        "besides 🔵 5 entries filled",
        "each of them: iverson alerts, iverson journal",
    ]


def test_busy_quarter_of_an_hour_is_gathered_once_a_minute() -> None:
    rows = {second: [waiting(second, since=second)] for second in range(0, 600, 10)}
    played = Played(rows)

    minutes_left = 600 / SPACINGS[-1][1].total_seconds()
    assert BUSY < len(played.drafts) <= BUSY + minutes_left + 1


def test_critical_alert_is_told_at_once_even_when_others_wait() -> None:
    played = Played({0: [waiting(1)], 1: [waiting(2, "halt", since=1)]})

    assert [draft.keys for draft in played.drafts] == [("run#2",), ("run#1",)]
    assert played.delays == [0.0]


def test_fills_of_one_order_come_together() -> None:
    fills = [waiting(n, since=n, group="order", text=f"fill {n}") for n in range(3)]

    assert next_message(fills[:1], now=AT, sent=[]) is None
    assert next_message(fills[:1], now=AT, sent=[], ending=True) is not None
    draft = next_message(fills, now=AT + SETTLE, sent=[])
    assert draft is not None
    assert (draft.text, draft.keys) == ("fill 2", ("run#0", "run#1", "run#2"))


def test_what_may_have_been_told_says_so() -> None:
    one = waiting(1, "halt", unsure=True)
    alone = next_message([one], now=AT, sent=[])
    many = next_message([one, *(waiting(n) for n in range(5, 15))], now=AT, sent=[])

    assert alone is not None
    assert many is not None
    assert alone.text.startswith(AGAIN)
    assert f"halt named 1 {AGAIN}" in plain(many.text)


def test_what_was_given_up_is_mentioned() -> None:
    draft = next_message([waiting(1, "halt")], now=AT, sent=[], lost=3)

    assert draft is not None
    assert "3 older alerts were not told" in draft.text


def test_message_is_silent_when_all_in_it_are() -> None:
    silent = [waiting(n, silent=True) for n in range(9)]
    quiet = next_message(silent, now=AT, sent=[])
    loud = next_message([*silent, waiting(10, "halt")], now=AT, sent=[])

    assert quiet is not None
    assert loud is not None
    assert (quiet.silent, loud.silent) == (True, False)


def test_picture_belongs_to_an_exit_that_goes_alone() -> None:
    exits = [waiting(n, "exit filled") for n in range(9)]
    alone = next_message(exits[:1], now=AT + SETTLE, sent=[])
    many = next_message(exits, now=AT, sent=[])

    assert alone is not None
    assert many is not None
    assert (alone.pictured, many.pictured) == (0, None)


def test_of_many_reports_the_last_few_of_a_kind_are_told_each_alone() -> None:
    played = Played({0: [waiting(n, REPORTS[0]) for n in range(30)]})

    assert [draft.keys[-1] for draft in played.drafts] == ["run#27", "run#28", "run#29"]
    assert played.told == {f"run#{n}": 1 for n in range(30)}
    assert "27 older ones: iverson report daily" in plain(played.drafts[0].text)


def test_critical_alert_of_a_busy_hour_waits_for_a_quiet_minute_only() -> None:
    sent = [AT - timedelta(minutes=3 * number) for number in range(19, 0, -1)]
    halt, entry = waiting(1, "halt"), waiting(2, "entry filled")
    draft = next_message([entry, halt], now=AT, sent=sent)

    assert draft is not None
    assert draft.keys == ("run#1",)
    assert next_message([entry], now=AT, sent=sent) is None
