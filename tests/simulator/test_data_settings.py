# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from iverson.errors import ConfigError
from iverson.simulator.data_settings import DataSwitches


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"iex_share": 2.0}, "iex_share is 2; expected a share from 0 to 1"),
        ({"iex_missing": -0.1}, "iex_missing is -0.1; expected a share"),
        ({"late_share": 1.5}, "late_share is 1.5; expected a share"),
        ({"running": "maybe"}, "running is 'maybe'; expected 'partial' or 'excluded'"),
        ({"actions": "some"}, "actions is 'some'; expected 'by now' or 'all'"),
        ({"connections": 0}, "connections and queue_limit are at least 1"),
        ({"queue_limit": 0}, "connections and queue_limit are at least 1"),
        ({"announced_days": -1}, "announced_days is -1; expected 0 or more"),
    ],
)
def test_switches_that_cannot_be_are_refused_in_a_sentence(
    switches: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        DataSwitches(**switches)
