# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is wrong: exit code 2, one sentence that helps, no traceback, nothing half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.bad_input.conftest import Run, snapshot

OUT = "--journal new.db --plot new.png"  # what would be written
WALK = "--in-sample 6mo --out-of-sample 3mo --jobs 1 --report out --journal new.db"

TABLE = [
    # the system
    ("backtest nowhere", ["no module 'nowhere'", "folder"]),
    ("backtest strategies.nowhere", ["no module"]),
    ("backtest good/x.py", ["is a path", "good.x"]),
    ("backtest good.py", ["is a path", "as a module: good"]),
    ("backtest /tmp/good.py", ["run this in /tmp", "good"]),
    ("backtest .good", ["no module '.good'"]),
    ("backtest :system", ["no module ''"]),
    ("backtest no_system", ["has no 'system'", "add `system = iv.System(...)`"]),
    ("backtest other_name", ["has no 'system'", "other_name:mine"]),
    ("backtest good:sytem", ["has no 'sytem'", "good:system"]),
    ("backtest wrong_type", ["is a int", "expected an iv.System"]),
    ("backtest broken_syntax", ["cannot be imported", "SyntaxError", "broken_syntax.py:3"]),
    ("backtest broken_import", ["broken_import.py:2", "No module named 'pandass'"]),
    ("backtest broken_code", ["ZeroDivisionError", "broken_code.py:3"]),
    ("backtest leaves", ["cannot be imported", "SystemExit"]),
    ("backtest bad_params", ["no parameter 'perod'", "did you mean 'period'"]),
    ("backtest rule_class", ["LongOnly is a class", "LongOnly()"]),
    ("backtest one_rule", ["expected a list"]),
    ("backtest no_rule", ["'long only' is no iv.RiskRule"]),
    ("backtest twice", ["['IBM', 'IBM']", "each once"]),
    ("backtest no_symbols", ["at least one"]),
    ("backtest number_symbol", ["symbol 7", "expected text"]),
    ("backtest no_strategy", ["strategy is 42", "iv.Strategy"]),
    ("backtest instance", ["sizing is", "iv.RiskSizing(...)"]),
    ("backtest nothing", ["neither entry(data) nor signals()"]),
    ("backtest no_super", ["super().__init__()"]),
    # symbols, range, cash
    ("backtest strategies.rsi_reversion --symbols APPL", ["APPL", "AAPL"]),
    ("backtest good --symbols MSFT", ["bars were given without MSFT", "AAPL, IBM"]),
    ("backtest good --symbols IBM,IBM", ["each once"]),
    ("backtest good --symbols ,", ["at least one"]),
    ("backtest good --from 2012 --to 2005", ["range is empty", "2012-01-01"]),
    ("backtest good --from 1990 --to 1991", ["no bars between", "there are bars from"]),
    ("backtest good --from 2005-01-01 --to 2005-01-02", ["no bars between"]),
    ("backtest good --from 2005-13", ["'2005-13' is no date", "2005-03-31"]),
    ("backtest good --from 2005-02-30", ["is no date"]),
    ("backtest good --from tomorrow", ["'tomorrow' is no date"]),
    ("backtest good --from 5", ["'5' is no date"]),
    ("backtest good --to 2004-12-31", ["bars of warm-up", "import more"]),
    ("backtest short_bars", ["62 bars of warm-up", "40 bars"]),
    ("backtest good --cash 0", ["cash is 0", "above 0"]),
    ("backtest good --cash -5", ["cash is -5"]),
    ("backtest good --cash nan", ["cash is nan"]),
    ("backtest good --cash inf", ["cash is inf"]),
    ("backtest good --cash much", ["--cash", "see `iverson backtest --help`"]),
    # parameters
    ("backtest good --set perod=3", ["no parameter 'perod'", "did you mean 'period'"]),
    ("backtest good --set desk=3", ["no parameter 'desk'"]),
    ("backtest good --set period=3,5", ["has 2 values", "expected one", "--grid"]),
    ("backtest good --set period", ["'period'", "expected"]),
    ("backtest good --set period=fast", ["'fast'", "a number"]),
    ("backtest good --set period=0", ["Dip(period=0) failed", "while its lines were computed"]),
    ("backtest good --set period=2.5", ["Dip(period=2.5) failed", "TypeError"]),
    ("backtest good --set period=100000", ["bars of warm-up"]),
    # strategies that fail
    ("backtest entry_raises", ["Bad() failed at entry_raises.py:21", "KeyError: 'sentiment'"]),
    ("backtest entry_none", ["entry returned None", "expected Long or Short"]),
    ("backtest entry_number", ["failed at entry_number.py:21", "lines, not numbers"]),
    ("backtest entry_divides", ["while its lines were computed", "bt.DivByZero"]),
    ("backtest signals_raise", ["signals_raise.py:21", "ZeroDivisionError"]),
    ("backtest signals_none", ["signals() returned None"]),
    ("backtest signals_words", ["'buy'", "expected a Signal"]),
    ("backtest rule_raises", ["careless", "the rule failed", "mend the rule"]),
    # signals nobody can trade
    ("backtest nan_limit", ["Bad()", "AAPL on 20", "limit is nan", "mend entry()"]),
    ("backtest nan_stop", ["stop is nan"]),
    ("backtest infinite_target", ["target is inf"]),
    ("backtest wrong_side", ["stop", "must lie below the limit"]),
    ("backtest wrong_target", ["target", "must lie above the limit"]),
    ("backtest half_sure", ["confidence is 2.5", "from 1 to 5"]),
    ("backtest too_sure", ["confidence is 9"]),
    ("backtest negative", ["confidence is -1"]),
    (f"walk-forward wrong_side {WALK}", ["Bad(period=3), AAPL on", "must lie below the limit"]),
    (f"walk-forward rule_raises {WALK}", ["the rule failed"]),
    # the walk
    (f"walk-forward no_grid {WALK}", ["nothing to search", "--grid period=7,14,21"]),
    (f"walk-forward good {WALK} --grid perod=1,2", ["did you mean 'period'"]),
    (f"walk-forward good {WALK} --grid period", ["period=7,14,21"]),
    (f"walk-forward good {WALK} --grid period=9:3", ["is no range"]),
    (f"walk-forward good {WALK} --grid period=3,3", ["twice"]),
    (f"walk-forward good {WALK} --in-sample 2mo", ["shorter than the warm-up of 62"]),
    (f"walk-forward good {WALK} --in-sample 9y", ["sessions", "one fold needs"]),
    (f"walk-forward good {WALK} --in-sample soon", ["soon"]),
    (f"walk-forward good {WALK} --in-sample 0", ["0"]),
    (f"walk-forward good {WALK} --purge 200", ["purge", "leaves nothing to tune in"]),
    (f"walk-forward good {WALK} --purge -1", ["--purge"]),
    (f"walk-forward good {WALK} --objective sharp", ["'sharp'", "sharpe"]),
    (f"walk-forward good {WALK} --trials 0", ["--trials"]),
    (f"walk-forward good {WALK} --trials 3", ["trials is 3", "has 2 combinations"]),
    (f"walk-forward good {WALK} --jobs 0", ["jobs is 0", "-1 for all cores"]),
    (f"walk-forward good {WALK} --jobs -3", ["jobs is -3"]),
    (f"walk-forward good {WALK} --at-border hold", ["hold", "carry"]),
    (f"walk-forward short_bars {WALK}", ["bars of warm-up"]),
    (f"walk-forward good {WALK} --report a_file", ["a_file is a file", "expected a folder"]),
    (f"walk-forward good {WALK} --report a_file/x.html", ["a_file is a file"]),
    # where to write
    ("backtest good --journal nowhere/x.db", ["no folder", "make it first"]),
    ("backtest good --journal a_folder", ["is a folder", "name of a file"]),
    ("backtest good --journal notes.db", ["notes.db"]),
    ("backtest good --plot nowhere/x.png", ["no folder"]),
    ("backtest good --plot a_folder", ["is no picture"]),
    ("backtest good --plot x.xyz", ["is no picture", ".png"]),
    ("backtest good --csv --json", ["--csv and --json"]),
    # what to read
    ("report", ["no journal at iverson.db"]),
    ("report nowhere.db", ["no journal at nowhere.db"]),
    ("report notes.db", ["notes.db"]),
    ("report a_folder", ["is a directory"]),
    ("journal trades nowhere.db", ["no journal at nowhere.db"]),
    ("journal trades notes.db", ["notes.db"]),
    ("journal verify notes.db", ["notes.db"]),
    ("journal trades a --journal b", ["once"]),
    ("journal trades notes.db --csv --json", ["--csv", "--json"]),
    ("journal tardes", ["tardes"]),
    ("bars import nowhere.csv", ["nowhere.csv"]),
    ("bars import half.csv --symbol AAA", ["half.csv", "low"]),
    ("bars import words.csv --symbol AAA", ["words.csv", "'Low'", "line 2"]),
    ("bars import empty.csv --symbol AAA", ["empty.csv"]),
    ("bars import week.csv words.csv --symbol AAA", ["words.csv"]),
    ("bars import a_folder", ["a_folder"]),
    ("bars adjust APPL", ["APPL", "AAPL"]),
    ("bars check APPL", ["APPL"]),
    # the command itself
    ("backtest", ["missing argument", "SYSTEM", "see `iverson backtest --help`"]),
    ("backtest good --form 2005", ["--form", "--from"]),
    ("backtst good", ["backtst", "backtest"]),
    ("--nope", ["--nope"]),
]


@pytest.mark.parametrize(("command", "words"), TABLE, ids=[row[0][:60] for row in TABLE])
def test_bad_input_is_one_sentence_and_writes_nothing(
    run: Run, command: str, words: list[str]
) -> None:
    arguments = command.split()
    if arguments[0] == "backtest" and len(arguments) > 1:
        arguments[2:2] = [
            word for word in OUT.split() if not {"--journal", "--plot"} & {*arguments[2:]}
        ]

    result = run(*arguments)

    last = result.err.splitlines()[-1]
    assert result.code == 2
    assert result.err.splitlines() == [last]
    assert last.startswith("iverson: ")
    assert "Traceback" not in result.err
    assert result.out == ""
    assert result.changed == []
    for word in words:
        assert word in last


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("IVERSON_JBOS", "2", ["IVERSON_JBOS", "did you mean 'IVERSON_JOBS'"]),
        ("IVERSON_JOBS", "many", ["'jobs' is 'many'", "IVERSON_JOBS"]),
        ("IVERSON_JOBS", "-2", ["'jobs'", "greater than or equal to -1"]),
        ("iverson.toml", "jobs = [", ["iverson.toml is no TOML"]),
        ("iverson.toml", "jbos = 2", ["'jbos'", "did you mean 'jobs'"]),
        ("iverson.toml", "jobs = 'x'", ["'jobs' is 'x'"]),
        (".env", "IVERSON_JBOS=2", ["'jbos'", "did you mean 'jobs'"]),
    ],
)
def test_settings_that_are_wrong(  # noqa: PLR0917 (pytest passes them by name)
    run: Run,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    text: str,
    words: list[str],
) -> None:
    if name.isupper():
        monkeypatch.setenv(name, text)
    else:
        (folder / name).write_text(text)

    result = run("backtest", "good", *OUT.split())

    assert (result.code, result.out, result.changed) == (2, "", [])
    assert len(result.err.splitlines()) == 1
    for word in words:
        assert word in result.err


def test_traceback_is_there_for_who_asks(run: Run) -> None:
    result = run("backtest", "entry_raises", "--debug")

    assert result.code == 2
    assert "Traceback" in result.err
    assert "raise KeyError('sentiment')" in result.err
    assert result.err.splitlines()[-1].startswith("iverson: Bad() failed")


def test_interrupted_run_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("iverson.cli.backtest.write_whole", interrupted)
    monkeypatch.setattr("iverson.monitoring.journal.Journal.append_many", interrupted)

    result = run("backtest", "good", *OUT.split())

    assert (result.code, result.err, result.changed) == (130, "iverson: stopped\n", [])


def test_fault_of_our_own_is_a_sentence_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("iverson.system.simulate", broken)

    result = run("backtest", "good")

    assert result.code == 2
    assert "RuntimeError: two lines" in result.err
    assert "fault of Iverson's" in result.err


def iverson(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("iverson")), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def members(session: int) -> list[str]:
    """Processes of a session that still run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(stat.parent.name)
    return found


def all_gone(session: int) -> bool:
    """Whether no process of a session is left, within a moment: a tracker may still sweep up."""
    until = time.monotonic() + 5
    while members(session) and time.monotonic() < until:
        time.sleep(0.05)
    return not members(session)


@pytest.mark.parametrize(
    ("module", "words"),
    [("wrong_side", "must lie below the limit"), ("in_workers", "KeyError: 'late'")],
)
def test_faults_in_other_processes_come_out_the_same(folder: Path, module: str, words: str) -> None:
    """The same sentence, soon, and no process left behind."""
    good = (folder / "good.py").read_text()
    late = (
        "    def signals(self):\n        if self.p.max_sessions == 9:\n"
        "            raise KeyError('late')\n        return []\n\n\n"
    )
    grid = "grid = dict(max_sessions=list(range(1, 20)))\n"
    (folder / "in_workers.py").write_text(
        good.replace("system =", late + "system =").rpartition("grid")[0] + grid
    )
    with (folder / "wrong_side.py").open("a") as file:
        file.write(grid)
    before = snapshot(folder)

    process = iverson(folder, "walk-forward", module, *WALK.replace("--jobs 1", "--jobs 2").split())
    out, err = process.communicate(timeout=60)

    # joblib's tracker, a process of its own, may warn that an ended worker swept up before it.
    last = [line for line in err.splitlines() if "resource_tracker" not in line][-1]
    assert process.returncode == 2
    assert words in last
    assert last.startswith("iverson: ")
    assert "Traceback" not in err
    assert out == ""
    assert all_gone(process.pid)
    assert snapshot(folder) == before


TWO_JOBS = WALK.replace("--jobs 1", "--jobs 2").split()


def test_ctrl_c_in_a_search_over_processes(folder: Path) -> None:
    """Exit code 130, one word, no process left behind, nothing written."""
    with (folder / "good.py").open("a") as file:
        file.write("grid = dict(max_sessions=list(range(1, 90)))\n")
    before = snapshot(folder)

    process = iverson(folder, "walk-forward", "good", "--purge", "0", *TWO_JOBS)
    assert process.stderr is not None
    first = process.stderr.readline()  # the search has begun
    os.killpg(process.pid, signal.SIGINT)
    began = time.monotonic()
    out, err = process.communicate(timeout=30)

    assert "in-sample search" in first
    assert process.returncode == 130
    assert err.splitlines()[-1] == "iverson: stopped"
    assert "Traceback" not in err
    assert out == ""
    assert time.monotonic() - began < 10
    assert all_gone(process.pid)
    assert snapshot(folder) == before


def test_program_itself_says_one_sentence(folder: Path) -> None:
    process = iverson(folder, "backtest", "wrong_side", *OUT.split())
    out, err = process.communicate(timeout=60)

    assert process.returncode == 2
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("iverson: Bad(), AAPL on 20")


def test_reader_that_has_seen_enough_is_no_error(folder: Path) -> None:
    """`iverson ... | head -1` ends quietly."""
    command = f"{Path(sys.executable).with_name('iverson')} bars adjust AAPL | head -1"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1
