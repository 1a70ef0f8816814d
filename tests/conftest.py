# SPDX-License-Identifier: GPL-3.0-or-later
"""The walls around the tests: no network but loopback, no keys, no screen, the same examples.

All of it happens when pytest loads this file, before any test module is imported, so that imports
and fixtures of any scope are inside the walls too. Child processes inherit the environment, but
not the network wall.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import settings

PRIVATE = ("IVERSON_", "APCA_", "ALPACA_", "TELEGRAM_")
ADDRESSED = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.bind": 1}
NAMED = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0}


class NetworkBlocked(RuntimeError):
    """A test reached for something beyond loopback."""


def is_loopback(host: object) -> bool:
    """Whether a host name or address cannot leave this machine; None and "" mean it."""
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(str(name)).is_loopback
    except ValueError:
        return False


def wall(event: str, args: tuple[Any, ...]) -> None:
    """Refuse what leaves the machine; Python calls this before it happens, and in C code too."""
    if event in NAMED:
        host = args[NAMED[event]]
    elif event in ADDRESSED:
        sock, address = args[0], args[ADDRESSED[event]]
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or address is None:
            return
        host = address[0]
    else:
        return
    if not is_loopback(host):
        raise NetworkBlocked(
            f"{event} to {host!r}: tests reach loopback only; use a fake or the simulator"
        )


for variable in [name for name in os.environ if name.startswith(PRIVATE)]:
    del os.environ[variable]
os.environ["MPLBACKEND"] = "Agg"

sys.addaudithook(wall)

# The same examples on every run; `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile("fixed", deadline=None, derandomize=True, print_blob=True)
settings.register_profile("explore", deadline=None, print_blob=True, max_examples=1000)
settings.load_profile("fixed")


@pytest.fixture(autouse=True)
def _no_ledger_of_the_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the trials of the tests out of the checkout's own ledger."""
    from iverson.market import store

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "DEFAULT", tmp_path_factory.getbasetemp() / "store")
        yield
