# SPDX-License-Identifier: GPL-3.0-or-later
"""Scenarios: the bundled ones can be read, and a user's file is taken or refused with a reason."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from iverson.errors import ConfigError
from iverson.simulator.faults import ACTIONS, Fault
from iverson.simulator.scenarios import bundled, read, scenario
from iverson.simulator.settings import Switches

MINE = """
[mine]
says = "The first order is lost."
switches = { half_spread_bps = 2.5, latency_seconds = [0, 1], seed = 7, day_trades_allowed = 3 }

[[mine.fault]]
on = "POST /v2/orders"
do = "reset"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "scenarios.toml"
    path.write_text(text)
    return path


def test_every_bundled_scenario_says_one_sentence() -> None:
    assert [name for name, one in bundled().items() if not one.says.endswith(".")] == []
    assert [name for name, one in bundled().items() if ". " in one.says] == []


def test_every_bundled_scenario_does_something() -> None:
    usual = Switches()

    assert [
        name for name, one in bundled().items() if not one.faults and one.applied_to(usual) == usual
    ] == []


def test_every_action_has_a_scenario() -> None:
    used = {fault.do for one in bundled().values() for fault in one.faults}

    assert set(ACTIONS) - used == {"restore keys"}  # nobody gives a revoked key back


def test_a_bundled_scenario_is_found_by_name() -> None:
    assert scenario("lost-reply").faults == (
        Fault("POST /v2/orders", "status", status=504, executed=True),
    )


def test_a_users_file_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, MINE)

    found = scenario(str(path))

    assert (found.name, found.says) == ("mine", "The first order is lost.")
    assert found.faults == (Fault("POST /v2/orders", "reset"),)
    assert found.applied_to(Switches()) == Switches(
        half_spread_bps=Decimal("2.5"), latency_seconds=(0.0, 1.0), seed=7, day_trades_allowed=3
    )


def test_one_of_several_is_named_behind_a_colon(tmp_path: Path) -> None:
    path = written(tmp_path, MINE + '[other]\nsays = "Nothing."\n')

    assert scenario(f"{path}:other").name == "other"
    with pytest.raises(ConfigError, match="has the scenarios mine, other; write"):
        scenario(str(path))
    with pytest.raises(ConfigError, match="has the scenarios mine, other; write"):
        scenario(f"{path}:third")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no scenario"),
        ("mine = 1", "mine is not a table"),
        ("[mine", "is no TOML"),
        ("[mine]\n", "says nothing; add `says`"),
        ("[mine]\nsays = 'x'\nfaults = []", "has no 'faults'; it has says, switches, fault"),
        ("[mine]\nsays = 'x'\nfault = {}", "write each fault under [[mine.fault]]"),
        ("[mine]\nsays = 'x'\nswitches = 1", "switches is not a table"),
        ("[mine]\nsays = 'x'\nswitches = { sed = 1 }", "did you mean 'seed'?"),
        ("[mine]\nsays = 'x'\nswitches = { halts = [] }", "there is no switch 'halts'"),
        ("[mine]\nsays = 'x'\nswitches = { seed = 1.5 }", "seed is 1.5; expected a value like 0"),
        (
            "[mine]\nsays = 'x'\nswitches = { dividends = 1 }",
            "dividends is 1; expected a value like False",
        ),
        ("[mine]\nsays = 'x'\n[[mine.fault]]\non = 'POST /x'\ndo = 'rest'", "did you mean 'reset'"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(written(tmp_path, text))

    assert message in str(refused.value)
    assert "scenarios.toml" in str(refused.value)


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'lost-reply'"):
        scenario("lost-rply")
    with pytest.raises(ConfigError, match="`iverson simulator --list` names them"):
        scenario("xyzzy")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml cannot be read"):
        scenario("missing.toml")
