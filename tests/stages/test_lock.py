# SPDX-License-Identifier: GPL-3.0-or-later
"""One account, one writer: of two starts one is refused, and nothing is left behind by a kill."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from iverson.errors import ConfigError
from iverson.execution.alpaca.store import AlpacaStore
from iverson.model import Intent, Stage
from iverson.monitoring.journal import Journal
from iverson.stages.lock import account_lock
from iverson.stages.runs import begin
from iverson.stages.wake import wake
from tests.stages.play import RUN
from tests.stages.rig import Breaking, Street, journal_at, store_of
from tests.stages.scenes import scenes

HOLDER = """
import sys, time
from pathlib import Path
from iverson.stages.lock import account_lock
with account_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_start_is_refused_in_a_sentence_that_names_the_first(tmp_path: Path) -> None:
    journal = tmp_path / "iverson.db"
    with (
        account_lock(journal),
        pytest.raises(ConfigError, match=r"iverson\.db is traded by process \d+ at this moment"),
        account_lock(journal),
    ):
        pytest.fail("two had the lock")

    with account_lock(journal):
        pass  # given back


def test_lock_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    journal = tmp_path / "iverson.db"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(journal)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=str(holder.pid)), account_lock(journal):
            pass
        holder.send_signal(signal.SIGKILL)

    with account_lock(journal):
        pass


def woken(street: Street, path: Path, alarms: list[Any], store: Any = None) -> None:
    scene = SCENE
    number = 1
    with journal_at(path, Breaking()) as journal:
        begin(
            journal, RUN, scene.setup(), scene.series, stage=Stage.REHEARSE, system="scene",
            at=street.now,
        )  # fmt: skip
        wake(
            scene.setup(), scene.prepared(number), session=scene.sessions[number],
            store=store or store_of(street, Breaking(), alarms), journal=journal, run=RUN,
        )  # fmt: skip


SCENE = scenes()["target"]


def after_close() -> Any:
    return SCENE.timeline()[0][0]


def test_wake_that_overlaps_another_sends_nothing(tmp_path: Path) -> None:
    street, path = Street(SCENE.series, at=after_close()), tmp_path / "iverson.db"
    alarms: list[Any] = []
    outer = store_of(street, Breaking(), alarms)

    def meanwhile(written: Any, note: Any) -> AlpacaStore:
        with pytest.raises(ConfigError, match="one account has one writer"):
            woken(street, path, alarms)
        return outer(written, note)

    woken(street, path, alarms, meanwhile)

    assert len(street.witness.orders()) == 3  # one bracket
    street.close()


def test_another_journal_on_the_same_account_halts_and_sends_nothing(tmp_path: Path) -> None:
    street, alarms = Street(SCENE.series, at=after_close()), []
    woken(street, tmp_path / "first.db", alarms)
    street.pause(timedelta(minutes=1).total_seconds())
    assert alarms == []

    woken(street, tmp_path / "second.db", alarms)

    assert {rule for rule, _ in alarms} == {"out of sync"}
    assert "another Iverson trades on this account" in alarms[0][1]
    with Journal(tmp_path / "second.db", read_only=True) as journal:
        noted = journal.values(run=RUN)
    assert not [one for one in noted if isinstance(one, Intent)]
    assert len(street.witness.orders()) == 3
    street.close()
