# SPDX-License-Identifier: GPL-3.0-or-later
"""The public surface: what it lists is there, it costs nothing to import, and values print well."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import iverson as iv
from iverson import model
from iverson.testing import bars, signal

HEAVY = {"backtrader", "pandas", "numpy", "matplotlib", "pydantic", "joblib", "scipy", "rich"}
LONGEST = 200


def modules_after(code: str, folder: Path) -> set[str]:
    shown = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", shown], capture_output=True, text=True, check=True, cwd=folder
    )
    return set(done.stdout.splitlines()[-1].split())


def test_list_of_public_names_is_sorted_and_importable() -> None:
    assert list(iv.__all__) == sorted(iv.__all__)
    for name in iv.__all__:
        assert getattr(iv, name) is not None
    assert set(iv._HOME) == set(iv.__all__)
    assert set(dir(iv)) == {*iv.__all__, "__version__"}


def test_star_import_gives_the_list_and_nothing_else() -> None:
    names: dict[str, object] = {}
    exec("from iverson import *", names)  # noqa: S102 (fixed text)

    assert set(names) - {"__builtins__"} == set(iv.__all__)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'iverson' has no attribute 'Stratergy'"):
        _ = iv.Stratergy


def test_import_pulls_nothing_heavy(tmp_path: Path) -> None:
    assert not modules_after("import iverson", tmp_path) & HEAVY


def test_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    assert iv.__version__ == version("iverson")


def test_standard_rules_are_rules() -> None:
    standard = iv.rules.standard()

    assert standard
    assert all(isinstance(rule, iv.RiskRule) for rule in standard)
    assert len(iv.rules.standard(short=True)) == len(standard) - 1


@pytest.mark.parametrize(
    "value",
    [
        signal(),
        iv.Costs(),
        iv.Costs.none(),
        iv.RiskSizing(),
        *iv.rules.standard(),
        model.Verdict(signal(), approved=True, size=3, rule="risk", reason="3 shares"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_print_short_and_can_be_pasted(value: object) -> None:
    """What is printed makes an equal value again."""
    shown = repr(value)
    names = {**vars(model), **vars(iv.rules), "Costs": iv.Costs, "RiskSizing": iv.RiskSizing}
    again = eval(shown, {**names, "datetime": sys.modules["datetime"], "nan": float("nan")})  # noqa: S307 (ours)

    assert repr(again) == shown
    limit = LONGEST * (3 if is_dataclass(value) and len(fields(value)) > 7 else 1)
    assert len(shown) <= limit


def test_results_print_as_a_small_table() -> None:
    run = iv.System(Dip, ["TEST"], bars={"TEST": bars("100 101 99 102 " * 60)}).backtest()

    lines = repr(run).splitlines()
    assert repr(run) == str(run)
    assert lines[0].startswith("Dip on TEST: ")
    assert max(map(len, lines)) <= 100
    assert len(lines) < 20


class Dip(iv.Strategy):
    """Buy every close."""

    warm_up = 63

    def entry(self, data):
        return iv.Long(confidence=3, limit=data.close, stop=data.close * 0.98)
