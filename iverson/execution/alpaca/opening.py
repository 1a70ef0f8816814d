# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking over an account: what an ended process left in doubt is settled before anything else.

In this order: intents without an answer, entries whose time is over, orders from before a split,
cash that moved without a fill. Whatever is found is noted, so that the next start finds it done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from iverson.errors import OutOfSync
from iverson.execution.alpaca.flows import new_flows
from iverson.execution.alpaca.protocol import Placed, Placing
from iverson.execution.alpaca.states import Holding, OrderState, Standing
from iverson.execution.alpaca.venue import Venue
from iverson.execution.alpaca.wire import is_ours
from iverson.execution.decisions import OpenGroup, Reading
from iverson.execution.reconcile import Reconciled, Shown, Written, reconcile
from iverson.market.calendar import midnight, new_york
from iverson.market.moments import number_of
from iverson.model import Answer, Intent

FILLS_BEFORE = timedelta(days=1)  # before the oldest open decision
SEND_SECONDS = 120.0  # how late an entry may still be sent that a process left unsent
AGAIN_SECONDS = (1.0, 2.0, 4.0)  # before books that differ are believed to differ
WORD_TRIES, WORD_SECONDS = 40, 0.25  # how long the venue's word on a cancel is waited for


@dataclass(frozen=True, slots=True)
class Opening:
    """The account as a run finds it; `problems` in words, told and noted as halts already."""

    account: Standing
    groups: tuple[OpenGroup, ...]
    foreign: tuple[Holding, ...]
    problems: tuple[str, ...]
    marks: dict[str, float]


@dataclass(slots=True)
class TakingOver:
    """One start. `note` writes a value down, durably; `late` is told of what was missed.

    `halt` refuses entries until a person has looked, as (rule, reason). It comes before the notes:
    what is noted explains the trouble away for whoever starts next.
    """

    venue: Venue
    written: Written
    note: Callable[[Any], None]
    late: Callable[[Any], None]
    halt: Callable[[str, str], None]
    clock: Callable[[], datetime]
    pause: Callable[[float], None]

    def opening(self) -> Opening:
        """Settle what is in doubt, reconcile, and return what is open."""
        account = self.venue.account()
        problems = [("doubt", words) for words in self._settle_doubts()]
        self._note_flows()
        found = self._agreed()
        if self._withdraw([*self._overdue(found), *found.stale]):
            found = self._agreed()
        problems += [("out of sync", words) for words in found.problems]
        if account.blocks:
            blocks = ", ".join(account.blocks)
            problems.append(("account", f"the account does not trade: {blocks}"))
        for rule, words in problems:
            self.halt(rule, words)
        for execution in found.missed:
            self.note(execution)
            self.late(execution)
        for event in found.ended:
            self.note(event)
        self._withdraw(found.sweep)
        marks = {one.symbol: one.mark for one in self.venue.holdings()} if found.groups else {}
        return Opening(
            account, found.groups, found.foreign, tuple(words for _, words in problems), marks
        )

    def look(self) -> Reconciled:
        """Lay the books beside each other, and change nothing."""
        return self._agreed()

    # -- intents without an answer -------------------------------------------------------------

    def _settle_doubts(self) -> Iterator[str]:
        """Find out what became of intents whose answer nobody wrote down.

        An entry that never arrived is sent now, under its name, while its moment lasts and nothing
        is halted. An exit is not: what has to be protected or left now follows from the position as
        it is.
        """
        placing = Placing(self.venue.caller, self.clock, self.pause)
        for intent in self.written.intents:
            if intent.name in self.written.answered:
                continue
            placed = self._settled(intent, placing)
            when = self.clock()
            order_id = placed.order.id if placed.order else ""
            self.note(
                Answer(
                    when, new_york().session_of(when), intent.name, intent.symbol,
                    placed.ending, placed.reason, order_id, placed.posts,
                )
            )  # fmt: skip
            if placed.ending == "abandoned" and placed.posts:
                yield f"{intent.symbol}: an order may or may not be there: {placed.reason}"

    def _settled(self, intent: Intent, placing: Placing) -> Placed:
        found = self.venue.order_named(intent.name)
        if found is not None:
            return Placed("accepted", "found at a later start", 0, found)
        halted = any(halt.in_force(self.clock()) for halt in self.written.halts)
        if intent.leg == "entry" and not halted and self.clock() <= sendable_until(intent.at):
            return self.venue.place(intent, seen_before=True)
        looked = placing.look(intent.name)
        if isinstance(looked, OrderState):
            return Placed("accepted", "found at a later start", 0, looked)
        return looked or Placed("abandoned", "never sent, and its moment is over", 0)

    # -- cash and splits -----------------------------------------------------------------------

    def _note_flows(self) -> None:
        """Note cash and splits that came without a fill; the books then have them too."""
        written = self.written
        if written.since is None:
            return
        found = new_flows(
            self.venue.movements(written.since), written.flows, written.executions,
            session_of=new_york().session_of,
        )  # fmt: skip
        for flow in found:
            self.note(flow)
            self.late(flow)
        self.written = replace(written, flows=(*written.flows, *found))

    # -- what stands at the venue --------------------------------------------------------------

    def _agreed(self) -> Reconciled:
        """Reconcile, again if something is wrong: a fill may fall between two reads, or lag."""
        found = self._reconcile()
        for seconds in AGAIN_SECONDS:
            if not found.problems:
                break
            self.pause(seconds)
            found = self._reconcile()
        return found

    def _reconcile(self) -> Reconciled:
        shown = {}
        for intent in self.written.intents:
            order = self._followed(self.venue.order_named(intent.name))
            if order is not None:
                shown[intent.name] = order
        oldest = min((intent.at for intent in self.written.intents), default=self.clock())
        return reconcile(
            self.written,
            Shown(
                shown,
                self.venue.fills(oldest - FILLS_BEFORE),
                self.venue.holdings(),
                self.venue.open_orders(),
            ),
            Reading(new_york().session_of, number_of, is_ours),
        )

    def _overdue(self, found: Reconciled) -> list[str]:
        """Entries whose time is over: one that has ended gives its slot and its money back."""
        return [
            group.entry.id
            for group in found.groups
            if group.entry is not None
            and group.entry.alive
            and group.bracket is not None
            and group.bracket.valid_until <= self.clock()
        ]

    def _withdraw(self, order_ids: Any) -> bool:
        """Cancel orders and wait for the venue's word; whether there were any."""
        for order_id in order_ids:
            self.venue.cancel(order_id)
        for order_id in order_ids:
            for _ in range(WORD_TRIES):
                state = self.venue.order(order_id)
                if state is None or not state.alive:
                    break
                self.pause(WORD_SECONDS)
        return bool(order_ids)

    def _followed(self, order: OrderState | None) -> OrderState | None:
        """Return an order with its legs, those that were re-priced after what they became."""
        if order is None:
            return None
        nested = self.venue.order(order.id) or order
        legs = [one for leg in nested.legs for one in chain(self.venue, leg)]
        return replace(nested, legs=tuple(legs))


def chain(venue: Venue, order: OrderState) -> list[OrderState]:
    """Return an order and those it was replaced by, one after the other."""
    found = [order]
    while order.replaced_by and all(one.id != order.replaced_by for one in found):
        after = venue.order(order.replaced_by)
        if after is None:
            raise OutOfSync(f"{order.symbol}: order {order.replaced_by} is not to be found")
        found.append(order := after)
    return found


def sendable_until(at: datetime) -> datetime:
    """Return until when an entry decided on the bar of an instant may be sent for the first time.

    Within a session so long after the bar; after its close until the day of the next session
    begins: by its open the shares, and so the prices, may be others.
    """
    calendar = new_york()
    session = calendar.session_of(at)
    if calendar.open_at(session) <= at < calendar.close_at(session):
        return at + timedelta(seconds=SEND_SECONDS)
    return midnight(calendar.session_of(calendar.next_open(at)))
