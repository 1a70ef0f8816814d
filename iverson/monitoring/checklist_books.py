# SPDX-License-Identifier: GPL-3.0-or-later
"""The items about the books: what is written down adds up, and nothing is open."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from iverson.book import Halt
from iverson.model import Answer, Execution, Fill, Intent, OrderEvent, Trade
from iverson.monitoring.checklist_item import Item, numbers, plural, some
from iverson.monitoring.events import Alarm
from iverson.monitoring.evidence import Evidence, Row
from iverson.monitoring.record import EquityRow, Release, RunRow
from iverson.monitoring.replay import rebuild_equity

NEAR = 1e-6  # shares
UNEXPLAINED = 0.0005  # of what the run began with: dollars that no decision accounts for
CENT_USD = 0.01  # a venue shows its cash in cents, fills may have parts of them
UNPROTECTED = "unprotected"


def orders(evidence: Evidence) -> Item:
    """Ask that every order, execution and fill has the rows that belong to it."""
    name, venue = "orders journaled", evidence.venue
    loose = [*_loose(evidence.paper), *_broken_off(evidence.drills)]
    rows = tuple(number for number, _ in loose)
    count = sum(isinstance(one, Intent) for _, one in evidence.paper)
    if loose:
        words = some((f"row {number}: {said}" for number, said in loose), "; ")
        return Item(name, "fail", words, rows, "wake or drill once more: it settles what is open")
    if venue is not None and venue.unknown:
        return Item(
            name, "fail", f"the account shows what the journal does not: {some(venue.unknown)}",
            (), "trade an account that nobody else trades, with one journal",
        )  # fmt: skip
    if count == 0:
        return Item(name, "not yet", "no order yet", (), "go on with `iverson paper`")
    if venue is None:
        return Item(
            name, "not yet", f"{plural(count, 'order')}; the account was not asked", (),
            "set the keys of the paper account",
        )  # fmt: skip
    found = tuple(number for number, one in evidence.paper if isinstance(one, Intent))
    at_venue = f"{venue.orders} filled at the venue, all known"
    words = f"{plural(count, 'order')} ({numbers(found)}), {at_venue}"
    return Item(name, "pass", words, found)


def protection(evidence: Evidence) -> Item:
    """Ask that every filled share had its stop, or was left."""
    name, venue = "shares protected", evidence.venue
    entered = _numbers(evidence.paper, Fill, "entry")
    bare = _unprotected(evidence.paper)
    if bare:
        words = some((f"row {number}: {one.reason}" for number, one in bare), "; ")
        rows = tuple(number for number, _ in bare)
        return Item(name, "fail", words, rows, "look at the account, and leave what has no stop")
    if venue is not None and venue.bare:
        return Item(
            name, "fail", some(venue.bare, "; "), (), "`iverson paper` protects what it holds"
        )
    if not entered:
        return Item(name, "not yet", "no share yet", (), "go on with `iverson paper`")
    looked = "nobody looked at the account" if venue is None else "none is bare at the venue"
    words = f"{plural(len(entered), 'entry fill')} ({numbers(entered)}), no alarm open; {looked}"
    return Item(name, "pass", words, entered)


def chain(evidence: Evidence) -> Item:
    """Ask that no row of the journal was changed or lost."""
    name = "journal whole"
    if evidence.damaged is not None:
        return Item(
            name, "fail", f"row {evidence.damaged} is not as it was written, or missing",
            (evidence.damaged,), "keep the file, and begin with a new journal",
        )  # fmt: skip
    if not evidence.rows:
        return Item(name, "not yet", "the journal is empty", (), "begin with `iverson paper`")
    return Item(name, "pass", f"{plural(evidence.rows, 'row')}, the chain of hashes holds")


def sums(evidence: Evidence) -> Item:
    """Ask that cash and equity follow from fills and cash flows, to the cent."""
    name, rows = "books add up", evidence.paper
    cash = next((one.cash for _, one in rows if isinstance(one, RunRow)), math.nan)
    marked = tuple(number for number, one in rows if isinstance(one, EquityRow))
    if not marked:
        return Item(name, "not yet", "no account noted yet", (), "go on with `iverson paper`")
    wrong = rebuild_equity((one for _, one in rows), cash=cash, tolerance_usd=CENT_USD)
    if wrong:
        first = wrong[0]
        words = (
            f"on {first.session} {first.what} is ${first.journaled:,.2f}, the rows before it give "
            f"${first.expected:,.2f}; {plural(len(wrong), 'difference')}"
        )
        bad = tuple(n for n, one in rows if isinstance(one, EquityRow) and one.at == first.at)
        return Item(
            name, "fail", words, bad, "find what moved the cash, and begin with a new journal"
        )
    words = f"{plural(len(marked), 'session')} rebuilt from fills, to the cent ({numbers(marked)})"
    return Item(name, "pass", words, marked)


def alarms(evidence: Evidence) -> Item:
    """Ask that no alarm is open and no halt waits for a person."""
    name, rows = "no alarm open", evidence.paper
    if not rows:
        return Item(name, "not yet", "nothing has traded yet", (), "begin with `iverson paper`")
    said = {number: f"{one.rule}: {one.reason}" for number, one in _open_alarms(rows)}
    said |= {number: f"{one.rule} halts: {one.reason}" for number, one in _open_halts(rows)}
    problems = () if evidence.venue is None else evidence.venue.problems
    if said or problems:
        words = some([*(f"row {number}: {said[number]}" for number in sorted(said)), *problems])
        return Item(
            name, "fail", words, tuple(sorted(said)), "find the cause, then release the halt"
        )
    count = sum(isinstance(one, Alarm) for _, one in rows)
    return Item(name, "pass", f"{plural(count, 'alarm')}, none open")


def alerts(evidence: Evidence) -> Item:
    """Ask that alerts reach a person."""
    name, box = "alerts received", evidence.alerts
    if not box.configured:
        return Item(
            name, "fail", "Telegram is not configured", (),
            "set IVERSON_TELEGRAM_TOKEN and IVERSON_TELEGRAM_CHAT, then `iverson alerts --test`",
        )  # fmt: skip
    words = f"{box.sent} delivered, {box.queued} waiting, {box.failed} failed"
    if box.tested is not None:
        words = f"{words}; test message of {box.tested:%Y-%m-%d %H:%M} UTC"
    if box.failed:
        return Item(name, "fail", words, (), "see `iverson alerts` for the reasons")
    if box.queued or not (box.sent or box.tested):
        return Item(
            name, "not yet", words, (), "deliver what waits with `iverson alerts --send`, or trade"
        )
    return Item(name, "pass", words)


def parity(evidence: Evidence) -> Item:
    """Ask that paper decided what the backtest of the same bars decides."""
    name, found = "same decisions as the backtest", evidence.parity
    if isinstance(found, str):
        return Item(name, "not yet", found, (), "`iverson parity` says more")
    bound = UNEXPLAINED * found.start
    causes = Counter(words.partition(":")[0] for words in found.filled)
    explained = ", ".join(f"{count} by {cause}" for cause, count in sorted(causes.items()))
    words = (
        f"{plural(found.decisions, 'decision')}, {len(found.decided)} decided otherwise, "
        f"{len(found.filled)} filled otherwise{f' ({explained})' if explained else ''}; "
        f"{_signed(found.dollars)} dollars, {_signed(found.unexplained)} of them unexplained "
        f"(at most {bound:,.2f})"
    )
    if found.decided or not abs(found.unexplained) <= bound:
        more = some(found.decided, "; ")
        return Item(
            name, "fail", f"{words}: {more}" if more else words, (),
            "`iverson parity` names the causes; mend them, and begin with a new journal",
        )  # fmt: skip
    if not found.decisions:
        return Item(name, "not yet", words, (), "go on with `iverson paper`")
    return Item(name, "pass", words)


def capital(evidence: Evidence) -> Item:
    """Ask for steps by which sizes grow."""
    name = "capital steps configured"
    if evidence.capital:
        return Item(name, "pass", evidence.capital)
    return Item(
        name, "not yet", "none: sizes would begin at their full risk", (),
        "add capital=iv.CapitalSteps() to the system, and trade it on paper like that",
    )  # fmt: skip


def max_loss(evidence: Evidence) -> Item:
    """Ask for the loss agreed beforehand."""
    name, dollars = "maximum loss chosen", evidence.max_loss
    if dollars is not None and math.isfinite(dollars) and dollars > 0:
        return Item(name, "pass", f"${dollars:,.2f}, then everything is left for good")
    given = "none" if dollars is None else f"{dollars!r}"
    return Item(name, "not yet", given, (), "decide on one, as --max-loss 500")


def account(evidence: Evidence) -> Item:
    """Ask for the account that the token is for."""
    name = "account named"
    if evidence.account:
        return Item(name, "pass", evidence.account)
    return Item(
        name, "not yet", "none", (), "give the number of the live account, as --account 123456789"
    )


def _signed(dollars: float) -> str:
    return f"{round(dollars, 2) + 0.0:+,.2f}"


# -- what is loose in the rows -----------------------------------------------------------------


def _loose(rows: Sequence[Row]) -> list[tuple[int, str]]:
    """Return rows that lack the row that belongs to them, each with what it lacks."""
    values = [one for _, one in rows]
    intents = {one.name for one in values if isinstance(one, Intent)}
    answered = {one.name for one in values if isinstance(one, Answer)}
    events = {one.order_id for one in values if isinstance(one, OrderEvent)}
    booked: dict[str, float] = defaultdict(float)
    for one in values:
        if isinstance(one, Fill):
            booked[one.order_id] += one.size
    found: list[tuple[int, str]] = []
    for number, one in rows:
        if isinstance(one, Answer) and one.name not in intents:
            found.append((number, f"an answer about {one.symbol} without its intent"))
        elif isinstance(one, Intent) and one.name not in answered:
            found.append((number, f"an intent for {one.symbol} without its answer"))
        elif isinstance(one, Fill) and one.order_id not in events:
            found.append((number, f"a fill of {one.symbol} without its order"))
        elif isinstance(one, Execution):
            order = f"{one.key}-{one.leg.replace(' ', '-')}"
            booked[order] -= one.size
            if booked[order] < -NEAR:
                found.append((number, f"an execution of {one.symbol} without its fill"))
    return found


def _broken_off(drills: Sequence[Row]) -> list[tuple[int, str]]:
    """Return the orders of drills whose end is not noted."""
    ended = {one.order_id for _, one in drills if isinstance(one, OrderEvent)}
    return [
        (number, f"a drill's order for {one.symbol} was not taken back")
        for number, one in drills
        if isinstance(one, Intent) and one.name not in ended
    ]


def _unprotected(rows: Sequence[Row]) -> list[tuple[int, Alarm]]:
    """Return the alarms about shares without a stop that nothing has repaired since."""
    found: dict[str, tuple[int, Alarm]] = {}
    for number, one in rows:
        if isinstance(one, Alarm) and one.rule == UNPROTECTED:
            found[one.symbol or one.reason.partition(":")[0].partition(" ")[0]] = number, one
        elif isinstance(one, Trade) or (isinstance(one, Intent) and one.leg == "stop"):
            found.pop(one.symbol, None)  # left, or protected again
    return list(found.values())


def _open_alarms(rows: Sequence[Row]) -> list[tuple[int, Alarm]]:
    """Return the alarms after which nobody released their rule and no session went well.

    One that halts is open as long as its halt is: see `_open_halts`.
    """
    found: dict[str, tuple[int, Alarm]] = {}
    for number, one in rows:
        if isinstance(one, Alarm):
            found[one.rule] = number, one
        elif isinstance(one, Release):
            found.pop(one.rule, None)
        elif isinstance(one, EquityRow):
            found.clear()
    return list(found.values())


def _open_halts(rows: Sequence[Row]) -> list[tuple[int, Halt]]:
    """Return the halts that only a person ends, and nobody has."""
    found: dict[str, tuple[int, Halt]] = {}
    for number, one in rows:
        if isinstance(one, Halt) and (one.latched or one.until is None):
            found[one.rule] = number, one
        elif isinstance(one, Release):
            found.pop(one.rule, None)
    return list(found.values())


def _numbers(rows: Sequence[Row], kind: type[Fill], leg: str) -> tuple[int, ...]:
    return tuple(number for number, one in rows if isinstance(one, kind) and one.leg == leg)
