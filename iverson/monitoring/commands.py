# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands from the phone: who may give them, what they mean, which need a code. Pure.

No command opens a position or adds to one. A stranger gets no answer at all, so that nobody learns
that there is a robot. What may make things worse when it is done by mistake (resume, flatten) asks
for a code first; a halt never does, is never too old and never too much.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from secrets import randbelow
from typing import Any, Literal, Protocol, get_args

from iverson.errors import DataError
from iverson.monitoring.events import Command
from iverson.monitoring.message import message, shown

Name = Literal[
    "status", "positions", "orders", "today", "report", "halt", "resume", "flatten", "help"
]
NAMES: tuple[Name, ...] = get_args(Name)
WITH_CODE = frozenset({"resume", "flatten"})
DIGITS, TRIES, VALID = 6, 3, timedelta(minutes=2)  # of a code
A_MINUTE = 20  # commands, beside halts
OLD = timedelta(minutes=5)  # when a command is not carried out any more
STRANGERS = 20  # who are written down in an hour
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HELP = (
    "/status how it stands",
    "/positions what is held, with its stops",
    "/orders what is at work",
    "/today fills and results of the day",
    "/report the daily report",
    "/halt no more entries; stops stay (a reason may follow)",
    "/resume entries again, with a code",
    "/flatten halt and leave every position now, with a code",
)


class Said(Protocol):
    """What somebody wrote to the bot: the number of the update, where, who, what and when."""

    @property
    def update(self) -> int:
        """Number of the update."""
        ...

    @property
    def chat(self) -> int:
        """Where it was said."""
        ...

    @property
    def user(self) -> int:
        """Who said it."""
        ...

    @property
    def text(self) -> str:
        """What was said."""
        ...

    @property
    def at(self) -> datetime:
        """When, by Telegram's clock."""
        ...


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was given out: whose, for what, since when, and how often it may be mistaken."""

    user: int
    command: str
    digits: str
    at: datetime
    tries: int = TRIES


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered from one message to the next, also across processes.

    `dealt` is the last update that was dealt with, `lately` when commands were given in the last
    minute, `strangers` when each was written down.
    """

    dealt: int = 0
    codes: tuple[Code, ...] = ()
    lately: tuple[datetime, ...] = ()
    strangers: tuple[tuple[int, datetime], ...] = ()

    def text(self) -> str:
        """Write it as JSON."""
        return json.dumps(
            {
                "dealt": self.dealt,
                "codes": [
                    [one.user, one.command, one.digits, one.at.isoformat(), one.tries]
                    for one in self.codes
                ],
                "lately": [at.isoformat() for at in self.lately],
                "strangers": [[user, at.isoformat()] for user, at in self.strangers],
            }
        )

    @classmethod
    def of(cls, text: str) -> State:
        """Read it back; `DataError` when it is damaged."""
        try:
            raw = json.loads(text)
            return cls(
                int(raw["dealt"]),
                tuple(
                    Code(int(user), str(command), str(digits), _instant(at), int(tries))
                    for user, command, digits, at, tries in raw["codes"]
                ),
                tuple(map(_instant, raw["lately"])),
                tuple((int(user), _instant(at)) for user, at in raw["strangers"]),
            )
        except (ValueError, LookupError, TypeError) as error:
            raise DataError(
                f"what was kept of the commands cannot be read ({error}); remove the file"
            ) from error


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from a message: something to do, an answer (HTML), a row for the journal.

    `does` None with no answer is silence. `reason` is what was said beside a halt or a flatten.
    """

    does: Name | None = None
    by: str = ""
    text: str = ""
    reason: str = ""
    answer: str | None = None
    row: Command | None = None


def judge(
    state: State,
    said: Said,
    *,
    now: datetime,
    users: Collection[int],
    chat: int | None,
    code: Callable[[], str] | None = None,
) -> tuple[State, Decision]:
    """Decide what follows from a message.

    Parameters
    ----------
    users, chat: who may command, and where; both have to fit.
    code: gives six digits; default at random, by `secrets`.
    """
    state = replace(
        state,
        dealt=max(state.dealt, said.update),
        codes=tuple(one for one in state.codes if now - one.at <= VALID + OLD),
        lately=tuple(at for at in state.lately if now - at < MINUTE),
        strangers=tuple(one for one in state.strangers if now - one[1] < HOUR),
    )
    if chat is None or said.chat != chat or said.user not in users:
        return _stranger(state, said, now)
    asked = parse(said.text)
    if asked is None:
        return state, Decision()
    name, argument = asked
    by = f"telegram {said.user}"
    if name == "halt":
        return state, Decision("halt", by, _noted(name, argument), argument)
    if len(state.lately) >= A_MINUTE:
        return _too_many(state, name, by, now)
    state = replace(state, lately=(*state.lately, now))
    if now - said.at > OLD:
        words = message("That was said {at}, which is too old; say it again.", at=_clock(said.at))
        return state, _told(words, name, by, "too old", now)
    if name not in NAMES:
        return state, Decision(
            answer=message("There is no command {name}. ", name=name) + help_text()
        )
    if name in WITH_CODE:
        return _with_code(state, said, name, argument, now, code or random_code)
    return state, Decision(name, by, f"/{name}")


def parse(text: str) -> tuple[Any, str] | None:
    """Return the name of a command and what follows it; None for a text that is none."""
    first, *rest = text.strip().split(maxsplit=1) or [""]
    name = first[1:].partition("@")[0].lower()
    if not first.startswith("/") or not name:
        return None
    return name, shown(rest[0]) if rest else ""


def reply(title: str, lines: Iterable[str]) -> str:
    """Return an answer: a title and lines, every one of them data."""
    body = [message("{line}", line=line) for line in lines]
    return "\n".join([message("<b>{title}</b>", title=title), *body])


def help_text() -> str:
    """Return what can be said."""
    return "\n".join(["<b>Commands</b>", *HELP])


def random_code() -> str:
    """Return six random digits."""
    return f"{randbelow(10**DIGITS):0{DIGITS}d}"


def _with_code(  # noqa: PLR0917 (what `judge` has found out so far)
    state: State, said: Said, name: Name, argument: str, now: datetime, code: Callable[[], str]
) -> tuple[State, Decision]:
    by = f"telegram {said.user}"
    given = next((one for one in state.codes if (one.user, one.command) == (said.user, name)), None)
    others = tuple(one for one in state.codes if one is not given)
    if not argument:
        made = Code(said.user, name, code(), now)
        words = message(
            "To {name}, say within two minutes:\n<code>/{name} {digits}</code>",
            name=name, digits=made.digits,
        )  # fmt: skip
        state = replace(state, codes=(*others, made))
        return state, _told(words, name, by, "asked for a code", now)
    if given is None:
        words = message("No code waits for you; say /{name} alone to get one.", name=name)
        return state, _told(words, name, by, "no code was given out", now)
    if said.at - given.at > VALID:
        state = replace(state, codes=others)
        words = message("That code is too old; say /{name} alone to get another.", name=name)
        return state, _told(words, name, by, "code too old", now)
    if not hmac.compare_digest(argument.encode(), given.digits.encode()):
        left = given.tries - 1
        if not left:
            words = "That was wrong three times; the code is not valid any more."
            return replace(state, codes=others), _told(words, name, by, "code cancelled", now)
        state = replace(state, codes=(*others, replace(given, tries=left)))
        words = message("That is not the code; {left} more may be tried.", left=left)
        return state, _told(words, name, by, "wrong code", now)
    return replace(state, codes=others), Decision(name, by, f"/{name} ******")


def _stranger(state: State, said: Said, now: datetime) -> tuple[State, Decision]:
    """Answer nothing, and write one row a stranger and hour."""
    known = {user for user, _ in state.strangers}
    if said.user in known or len(known) >= STRANGERS:
        return state, Decision()
    state = replace(state, strangers=(*state.strangers, (said.user, now)))
    row = Command(
        now,
        shown(said.text),
        f"telegram {said.user} in chat {said.chat}",
        "not allowed, unanswered",
    )
    return state, Decision(row=row)


def _too_many(state: State, name: str, by: str, now: datetime) -> tuple[State, Decision]:
    """Answer once, then nothing until a minute has passed."""
    if len(state.lately) > A_MINUTE:
        return state, Decision()
    words = f"More than {A_MINUTE} commands in a minute; wait a little. /halt always counts."
    state = replace(state, lately=(*state.lately, now))
    return state, _told(words, name, by, "too many", now)


def _told(answer: str, name: str, by: str, outcome: str, now: datetime) -> Decision:
    return Decision(answer=answer, row=Command(now, f"/{shown(name)}", by, outcome))


def _noted(name: str, argument: str) -> str:
    return f"/{name} {argument}".strip()


def _clock(at: datetime) -> str:
    return f"at {at:%Y-%m-%d %H:%M} UTC"


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return at
