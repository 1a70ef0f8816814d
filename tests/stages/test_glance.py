# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson status`: the journal's side, and the broker's beside it when it is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from iverson.cli.main import main
from iverson.cli.status import shown
from iverson.config import settings
from iverson.errors import DataError
from iverson.market.calendar import utc_now
from iverson.monitoring.journal import Journal
from iverson.simulator.server import Simulator
from iverson.stages.glance import Glance
from iverson.stages.operator import write_halt
from iverson.system import System
from tests.stages.trading_kit import after_close, checked, exchange, system, use

RUN = "rehearse-RsiReversion"
DAYS = (date(2005, 3, 10), date(2005, 3, 11), date(2005, 3, 14))  # with entries, then fills


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> System:
    return checked(system(tmp_path_factory.mktemp("checked")))


@pytest.fixture
def venue(made: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """An exchange on which the system has traded three days."""
    with exchange(after_close(DAYS[0])) as opened:
        use(monkeypatch, opened, tmp_path)
        for day in DAYS:
            opened.advance_to(after_close(day))
            made.wake()
        yield opened


def glance(folder: Path, **more: object) -> Glance:
    given = dict(chosen=settings(), clock=utc_now) | more
    return Glance(folder / "iverson.db", **given)  # type: ignore[arg-type]  # by name


def test_journal_and_broker_agree_on_what_is_held(venue: Simulator, tmp_path: Path) -> None:
    with glance(tmp_path) as looking:
        standing, broker = looking.look()

    assert broker is not None
    assert (standing.run, standing.state, looking.fault) == (RUN, "active", "")
    held = {one.symbol: one.size for one in standing.positions}
    assert held
    assert held == {symbol: size for symbol, size in broker.sizes.items() if size}
    assert broker.at == venue.now
    assert broker.equity == pytest.approx(standing.equity, abs=0.005)  # noted at the same close


def test_view_shows_each_position_with_its_stop_and_a_halt_in_red(
    venue: Simulator, tmp_path: Path
) -> None:
    with Journal(tmp_path / "iverson.db") as journal:
        write_halt(journal, RUN, by="command line", at=venue.now, reason="a look first")
    with glance(tmp_path) as looking:
        standing, broker = looking.look()
    console = Console(width=120, record=True)
    console.print(shown(standing, broker, looking.fault))
    text = console.export_text()

    assert f"{RUN}  halted" in text
    assert "a look first" in text
    for one in standing.positions:
        (line,) = (row for row in text.splitlines() if row.startswith(f" {one.symbol} "))
        assert f"{one.stop:,.2f}" in line
    assert "by journal and broker" in text


def test_broker_that_is_gone_costs_its_side_only(
    venue: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with glance(tmp_path, by_journal=True) as looking:
        standing, broker = looking.look()
    assert (broker, looking.fault) == (None, "")

    monkeypatch.setenv("IVERSON_ALPACA_SECRET", "wrong")
    with glance(tmp_path) as looking:
        again, broker = looking.look()
    assert broker is None
    assert "keys" in looking.fault
    assert again.positions == standing.positions


def test_command_gives_both_sides_as_json(
    venue: Simulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["status", str(tmp_path / "iverson.db"), "--json"])

    assert not ended.value.code
    told = json.loads(capsys.readouterr().out)
    assert told["journal"]["run"] == RUN
    assert told["broker"]["sizes"]


def test_journal_without_a_run_says_how_to_begin_one(tmp_path: Path) -> None:
    Journal(tmp_path / "iverson.db").close()

    with pytest.raises(DataError, match="no run yet"):
        glance(tmp_path)
    with pytest.raises(DataError, match="there is no journal"):
        glance(tmp_path / "elsewhere")
