# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing down what clients asked for, and what they were told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from iverson.simulator.events import RequestSeen
from iverson.simulator.floor import Floor
from iverson.simulator.requests import Refused


def granted(floor: Floor, account_id: str, verb: str, target: str) -> None:
    """Write down a request that is granted."""
    floor.emit(RequestSeen(account_id, verb, target, 200, None, "", floor.now))


@contextmanager
def noting_refusals(floor: Floor, account_id: str, verb: str, target: str) -> Iterator[None]:
    """Write down a refusal on its way to the client."""
    try:
        yield
    except Refused as no:
        floor.emit(RequestSeen(account_id, verb, target, no.status, no.code, no.message, floor.now))
        raise
