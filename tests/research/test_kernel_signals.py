# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel takes out of an entry's lines is what the spine, the grid and the gate leave."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from iverson.execution.bracket import on_grid
from iverson.model import Signal
from iverson.research.kernel_signals import FAULTY, gather
from iverson.research.kernel_state import SIGNAL

AT = datetime(2024, 3, 1, 21, tzinfo=UTC)
NONE = np.empty(0)
PRICES = st.one_of(
    st.floats(0.00005, 3.0),
    st.floats(0.9, 1000.0).map(lambda price: round(price, 3)),
    st.sampled_from([0.0, -1.0, math.inf, math.nan, 1.0, 10.0, 10.004, 9.996]),
)


def signal_of(side: str, confidence: float, prices: list[float], factor: float) -> Signal:
    limit, stop, *target = (price / factor for price in prices)
    whole = int(confidence) if confidence == math.floor(confidence) else confidence
    return Signal(
        at=AT, session=AT.date(), symbol="TEST", side=side, confidence=whole, limit=limit,
        stop=stop, target=target[0] if target else None, reason="", strategy="Test",
    )  # fmt: skip


@given(
    side=st.sampled_from(["long", "short"]),
    confidence=st.sampled_from([1.0, 3.0, 5.0, 6.0, -1.0, 2.5]),
    prices=st.lists(PRICES, min_size=2, max_size=3),
    factor=st.sampled_from([1.0, 2.0, 0.1]),
)
def test_one_bar_signals_what_the_gate_would_be_asked(
    side: str, confidence: float, prices: list[float], factor: float
) -> None:
    room = np.zeros(1, SIGNAL).view(np.recarray)  # whose fields are attributes, as in machine code
    limit, stop, *target = (np.array([price]) for price in prices)

    count = gather(
        np.array([confidence]), limit, stop, target[0] if target else NONE, np.array([factor]),
        np.array([7]), np.array([True]), 2, 1 if side == "long" else -1, room,
    )  # fmt: skip
    wanted = signal_of(side, confidence, prices, factor)

    if wanted.fault() is not None:
        assert count == FAULTY
        return
    rounded = on_grid(wanted)
    assert count == (rounded.fault() is None)
    if count:
        found = room[0]
        assert (found["step"], found["symbol"]) == (7, 2)
        assert (found["direction"], found["confidence"]) == (rounded.direction, confidence)
        assert (found["limit"], found["stop"]) == (rounded.limit, rounded.stop)
        assert np.isnan(found["target"]) if not target else found["target"] == rounded.target


def test_bars_without_confidence_and_those_nobody_listens_to_are_left_out() -> None:
    confidence = np.array([0.0, 4.0, math.nan, 9.0, 2.0])  # 9 is a fault that nobody hears
    heard = np.array([True, True, True, False, True])
    limit, stop = np.full(5, 10.0), np.full(5, 9.0)
    room = np.zeros(5, SIGNAL).view(np.recarray)

    count = gather(
        confidence, limit, stop, NONE, np.ones(5), np.arange(5) + 10, heard, 0, 1, room
    )  # fmt: skip

    assert room["step"][:count].tolist() == [11, 14]
    assert room["confidence"][:count].tolist() == [4, 2]
