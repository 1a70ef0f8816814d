# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands heard from a phone by hand and over a Bot API on loopback, and carried out."""

from __future__ import annotations

import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iverson.book import Halt
from iverson.errors import BrokerUnavailable, ConfigError, IversonError
from iverson.market.calendar import utc_now
from iverson.model import Intent
from iverson.monitoring.events import Command
from iverson.monitoring.journal import Journal
from iverson.monitoring.record import Note, Release
from iverson.monitoring.telegram import Telegram, Undelivered
from iverson.risk.max_loss import FOR_GOOD
from iverson.stages import admission
from iverson.stages.herald import Herald
from iverson.stages.listening import Listening, state_path
from tests.monitoring.bot_api import BotApi, parse
from tests.stages.phone import CHAT, OTHER, STRANGER, USER, Phone, Place, listening
from tests.stages.play import RUN
from tests.stages.test_operator import BOUGHT, entries_after_halt
from tests.stages.trading_kit import after_close, exchange, system, use

CODE = "123456"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(BOUGHT, tmp_path)
    yield made
    made.street.close()


@pytest.fixture
def bought(place: Place) -> Place:
    """In the middle of a session, with shares under a stop and a target."""
    place.wake_until(2)
    place.noon()
    return place


@pytest.fixture
def phone() -> Phone:
    return Phone()


def rows(place: Place) -> list[tuple[str, str, str]]:
    commands: list[Command] = place.noted("command")
    return [(one.text, one.by, one.outcome) for one in commands]


def test_status_says_how_it_stands(bought: Place, phone: Phone) -> None:
    phone.say("/status")
    listening(phone, bought).poll()

    (answer,) = phone.answers
    assert f"<b>Status of {RUN}</b>" in answer
    assert "state: active" in answer
    assert "equity $100,000.00, today +$0.00" in answer
    assert "1 position, 0 entries waiting" in answer
    assert rows(bought) == [("/status", f"telegram {USER}", "answered")]


def test_positions_and_orders_say_where_the_stop_is(bought: Place, phone: Phone) -> None:
    phone.say("/positions")
    phone.say("/orders")
    phone.say("/today")
    listening(phone, bought).poll()

    positions, orders, today = phone.answers
    assert "TEST: 200 at 100.00, now 100.00 (+$0.00), stop 95.00 (5.0% away)" in positions
    assert "target 104.00, held 1 session" in positions
    assert "no stop stands" not in positions
    assert "TEST: sell 200 stop at 95.00" in orders
    assert "TEST: sell 200 limit at 104.00" in orders
    assert "no fills" in today


def test_position_without_a_stop_at_the_broker_is_told(bought: Place, phone: Phone) -> None:
    bought.street.exchange.cancel_all(bought.street.account)
    bought.street.pause(1)
    phone.say("/positions")
    listening(phone, bought).poll()

    assert "TEST: no stop stands at the broker" in phone.answers[0]


def test_broker_that_is_down_is_told_and_the_journal_answers(bought: Place, phone: Phone) -> None:
    @contextmanager
    def reach() -> Iterator[Any]:
        raise BrokerUnavailable("Alpaca sleeps <script>")
        yield

    phone.say("/status")
    phone.say("/halt")
    listening(phone, bought, reach=reach).poll()

    status, halted = phone.answers
    assert "by the journal alone" in status
    assert "Alpaca sleeps &lt;script&gt;" in status
    assert "was not asked to take entries back" in halted
    assert [one.rule for one in bought.noted("halt")] == ["operator"]


def test_report_is_what_is_given(bought: Place, phone: Phone) -> None:
    phone.say("/report")
    listening(phone, bought, report=lambda run: f"<b>day</b> of {run}").poll()
    phone.say("/report")
    listening(phone, bought).poll()

    assert phone.answers[0] == f"<b>day</b> of {RUN}"
    assert "there is none here" in phone.answers[1]


def test_halt_then_resume_with_a_code(bought: Place, phone: Phone) -> None:
    bot = listening(phone, bought)
    for text in ("/halt too <b>wild", "/resume", f"/resume {CODE}"):
        phone.say(text)
        bot.poll()

    assert "too &lt;b&gt;wild" not in phone.answers[0]  # said back only where the journal is read
    assert f"/resume {CODE}" in phone.answers[1]
    assert "released operator" in phone.answers[2]
    assert [one.reason for one in bought.noted("halt")] == [f"by telegram {USER}: too <b>wild"]
    assert [one.reason for one in bought.noted("release")] == [f"released by telegram {USER}"]
    assert [outcome for _, _, outcome in rows(bought)][1] == "asked for a code"
    assert not any(CODE in text for text, _, _ in rows(bought))


def test_flatten_with_a_code_leaves_the_account_flat(bought: Place, phone: Phone) -> None:
    bot = listening(phone, bought)
    phone.say("/flatten")
    bot.poll()
    assert bought.held == {"TEST": 200}

    phone.say(f"/flatten {CODE}")
    bot.poll()

    assert bought.held == {}
    assert "The account holds nothing" in phone.answers[-1]
    bought.wake_until(5)
    assert bought.alarms == []


def test_strangers_get_silence_and_one_row(bought: Place, phone: Phone) -> None:
    bot = listening(phone, bought)
    for text in ("/halt", "/flatten", "/status"):
        phone.say(text, user=STRANGER)
        phone.say(text, chat=CHAT + 1)
        bot.poll()

    assert phone.answers == []
    assert bought.noted("halt") == []
    assert rows(bought) == [
        ("/ halt", f"telegram {STRANGER} in chat {CHAT}", "not allowed, unanswered"),
        ("/ halt", f"telegram {USER} in chat {CHAT + 1}", "not allowed, unanswered"),
    ]


def test_codes_offset_and_strangers_survive_a_restart(bought: Place, phone: Phone) -> None:
    phone.say("/resume")
    last = phone.say("/status", user=STRANGER)
    listening(phone, bought).poll()
    kept = state_path(bought.path)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600

    phone.say("/status", user=STRANGER)
    phone.say(f"/resume {CODE}")
    bot = listening(phone, bought)
    bot.poll()

    assert phone.asked[:3] == [0, last, last]  # ticked off at Telegram, and not heard again
    assert "nothing to release" in phone.answers[-1]
    assert len(rows(bought)) == 3


def test_damaged_file_of_codes_is_refused_in_one_sentence(bought: Place, phone: Phone) -> None:
    state_path(bought.path).write_text("{")

    with pytest.raises(IversonError, match="remove the file"):
        listening(phone, bought)


# -- killed in between -----------------------------------------------------------------------------


class Killed(BaseException):
    """The process ends here."""


def killed_while(bot: Listening, when: str) -> None:
    """Have the bot die where a step of its own begins."""

    def die(*_: Any, **__: Any) -> Any:
        raise Killed

    setattr(bot, when, die)
    with pytest.raises(Killed):
        bot.poll()


def test_halt_killed_before_it_is_ticked_off_is_done_again(bought: Place, phone: Phone) -> None:
    phone.say("/halt")
    killed_while(listening(phone, bought), "_keep")
    assert len(bought.noted("halt")) == 1

    listening(phone, bought).poll()

    assert len(bought.noted("halt")) == 1
    assert len(phone.answers) == 1
    assert len(rows(bought)) == 2


def test_halt_killed_before_it_is_done_is_not_lost(bought: Place, phone: Phone) -> None:
    phone.say("/halt", ago=3600)
    killed_while(listening(phone, bought), "_carried_out")

    listening(phone, bought).poll()

    assert len(bought.noted("halt")) == 1


def test_flatten_killed_before_it_is_ticked_off_is_done_again(bought: Place, phone: Phone) -> None:
    bot = listening(phone, bought)
    phone.say("/flatten")
    bot.poll()
    phone.say(f"/flatten {CODE}")
    killed_while(bot, "_keep")
    orders = len(bought.street.witness.orders())

    listening(phone, bought).poll()

    assert bought.held == {}
    assert len(bought.street.witness.orders()) == orders
    assert len(bought.noted("halt")) == 1


def test_resume_killed_before_it_is_done_is_never_done(bought: Place, phone: Phone) -> None:
    """What is released by mistake is worse than what has to be said twice."""
    bot = listening(phone, bought)
    phone.say("/halt")
    phone.say("/resume")
    bot.poll()
    phone.say(f"/resume {CODE}")
    killed_while(bot, "_carried_out")

    again = listening(phone, bought)
    again.poll()

    assert bought.noted("release") == []
    phone.say(f"/resume {CODE}")
    again.poll()
    assert bought.noted("release") == []  # the code was used


# -- Telegram is down ------------------------------------------------------------------------------


def test_bot_outlives_a_telegram_that_is_down(bought: Place, phone: Phone) -> None:
    turns = 0
    phone.down = Undelivered("Telegram cannot be reached", retry_after=3.0)
    phone.say("/halt")

    def stopped() -> bool:
        nonlocal turns
        turns += 1
        if turns == 6:
            phone.down = None
        return turns > 20 or bool(phone.answers)

    listening(phone, bought).listen(stopped)

    assert len(bought.noted("halt")) == 1
    assert len(phone.answers) == 1


def test_token_that_is_none_ends_the_bot(bought: Place, phone: Phone) -> None:
    phone.down = Undelivered("Telegram does not know the token", permanent=True)

    with pytest.raises(Undelivered, match="does not know"):
        listening(phone, bought).listen(lambda: False)


def test_answer_that_does_not_arrive_changes_nothing(bought: Place, phone: Phone) -> None:
    class Mute(Phone):
        def send(self, html: str, *, silent: bool = False) -> int:
            raise Undelivered("not now")

    mute = Mute()
    mute.say("/halt")
    bot = listening(mute, bought)

    assert (bot.poll(), bot.poll()) == (1, 0)
    assert len(bought.noted("halt")) == 1


def test_one_bot_listens_at_a_time(bought: Place, phone: Phone) -> None:
    first, second = listening(phone, bought), listening(Phone(), bought)

    def stopped() -> bool:
        with pytest.raises(ConfigError, match="another process listens"):
            second.listen(lambda: True)
        assert second.poll() == 0
        return True

    first.listen(stopped)


class Hasty(Journal):
    """Waits less for a locked file than a person would."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **{**options, "wait_seconds": 0.05})


def test_journal_that_cannot_be_written_is_told_once_and_the_halt_comes_later(
    bought: Place, phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iverson.stages.listening.Journal", Hasty)
    bot = listening(phone, bought)
    phone.say("/halt")
    with Journal(bought.path) as journal, journal.transaction():
        journal.append(RUN, Note(bought.street.now, "busy"))
        for _ in range(2):
            with pytest.raises(IversonError, match="locked"):
                bot.poll()
    assert len(phone.answers) == 1
    assert "was not done" in phone.answers[0]

    bot.poll()

    assert len(bought.noted("halt")) == 1


# -- whatever is commanded -------------------------------------------------------------------------

_COMMANDS = st.sampled_from(
    ["/halt", "/resume", f"/resume {CODE}", "/flatten", f"/flatten {CODE}", "/status", "/buy TEST",
     "/positions", "/orders", "/today", "/report", "/help", "/resume 000000"]
)  # fmt: skip
_TURNS = st.lists(
    st.one_of(st.tuples(_COMMANDS, st.sampled_from([USER, OTHER, STRANGER])), st.just("noon")),
    max_size=12,
)


@settings(max_examples=25)
@given(turns=_TURNS)
def test_no_commands_ever_add_to_a_position_or_lift_the_maximum_loss(turns: list[Any]) -> None:
    """Shares only become fewer, no entry is sent, and what is for good stays."""
    with tempfile.TemporaryDirectory(prefix="iverson-commands-") as folder:
        place, phone = Place(BOUGHT, Path(folder)), Phone()
        place.wake_until(2)
        with Journal(place.path, durable=False) as journal:
            journal.append(
                RUN, Halt("max loss", "lost", since=place.street.now, until=FOR_GOOD, flatten=True)
            )
        bot, held = listening(phone, place), 200.0
        for turn in turns:
            if turn == "noon":
                place.noon()
            else:
                phone.say(turn[0], user=turn[1])
                phone.now += timedelta(seconds=5)
                bot.poll()
            now = place.held.get("TEST", 0.0)
            assert 0 <= now <= held
            held = now
        place.street.close()
        releases: list[Release] = place.noted("release")
        assert "max loss" not in {one.rule for one in releases}
        intents: list[Intent] = place.noted("intent")
        assert sum(one.leg == "entry" for one in intents) == 1
        assert entries_after_halt(place) == []


# -- over the wire ---------------------------------------------------------------------------------


def test_commands_over_the_bot_api(bought: Place) -> None:
    """The real client against a Bot API on loopback, to the answers that Telegram would show."""
    with (
        BotApi(chat=CHAT) as api,
        closing(Telegram(api.token, chat=CHAT, url=api.url, pace_seconds=0.0)) as channel,
    ):
        bot = listening(Phone(), bought, clock=utc_now)
        bot._channel = channel
        api.say("/status", user=STRANGER)
        api.say("/halt", user=USER, chat=CHAT + 1)
        api.say("/halt <script>", user=USER)
        api.say("/positions", user=USER)
        bot.poll()
        api.say("/resume", user=OTHER)
        bot.poll()
        api.say(f"/resume {CODE}", user=OTHER)
        bot.poll()
        assert bot.poll() == 0

        halted, positions, asked, resumed = (one.text for one in api.messages)
    assert halted.startswith(f"Halt\n{RUN} is halted")
    assert "TEST: 200 at 100.00" in positions
    assert f"/resume {CODE}" in asked
    assert f"{RUN}: released operator." in resumed
    assert api.refused == []
    assert [one.rule for one in bought.noted("halt")] == ["operator"]
    assert parse(api.messages[0].html)[1] == ("b", "/b")


def test_wake_hears_the_commands_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no bot runs: a halt from the phone denies what the same wake would have entered."""
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    day = date(2005, 3, 1)
    with exchange(after_close(day)) as venue, BotApi(chat=CHAT) as api:
        use(monkeypatch, venue, tmp_path)
        monkeypatch.setenv("IVERSON_TELEGRAM_TOKEN", api.token)
        monkeypatch.setenv("IVERSON_TELEGRAM_CHAT", str(CHAT))
        monkeypatch.setenv("IVERSON_TELEGRAM_USERS", f"[{USER}]")
        monkeypatch.setenv("IVERSON_TELEGRAM_URL", api.url)
        api.say("/halt", user=USER)
        went = system(tmp_path).wake()

        assert went.notes == ()
        assert venue.ledger["orders"] == []
    assert any(one.text.startswith(f"Halt\n{went.run} is halted") for one in api.messages)
    assert "operator" in {one.rule for one in went.record.verdicts}
    assert not any(one.approved for one in went.record.verdicts)


def test_wake_goes_on_without_a_telegram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "passed", lambda *_, **__: True)
    monkeypatch.setattr(Herald.close, "__defaults__", (1.0,))  # seconds for alerts that wait
    with exchange(after_close(date(2005, 3, 1))) as venue:
        use(monkeypatch, venue, tmp_path)
        monkeypatch.setenv("IVERSON_TELEGRAM_TOKEN", "1:gone")
        monkeypatch.setenv("IVERSON_TELEGRAM_CHAT", str(CHAT))
        monkeypatch.setenv("IVERSON_TELEGRAM_USERS", f"[{USER}]")
        monkeypatch.setenv("IVERSON_TELEGRAM_URL", "http://127.0.0.1:9")
        went = system(tmp_path).wake()

    assert "commands were not heard: Telegram cannot be reached" in went.notes[-1]
    assert went.acted
