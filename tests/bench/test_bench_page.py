# SPDX-License-Identifier: GPL-3.0-or-later
"""The speed page: what its rows say, and that no run destroys what it did not measure anew."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.bench import __main__ as bench
from tests.bench import plan
from tests.bench.measure import Failed, Measured
from tests.bench.page import (
    BEGIN,
    END,
    engine_of,
    merged,
    put_between_markers,
    rows_of,
    sections,
)
from tests.bench.table import cells, cpu_of, table

EQUAL, OTHER = 5.0, 6.0  # final equities
EXPECTED = [("all", 1, EQUAL)]


def took(cpu: float, equity: float = EQUAL) -> list[Measured]:
    return [Measured(cpu, cpu, 2 * cpu, 1.0, [("all", 1, equity)], {"package": "1.2.3"})]


def rows(when: str = "today, 1.0", **found: list[Measured] | str) -> dict[str, str]:
    return table(found, EXPECTED, dict.fromkeys(found, when))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with one work measured before."""
    file = tmp_path / "page.md"
    file.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    before = {"W1": rows("long ago, 7.5", Iverson=took(4.0), peer=took(8.0), gone=took(2.0))}
    put_between_markers(file, "\n\n".join(["heading", *sections(before, ["W1"])]))
    return file


def test_only_an_equal_row_has_a_ratio() -> None:
    lines = rows(Iverson=took(2.0), fast=took(1.0, OTHER), slow=took(8.0), none="broke")

    assert {engine: cells(line)[6] for engine, line in lines.items()} == {
        "Iverson": "1.00", "fast": "", "slow": "4.00", "none": "",
    }  # fmt: skip


def test_every_row_says_version_date_and_load(page: Path) -> None:
    line = rows_of(page)["W1"]["peer"]

    assert cells(line)[0] == "peer 1.2.3"
    assert cells(line)[9] == "long ago, 7.5"


def test_a_page_keeps_what_stands_around_the_tables(page: Path) -> None:
    put_between_markers(page, "new")

    assert page.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert list(page.parent.iterdir()) == [page]


def test_page_without_markers_is_refused(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("mine\n")

    with pytest.raises(ValueError, match="has no"):
        rows_of(tmp_path / "page.md")


def test_rows_come_back_as_they_were_written_and_the_quickest_is_first(page: Path) -> None:
    found = rows_of(page)["W1"]

    assert found == rows("long ago, 7.5", gone=took(2.0), Iverson=took(4.0), peer=took(8.0)) | {
        "gone": found["gone"]
    }
    assert [cpu_of(line) for line in found.values()] == [2.0, 4.0, 8.0]
    assert [engine_of(line) for line in found.values()] == list(found)


def test_rows_not_measured_anew_stay(page: Path) -> None:
    before = rows_of(page)["W1"]

    after = merged(before, rows("now, 1.0", Iverson=took(1.0), fresh=took(3.0)))

    assert {engine: cells(line)[9].partition(",")[0] for engine, line in after.items()} == {
        "gone": "long ago", "peer": "long ago", "Iverson": "now", "fresh": "now",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "kept"),
    [("stopped after 300 seconds", True), ("no time left", True), ("broke", False)],
)
def test_a_run_cut_short_costs_no_figure_a_broken_engine_does(
    page: Path, said: str, kept: bool
) -> None:
    after = merged(rows_of(page)["W1"], rows("now", peer=said, never=said))

    assert (cpu_of(after["peer"]) == 8.0) is kept
    assert cells(after["never"])[8] == said


def started(monkeypatch: pytest.MonkeyPatch, page: Path, *more: str) -> None:
    monkeypatch.setattr(bench.subprocess, "run", lambda *_, **__: None)  # no bars are needed
    monkeypatch.setattr(sys, "argv", ["bench", "--page", str(page), *more])
    bench.main()


def test_interrupted_run_leaves_all_rows(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The works before are new, the one in hand and those after as they were."""

    def measure(python: Path, engine: str, work: str, *_: object) -> Measured:
        if work == "W1":
            raise KeyboardInterrupt
        return took(1.0)[0]

    monkeypatch.setattr(bench, "measure", measure)
    before = rows_of(page)["W1"]

    with pytest.raises(KeyboardInterrupt):
        started(monkeypatch, page, "--works", "W2 W1")

    assert rows_of(page)["W1"] == before
    assert set(rows_of(page)["W2"]) == {engine.title for engine in plan.OWN}


def test_run_without_time_measures_nothing_and_destroys_nothing(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = rows_of(page)["W1"]

    started(monkeypatch, page, "--works", "W1", "--minutes", "0.001")

    after = rows_of(page)["W1"]
    assert {engine: after[engine] for engine in before} == before
    assert cells(after["stock Backtrader"])[8] == "no time left"


def test_no_measurement_outlasts_the_run(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[float] = []

    def measure(*arguments: object) -> Measured:
        bounds.append(float(str(arguments[4])))
        raise Failed("stopped after some seconds")

    monkeypatch.setattr(bench, "measure", measure)
    started(monkeypatch, page, "--works", "W1 W2", "--minutes", "1")

    assert len(bounds) == 2 * len(plan.OWN)
    assert max(bounds) <= 60.0


def test_what_takes_an_hour_is_measured_only_when_asked(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, float]] = []

    def measure(python: Path, engine: str, work: str, data: Path, seconds: float) -> Measured:
        seen.append((engine, seconds))
        return took(99.0)[0]

    monkeypatch.setattr(bench, "measure", measure)
    started(monkeypatch, page, "--works", "W3")
    short, seen = seen, []
    started(monkeypatch, page, "--works", "W3", "--long")

    assert [engine for engine, _ in short] == ["iverson", "reference"]
    assert [engine for engine, _ in seen] == ["iverson", "reference", "backtrader"]
    assert max(seconds for _, seconds in short) <= plan.TIMEOUT_SECONDS
    assert seen[-1][1] == plan.LONG_SECONDS
