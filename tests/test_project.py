# SPDX-License-Identifier: GPL-3.0-or-later
"""Promises about the project itself: what its files say, import, and never do."""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).resolve().parents[1]
PACKAGE = TOP / "iverson"
SPDX = "SPDX-License-Identifier: GPL-3.0-or-later"
LONGEST_FILE = 350
UNLOCKED = {"cluster", "finbert"}  # extras that no target installs from the lock

FOLDERS = {"iverson", "notebooks", "strategies", "data", "docs", "tests", ".ci"}
FILES = {
    "pyproject.toml",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "requirements.lock",
    ".gitignore",
    ".pre-commit-config.yaml",
}

# Written in pieces, so that this file passes its own test.
NEVER_WRITTEN = {
    "a package index": r"py" + r"pi\.org|python" + r"hosted\.org|ana" + r"conda\.(org|com)",
    "a path of one machine": r"(?<![\w.])/wo" + r"rk/|/tmp/bash" + r"_jobs|site-" + r"packages/",
    "a home directory": r"(?<![\w.])/ho" + r"me/\w|(?<![\w.])/ro" + r"ot/|/Us" + r"ers/\w",
    "an Alpaca key": r"\b(PK|AK|CK)[A-Z0-9]{18,24}\b",
    "an AWS key": r"\bAKIA[0-9A-Z]{16}\b",
    "a Telegram token": r"\b[0-9]{8,10}:[A-Za-z0-9_-]{35}\b",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE" + r" KEY",
    "a GitHub token": r"\b(ghp|gho|ghs|github_pat)_[A-Za-z0-9_]{30,}",
}

# package -> the only modules that may import it
ONLY_IN = {
    "alpaca": (
        "iverson.execution.alpaca",
        "iverson.market.alpaca",
        "iverson.testing.exchange",
    ),
    "sqlite3": ("iverson.monitoring.journal", "iverson.monitoring.outbox"),
    "telegram": ("iverson.monitoring.telegram",),
    "strategies": (),
    "tests": (),
}
# package -> modules that never import it
NEVER_IN = {
    "backtrader": (
        "iverson.model",
        "iverson.risk.sizing",
        "iverson.monitoring.metrics",
        "iverson.research.folds",
        "iverson.research.overfitting",
        "iverson.research.overfitting_pbo",
        "iverson.research.overfitting_sharpe",
        "iverson.research.overfitting_trials",
        "iverson.research.bootstrap",
        "iverson.research.monte_carlo",
        "iverson.research.purged",
        "iverson.research.random_entry",
        "iverson.research.random_entry_replay",
        "iverson.research.reality_check",
    ),
    "iverson.execution": ("iverson.simulator",),
}

RUNS_WHAT_IT_READS = {
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "joblib.load",
    "pandas.read_pickle",
    "yaml.load",
    "yaml.unsafe_load",
    "eval",
    "exec",
}
CLOCKS = {
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "pandas.Timestamp.now",
    "pandas.Timestamp.today",
    "pandas.Timestamp.utcnow",
    "time.ctime",
    "time.gmtime",
    "time.localtime",
    "time.time",
    "time.time_ns",
}
NOW_IN_WORDS = {"numpy.datetime64", "pandas.Timestamp", "pandas.to_datetime"}
MAY_READ_THE_CLOCK = {"iverson.market.calendar"}


def git(*arguments: str) -> str:
    """Answer of git about this checkout; skips the test where there is none."""
    if not (TOP / ".git").exists():
        pytest.skip("not a git checkout")
    answer = subprocess.run(
        ["git", *arguments], cwd=TOP, check=False, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr

    return answer.stdout


def project_files() -> list[Path]:
    """Files that git tracks, and those it would with `git add .`."""
    names = git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [TOP / name for name in sorted(set(names)) if name and (TOP / name).is_file()]


def modules() -> dict[str, Path]:
    """Dotted name of every module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(TOP).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def within(module: str, packages: tuple[str, ...]) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, at its top or inside a function."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def names_used(path: Path) -> Iterator[tuple[str, ast.expr]]:
    """Names with their import aliases undone, as in `np.load` -> `numpy.load`."""
    aliases = {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            aliases |= {a.asname: a.name for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom) and node.module:
            aliases |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(tree_of(path)):
        if not isinstance(node, ast.Name | ast.Attribute):
            continue
        first, dot, rest = ast.unparse(node).partition(".")
        yield aliases.get(first, first) + dot + rest, node


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    names = {id(node): name for name, node in names_used(path)}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and id(node.func) in names:
            yield names[id(node.func)], node


def loads_pickles(call: ast.Call) -> bool:
    given = [keyword.value for keyword in call.keywords if keyword.arg == "allow_pickle"]
    return any(not (isinstance(value, ast.Constant) and value.value is False) for value in given)


def says_now(call: ast.Call) -> bool:
    return any(
        isinstance(value, ast.Constant) and value.value in ("now", "today") for value in call.args
    )


def dangers(path: Path) -> list[str]:
    found = [
        f"{path.name}:{n.lineno} {name}"
        for name, n in names_used(path)
        if name in RUNS_WHAT_IT_READS
    ]
    found += [
        f"{path.name}:{call.lineno} {name}(allow_pickle)"
        for name, call in calls(path)
        if loads_pickles(call)
    ]
    return found


def clocks(path: Path) -> list[str]:
    found = [f"{path.name}:{n.lineno} {name}" for name, n in names_used(path) if name in CLOCKS]
    found += [
        f"{path.name}:{call.lineno} {name}('now')"
        for name, call in calls(path)
        if name in NOW_IN_WORDS and says_now(call)
    ]
    return found


# What the files say


@pytest.mark.parametrize("what", NEVER_WRITTEN)
def test_no_file_names_an_index_a_machine_or_a_secret(what: str) -> None:
    pattern = re.compile(NEVER_WRITTEN[what].encode())
    guilty = []
    for path in project_files():
        if path.name == ".pre-commit-config.yaml":  # it holds the patterns of secrets itself
            continue
        guilty += [
            f"{path.relative_to(TOP)}: {match.group().decode()}"
            for match in pattern.finditer(path.read_bytes())
        ]

    assert guilty == []


def test_nothing_unexpected_lies_at_the_top() -> None:
    top_level = {path.relative_to(TOP).parts[0] for path in project_files()}

    assert top_level - FOLDERS - FILES == set()


def test_nothing_is_missing_at_the_top() -> None:
    if not git("for-each-ref", "--count=1"):
        pytest.skip("nothing is committed yet")
    top_level = {path.relative_to(TOP).parts[0] for path in project_files()}

    assert (FOLDERS | FILES) - top_level == set()


def test_every_file_of_the_package_states_its_licence() -> None:
    texts = [p for p in PACKAGE.rglob("*") if p.suffix in {".py", ".sql", ".html", ".j2", ".css"}]
    silent = [
        str(path.relative_to(TOP))
        for path in texts
        if SPDX not in path.read_text(encoding="utf-8").partition("\n")[0]
    ]

    assert silent == []


def test_files_of_the_package_are_short() -> None:
    lines = {
        module: len(path.read_text(encoding="utf-8").splitlines())
        for module, path in modules().items()
    }

    assert {module: n for module, n in lines.items() if n > LONGEST_FILE} == {}


# What the modules import


@pytest.mark.parametrize("package", ONLY_IN)
def test_import_stays_in_the_modules_named_after_it(package: str) -> None:
    guilty = [
        module
        for module, path in modules().items()
        if not within(module, ONLY_IN[package])
        and any(within(name, (package,)) for name in imports_of(path))
    ]

    assert guilty == []


@pytest.mark.parametrize("package", NEVER_IN)
def test_import_is_kept_out_of_pure_modules(package: str) -> None:
    guilty = [
        module
        for module, path in modules().items()
        if within(module, NEVER_IN[package])
        and any(within(name, (package,)) for name in imports_of(path))
    ]

    assert guilty == []


def test_import_contracts_see_every_import(tmp_path: Path) -> None:
    source = tmp_path / "lazy.py"
    source.write_text("def f():\n    from alpaca import trading\n    import sqlite3.dbapi2\n")

    assert list(imports_of(source)) == ["alpaca.trading", "sqlite3.dbapi2"]


IMPORT_IVERSON = """
import os, sys

seen = []

def caller_is_ours():
    # From the event outwards: the importing machinery first means a third party was being loaded.
    frame = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return False
        if name.startswith(sys.argv[1]):
            return True
        frame = frame.f_back
    return False

class Watched(dict):
    def __getitem__(self, key):
        if caller_is_ours(): seen.append(f"environment: {key}")
        return super().__getitem__(key)
    def __contains__(self, key):
        if caller_is_ours(): seen.append(f"environment: {key}")
        return super().__contains__(key)
    def __iter__(self):
        if caller_is_ours(): seen.append("environment: all of it")
        return super().__iter__()

os.environ._data = Watched(os.environ._data)

def hook(event, args):
    if event in ("open", "sqlite3.connect", "subprocess.Popen", "os.listdir", "os.scandir",
                 "os.mkdir") or event.startswith("socket."):
        if caller_is_ours(): seen.append(f"{event}: {args[:1]}")

sys.addaudithook(hook)
import MODULE
for heavy in (
    "IPython", "jupyter_core", "matplotlib", "numba", "pandas", "quantstats", "scipy", "yfinance",
):
    if heavy in sys.modules: seen.append(f"imported: {heavy}")
print(*seen, sep="\\n")
"""


def watch_import(module: str, folder: Path) -> tuple[list[str], str]:
    answer = subprocess.run(
        [sys.executable, "-c", IMPORT_IVERSON.replace("MODULE", module), str(folder / module)],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(folder)},
    )
    assert answer.returncode == 0, answer.stderr

    return answer.stdout.split("\n")[:-1], answer.stderr


def test_importing_iverson_reads_opens_and_prints_nothing() -> None:
    seen, said = watch_import("iverson", TOP)

    assert [line for line in seen if line] == []
    assert said == ""


def test_the_watch_on_importing_sees_what_a_careless_module_does(tmp_path: Path) -> None:
    (tmp_path / "careless.py").write_text(
        "import os, sqlite3\nos.environ.get('HOME')\nopen(os.devnull).close()\nimport matplotlib\n"
    )

    seen, _ = watch_import("careless", tmp_path)

    assert [line.partition(":")[0] for line in seen] == ["environment", "open", "imported"]


# What the modules never do


def test_nothing_that_is_read_is_run() -> None:
    assert [line for path in modules().values() for line in dangers(path)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(f)",
        "from pickle import loads as read\nread(b)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "import numpy as np\nnp.load(f, allow_pickle=trusted)",
        "import pandas as pd\npd.read_pickle(f)",
        "eval(text)",
        "run = exec",
    ],
)
def test_running_what_is_read_is_found(source: str, tmp_path: Path) -> None:
    path = tmp_path / "source.py"
    path.write_text(source)

    assert len(dangers(path)) == 1


def test_only_the_calendar_reads_the_clock() -> None:
    guilty = [
        line
        for module, path in modules().items()
        if module not in MAY_READ_THE_CLOCK
        for line in clocks(path)
    ]

    assert guilty == []


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\ndatetime.now(tz)",
        "import datetime as dt\ndt.datetime.utcnow()",
        "from datetime import date\nclock = date.today",
        "import time as t\nt.time()",
        "from time import time\ntime()",
        "import pandas as pd\npd.Timestamp.now('UTC')",
        "import pandas as pd\npd.Timestamp('now')",
        "import numpy as np\nnp.datetime64('today')",
    ],
)
def test_reading_the_clock_is_found(source: str, tmp_path: Path) -> None:
    path = tmp_path / "source.py"
    path.write_text(source)

    assert len(clocks(path)) == 1


# The lock and the walls around the tests


def pyproject() -> dict[str, Any]:
    return tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_lock_holds_every_dependency_with_hashes() -> None:
    locked: dict[str, list[str]] = {}
    entries = re.split(r"\n(?=[a-z0-9])", (TOP / "requirements.lock").read_text(encoding="utf-8"))
    for entry in entries:
        if match := re.match(r"([\w.-]+)==([\w.!+]+)", entry):
            assert "--hash=sha256:" in entry, entry
            locked.setdefault(canonicalize_name(match[1]), []).append(match[2])
    project = pyproject()["project"]
    extras = project["optional-dependencies"]
    groups = [project["dependencies"], *(extras[name] for name in extras if name not in UNLOCKED)]
    stale = []
    for wanted in (Requirement(line) for group in groups for line in group):
        versions = locked.get(canonicalize_name(wanted.name), [])
        if not versions or not all(version in wanted.specifier for version in versions):
            stale.append(f"{wanted}: locked {versions}; run `make lock`")

    assert stale == []


def test_the_licence_is_the_same_everywhere() -> None:
    assert pyproject()["project"]["license"] == SPDX.partition(": ")[2]
    assert "GNU GENERAL PUBLIC LICENSE" in (TOP / "LICENSE").read_text(encoding="utf-8")
    assert "GPLv3" in metadata.metadata("backtrader")["License"]


@pytest.mark.parametrize("host", ["example.com", "192.0.2.1", "8.8.8.8", "2001:db8::1"])
def test_network_is_blocked_by_name_and_by_address(host: str) -> None:
    with pytest.raises(RuntimeError, match="tests reach loopback only"):
        socket.create_connection((host, 443), timeout=1)


def test_network_is_blocked_without_a_connection() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        pytest.raises(RuntimeError, match="tests reach loopback only"),
    ):
        sock.sendto(b"", ("192.0.2.1", 53))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_open(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection((host, port), timeout=5) as client:
            assert client.getpeername()[1] == port


def test_keys_of_the_developer_stay_outside() -> None:
    conftest = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); import conftest; print(*os.environ)"
    )
    keys = ["APCA_API_KEY_ID", "ALPACA_KEY", "IVERSON_JOURNAL", "TELEGRAM_TOKEN"]

    answer = subprocess.run(
        [sys.executable, "-c", conftest, str(TOP / "tests")],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | dict.fromkeys(keys, "private"),
    )

    assert set(keys) & set(answer.stdout.split()) == set()
    assert "MPLBACKEND" in answer.stdout.split()


def test_examples_are_the_same_on_every_run() -> None:
    assert settings.default is not None
    assert settings.default.derandomize
    assert settings.default.deadline is None
