# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may command, what needs a code, how often, and what an answer can carry."""

from __future__ import annotations

import string
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iverson.errors import DataError
from iverson.monitoring.commands import (
    A_MINUTE,
    NAMES,
    STRANGERS,
    TRIES,
    WITH_CODE,
    Decision,
    State,
    help_text,
    judge,
    parse,
    random_code,
    reply,
)
from tests.monitoring.bot_api import parse as parsed

USER, OTHER, STRANGER, CHAT, CODE = 7, 8, 666, 42, "123456"
NOON = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)
RISKY = sorted(WITH_CODE)


@dataclass(frozen=True)
class Said:
    """A message."""

    text: str
    update: int = 1
    chat: int = CHAT
    user: int = USER
    at: datetime = NOON


@dataclass
class Talk:
    """A conversation by the clock."""

    now: datetime = NOON
    state: State = field(default_factory=State)
    code: str = CODE
    number: int = 0

    def say(self, text: str, *, wait: float = 0.0, ago: float = 0.0, **who: int) -> Decision:
        """Say something so many seconds later, heard `ago` seconds after it was said."""
        self.now += timedelta(seconds=wait)
        self.number += 1
        said = Said(text, update=self.number, at=self.now - timedelta(seconds=ago), **who)
        self.state, decision = judge(
            self.state, said, now=self.now, users=(USER, OTHER), chat=CHAT, code=lambda: self.code
        )
        return decision


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/status", ("status", "")),
        ("  /HALT the news \n today ", ("halt", "the news today")),
        ("/halt@iverson_bot now", ("halt", "now")),
        ("halt", None),
        ("/", None),
        ("", None),
        ("123456", None),
        ("/@bot", None),
    ],
)
def test_command_is_a_word_after_a_slash(text: str, expected: Any) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("name", [one for one in NAMES if one not in WITH_CODE])
def test_command_without_a_code_is_done(name: str) -> None:
    decision = Talk().say(f"/{name}")

    assert (decision.does, decision.by, decision.answer) == (name, "telegram 7", None)


@pytest.mark.parametrize(
    "who", [{"user": STRANGER}, {"chat": CHAT + 1}, {"user": STRANGER, "chat": 1}, {"user": 0}]
)
@pytest.mark.parametrize("name", NAMES)
def test_stranger_and_wrong_chat_get_no_answer(name: str, who: dict[str, int]) -> None:
    """Both the user and the chat have to fit."""
    talk = Talk()
    first, second = talk.say(f"/{name}", **who), talk.say(f"/{name}", wait=3599, **who)
    third = talk.say(f"/{name}", wait=2, **who)

    assert [one.does for one in (first, second, third)] == [None] * 3
    assert [one.answer for one in (first, second, third)] == [None] * 3
    assert first.row is not None
    assert first.row.outcome == "not allowed, unanswered"
    assert second.row is None
    assert third.row is not None


def test_crowd_of_strangers_does_not_fill_the_journal() -> None:
    talk = Talk()
    rows = [talk.say("/start", user=1000 + number).row for number in range(10 * STRANGERS)]

    assert sum(row is not None for row in rows) == STRANGERS


def test_nobody_may_command_without_a_chat() -> None:
    _, decision = judge(State(), Said("/halt"), now=NOON, users=(USER,), chat=None)

    assert decision.does is None
    assert decision.answer is None


@pytest.mark.parametrize("name", RISKY)
def test_code_is_asked_for_and_used_once(name: str) -> None:
    talk = Talk()
    asked = talk.say(f"/{name}")
    done = talk.say(f"/{name} {CODE}", wait=60)
    again = talk.say(f"/{name} {CODE}", wait=1)

    assert asked.does is None
    assert f"<code>/{name} {CODE}</code>" in str(asked.answer)
    assert (done.does, done.text) == (name, f"/{name} ******")
    assert again.does is None
    assert "No code waits" in str(again.answer)


@pytest.mark.parametrize(("wait", "does"), [(119, "resume"), (120, "resume"), (121, None)])
def test_code_is_valid_for_two_minutes(wait: float, does: str | None) -> None:
    talk = Talk()
    talk.say("/resume")

    assert talk.say(f"/resume {CODE}", wait=wait).does == does


def test_code_counts_by_when_it_was_said() -> None:
    """A wake hears minutes later what was said in time."""
    talk = Talk()
    talk.say("/resume")

    assert talk.say(f"/resume {CODE}", wait=300, ago=250).does == "resume"


def test_three_wrong_tries_cancel_a_code() -> None:
    talk = Talk()
    talk.say("/flatten")
    answers = [str(talk.say("/flatten 000000").answer) for _ in range(TRIES)]

    assert "2 more" in answers[0]
    assert "1 more" in answers[1]
    assert "not valid any more" in answers[2]
    assert talk.say(f"/flatten {CODE}").does is None


def test_code_of_another_user_or_command_is_none() -> None:
    talk = Talk()
    talk.say("/flatten")

    assert talk.say(f"/flatten {CODE}", user=OTHER).does is None
    assert talk.say(f"/resume {CODE}").does is None
    assert talk.say(f"/flatten {CODE}").does == "flatten"


def test_new_code_replaces_the_old_one() -> None:
    talk = Talk()
    talk.say("/resume")
    talk.code = "654321"
    talk.say("/resume")

    assert talk.say(f"/resume {CODE}").does is None
    assert talk.say("/resume 654321").does == "resume"


def test_code_is_in_no_row() -> None:
    talk = Talk()
    decisions = [talk.say("/flatten"), talk.say("/flatten 999999"), talk.say(f"/flatten {CODE}")]

    assert [one.row is not None for one in decisions] == [True, True, False]
    assert not any(CODE in f"{one.row}{one.text}" or "999999" in str(one.row) for one in decisions)


def test_more_than_twenty_a_minute_are_answered_once_and_a_halt_always_counts() -> None:
    talk = Talk()
    within = [talk.say("/status", wait=1) for _ in range(A_MINUTE)]
    beyond = [talk.say("/status", wait=1) for _ in range(5)]

    assert all(one.does == "status" for one in within)
    assert [one.answer is not None for one in beyond] == [True, False, False, False, False]
    assert all(one.does is None for one in beyond)
    assert talk.say("/halt").does == "halt"
    assert talk.say("/status", wait=61).does == "status"


@pytest.mark.parametrize("text", ["/status", "/resume", f"/flatten {CODE}", "/help"])
def test_old_command_is_to_be_said_again(text: str) -> None:
    decision = Talk().say(text, ago=301)

    assert decision.does is None
    assert "say it again" in str(decision.answer)
    assert decision.row is not None
    assert decision.row.outcome == "too old"


def test_halt_is_never_too_old() -> None:
    assert Talk().say("/halt the news", ago=86_400).does == "halt"


def test_text_that_is_no_command_is_not_answered() -> None:
    assert Talk().say("good morning") == Decision()


def test_unknown_command_gets_the_list() -> None:
    decision = Talk().say("/buy <b>AAPL</b>")

    assert decision.does is None
    assert "no command buy" in str(decision.answer)
    assert help_text() in str(decision.answer)


def test_random_codes_have_six_digits_and_differ() -> None:
    codes = {random_code() for _ in range(100)}

    assert all(len(one) == len(CODE) and set(one) <= set(string.digits) for one in codes)
    assert len(codes) > 90


@given(st.lists(st.text(max_size=300), max_size=5), st.text(max_size=50))
def test_answer_has_the_tags_of_its_template_whatever_is_in_it(
    lines: list[str], title: str
) -> None:
    _, tags, links = parsed(reply(title, lines))

    assert tags == ("b", "/b")
    assert links == ()


@given(st.text(max_size=300))
def test_whatever_is_said_is_answered_in_sound_html(text: str) -> None:
    for said in (f"/{text}", f"/resume {text}", text):
        answer = Talk().say(said).answer
        if answer is not None:
            assert set(parsed(answer)[1]) <= {"b", "/b", "code", "/code"}


_SAYING = st.tuples(
    st.sampled_from([*NAMES, "buy", "long"]),
    st.sampled_from(["", CODE, "000000"]),
    st.sampled_from([USER, OTHER, STRANGER]),
    st.integers(0, 200),
)


@given(st.lists(_SAYING, max_size=40))
def test_what_needs_a_code_is_done_only_with_one_that_was_given_out(
    sayings: list[tuple[str, str, int, int]],
) -> None:
    """A model of the codes by hand: given out, in time, not mistaken three times, used once."""
    talk = Talk()
    valid: dict[tuple[int, str], tuple[datetime, int]] = {}
    for name, code, user, wait in sayings:
        before = talk.state
        decision = talk.say(f"/{name} {code}", user=user, wait=wait)
        assert State.of(talk.state.text()) == talk.state
        assert decision.does is None or decision.does in NAMES
        if name not in WITH_CODE:
            continue
        given_at, tries = valid.get((user, name), (None, 0))
        fits = given_at is not None and (talk.now - given_at) <= timedelta(minutes=2) and tries
        limited = len([at for at in before.lately if talk.now - at < timedelta(minutes=1)])
        if limited >= A_MINUTE:
            assert decision.does is None
            continue
        assert (decision.does == name) == bool(fits and code == CODE and user != STRANGER)
        if user == STRANGER:
            continue
        if not code:
            valid[user, name] = (talk.now, TRIES)
        elif decision.does or not fits:
            valid.pop((user, name), None)
        elif given_at is not None:
            valid[user, name] = (given_at, tries - 1)


def test_damaged_state_is_a_sentence() -> None:
    with pytest.raises(DataError, match="remove the file"):
        State.of('{"dealt": 1}')


def test_state_forgets_what_is_over() -> None:
    talk = Talk()
    talk.say("/resume")
    talk.say("/status", user=STRANGER)
    talk.say("/status", wait=3601)

    assert talk.state == replace(talk.state, codes=(), strangers=())
    assert len(talk.state.lately) == 1
