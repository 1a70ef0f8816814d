# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's Python runs as printed, and its own examples are as short as it promises."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)

STRATEGY_LINES, RULE_LINES = 30, 10


def test_readme_python_runs_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks in one namespace, as a reader would paste them."""
    (tmp_path / "data").symlink_to(ROOT / "data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "readme"}
    monkeypatch.setitem(sys.modules, "readme", ModuleType("readme"))

    for block in BLOCKS:
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102 (our own page)

    assert (tmp_path / "reports" / "pullback" / "index.html").exists()


def test_own_strategy_takes_under_thirty_lines() -> None:
    """The first block holds the imports, the strategy, the system and the run."""
    assert len(BLOCKS[0].strip().splitlines()) < STRATEGY_LINES


def test_own_rule_takes_under_ten_lines() -> None:
    """Counted from `class` to the end of the method."""
    rule = next(block for block in BLOCKS if "iv.RiskRule" in block).split("\n\n\n")[0]

    assert len(rule.strip().splitlines()) < RULE_LINES
