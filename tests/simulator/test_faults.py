# SPDX-License-Identifier: GPL-3.0-or-later
"""The language of faults: what a line may say, which matches it answers, and how it says no."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest

from iverson.errors import ConfigError
from iverson.simulator.faults import Fault, Script, fault


def requests(script: Script, *asked: str, symbol: str = "") -> list[bool]:
    return [bool(script.request(*one.split(), symbol=symbol)) for one in asked]


@pytest.mark.parametrize(
    ("nth", "expected"),
    [
        ("1", [1]),
        ("2", [2]),
        ("2-4", [2, 3, 4]),
        ("3-", [3, 4, 5, 6]),
        ("every", [1, 2, 3, 4, 5, 6]),
    ],
)
def test_nth_chooses_among_the_matches(nth: str, expected: list[int]) -> None:
    script = Script([Fault("GET /v2/clock", "reset", nth=nth)])

    hit = requests(script, *["GET /v2/clock"] * 6)

    assert [number for number, one in enumerate(hit, start=1) if one] == expected


@pytest.mark.parametrize(
    ("pattern", "asked", "expected"),
    [
        ("POST /v2/orders", "POST /v2/orders", True),
        ("POST /v2/orders", "GET /v2/orders", False),
        ("POST /v2/orders", "POST /v2/orders/1", False),
        ("* /v2/orders/*", "DELETE /v2/orders/1", True),
        ("* /v2/orders/*", "DELETE /v2/orders", False),
        ("* /v2/*", "GET /v2/stocks/bars", False),
        ("* /v2/**", "GET /v2/stocks/bars", True),
        ("* /v2/**", "GET /v1beta1/news", False),
        ("GET /v2/orders:by_client_order_id", "GET /v2/orders:by_client_order_id", True),
    ],
)
def test_requests_are_matched_by_method_and_by_parts_of_the_path(
    pattern: str, asked: str, expected: bool
) -> None:
    assert requests(Script([Fault(pattern, "reset")]), asked) == [expected]


def test_only_matches_of_the_symbol_are_counted() -> None:
    script = Script([Fault("POST /v2/orders", "reset", symbol="AAPL", nth="2")])
    order = "POST /v2/orders"

    hits = [bool(script.request(*order.split(), symbol=one)) for one in ("AAPL", "MSFT", "AAPL")]

    assert hits == [False, False, True]


def test_only_events_of_the_leg_are_counted() -> None:
    script = Script([Fault("event fill", "drop", leg="stop")])

    hits = [bool(script.message("event", "fill", symbol="A", leg=leg)) for leg in ("entry", "stop")]

    assert hits == [False, True]


def test_events_and_data_are_counted_apart() -> None:
    script = Script([Fault("event *", "drop"), Fault("data *bar", "drop")])

    assert script.message("data", "news", symbol="") == []
    assert script.message("data", "daily bar", symbol="A") == [script.faults[1]]
    assert script.message("event", "fill", symbol="A") == [script.faults[0]]


def test_nothing_fires_or_counts_while_the_script_is_off() -> None:
    script = Script([Fault("GET /v2/clock", "reset")])
    script.enabled = False

    assert requests(script, "GET /v2/clock") == [False]

    script.enabled = True
    assert requests(script, "GET /v2/clock", "GET /v2/clock") == [True, False]


def test_the_script_tells_what_it_has_done() -> None:
    script = Script([Fault("* /v2/orders", "reset", nth="every")])
    requests(script, "GET /v2/orders", "POST /v2/orders")

    assert [what for _, what in script.fired] == ["GET /v2/orders", "POST /v2/orders"]


def test_loading_another_script_forgets_the_counts() -> None:
    line = Fault("GET /v2/clock", "reset")
    script = Script([line])
    requests(script, "GET /v2/clock")
    script.load([line])

    assert script.fired == []
    assert requests(script, "GET /v2/clock") == [True]


def test_an_instant_names_a_session_and_a_time_in_new_york() -> None:
    early = Fault("session 2", "revoke keys")
    late = Fault("session 13 15:59", "revoke keys")

    assert (early.session, early.time) == (2, time(9, 30))
    assert (late.session, late.time) == (13, time(15, 59))


def test_a_table_becomes_a_fault() -> None:
    table = {"on": "POST /v2/orders", "do": "status", "status": 504, "executed": True, "nth": 2}

    assert fault(table) == Fault("POST /v2/orders", "status", nth="2", status=504, executed=True)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"do": "reset"}, "has no 'on'; add it"),
        ({"on": "POST /v2/orders"}, "has no 'do'; add it"),
        ({"on": "POST /v2/orders", "do": "resets"}, "did you mean 'reset'?"),
        ({"on": "POST v2/orders", "do": "reset"}, "expected a request as 'POST /v2/orders'"),
        ({"on": "event Fill", "do": "drop"}, "a fault waits for 'event Fill'; expected"),
        ({"on": "data candle", "do": "drop"}, "expected a request as"),
        ({"on": "session 0", "do": "revoke keys"}, "expected a request as"),
        ({"on": "session 1 24:00", "do": "revoke keys"}, "expected a request as"),
        ({"on": "event fill", "do": "reset"}, "cannot answer this; it goes with a request"),
        ({"on": "POST /v2/orders", "do": "drop"}, "it goes with a event or data"),
        ({"on": "POST /v2/orders", "do": "status"}, "needs 'status'; add it"),
        ({"on": "event fill", "do": "set", "field": "qty"}, "needs 'value'; add it"),
        ({"on": "session 1", "do": "halt"}, "needs a 'symbol'; add it"),
        ({"on": "event fill", "do": "drop", "leg": "exit"}, "is not entry, stop, target"),
        ({"on": "event fill", "do": "drop", "nth": "last"}, "expected as 1, 2-4, 3- or every"),
        ({"on": "event fill", "do": "drop", "nth": "0"}, "expected as 1, 2-4, 3- or every"),
        ({"on": "event fill", "do": "drop", "symbl": "A"}, "did you mean 'symbol'?"),
        ({"on": "event fill", "do": "drop", "status": 5}, "'drop' does not use 'status'"),
        (
            {"on": "POST /v2/orders", "do": "status", "status": "504"},
            "status is '504'; expected a whole number",
        ),
        (
            {"on": "POST /v2/orders", "do": "reset", "executed": 1},
            "executed is 1; expected true/false",
        ),
    ],
)
def test_a_bad_line_is_refused_in_one_sentence(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        fault(table)

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)
