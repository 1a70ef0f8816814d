# SPDX-License-Identifier: GPL-3.0-or-later
"""How a stream ends: by its market's close, or sooner by a signal."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Stopping:
    """Ends a run at its close or by a signal; `by` names the signal."""

    def __init__(self) -> None:
        self.by = ""
        self.cerebro: Any = None

    def begin(self, cerebro: Any) -> None:
        """Take the run that is to be ended; one that was stopped before it began ends at once."""
        self.cerebro = cerebro
        if self.by:
            cerebro.runstop()

    def end(self) -> None:
        """End the run after the bar it is at."""
        if self.cerebro is not None:
            self.cerebro.runstop()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen for Ctrl-C and SIGTERM; only the main thread of a process can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def heard(number: int, _: Any) -> None:
            self.by = signal.Signals(number).name
            self.end()

        before = {one: signal.signal(one, heard) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
