# SPDX-License-Identifier: GPL-3.0-or-later
"""From a signal to orders: every rounding is the cautious one."""

from __future__ import annotations

import math
from typing import Any

import backtrader as bt
import pytest

from iverson.execution.bracket import make_bracket, on_grid, open_bracket
from iverson.model import Bracket, Verdict
from iverson.testing import at, signal

VALID = at("2024-01-03 21:00")


@pytest.mark.parametrize(
    ("side", "limit", "stop", "target", "expected"),
    [
        # a buy pays less, the stop lies closer, the target further
        ("long", 100.009, 97.991, 104.001, (100.00, 98.00, 104.01)),
        # a sale receives more, the stop lies closer, the target further
        ("short", 100.001, 102.009, 95.999, (100.01, 102.00, 95.99)),
        ("long", 0.50009, 0.40001, 0.60001, (0.5000, 0.4001, 0.6001)),
    ],
)
def test_prices_are_rounded_to_the_cautious_side(
    side: Any, limit: float, stop: float, target: float, expected: tuple[float, ...]
) -> None:
    rounded = on_grid(signal(side=side, limit=limit, stop=stop, target=target))

    assert (rounded.limit, rounded.stop, rounded.target) == expected


def test_rounding_never_adds_to_the_planned_loss() -> None:
    for side, direction in (("long", 1), ("short", -1)):
        for cents in range(10):
            raw = signal(
                side=side,
                limit=100 + cents / 1000,
                stop=100 - 2 * direction + cents / 3000,
                target=None,
            )

            assert on_grid(raw).risk_per_share <= raw.risk_per_share + 1e-9


def test_a_faulty_signal_is_left_for_the_gate_to_name() -> None:
    faulty = signal(stop=math.nan)

    assert on_grid(faulty) is faulty


def test_a_bracket_says_what_the_verdict_said() -> None:
    one = signal(target=None, max_sessions=2)

    bracket = make_bracket(verdict(one, 7), valid_until=VALID)

    assert bracket == Bracket(
        key="TEST-20240102T2100-long", symbol="TEST", side="long", size=7, limit=100.0, stop=98.0,
        target=None, max_sessions=2, valid_until=VALID,
    )  # fmt: skip


class Paper:
    """A trader that only writes down what it was asked to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def buy(self, data: Any = None, **order: Any) -> Any:
        self.sent.append(("buy", order))
        return "entry"

    def sell(self, data: Any = None, **order: Any) -> Any:
        self.sent.append(("sell", order))
        return "entry"


@pytest.mark.parametrize(
    ("side", "enter", "leave"), [("long", "buy", "sell"), ("short", "sell", "buy")]
)
def test_the_legs_have_no_validity_and_go_out_with_the_entry(
    side: Any, enter: str, leave: str
) -> None:
    stop, target = (98.0, 104.0) if side == "long" else (102.0, 96.0)
    paper, approved = Paper(), verdict(signal(side=side, stop=stop, target=target), 5)

    open_bracket(paper, None, make_bracket(approved, valid_until=VALID), approved,
                 exit_at_close=True)  # fmt: skip

    kinds = [(way, o["exectype"], o["price"], o["leg"]) for way, o in paper.sent]
    assert kinds == [
        (enter, bt.Order.Limit, 100.0, "entry"),
        (leave, bt.Order.Stop, stop, "stop"),
        (leave, bt.Order.Limit, target, "target"),
        (leave, bt.Order.Close, None, "time limit"),
    ]
    assert [order.get("valid") for _, order in paper.sent] == [
        VALID.replace(tzinfo=None), None, None, None,
    ]  # fmt: skip
    assert [order["transmit"] for _, order in paper.sent] == [False, False, False, True]


def verdict(one: Any, size: int) -> Verdict:
    return Verdict(signal=one, approved=True, size=size, rule="risk", reason="")
