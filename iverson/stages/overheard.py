# SPDX-License-Identifier: GPL-3.0-or-later
"""What others write into the journal while a run goes on: an operator's halts and releases.

A run looks before each bar, while it waits, and in the very transaction that writes an entry down:
after a halt is on the disk no intent of an entry follows it there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iverson.book import OPERATOR, Halt
from iverson.desk import Desk
from iverson.errors import Refused
from iverson.execution.alpaca.store import AlpacaStore
from iverson.model import Answer, Intent
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Release
from iverson.stages.memory import JournaledRecord


class Others:
    """The halts and releases of a run that its own record has not written.

    `left` is called when an operator has every position left, who sees to it himself.
    """

    def __init__(self, journal: Journal, run: str, record: JournaledRecord, *, after: int) -> None:
        self._journal, self._run, self._record = journal, run, record
        self._last = after
        self._waiting: list[Halt | Release] = []
        self.left: Callable[[], None] = _nothing

    def __call__(self) -> list[Halt | Release]:
        """Return what has come since the last time, in order."""
        self.look()
        words, self._waiting = self._waiting, []
        if any(_leaves(word) for word in words):
            self.left()
        return words

    def look(self) -> bool:
        """Read what has come, without handing it out; whether a halt is among it."""
        head = self._journal.head.seq
        if head > self._last:
            rows = self._journal.each("halt", "release", run=self._run, after=self._last)
            for seq, value in list(rows):
                if seq not in self._record.own and isinstance(value, Halt | Release):
                    self._waiting.append(value)
            self._last = head
        return any(isinstance(word, Halt) for word in self._waiting)


def heed(desk: Desk, store: AlpacaStore, others: Others, journal: Journal, run: str) -> None:
    """Make a desk and its store heed the others.

    From then on the store raises `Refused` instead of noting an entry while a halt stands.
    """
    desk.others = others

    def note(value: Any) -> None:
        journal.append(run, value)
        if isinstance(value, Answer):  # what was on its way meanwhile is taken back
            desk.listen()

    def enter(intent: Intent) -> None:
        standing = desk.standing(store.clock())
        with journal.transaction():
            halted = others.look() or bool(standing)
            if not halted:
                journal.append(run, intent)
        desk.listen()
        if halted:
            words = next((halt.reason for halt in desk.standing(store.clock())), "by an operator")
            raise Refused(f"{intent.symbol} is not entered, halted: {words}")

    store.note, store.note_entry = note, enter


def _leaves(word: Halt | Release) -> bool:
    return isinstance(word, Halt) and word.rule == OPERATOR and word.flatten


def _nothing() -> None:
    """Nobody has to know."""
