# SPDX-License-Identifier: GPL-3.0-or-later
"""`iverson simulator`: what it prints, that a client gets through, that Ctrl-C ends it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from alpaca.trading.client import TradingClient

from iverson.cli.main import main
from iverson.simulator.scenarios import bundled

ROOT = Path(__file__).parents[2]
RUN = "import sys; from iverson.cli.main import main; main(sys.argv[1:])"
SPAN = ("--from", "2012-01-03", "--to", "2012-01-20", "--symbols", "AAPL,IBM")
DONE, BROKEN = 0, 2


@contextmanager
def started(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command in a process of its own; gives what it prints until it serves."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "simulator", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("TradingStream("):
            break
    try:
        yield process, said
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str]) -> str:
    """Press Ctrl-C; what is printed after it. It has to leave with 0."""
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert process.returncode == DONE, said
    return said


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def command(*arguments: str, code: int) -> str:
        with pytest.raises(SystemExit) as left:
            main(("simulator", *arguments))
        shown = capfd.readouterr()
        assert left.value.code == code, shown
        return shown.out + shown.err

    return command


def test_it_serves_the_sample_until_ctrl_c(tmp_path: Path) -> None:
    with started(tmp_path, *SPAN, "--pace", "1", "--scenario", "lost-reply") as (process, said):
        found = dict(re.findall(r"^([a-z ]+?) {2,}(\S.*)$", said, flags=re.MULTILINE))
        client = TradingClient(found["key"], found["secret"], url_override=found["trading"])
        clock, account = client.get_clock(), client.get_account()
        client._session.close()
        last = ended(process)

    assert found["bars"] == "1d, AAPL IBM"
    assert found["clock"] == "2012-01-03 09:00 New York, to 2012-01-20"
    assert found["pace"] == "real time"
    assert found["scenario"].startswith("lost-reply: The exchange takes the first order")
    assert f"{clock.timestamp:%Y-%m-%d}" == "2012-01-03"
    assert account.equity == "100000"
    assert f'TradingClient("{found["key"]}", "{found["secret"]}", url_override=' in said
    assert "0 orders, 0 fills, equity $100,000.00" in last


def test_in_lock_step_the_clock_moves_when_it_is_told_to(tmp_path: Path) -> None:
    with started(tmp_path, *SPAN, "--step", "--cash", "500", "--live") as (process, said):
        url = re.findall(r"^control +(\S+)$", said, flags=re.MULTILINE)[0]
        first = requests.post(url + "/step", json={}, timeout=10).json()
        second = requests.post(url + "/step", json={"bars": 2}, timeout=10).json()
        last = ended(process)

    assert (first["now"], first["pace"]) == ("2012-01-03T21:00:01Z", "lock step")
    assert second["now"] == "2012-01-05T21:00:01Z"
    assert "AKSIMULATOR" in said
    assert "paper=False, " in said
    assert "equity $500.00" in last


def test_a_pace_runs_the_history_out_and_the_exchange_answers_on(tmp_path: Path) -> None:
    with started(tmp_path, *SPAN, "--pace", "1000000") as (process, said):
        url = re.findall(r"^control +(\S+)$", said, flags=re.MULTILINE)[0]
        assert process.stdout is not None
        for line in process.stdout:
            if "The history is over; the exchange answers on." in line:
                break
        assert requests.get(url + "/state", timeout=10).json()["over"]
        assert "Ended at 2012-01-20" in ended(process)


def test_every_scenario_is_listed_with_its_sentence(run: Any) -> None:
    shown = " ".join(run("--list", code=DONE).split())

    for name, one in bundled().items():
        assert name in shown
        assert one.says.split()[-1] in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--scenario", "lost-repl"), "there is no scenario 'lost-repl'; did you mean 'lost-rep"),
        (("--step", "--pace", "2"), "--step and --pace are both given; choose one of them"),
        (("--pace", "0"), "the pace is 0 times real time; expected more than 0"),
        (("--symbols", "NONE"), "NONE"),
        (("--from", "2050"), "2050"),
        (("--interval", "7d"), "7d"),
        (("--scenario", "mine.toml"), "mine.toml cannot be read"),
    ],
)
def test_what_cannot_be_is_one_sentence(run: Any, arguments: tuple[str, ...], message: str) -> None:
    shown = run(*arguments, code=BROKEN)

    assert message in shown
    assert shown.startswith("iverson: ")
    assert len(shown.strip().splitlines()) == 1
