# SPDX-License-Identifier: GPL-3.0-or-later
"""One process at a time per account: a lock beside the journal, held by the operating system.

It ends with the process that holds it, however that ends, so nothing is left to clean up after a
kill. A process with another journal on the same account is met by reconciliation instead, which
finds orders that its journal does not know, and halts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from iverson.errors import ConfigError


class InUse(ConfigError):
    """Another process trades by this journal at this moment."""


@contextmanager
def account_lock(journal: Path | None) -> Iterator[None]:
    """Hold the lock of a journal; one in memory has none.

    Raises
    ------
    InUse: another process holds it; the sentence names it.
    """
    if journal is None:
        yield
        return
    path = journal.with_name(f"{journal.name}.lock")
    holder = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _take(holder):
            raise InUse(
                f"{journal} is traded by process {_owner(holder)} at this moment, and one account "
                "has one writer; wait until it has ended, or stop it"
            )
        os.ftruncate(holder, 0)
        os.pwrite(holder, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(holder)  # gives the lock back


def _owner(holder: int) -> str:
    with suppress(OSError):
        return os.pread(holder, 20, 0).decode(errors="replace") or "?"
    return "?"


if sys.platform == "win32":
    import msvcrt

    def _take(holder: int) -> bool:
        try:
            msvcrt.locking(holder, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _take(holder: int) -> bool:
        try:
            fcntl.flock(holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
