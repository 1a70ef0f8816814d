# SPDX-License-Identifier: GPL-3.0-or-later
"""One root; children by what the reader has to do next."""

from __future__ import annotations

import inspect
import pickle

import pytest

from iverson import errors
from iverson.errors import (
    BadBars,
    BrokerUnavailable,
    ConfigError,
    DataError,
    IversonError,
    MissingBars,
    OrderRejected,
    OutOfSync,
    Refused,
    StaleBars,
    UnknownParameter,
)

PARENTS = {
    ConfigError: IversonError,
    UnknownParameter: ConfigError,
    DataError: IversonError,
    MissingBars: DataError,
    BadBars: DataError,
    StaleBars: DataError,
    BrokerUnavailable: IversonError,
    Refused: IversonError,
    OrderRejected: IversonError,
    OutOfSync: IversonError,
}
ALL = [
    found
    for _, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, Exception)
]


@pytest.mark.parametrize(("child", "parent"), PARENTS.items())
def test_each_error_has_its_place_in_the_tree(
    child: type[IversonError], parent: type[IversonError]
) -> None:
    assert child.__bases__ == (parent,)


def test_tree_is_complete_and_drawn() -> None:
    assert set(ALL) == {IversonError, *PARENTS}
    assert all(found.__name__ in (errors.__doc__ or "") for found in ALL)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_error_survives_a_process_pool(kind: type[IversonError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("what, why, what to do")))  # noqa: S301 (our own bytes)

    assert (type(copy), str(copy)) == (kind, "what, why, what to do")


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("perod", ["period", "oversold"], "Rsi has no parameter 'perod'; did you mean 'period'?"),
        ("zzz", ["b", "a"], "Rsi has no parameter 'zzz'; it has a, b"),
        ("zzz", [], "Rsi has no parameter 'zzz'; it has none"),
    ],
)
def test_unknown_parameter_helps_to_find_the_known_one(
    name: str, known: list[str], words: str
) -> None:
    assert str(UnknownParameter.named(name, known, owner="Rsi")) == words
