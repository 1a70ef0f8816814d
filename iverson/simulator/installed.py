# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what the server needs is installed; it is an extra, for a backtest does without."""

from __future__ import annotations

from importlib.util import find_spec

from iverson.errors import ConfigError

NEEDED = ("msgpack", "starlette", "uvicorn", "websockets")


def check_installed() -> None:
    """Refuse in one sentence when the extra `simulator` is not installed."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the simulator needs {', '.join(missing)}; run `pip install iverson[simulator]`"
        )
