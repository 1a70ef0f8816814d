# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress: how much was sent to the clients, and how much of it they say they have dealt with.

A frame that has left is not a frame that was handled: it waits in buffers on both sides. In lock
step time moves only when everything sent was processed, and only the client can know. It counts
what its handlers have finished, over all its streams, and says the total so far.
"""

from __future__ import annotations


class Progress:
    """Messages sent and processed, in total; control frames are not counted.

    `subscriptions` is how often a stream has confirmed what a client listens to; `reported` is
    whether any client has ever told its count.

    Messages to a connection that ended before they were processed are written off, for nobody
    will ever count them; if the client counts them all the same, the writing off is undone.
    """

    def __init__(self) -> None:
        self.sent = 0
        self.processed = 0
        self.subscriptions = 0
        self.reported = False
        self._written_off = 0

    @property
    def outstanding(self) -> int:
        """Messages that were sent and are not yet dealt with."""
        return max(0, self.sent - self.processed - self._written_off)

    def send(self, messages: int = 1) -> None:
        """Count messages that were handed to a connection."""
        self.sent += messages

    def process(self, total: int) -> None:
        """Take note of the client's total; it never goes back."""
        self.reported = True
        self.processed = max(self.processed, total)
        excess = self.processed + self._written_off - self.sent
        self._written_off = max(0, self._written_off - max(0, excess))

    def write_off(self, messages: int) -> None:
        """Expect no answer any more for messages to a connection that has ended."""
        self._written_off += min(messages, self.outstanding)
