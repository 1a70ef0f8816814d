# SPDX-License-Identifier: GPL-3.0-or-later
"""Bars are made ready once, for all who run over them at the same time."""

from __future__ import annotations

import gc
import weakref

from iverson.research.prepared import Prepared
from iverson.testing import bars


def test_the_same_bars_are_made_ready_once() -> None:
    one, other = bars("100 101 102"), bars("100 101 102", symbol="OTHER")

    prepared = Prepared.of({"TEST": one, "OTHER": other})

    assert Prepared.of({"TEST": one, "OTHER": other}) is prepared
    assert tuple(Prepared.of({"OTHER": other, "TEST": one}).feeds) == ("OTHER", "TEST")
    assert Prepared.of({"TEST": one}).feeds.keys() == {"TEST"}


def test_equal_bars_that_are_others_are_made_ready_themselves() -> None:
    one, equal = bars("100 101 102"), bars("100 101 102")

    assert Prepared.of({"TEST": one}) is not Prepared.of({"TEST": equal})
    assert Prepared.of({"TEST": equal}).feeds["TEST"].bars is equal


def test_bars_that_nobody_uses_are_forgotten() -> None:
    prepared = Prepared.of({"TEST": bars("100 101 102")})
    forgotten = weakref.ref(prepared)

    del prepared
    gc.collect()

    assert forgotten() is None
