# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge is tested too: systems broken on purpose, each of which it has to find fault with."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from iverson.desk import Desk
from iverson.execution import reconcile as books
from iverson.execution.alpaca import opening, protection, protocol
from iverson.execution.alpaca.hearing import HearingBroker
from iverson.execution.alpaca.opening import TakingOver
from iverson.execution.alpaca.outcomes import Reply, outcome_of_order
from iverson.execution.alpaca.pace import Priority
from iverson.execution.alpaca.store import AlpacaStore
from iverson.execution.alpaca.venue import Venue
from iverson.stages import wake as waking
from tests.stages.cases import Case
from tests.stages.play import Played, play
from tests.stages.rig import UNSEEN
from tests.stages.scenes import scenes

SCENES = scenes()
Patch = pytest.MonkeyPatch


def sends_before_it_writes(patch: Patch) -> None:
    def intend(store: AlpacaStore, intent: Any, **_: Any) -> bool:
        return intent.name not in store._names

    def place(store: AlpacaStore, intent: Any, then: Callable[[Any], None], **_: Any) -> None:
        def sent() -> Any:
            placed = store.venue.place(intent)
            store.note(intent)
            return placed

        store.worker.do(Priority.ENTRY, sent, then)

    patch.setattr(AlpacaStore, "intend", intend)
    patch.setattr(AlpacaStore, "place", place)


def names_at_random(patch: Patch) -> None:
    patch.setattr(AlpacaStore, "name", lambda *_: f"iv1-{uuid.uuid4().hex}")


def a_timeout_is_a_rejection(patch: Patch) -> None:
    def judged(reply: Reply, name: str, **options: Any) -> str:
        found = outcome_of_order(reply, name, **options)
        return "rejected" if found == "unknown" else found

    patch.setattr(protocol, "outcome_of_order", judged)


def a_name_in_use_is_a_rejection(patch: Patch) -> None:
    def judged(reply: Reply, name: str, **options: Any) -> str:
        found = outcome_of_order(reply, name, **options)
        return "rejected" if found == "look" else found

    patch.setattr(protocol, "outcome_of_order", judged)


def nothing_is_reconciled(patch: Patch) -> None:
    def taken_over(self: TakingOver) -> Any:
        return opening.Opening(self.venue.account(), (), (), (), {})

    patch.setattr(TakingOver, "opening", taken_over)


def stops_are_as_large_as_the_order(patch: Patch) -> None:
    made = protection.protection_body

    def body(**options: Any) -> Any:
        return made(**{**options, "size": 200})

    patch.setattr(protection, "protection_body", body)
    patch.setattr(AlpacaStore, "_leave", lambda store, intent: store.venue.place(intent))


def old_entries_are_sent(patch: Patch) -> None:
    never = opening.sendable_until
    for module in (opening, waking):
        patch.setattr(module, "sendable_until", lambda at: never(at).replace(year=2099))


def executions_are_booked_twice(patch: Patch) -> None:
    once = HearingBroker.executed

    def executed(self: Any, tracked: Any, *told: Any) -> None:
        once(self, tracked, *told)
        tracked.filled = 0.0
        once(self, tracked, *told)

    patch.setattr(HearingBroker, "executed", executed)


def fills_of_the_account_are_forgotten(patch: Patch) -> None:
    patch.setattr(Venue, "fills", lambda *_: [])


def nobody_protects(patch: Patch) -> None:
    patch.setattr(protection.Protection, "step", lambda _: None)


def halts_are_not_written_down(patch: Patch) -> None:
    patch.setattr(Desk, "halt", lambda *_, **__: None)


def shares_that_are_gone_are_protected(patch: Patch) -> None:
    patch.setattr(books, "_gone", lambda *_: 0)
    patch.setattr(AlpacaStore, "_leave", lambda store, intent: store.venue.place(intent))


def a_signal_is_answered_anew(patch: Patch) -> None:
    made = waking.Desk

    def desk(**options: Any) -> Desk:
        return made(**{**options, "answered": {}})

    patch.setattr(waking, "Desk", desk)


def doubts_stay_unsettled(patch: Patch) -> None:
    def none(_: TakingOver) -> Iterable[str]:
        return ()

    patch.setattr(TakingOver, "_settle_doubts", none)


def splits_are_not_noticed(patch: Patch) -> None:
    patch.setattr(Venue, "movements", lambda *_: [])


@dataclass(frozen=True)
class Mutant:
    """A breakage, the scene that shows it, where that is broken, and a word of the complaint."""

    breaks: Callable[[Patch], None]
    scene: str
    complaint: str
    crash: str = ""  # the process ends at the first point of this name
    again: bool = True
    spoils: tuple[str, ...] = ()  # fates of the first POST and of the calls that follow it

    def case(self, unbroken: Played) -> Case:
        """Return where to break the scene."""
        post = unbroken.breaking.calls.index("POST orders") + 1
        spoils = {post + n: one for n, one in enumerate(self.spoils)}
        return Case(0, again=self.again, spoils=spoils, first=self.crash)


AFTER_POST, BEFORE_POST = "after POST orders", "before POST orders"
MUTANTS = [
    Mutant(sends_before_it_writes, "target", "orphan", AFTER_POST, again=False),
    Mutant(names_at_random, "target", "duplicate", AFTER_POST),
    Mutant(a_timeout_is_a_rejection, "stop", "cash", spoils=("answer lost",)),
    Mutant(
        a_name_in_use_is_a_rejection, "target", "fills",
        spoils=("answer lost", *[UNSEEN] * 5),
    ),
    Mutant(nothing_is_reconciled, "stop", "cash"),
    Mutant(stops_are_as_large_as_the_order, "partial, then stopped", "fills"),
    Mutant(old_entries_are_sent, "target", "late", BEFORE_POST, again=False),
    Mutant(executions_are_booked_twice, "time limit", "executions noted twice"),
    Mutant(fills_of_the_account_are_forgotten, "stop", "cash"),
    Mutant(nobody_protects, "partial, then stopped", "bare"),
    Mutant(halts_are_not_written_down, "closed by hand", "duplicate"),
    Mutant(shares_that_are_gone_are_protected, "closed by hand", "short"),
    Mutant(a_signal_is_answered_anew, "target", "verdicts", AFTER_POST),
    Mutant(doubts_stay_unsettled, "target", "fills", BEFORE_POST),
    Mutant(splits_are_not_noticed, "split", "bare"),
]  # fmt: skip


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.breaks.__name__)
def test_judge_finds_fault_with(mutant: Mutant, monkeypatch: Patch) -> None:
    scene = SCENES[mutant.scene]
    unbroken = play(scene)
    case = mutant.case(unbroken)
    assert case.run(scene, unbroken) == []  # what is not broken on purpose stands it

    mutant.breaks(monkeypatch)
    found = case.run(scene, unbroken)

    assert any(one.startswith(mutant.complaint) for one in found), found
