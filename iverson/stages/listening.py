# SPDX-License-Identifier: GPL-3.0-or-later
"""The bot that listens: commands from the phone, heard, carried out and answered.

A process of its own, so that a Telegram that is down delays no trading. What was dealt with is kept
beside the journal. A halt or a flatten is carried out first and then ticked off: killed in between
it is done again, which does no harm. A resume is ticked off first: it is never done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from iverson.config import Settings
from iverson.errors import ConfigError, IversonError
from iverson.execution.alpaca.venue import Venue
from iverson.market.files import locked_if_free, replace_file
from iverson.monitoring.commands import Decision, State, help_text, judge, reply
from iverson.monitoring.events import Command
from iverson.monitoring.journal import Journal
from iverson.monitoring.standing import (
    AtBroker,
    Standing,
    order_lines,
    position_lines,
    standing_of,
    status_lines,
    today_lines,
)
from iverson.monitoring.telegram import Heard, Telegram, Undelivered
from iverson.stages.leaving import flatten
from iverson.stages.operator import halt, resume
from iverson.stages.reaching import Reach, at_broker

LONG_POLL_SECONDS = 20.0  # how long Telegram is asked to wait for the first command
ROUNDS = 10  # of what waits at a wake; more waits for the next
WAKE_SECONDS = 3.0  # for a step of a request at a wake, which does not wait for a Telegram
LONGEST_SECONDS = 60.0  # between two tries, when Telegram is down
SHOWN_LINES = 40  # of an answer
AT_MOST_ONCE = frozenset({"resume"})
AT_LEAST_ONCE = frozenset({"halt", "flatten"})
logger = logging.getLogger(__name__)

Lines = Callable[[Standing, AtBroker | None], list[str]]
ANSWERS: dict[str, tuple[str, Lines]] = {
    "status": ("Status", status_lines),
    "positions": ("Positions", position_lines),
    "orders": ("Orders", order_lines),
    "today": ("Today", today_lines),
}


class Channel(Protocol):
    """What the bot needs of `Telegram`."""

    def send(self, html: str, *, silent: bool = False) -> int:
        """Send a message."""
        ...

    def updates(self, after: int, *, wait_seconds: float) -> list[Heard]:
        """Return what was said after an update."""
        ...


class Listening:
    """Hears the commands for one run.

    Parameters
    ----------
    channel: the `Telegram`. users, chat: who may command, and where.
    journal: the file. run: whose commands they are.
    reach: opens the account's venue; an error means that the broker cannot be reached.
    clock: of this machine, for what Telegram stamps; rows bear the venue's.
    pause: waits so many seconds.
    report: gives the daily report of a run as Telegram's HTML.
    code: gives six digits; None: at random.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        journal: Path,
        run: str,
        users: tuple[int, ...],
        chat: int,
        reach: Reach,
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
        report: Callable[[str], str] | None = None,
        code: Callable[[], str] | None = None,
    ) -> None:
        self._channel = channel
        self._journal, self._run = journal, run
        self._users, self._chat = users, chat
        self._reach, self._clock, self._pause = reach, clock, pause
        self._report, self._code = report, code
        self._path = state_path(journal)
        self._state = _kept(self._path)
        self._failed = 0  # the update that could not be carried out

    def listen(self, stopped: Callable[[], bool]) -> None:
        """Hear commands until it is stopped; Telegram may be down meanwhile.

        `ConfigError` when another process listens, `Undelivered` when nothing can help but a person
        (a token that is none).
        """
        with self._alone() as alone:
            if not alone:
                raise ConfigError(
                    f"another process listens for commands on {self._journal}; one is enough"
                )
            wait = 1.0
            while not stopped():
                try:
                    self._poll(LONG_POLL_SECONDS)
                    wait = 1.0
                except Undelivered as error:
                    if error.permanent:
                        raise
                    logger.warning("Telegram: %s", error)
                    wait = self._waited(error.retry_after or wait, stopped) * 2
                except (IversonError, OSError) as error:
                    logger.warning("a command could not be dealt with: %s", error)
                    wait = self._waited(wait, stopped) * 2

    def poll(self) -> int:
        """Hear what waits, without waiting for more; how many messages there were.

        Nothing when another process listens. `Undelivered` when Telegram is down.
        """
        heard = 0
        with self._alone() as alone:
            # Asking again is what tells Telegram that the last ones were dealt with.
            for _ in range(ROUNDS if alone else 0):
                new = self._poll(0.0)
                heard += new
                if not new:
                    break
        return heard

    def _poll(self, wait_seconds: float) -> int:
        heard = self._channel.updates(self._state.dealt, wait_seconds=wait_seconds)
        new = [one for one in heard if one.update > self._state.dealt]
        for one in new:
            self._deal(one)
        return len(new)

    def _deal(self, heard: Heard) -> None:
        now = self._clock()
        state, decision = judge(
            self._state, heard, now=now, users=self._users, chat=self._chat, code=self._code
        )
        answer: str | None
        if decision.does in AT_LEAST_ONCE:
            answer = self._carried_out(decision, heard.update)
            self._keep(state)
        else:
            self._keep(state)
            if decision.row is not None:
                self._note(decision.row)
            answer = decision.answer
            if decision.does is not None:
                answer = self._carried_out(decision, heard.update)
        if answer is not None:
            self._answer(answer)

    def _carried_out(self, decision: Decision, update: int) -> str:
        """Do what was asked and return the answer; it is journaled with what became of it."""
        assert decision.does is not None
        with ExitStack() as held:
            venue, why = self._reached(held)
            at = self._now(venue)
            try:
                answer, outcome = self._done(decision, venue, why, at)
            except IversonError as error:
                logger.warning("%s: %s", decision.text, error)
                answer, outcome = (
                    reply(f"{decision.does.capitalize()} was not done", [str(error)]),
                    str(error),
                )
                if decision.does in AT_LEAST_ONCE:
                    if update != self._failed:
                        self._answer(answer)
                    self._failed = update
                    raise  # heard again, and answered once
        self._note(Command(at, decision.text, decision.by, outcome))
        return answer

    def _done(
        self, decision: Decision, venue: Venue | None, why: str, at: datetime
    ) -> tuple[str, str]:
        name, by, reason = decision.does, decision.by, decision.reason
        if name == "help":
            return help_text(), "answered"
        if name == "report":
            if self._report is None:
                return reply("Report", ["there is none here"]), "no report"
            return self._report(self._run), "answered"
        if name in ANSWERS:
            title, lines = ANSWERS[name]
            return self._told(title, lines, venue, why, at), "answered"
        with Journal(self._journal) as journal:
            made: Any
            if name == "halt":
                made = halt(
                    journal, self._run, by=by, at=at, reason=reason, venue=venue, pause=self._pause
                )
            elif name == "flatten":
                made = flatten(
                    journal, self._run, by=by, at=at, reason=reason, venue=venue, pause=self._pause
                )
            else:
                made = resume(journal, self._run, by=by, at=at)
        words = str(made)
        return reply(str(name).capitalize(), [*words.splitlines(), *([why] if why else [])]), words

    def _told(self, title: str, lines: Lines, venue: Venue | None, why: str, at: datetime) -> str:
        with Journal(self._journal, read_only=True) as journal:
            standing = standing_of(journal, self._run, at=at)
        broker = None
        if venue is not None:
            try:
                broker = at_broker(venue, at)
            except IversonError as error:
                why = str(error)
        told = lines(standing, broker)
        if len(told) > SHOWN_LINES:
            told = [*told[:SHOWN_LINES], f"and {len(told) - SHOWN_LINES} more"]
        return reply(f"{title} of {self._run}", [*told, *([why] if why else [])])

    def _reached(self, held: ExitStack) -> tuple[Venue | None, str]:
        try:
            return held.enter_context(self._reach()), ""
        except IversonError as error:
            return None, f"the broker was not reached: {error}"

    def _now(self, venue: Venue | None) -> datetime:
        if venue is not None:
            try:
                return venue.clock()
            except IversonError:
                logger.warning("the venue does not tell the time")
        return self._clock()

    def _note(self, row: Command) -> None:
        with Journal(self._journal) as journal:
            journal.append(self._run, row)

    def _answer(self, html: str) -> None:
        """Send an answer; one that does not arrive changes nothing about what was done."""
        try:
            self._channel.send(html)
        except Undelivered as error:
            logger.warning("an answer was not delivered: %s", error)

    def _keep(self, state: State) -> None:
        if state != self._state:
            replace_file(self._path, lambda path: _write(path, state.text()))
            self._state = state

    def _alone(self) -> AbstractContextManager[bool]:
        return locked_if_free(self._path.with_name(f"{self._path.name}.lock"))

    def _waited(self, seconds: float, stopped: Callable[[], bool]) -> float:
        """Wait, a second at a time; returns how long that was to be."""
        seconds = min(seconds, LONGEST_SECONDS)
        for _ in range(max(1, round(seconds))):
            if not stopped():
                self._pause(min(seconds, 1.0))
        return seconds


def state_path(journal: Path) -> Path:
    """Return the file, beside a journal, of the commands dealt with."""
    return journal.with_name(f"{journal.name}.commands.json")


def telegram_of(chosen: Settings, *, timeout_seconds: float = 10) -> Telegram:
    """Return the bot of the settings; the timeout is that of each step of a request.

    Raises
    ------
    ConfigError: no token, no chat, or nobody who may command.
    """
    if chosen.telegram_token is None or chosen.telegram_chat is None or not chosen.telegram_users:
        raise ConfigError(
            "commands need IVERSON_TELEGRAM_TOKEN, IVERSON_TELEGRAM_CHAT and "
            "IVERSON_TELEGRAM_USERS (who may command, as [12345])"
        )
    return Telegram(
        chosen.telegram_token.get_secret_value(), chat=chosen.telegram_chat,
        url=chosen.telegram_url, timeout_seconds=timeout_seconds,
    )  # fmt: skip


def poll_waiting(
    chosen: Settings,
    *,
    journal: Path,
    run: str,
    venue: Venue,
    clock: Callable[[], datetime],
    pause: Callable[[float], None],
    report: Callable[[str], str] | None = None,
) -> str:
    """Hear the commands that wait, at a wake; returns what went wrong, "" for nothing.

    Without a bot or somebody who may command there is nothing to hear.
    """
    if chosen.telegram_token is None or chosen.telegram_chat is None or not chosen.telegram_users:
        return ""

    @contextmanager
    def reach() -> Iterator[Venue]:
        yield venue

    try:
        with closing(telegram_of(chosen, timeout_seconds=WAKE_SECONDS)) as bot:
            Listening(
                bot, journal=journal, run=run, users=chosen.telegram_users,
                chat=chosen.telegram_chat, reach=reach, clock=clock, pause=pause, report=report,
            ).poll()  # fmt: skip
    except (IversonError, OSError) as error:  # trading does not wait for it
        logger.warning("commands were not heard: %s", error)
        return f"commands were not heard: {error}"
    return ""


def _kept(path: Path) -> State:
    try:
        return State.of(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)  # codes are in it
