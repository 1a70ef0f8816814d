# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd's notification protocol (sd_notify(3)): ready, alive, stopping; nothing without systemd.

With `Type=notify` and `WatchdogSec=` in the unit systemd restarts a process that hangs, not only
one that has ended.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def notify(state: str) -> bool:
    """Tell systemd a state, as "READY=1" or "WATCHDOG=1"; False when nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket, in the kernel's own spelling
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(1.0)
        channel.sendto(state.encode(), address)
        return True
    return False
