# SPDX-License-Identifier: GPL-3.0-or-later
"""Garble: what becomes of the messages to one client when the script has something against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any, NamedTuple

from iverson.simulator.faults import Fault


class Message(NamedTuple):
    """A message as it will leave; `text` means as a text frame, which is not how it should be."""

    content: dict[str, Any]
    text: bool = False


class Garble:
    """The state of one connection: what is held back, whether it is mute, whether it is to end."""

    def __init__(self) -> None:
        self.mute = False
        self.closing = False
        self._held: list[Message] = []

    def pass_on(self, content: Mapping[str, Any], faults: Iterable[Fault] = ()) -> list[Message]:
        """Return what leaves in place of one message; [] if nothing does.

        A message that is reordered is held until the next one has left; with no next one it is
        lost.
        """
        message = Message(dict(content))
        copies = 1
        hold = False
        for fault in faults:
            if fault.do == "drop":
                copies = 0
            elif fault.do == "duplicate":
                copies = 2
            elif fault.do == "reorder":
                hold = True
            elif fault.do == "mute":
                self.mute = True
            elif fault.do == "close":
                self.closing = True
            elif fault.do in ("set", "remove"):
                message = message._replace(content=_changed(message.content, fault))
            elif fault.do == "text":
                message = message._replace(text=True)
        if self.mute or self.closing:
            return []
        if hold:
            self._held.append(message)
            return []
        released, self._held = self._held, []
        return [message] * copies + released


def _changed(content: dict[str, Any], fault: Fault) -> dict[str, Any]:
    """Return a copy in which one field, named as "order.status", is another or is missing."""
    changed = deepcopy(content)
    *path, last = fault.field.split(".")
    inside = changed
    for name in path:
        inside = inside.get(name, {})
    if fault.do == "remove":
        inside.pop(last, None)
    else:
        inside[last] = fault.value
    return changed
