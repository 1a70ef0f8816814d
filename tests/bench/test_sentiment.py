# SPDX-License-Identifier: GPL-3.0-or-later
"""The measure of scorers: its numbers are those one would count by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.bench.sentiment import in_judged_half, labels_of, measures

TOP = Path(__file__).parents[2]
WORDS = {"beats": "positive", "misses": "negative", "meets": "neutral"}
TEXTS = [(f"Acme {word} {n}", label) for n in range(10) for word, label in WORDS.items()]


def test_measures_are_those_counted_by_hand() -> None:
    wanted = ["negative", "negative", "neutral", "positive"]
    found = ["negative", "neutral", "neutral", "negative"]
    told = measures(wanted, found)

    assert told["accuracy"] == 2 / 4
    assert told["negative"] == 2 * 1 / (2 + 2)
    assert told["neutral"] == 2 * 1 / (1 + 2)
    assert told["positive"] == 0.0
    assert told["macro_f1"] == pytest.approx((1 / 2 + 2 / 3 + 0) / 3)


def test_scores_near_nothing_are_neutral() -> None:
    assert labels_of([-0.05, -0.049, 0.0, 0.05]) == ["negative", "neutral", "neutral", "positive"]


def test_halves_are_by_text_and_about_equal() -> None:
    judged = [in_judged_half(str(n)) for n in range(2000)]

    assert 900 < sum(judged) < 1100
    assert judged == [in_judged_half(str(n)) for n in range(2000)]


def test_command_prints_a_table_for_each_file(tmp_path: Path) -> None:
    pd.DataFrame(TEXTS, columns=["text", "label"]).to_csv(tmp_path / "a.csv", index=False)
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.sentiment", str(tmp_path / "a.csv"), "--half", "all"],
        cwd=TOP, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "a, half: all, 30 headlines" in done.stdout
    assert "| always neutral | 0.333 | 0.167 |" in done.stdout
    assert [line.split("|")[2:4] for line in done.stdout.splitlines() if "| lexicon" in line] == [
        [" 1.000 ", " 1.000 "]
    ]


def test_command_refuses_a_file_without_labels(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nAcme\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.sentiment", str(tmp_path / "a.csv")],
        cwd=TOP, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert "needs the columns text and label" in done.stderr
