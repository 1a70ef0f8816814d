# SPDX-License-Identifier: GPL-3.0-or-later
"""From ten sessions on paper to real money, on loopback, with every refusal between.

`connect` never takes loopback for paper or live; these tests hand in connections that do.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import iverson as iv
from iverson.cli.main import main
from iverson.config import Settings
from iverson.errors import ConfigError, Refused
from iverson.market.calendar import new_york
from iverson.model import CashFlow, Stage
from iverson.monitoring.alerts import Alert
from iverson.monitoring.evidence import Alerts, Compared
from iverson.monitoring.journal import Journal
from iverson.monitoring.outbox import Outbox, path_of
from iverson.simulator.server import Simulator
from iverson.stages.checked_off import CheckedOff, alerts_of, check_off, gathered
from iverson.stages.drill import drill
from iverson.stages.token import token_path
from iverson.system import System
from tests.stages.paper_kit import connection_to, connects
from tests.stages.trading_kit import after_close, checked, exchange, system

FIRST, SESSIONS = date(2005, 3, 1), 11
MAX_LOSS = 500.0
CENT = 0.01
TOLD = Alerts(configured=True, sent=5)
BEFORE_CLOSE = timedelta(minutes=5)
SMALL: dict[str, Any] = {"capital": iv.CapitalSteps()}


def days(count: int = SESSIONS) -> list[date]:
    return [new_york().offset(FIRST, number) for number in range(count)]


def falling(day: date) -> datetime:
    return new_york().open_at(day) + timedelta(minutes=40)


def traded(made: System, venue: Simulator, journal: Path, sessions: list[date]) -> None:
    """Wake as cron would: minutes before the close for exits, after it for the new bar."""
    for number, day in enumerate(sessions):
        if number:
            venue.advance_to(new_york().close_at(day) - BEFORE_CLOSE)
            made.paper(journal=journal)
        venue.advance_to(after_close(day))
        went = made.paper(journal=journal)
        assert (went.session, went.acted, went.alarms) == (day, True, [])


@dataclass
class Desk:
    """A system that has traded on paper, its journal, and the numbers of both accounts."""

    made: System
    venue: Simulator
    journal: Path
    live: str

    def drill(self) -> None:
        connection = connection_to(self.venue, Stage.PAPER)
        assert drill(self.made._traded(), connection, self.journal).passed
        connection.close()

    def check(self, made: System | None = None, **more: Any) -> CheckedOff:
        stage = more.pop("stage", Stage.PAPER)
        connection = connection_to(self.venue, stage)
        given: dict[str, Any] = dict(account=self.live, max_loss=MAX_LOSS, alerts=TOLD) | more
        try:
            return check_off(
                (made or self.made)._traded(), self.journal, connection=connection, **given
            )
        finally:
            connection.close()


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("paper")
    made = checked(system(folder, **SMALL))
    patch = pytest.MonkeyPatch()
    patch.setenv("IVERSON_ALPACA_KEY", "PK1")
    patch.setenv("IVERSON_ALPACA_SECRET", "nobody's")
    with exchange(falling(FIRST)) as venue:
        connects(patch, venue, Stage.PAPER)
        mine = Desk(made, venue, folder / "iverson.db", live="123456789")
        sessions = days()
        traded(made, venue, mine.journal, sessions[:4])
        venue.advance_to(falling(sessions[4]))
        mine.drill()
        traded(made, venue, mine.journal, sessions[4:])
        yield mine
    patch.undo()


@pytest.fixture
def desk(paper: Desk, tmp_path: Path) -> Desk:
    """The same with a journal of the test's own."""
    for file in paper.journal.parent.glob("iverson.db*"):
        shutil.copy(file, tmp_path)
    return replace(paper, journal=tmp_path / "iverson.db")


@pytest.fixture
def passed(desk: Desk) -> CheckedOff:
    return desk.check()


def test_paper_run_with_a_drill_passes_and_writes_the_token(desk: Desk, passed: CheckedOff) -> None:
    assert passed.passed, str(passed)
    assert passed.token == token_path(desk.journal, "RsiReversion")
    assert passed.token.exists()
    assert {item.status for item in passed.checklist.items} == {"pass"}
    assert passed.as_dict()["token"] == str(passed.token)


def test_cash_that_a_deposit_moved_is_explained(desk: Desk) -> None:
    deposit, run = 40.0, "paper-RsiReversion"
    with Journal(desk.journal) as book:
        last: Any = book.values("equity", run=run)[-1]
        more = replace(last, cash=last.cash + deposit, equity=last.equity + deposit)
        book.append(run, CashFlow(last.at, last.session, "", "deposit", deposit))
        book.append(run, more)
    connection = connection_to(desk.venue, Stage.PAPER)
    found = gathered(
        desk.made._traded(), desk.journal, connection=connection, number=number_of(desk.venue),
        account=None, max_loss=None, alerts=TOLD,
    ).parity  # fmt: skip
    connection.close()

    assert isinstance(found, Compared)
    assert found.dollars > deposit / 2
    assert abs(found.unexplained) <= CENT


def test_checklist_leaves_journal_and_account_as_they_are(desk: Desk, passed: CheckedOff) -> None:
    before, orders = desk.journal.read_bytes(), len(desk.venue.ledger["orders"])

    desk.check()

    assert desk.journal.read_bytes() == before
    assert len(desk.venue.ledger["orders"]) == orders


class Quiet(iv.RiskRule):
    """Denies nothing."""


def other(made: System, what: str) -> System:
    """The system with one thing changed."""
    if what == "parameters":
        return made.with_params(oversold=44)
    if what == "a rule more":
        return made.with_rules(*made.rules, Quiet())
    if what == "a rule less":
        return made.with_rules(*tuple(made.rules)[:-1])
    if what == "a limit of a rule":
        fewer: Any = iv.rules.MaxPositions
        own = (fewer(limit=4) if isinstance(one, fewer) else one for one in made.rules)
        return made.with_rules(*own)
    if what == "sizing":
        return replace(made, sizing=iv.RiskSizing(notional=0.10))
    if what == "symbols":
        return replace(made, symbols=["AAPL", "MSFT"])
    if what == "order of symbols":
        return replace(made, symbols=list(reversed(list(made.symbols))))
    if what == "universe":
        spells = [(symbol, "2000-01-03", None) for symbol in made.symbols]
        return replace(made, universe=iv.Universe(membership=spells))
    assert what == "capital"
    return replace(made, capital=iv.CapitalSteps(trades=20))  # type: ignore[call-arg]  # once it has it


CHANGES = [
    "parameters", "a rule more", "a rule less", "a limit of a rule", "sizing", "symbols",
    "order of symbols", "universe", "capital",
]  # fmt: skip


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """A live account, opened when the paper run has ended."""
    with exchange(after_close(days()[-1]), paper=False) as venue:
        connects(monkeypatch, venue, Stage.LIVE)
        yield venue


def number_of(venue: Simulator) -> str:
    return str(venue.ledger["account"]["account_number"])


def go(desk: Desk, made: System, venue: Simulator, **more: Any) -> Any:
    given: dict[str, Any] = dict(max_loss=MAX_LOSS, account=number_of(venue)) | more
    return made.live(journal=desk.journal, **given)


def test_token_opens_live_for_this_system_and_account_alone(desk: Desk, live: Simulator) -> None:
    with pytest.raises(Refused, match=r"has no go-live token|is for another account"):
        go(desk, desk.made, live)
    assert desk.check(account=number_of(live)).passed

    went = go(desk, desk.made, live)

    assert (went.run, went.stage, went.acted) == ("live-RsiReversion", Stage.LIVE, True)
    assert went.alarms == []


@pytest.mark.parametrize("what", CHANGES)
def test_token_is_refused_after_a_change(desk: Desk, live: Simulator, what: str) -> None:
    assert desk.check(account=number_of(live)).passed
    changed = other(desk.made, what)

    with pytest.raises(Refused, match="is for another configuration"):
        go(desk, changed, live)
    found = desk.check(changed)
    assert "sessions on paper" in {item.name for item in found.checklist.missing}
    assert live.ledger["orders"] == []


def test_token_is_refused_after_a_change_of_the_source(
    desk: Desk, live: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.check(account=number_of(live)).passed
    monkeypatch.setattr("iverson.stages.token.source_digest", lambda _: "0" * 64)

    with pytest.raises(Refused, match="is for another source"):
        go(desk, desk.made, live)
    names = {item.name for item in desk.check().checklist.missing}
    assert {"sessions on paper", "rules seen to deny"} <= names


def test_token_is_refused_after_a_change_of_a_rules_code(
    desk: Desk, live: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.check(account=number_of(live)).passed
    monkeypatch.setattr("iverson.stages.token.parts_digest", lambda _: "0" * 64)

    with pytest.raises(Refused, match="is for another configuration"):
        go(desk, desk.made, live)


def test_larger_loss_than_was_agreed_on_is_refused(desk: Desk, live: Simulator) -> None:
    assert desk.check(account=number_of(live)).passed

    with pytest.raises(Refused, match=r"\$500.01 is more than the \$500.00 agreed on"):
        go(desk, desk.made, live, max_loss=MAX_LOSS + 0.01)
    assert go(desk, desk.made, live, max_loss=MAX_LOSS - 1).acted


def test_paper_accounts_own_number_is_refused(desk: Desk) -> None:
    with pytest.raises(Refused, match="is the paper account itself"):
        desk.check(account=number_of(desk.venue))


def test_simulator_never_writes_a_token(desk: Desk, passed: CheckedOff) -> None:
    """The same journal and account, but for what `connect` says of loopback."""
    token_path(desk.journal, "RsiReversion").unlink()
    found = desk.check(stage=Stage.REHEARSE)

    assert not found.passed
    assert "a rehearsal never writes a go-live token" in str(found)
    assert not token_path(desk.journal, "RsiReversion").exists()


def test_live_keys_are_refused_by_the_checklist(desk: Desk) -> None:
    with pytest.raises(Refused, match="the checklist is about paper"):
        desk.check(stage=Stage.LIVE)


def test_order_of_somebody_else_is_found(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """One fill and one working order that no journal knows; both are taken back afterwards."""
    connection = connection_to(desk.venue, Stage.PAPER)
    body = {"symbol": "AAPL", "qty": "1", "side": "buy", "type": "limit", "time_in_force": "gtc"}
    reply = connection.venue.caller.call("POST", "/orders", {**body, "limit_price": "1.00"})
    found = desk.check()
    connection.venue.cancel(reply.body["id"])
    connection.close()

    (item,) = found.checklist.missing
    assert (item.name, item.status) == ("orders journaled", "fail")
    assert f"a working order for AAPL, {reply.body['id']}" in item.evidence
    assert desk.check().passed


def awake(desk: Desk, venue: Simulator, day: date, loss: float) -> Any:
    """Both wakes of a session; returns the one after the close."""
    venue.advance_to(new_york().close_at(day) - BEFORE_CLOSE)
    go(desk, desk.made, venue, max_loss=loss)
    venue.advance_to(after_close(day))
    return go(desk, desk.made, venue, max_loss=loss)


def test_maximum_loss_leaves_everything_and_halts_for_good(desk: Desk, live: Simulator) -> None:
    """Every wake is a restart: all that it knows is in the journal."""
    loss = 3.0  # reached at the first close, while the stops are far
    assert desk.check(account=number_of(live)).passed
    go(desk, desk.made, live, max_loss=loss)
    later = iter([new_york().offset(days()[-1], number) for number in range(1, 12)])
    for day in later:
        went = awake(desk, live, day, loss)
        if any(one.rule == "max loss" for one in went.record.halts):
            break
    (halt,) = went.record.halts
    assert halt.flatten
    assert -halt.value >= loss
    assert live.ledger["positions"] != []

    awake(desk, live, next(later), loss)

    assert live.ledger["positions"] == []
    orders = len(live.ledger["orders"])
    answers = [one for day in later for one in awake(desk, live, day, MAX_LOSS).record.verdicts]
    assert len(answers) > 5
    assert {(one.approved, one.rule) for one in answers} == {(False, "max loss")}
    assert len(live.ledger["orders"]) == orders
    with Journal(desk.journal, read_only=True) as book:
        left = book.fills(run="live-RsiReversion").query("leg == 'flatten'")
    assert not left.empty


def test_command_prints_every_item_and_its_exit_code_says_whether_all_passed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("iverson.cli.checklist.load_system", lambda _: (desk.made, None))
    monkeypatch.setattr("iverson.stages.going_live.alerts_of", lambda *_: TOLD)
    monkeypatch.setattr(
        "iverson.stages.going_live.connect", lambda *_: connection_to(desk.venue, Stage.PAPER)
    )

    def said(*options: str, code: int) -> str:
        with pytest.raises(SystemExit) as left:
            main(("checklist", "any", "--journal", str(desk.journal), *options))
        shown = capfd.readouterr()
        assert left.value.code == code, shown.err
        return shown.out

    table = said("--account", desk.live, code=1)
    assert "maximum loss chosen" in table
    assert "1 of 16 items are missing; no go-live token" in table
    read = json.loads(said("--account", desk.live, "--json", code=1))
    assert (read["passed"], read["token"]) == (False, None)
    assert not token_path(desk.journal, "RsiReversion").exists()

    options = ("--account", desk.live, "--max-loss", "500")
    assert "all passed; go-live token:" in said(*options, code=0)
    assert token_path(desk.journal, "RsiReversion").exists()
    read = json.loads(said(*options, "--json", code=0))
    assert {item["status"] for item in read["items"]} == {"pass"}
    assert read["token"] == str(token_path(desk.journal, "RsiReversion"))


def test_damaged_journal_is_not_believed(desk: Desk) -> None:
    with sqlite3.connect(desk.journal) as file:
        file.execute("DROP TRIGGER events_are_not_updated")
        file.execute("UPDATE events SET payload = replace(payload, '1', '2') WHERE seq = 20")
    file.close()

    found = desk.check()

    assert not found.passed
    (item,) = (one for one in found.checklist.items if one.name == "journal whole")
    assert (item.status, item.rows) == ("fail", (20,))
    assert "0 of 10 sessions" in str(found)


def test_alerts_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    journal, now = tmp_path / "j.db", datetime(2024, 3, 5, 15, tzinfo=UTC)
    chosen = Settings(telegram_token="1:a", telegram_chat=5)  # noqa: S106 (of no bot)
    assert alerts_of(Settings(), journal) == Alerts(configured=False)
    assert alerts_of(chosen, journal) == Alerts(configured=True)
    told = [Alert(str(n), n, "halt", now, f"text {n}", f"line {n}") for n in range(3)]

    with Outbox(path_of(journal)) as box:
        box.queue([(one, False) for one in told[:2]], journal="a" * 64, seq=2, now=now)
        assert alerts_of(chosen, journal) == Alerts(configured=True, queued=2)
        box.sent(box.begin(now), 7, now=now)
        box.queue([(told[2], False)], journal="a" * 64, seq=3, now=now)
        later = now + timedelta(minutes=5)
        box.undelivered(box.begin(later), "no such chat", now=later, permanent=True)

    found = alerts_of(chosen, journal)
    assert (found.sent + found.queued, found.failed) == (2, 1)
    assert found.sent >= 1


def test_rule_typed_into_a_notebook_trades_on_paper_and_never_live(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody could tell later whether it is still the same."""
    monkeypatch.setitem(sys.modules, "a_notebook", ModuleType("a_notebook"))
    typed = type("Typed", (iv.RiskRule,), {"__module__": "a_notebook"})
    made = desk.made.with_rules(typed(), *desk.made.rules)
    with exchange(after_close(FIRST)) as venue:
        connects(monkeypatch, venue, Stage.PAPER)
        assert made.paper(journal=tmp_path / "typed.db").acted

    with pytest.raises(ConfigError, match="a rule or the sizing is in no file"):
        desk.check(made)
