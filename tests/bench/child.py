# SPDX-License-Identifier: GPL-3.0-or-later
"""One measurement, in a process of its own: `python -m tests.bench.child ENGINE WORK DATA`.

Does the work, and once more when the first time was short or compiled something, and prints one
line of JSON: seconds of CPU (user and system) and of the wall clock for each time, the rows, and
the versions of packages. The second time is what the engine costs once everything is imported and
compiled; the parent measures the whole process.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.bench.work import WORKS, load

SHORT = 15.0  # seconds


def measured(engine: str, name: str, data: Path) -> dict[str, Any]:
    """Do one work and say what it took."""
    what, market = WORKS[name], load(data)
    module = import_module(f"tests.bench.engines.{engine}")
    do = module.WORKS[what.kind]
    compiles = getattr(module, "COMPILES", False)
    times: list[tuple[float, float]] = []
    rows: Any = None
    while not times or (len(times) < 2 and (compiles or times[0][1] < SHORT)):
        cpu, wall = time.process_time(), time.perf_counter()
        again = do(what, market)
        times.append((time.process_time() - cpu, time.perf_counter() - wall))
        if rows is not None and again != rows:
            raise AssertionError(f"{engine} gave other results the second time")
        rows = again
    return {
        "times": times,
        "rows": [(label, int(n), float(usd)) for label, n, usd in rows],
        "versions": {name: version(name) for name in module.PACKAGES},
    }


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], sys.argv[2], Path(sys.argv[3]))))  # noqa: T201 (a command: it prints)
