# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/alpaca.md: every row is there, names its tests, and every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[3]
PAGE = (TOP / "docs" / "alpaca.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")
CONTRACT, DEFECTS = 44, 30


@cache
def defined_in(file: str) -> set[str]:
    tree = ast.parse((TOP / "tests" / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def rows() -> dict[str, str]:
    found = re.findall(r"^\| ([AD]\d+) \|(.*)\|$", PAGE, re.MULTILINE)
    assert len(dict(found)) == len(found), "a row is there twice"
    return dict(found)


@pytest.mark.parametrize(("file", "test"), sorted(set(NAMED.findall(PAGE))))
def test_named_test_exists(file: str, test: str) -> None:
    assert test in defined_in(file)


def test_every_row_is_there() -> None:
    expected = {f"A{n}" for n in range(1, CONTRACT + 1)} | {f"D{n}" for n in range(1, DEFECTS + 1)}

    assert set(rows()) == expected


def test_every_row_names_a_test() -> None:
    assert [name for name, text in rows().items() if not NAMED.search(text)] == []


@pytest.mark.parametrize(
    ("package", "least", "below"), [("alpaca-py", (0, 44), (0, 45)), ("websockets", (13,), (18,))]
)
def test_versions_that_were_read_and_measured_are_the_ones_that_are_installed(
    package: str, least: tuple[int, ...], below: tuple[int, ...]
) -> None:
    """Private parts of alpaca-py are used: for timeouts, for retries, for its reconnections."""
    installed = tuple(int(part) for part in metadata.version(package).split(".")[:2])

    assert least <= installed < below
