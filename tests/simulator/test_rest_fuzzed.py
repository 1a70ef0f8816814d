# SPDX-License-Identifier: GPL-3.0-or-later
"""The trading API under requests that nobody would write: no 500, and every answer as described."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.simulator.openapi import document
from tests.simulator.rehearsing import Opened, minutes, opened

EXAMPLES = 8
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
KEYS = {"APCA-API-KEY-ID": "PKSIMULATOR", "APCA-API-SECRET-KEY": "simulated-secret"}
VALID, INVALID = GenerationMode.POSITIVE, GenerationMode.NEGATIVE


def operations(order_ids: list[str]) -> dict[str, Any]:
    loaded = schemathesis.openapi.from_dict(document(order_ids))
    return {one.ok().label: one.ok() for one in loaded.get_all_operations()}


def cases() -> list[Any]:
    """Every operation with valid requests, and with invalid ones where there is anything to ask."""
    asking = {
        f"{method.upper()} {path}"
        for path, methods in document([])["paths"].items()
        for method, operation in methods.items()
        if operation["parameters"] or "requestBody" in operation
    }
    return [
        pytest.param(label, mode, id=f"{label} {mode.value}")
        for label in operations([])
        for mode in (VALID, INVALID)
        if mode == VALID or label in asking
    ]


@pytest.fixture(scope="module")
def venue() -> Iterator[Opened]:
    history = {name: minutes("100 " * 300, symbol=name) for name in ("AAA", "BBB")}
    with opened(history) as made:
        made.post(symbol="AAA", qty=20)
        made.step()
        made.post(symbol="AAA", qty=5, type="limit", limit_price=90)
        made.bracket(95, 105, symbol="BBB")
        yield made


@pytest.mark.parametrize(("label", "mode"), cases())
def test_no_request_breaks_the_server(label: str, mode: GenerationMode, venue: Opened) -> None:
    ids = [one["id"] for one in venue.rehearsal.ledger["orders"]]
    strategy = operations(ids)[label].as_strategy(generation_mode=mode)

    @settings(
        max_examples=EXAMPLES,
        phases=(Phase.generate,),
        database=None,
        derandomize=True,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def fuzz(case: Any) -> None:
        answer = case.call(base_url=venue.sim.urls.trading, headers=KEYS)
        case.validate_response(answer, checks=CHECKS)

    fuzz()
    venue.step()
    assert venue.sim.failures == []
