# SPDX-License-Identifier: GPL-3.0-or-later
"""An environment for each peer under `.venv-bench`, made from its pinned requirements.

Peers are only run, in processes of their own; nothing of theirs is installed beside Iverson.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
ROOT = TOP / ".venv-bench"
REQUIREMENTS = Path(__file__).parent / "requirements"
SECONDS = 300  # to install one


class NotAvailable(Exception):
    """A peer that cannot be installed here; says why."""


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment, made when it is not there.

    Raises
    ------
    NotAvailable: pip cannot install what is pinned, or not in time.
    """
    wanted = REQUIREMENTS / f"{peer}.txt"
    home = ROOT / peer
    python, ready = home / "bin" / "python", home / ".ready"
    if ready.exists() and ready.read_text() == wanted.read_text():
        return python
    subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "-r", wanted]
    try:
        done = subprocess.run(pip, check=False, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as late:
        raise NotAvailable(f"pip took longer than {SECONDS} seconds") from late
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        raise NotAvailable(errors[-1].removeprefix("ERROR: ") if errors else "pip failed")
    ready.write_text(wanted.read_text())
    return python
