# SPDX-License-Identifier: GPL-3.0-or-later
"""One child process: started, bounded in time, and asked what it took (`getrusage`).

Imports nothing heavy: on Linux a child's peak memory counts from its parent's.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.environments import TOP


@dataclass(frozen=True)
class Measured:
    """What one process took; seconds and megabytes.

    `cpu` and `wall`: the work, done a second time where the process did it twice. `cold_cpu`: the
    whole process with its imports and compiling, without the second time.
    """

    cpu: float
    wall: float
    cold_cpu: float
    peak_mb: float
    rows: list[tuple[str, int, float]] = field(repr=False)
    versions: dict[str, str] = field(default_factory=dict)


class Failed(Exception):
    """A process that gave no result; says why."""


def measure(python: Path, engine: str, work: str, data: Path, timeout: float) -> Measured:
    """Run one engine on one work.

    Raises
    ------
    Failed: it took longer than `timeout` seconds, or ended with an error.
    """
    command = [python, "-m", "tests.bench.child", engine, work, data]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(command, cwd=TOP, stdout=out, stderr=err)
        usage = _waited(child, timeout)
        out.seek(0)
        err.seek(0)
        if child.returncode:
            last = err.read().decode(errors="replace").strip().splitlines()[-1:]
            raise Failed(f"broke: {last[0] if last else child.returncode}")
        told = json.loads(out.read().decode().splitlines()[-1])
    (first, *again) = told["times"]
    cpu, wall = again[-1] if again else first
    twice = sum(one[0] for one in again)
    return Measured(
        cpu=cpu,
        wall=wall,
        cold_cpu=usage.ru_utime + usage.ru_stime - twice,
        peak_mb=usage.ru_maxrss / 1024,
        rows=[(label, trades, equity) for label, trades, equity in told["rows"]],
        versions=told["versions"],
    )


def _waited(child: subprocess.Popen[bytes], timeout: float) -> Any:
    """Wait for a child and return its own resource usage, which `Popen.wait` does not keep."""
    deadline = time.monotonic() + timeout
    try:
        while time.monotonic() < deadline:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                child.returncode = os.waitstatus_to_exitcode(status)
                return usage
            time.sleep(0.01)
    finally:
        if child.returncode is None:  # too long, or Ctrl-C
            child.kill()
            child.wait()
    raise Failed(f"stopped after {timeout:.0f} seconds")
