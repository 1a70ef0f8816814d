# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of the server that need no socket: keys, limits, progress, garbling, forms."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from iverson.errors import ConfigError
from iverson.simulator import forms
from iverson.simulator.auth import Keys
from iverson.simulator.faults import Fault
from iverson.simulator.garble import Garble
from iverson.simulator.limits import Limit
from iverson.simulator.pacing import Pace
from iverson.simulator.progress import Progress
from iverson.simulator.requests import OrderRequest, Refused

NOON = datetime(2024, 1, 2, 17, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def keys() -> Keys:
    made = Keys()
    made.add("PK1", "secret", "account")
    return made


@pytest.mark.parametrize(
    ("key", "secret", "expected"),
    [("PK1", "secret", "account"), ("PK1", "other", None), ("PK2", "secret", None), ("", "", None)],
)
def test_a_key_and_its_secret_open_an_account(key: str, secret: str, expected: str | None) -> None:
    assert keys().account_of(key, secret) == expected


def test_a_revoked_key_opens_nothing_until_it_is_restored() -> None:
    made = keys()
    made.revoke()
    assert made.account_of("PK1", "secret") is None

    made.restore()
    assert made.account_of("PK1", "secret") == "account"


def test_a_key_of_the_other_environment_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected it to begin with AK"):
        Keys(paper=False).add("PK1", "secret", "account")


def test_secrets_are_not_shown() -> None:
    assert "secret" not in repr(Keys().add("PK1", "secret", "account"))


def test_a_limit_counts_any_minute_and_each_account_apart() -> None:
    limit = Limit(2)
    first = [limit.take("a", at=NOON + n * 20 * SECOND).granted for n in range(3)]
    other = limit.take("b", at=NOON + 40 * SECOND)
    later = limit.take("a", at=NOON + 60 * SECOND)

    assert first == [True, True, False]
    assert (other.granted, other.remaining) == (True, 1)
    assert later.granted


def test_a_limit_says_when_the_oldest_request_is_forgotten() -> None:
    limit = Limit(1)
    limit.take("a", at=NOON)

    refused = limit.take("a", at=NOON + 10 * SECOND)

    assert (refused.granted, refused.remaining) == (False, 0)
    assert refused.reset == NOON + 60 * SECOND
    assert dict(refused.headers)[b"x-ratelimit-reset"] == b"%d" % (NOON + 60 * SECOND).timestamp()


def test_progress_is_what_was_sent_and_not_yet_processed() -> None:
    progress = Progress()
    progress.send(3)
    progress.process(2)

    assert progress.outstanding == 1

    progress.process(1)  # a total never goes back
    assert progress.outstanding == 1


def test_messages_to_a_connection_that_ended_are_written_off() -> None:
    progress = Progress()
    progress.send(3)
    progress.process(1)
    progress.write_off(3)

    assert progress.outstanding == 0

    progress.send(2)
    assert progress.outstanding == 2


def test_writing_off_is_undone_for_what_is_counted_all_the_same() -> None:
    progress = Progress()
    progress.send(3)
    progress.write_off(3)
    progress.process(3)
    progress.send(1)

    assert progress.outstanding == 1


MESSAGE = {"data": {"event": "new", "order": {"status": "new"}}, "n": 1}


def passed(*actions: str, **told: Any) -> list[dict[str, Any]]:
    faults = [Fault("event new", do, **told) for do in actions]
    return [one.content for one in Garble().pass_on(MESSAGE, faults)]


def test_messages_are_dropped_and_doubled() -> None:
    assert passed() == [MESSAGE]
    assert passed("drop") == []
    assert passed("duplicate") == [MESSAGE, MESSAGE]


def test_a_field_is_changed_or_removed_in_a_copy() -> None:
    (changed,) = passed("set", field="data.order.status", value="odd")
    (removed,) = passed("remove", field="data.order")

    assert changed["data"]["order"] == {"status": "odd"}
    assert removed["data"] == {"event": "new"}
    assert MESSAGE["data"]["order"] == {"status": "new"}  # type: ignore[index]  # of the constant


def test_a_reordered_message_leaves_after_the_next() -> None:
    garble = Garble()
    first = garble.pass_on({"n": 1}, [Fault("event new", "reorder")])
    second = garble.pass_on({"n": 2})
    third = garble.pass_on({"n": 3})

    assert first == []
    assert [one.content["n"] for one in second + third] == [2, 1, 3]


def test_a_mute_connection_says_nothing_more() -> None:
    garble = Garble()

    assert garble.pass_on({"n": 1}, [Fault("event new", "mute")]) == []
    assert garble.pass_on({"n": 2}) == []


ORDER = {"symbol": "A", "side": "buy", "type": "market", "time_in_force": "day", "qty": 1}


@pytest.mark.parametrize("qty", [2, 2.0, "2", "2.0", "2e0", " 2 "])
def test_numbers_come_as_numbers_or_as_text(qty: object) -> None:
    assert forms.order_request(ORDER | {"qty": qty}).qty == Decimal(2)


def test_numbers_are_read_as_they_are_written() -> None:
    assert forms.order_request(ORDER | {"limit_price": 290.123}).limit_price == Decimal("290.123")


def test_the_prices_of_legs_are_read() -> None:
    legs = {
        "order_class": "bracket",
        "take_profit": {"limit_price": "301.0"},
        "stop_loss": {"stop_price": 299, "limit_price": 298.5},
    }

    assert forms.order_request(ORDER | legs) == OrderRequest(
        symbol="A",
        side="buy",
        order_class="bracket",
        qty=Decimal(1),
        target_limit_price=Decimal("301.0"),
        stop_loss_stop_price=Decimal(299),
        stop_loss_limit_price=Decimal("298.5"),
    )


def test_unknown_fields_are_ignored() -> None:
    assert forms.order_request(ORDER | {"colour": "red"}) == forms.order_request(ORDER)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_in_force": "xyz"}, "invalid time_in_force"),
        ({"side": "hold"}, "invalid side"),
        ({"type": "iceberg"}, "invalid type"),
        ({"order_class": "mleg"}, "invalid order_class"),
        ({"symbol": ""}, "symbol is required"),
        ({"qty": "many"}, "qty is not a number: many"),
        ({"qty": True}, "qty is not a number: True"),
        ({"qty": "1e999"}, "qty is not a number: 1e999"),
        ({"qty": float("nan")}, "qty is not a number: nan"),
        ({"extended_hours": "maybe"}, "invalid extended_hours: maybe"),
    ],
)
def test_what_cannot_be_read_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(Refused) as refused:
        forms.order_request(ORDER | change)

    assert (refused.value.status, refused.value.code) == (422, 40010001)
    assert refused.value.message == message


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b"\xff", b'{"a": NaN', b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        forms.body_of(body)

    assert (refused.value.status, refused.value.code) == (400, 40010000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("True", True), ("true", True), ("1", True), ("False", False), ("0", False), ("", False)],
)
def test_booleans_of_a_query_come_in_every_spelling(text: str, expected: bool) -> None:
    assert forms.flag({"nested": text}, "nested") is expected


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-02T17:00:00Z",
        "2024-01-02T17:00:00.000000000Z",
        "2024-01-02T12:00:00-05:00",
        "2024-01-02T18:00:00 01:00",
        "2024-01-02T17:00:00",
    ],
)
def test_instants_come_in_every_spelling(text: str) -> None:
    assert forms.instant({"after": text}, "after") == NOON


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:18+01:00", "9999-12-31T23:59:59-01:00", "noon", "2024-13-01"]
)
def test_an_instant_that_does_not_exist_in_utc_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="invalid after"):
        forms.instant({"after": text}, "after")


def test_a_date_of_a_query_is_read() -> None:
    assert forms.day({"date": "2024-01-02"}, "date") == date(2024, 1, 2)


@pytest.mark.parametrize("limit", ["0", "501", "-1", "ten", "1.5"])
def test_a_limit_outside_its_bounds_is_refused(limit: str) -> None:
    with pytest.raises(Refused, match="invalid limit"):
        forms.order_query({"limit": limit})


def test_a_pace_is_lock_step_or_a_multiple_of_real_time() -> None:
    assert str(Pace.lock_step()) == "lock step"
    assert str(Pace.times(1)) == "real time"
    assert str(Pace.times(60)) == "60 x real time"
    with pytest.raises(ConfigError, match="expected more than 0"):
        Pace.times(0)
    with pytest.raises(ConfigError, match="choose one"):
        Pace(2.0, when_consumed=True)
