# SPDX-License-Identifier: GPL-3.0-or-later
"""The outbox: each alert once, what is critical never lost, what is old given up and counted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.errors import DataError, IversonError
from iverson.monitoring.alerts import Alert
from iverson.monitoring.gathering import AGAIN, SETTLE
from iverson.monitoring.outbox import (
    DROPPED_AFTER,
    FIRST_WAIT,
    LATE_AFTER,
    LONGEST_WAIT,
    REFUSED_WAIT,
    Outbox,
    Sending,
    path_of,
)
from tests.monitoring.rows import AT, later

BOOK = "0123456789abcdef"  # the hash of the journal's first row
NOW = later(60)


def alert(number: int, kind: str = "entry filled", **more: Any) -> Alert:
    given: dict[str, Any] = dict(text=f"<b>{number}</b> in full", line=f"<b>{number}</b>")
    return Alert(f"run#{number}", number, kind, AT, **(given | more))


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(path_of(tmp_path / "iverson.db")) as opened:
        yield opened


def queue(outbox: Outbox, *alerts: Alert, now: datetime = NOW, silent: bool = False) -> int:
    last = max((one.seq for one in alerts), default=0)
    return outbox.queue([(one, silent) for one in alerts], journal=BOOK, seq=last, now=now)


def begin(outbox: Outbox, now: datetime = NOW, **options: Any) -> Sending:
    sending = outbox.begin(now, ending=True, **options)
    assert sending is not None
    return sending


def states(outbox: Outbox) -> dict[str, str]:
    return {one.key.partition(":")[2]: one.state for one in outbox.rows()}


def test_alert_that_is_known_is_not_taken_again(outbox: Outbox) -> None:
    assert queue(outbox, alert(1), alert(2)) == 2
    assert queue(outbox, alert(2), alert(3)) == 1
    outbox.sent(begin(outbox), 7, now=NOW)
    assert queue(outbox, alert(1), alert(2), alert(3)) == 0

    assert outbox.place(BOOK) == (0, 3)
    assert len(outbox.rows()) == 3


def test_same_row_of_another_journal_is_another_alert(outbox: Outbox) -> None:
    queue(outbox, alert(1))

    assert outbox.queue([(alert(1), False)], journal="fedcba9876543210", seq=1, now=NOW) == 1


def test_new_outbox_begins_where_it_is_told_to(tmp_path: Path) -> None:
    with Outbox(tmp_path / "a", start=(BOOK, 40)) as outbox:
        assert outbox.place(BOOK) == (40, 40)
        assert outbox.place("other") == (0, 0)
    with Outbox(tmp_path / "a", start=(BOOK, 90)) as outbox:
        assert outbox.place(BOOK) == (40, 40)


def test_what_is_sent_is_sending_then_sent_with_its_number(outbox: Outbox) -> None:
    queue(outbox, alert(1))
    sending = begin(outbox)
    assert states(outbox) == {"run#1": "sending"}
    assert outbox.begin(NOW, ending=True) is None

    outbox.sent(sending, 77, now=later(61))

    (row,) = outbox.rows()
    assert (row.state, row.message, row.sent, row.attempts) == ("sent", 77, later(61), 1)
    assert outbox.counts() == {"sent": 1}


def test_failed_try_waits_longer_each_time_and_as_long_as_telegram_asks(outbox: Outbox) -> None:
    queue(outbox, alert(1, "halt"))
    now, waits = NOW, []
    for _ in range(9):
        outbox.undelivered(begin(outbox, now), "nobody there", now=now)
        waits.append(outbox.wait(now))
        assert outbox.begin(now, ending=True) is None
        now += timedelta(seconds=waits[-1])
    outbox.undelivered(begin(outbox, now), "429", now=now, retry_after=1234.0)

    assert waits == [min(FIRST_WAIT * 2**n, LONGEST_WAIT) for n in range(9)]
    assert outbox.wait(now) == 1234.0
    assert outbox.rows()[0].next_try == now + timedelta(seconds=1234)
    assert outbox.begin(now, ending=True, at_once=True) is not None


def test_refused_alert_is_failed_and_tried_again_later(outbox: Outbox) -> None:
    queue(outbox, alert(1, "halt"))
    outbox.undelivered(begin(outbox), "blocked", now=NOW, permanent=True)

    assert states(outbox) == {"run#1": "failed"}
    assert outbox.wait(NOW) == REFUSED_WAIT
    assert begin(outbox, NOW + timedelta(seconds=REFUSED_WAIT)).draft.text == "<b>1</b> in full"


def test_ambiguous_answer_repeats_what_is_critical_and_says_so(outbox: Outbox) -> None:
    many = [alert(number, "halt" if number == 3 else "entry filled") for number in range(1, 9)]
    queue(outbox, *many)
    outbox.undelivered(begin(outbox), "no answer", now=NOW, unsure=True)

    assert {key for key, state in states(outbox).items() if state == "queued"} == {"run#3"}
    assert set(states(outbox).values()) == {"queued", "unsure"}
    again = begin(outbox, NOW + timedelta(seconds=FIRST_WAIT))
    assert again.draft.text == f"{AGAIN}\n<b>3</b> in full"


def test_what_a_dead_process_was_sending_is_settled_by_the_next(tmp_path: Path) -> None:
    for kind, state in {"halt": "queued", "entry filled": "unsure"}.items():
        with Outbox(tmp_path / kind) as outbox:
            queue(outbox, alert(1, kind))
            begin(outbox)
        with Outbox(tmp_path / kind) as outbox, outbox.turn() as mine:
            assert mine
            assert states(outbox) == {"run#1": state}
            assert outbox.wait(NOW) == 0


def test_one_process_at_a_time_may_send(tmp_path: Path) -> None:
    with Outbox(tmp_path / "a") as first, Outbox(tmp_path / "a") as second:
        queue(first, alert(1, "halt"))
        with first.turn() as mine:
            sending = begin(first)
            with second.turn() as other:
                assert (mine, other) == (True, False)
                assert states(second) == {"run#1": "sending"}
            first.sent(sending, 1, now=NOW)
        with second.turn() as other:
            assert other
            assert second.begin(NOW) is None


def test_old_alerts_that_do_not_matter_are_given_up_and_mentioned_once(outbox: Outbox) -> None:
    queue(outbox, alert(1), alert(2), alert(3, "halt"))
    late = NOW + DROPPED_AFTER + timedelta(seconds=1)

    sending = begin(outbox, late)
    assert states(outbox) == {"run#1": "dropped", "run#2": "dropped", "run#3": "sending"}
    assert "2 older alerts were not told" in sending.draft.text
    outbox.undelivered(sending, "nobody there", now=late)
    again = begin(outbox, late + timedelta(minutes=5))
    assert "2 older alerts were not told" in again.draft.text
    outbox.sent(again, 1, now=late)
    queue(outbox, alert(9, "halt"), now=late)

    assert "older" not in begin(outbox, late).draft.text


def test_critical_alert_is_never_too_old(outbox: Outbox) -> None:
    queue(outbox, alert(1, "halt"))

    assert begin(outbox, NOW + timedelta(days=400)).draft.keys == (f"{BOOK[:12]}:run#1",)


def test_what_waits_too_long_is_called_late_once(outbox: Outbox) -> None:
    queue(outbox, alert(1, "halt"))
    queue(outbox, alert(2), now=NOW + LATE_AFTER)
    now = NOW + LATE_AFTER + timedelta(seconds=1)

    assert outbox.late(NOW + LATE_AFTER) == []
    late = outbox.late(now)
    assert [one.text for one in late] == ["<b>1</b> in full"]
    outbox.called_late(late)
    assert outbox.late(now) == []


def test_fills_of_one_order_wait_for_each_other(outbox: Outbox) -> None:
    queue(outbox, alert(1, group="order"), now=NOW)
    assert outbox.begin(NOW) is None
    queue(outbox, alert(2, group="order"), now=later(61))

    sending = outbox.begin(NOW + SETTLE)

    assert sending is not None
    assert sending.draft.text == "<b>2</b> in full"
    outbox.sent(sending, 1, now=NOW)
    assert set(states(outbox).values()) == {"sent"}


def test_silent_ways_are_kept(outbox: Outbox) -> None:
    queue(outbox, alert(1), silent=True)

    assert begin(outbox).draft.silent


def test_file_that_is_no_outbox_is_one_sentence(tmp_path: Path) -> None:
    words = tmp_path / "words"
    words.write_text("no database at all " * 100)
    other = tmp_path / "other"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE mine (a)")

    for path in (words, other):
        before = path.read_bytes()
        with pytest.raises(DataError, match="is not an outbox of Iverson's; move it away"):
            Outbox(path)
        assert path.read_bytes() == before
    with pytest.raises(DataError, match="nothing was told yet"):
        Outbox(tmp_path / "missing", read_only=True)
    assert not (tmp_path / "missing").exists()


def test_locked_outbox_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "a"
    Outbox(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(IversonError, match="alerts wait"):
            Outbox(path, wait_seconds=0.05)


def test_reading_changes_nothing(tmp_path: Path, outbox: Outbox) -> None:
    queue(outbox, alert(1))
    before = outbox.path.read_bytes()
    with Outbox(outbox.path, read_only=True) as reader:
        assert [one.kind for one in reader.rows()] == ["entry filled"]
        with pytest.raises(IversonError):
            queue(reader, alert(2))

    assert outbox.path.read_bytes() == before
