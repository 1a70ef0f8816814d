# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors Iverson raises, named by what the reader has to do next.

    IversonError
    ├── ConfigError           fix the settings, the parameters or the strategy
    │   └── UnknownParameter  a name that the strategy does not have
    ├── DataError             look at the bars
    │   ├── MissingBars       fetch or import more of them
    │   ├── BadBars           what was given is not bars
    │   └── StaleBars         wait, or fetch
    ├── BrokerUnavailable     try again later
    ├── Refused               nothing is broken: what was asked may not be done
    ├── OrderRejected         carry on; it is recorded
    └── OutOfSync             halt; a person decides

A denial by the risk layer is not an error: it is a `Verdict`.
A message says what was wrong, what was expected, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class IversonError(Exception):
    """Any error of Iverson's own; the command line turns it into one sentence and exit code 2."""


class ConfigError(IversonError):
    """The settings, the parameters or the strategy have to be changed."""


class UnknownParameter(ConfigError):
    """A parameter was named that the strategy does not have."""

    @classmethod
    def named(cls, name: str, known: Iterable[str], *, owner: str) -> UnknownParameter:
        """Build the sentence, with a "did you mean" when a known name is close."""
        names = sorted(known)
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"it has {', '.join(names) or 'none'}"
        return cls(f"{owner} has no parameter {name!r}; {hint}")


class DataError(IversonError):
    """The bars are missing, malformed or too old."""


class MissingBars(DataError):
    """Bars that were asked for are not there."""


class BadBars(DataError):
    """What was given cannot be read as bars."""


class StaleBars(DataError):
    """The newest bar is older than a decision may rest on."""


class BrokerUnavailable(IversonError):
    """The broker did not answer; the state of the last request is unknown."""


class Refused(IversonError):
    """What was asked may not be done; the command line ends with exit code 1."""


class OrderRejected(IversonError):
    """The broker refused an order."""


class OutOfSync(IversonError):
    """Our book and the broker's cannot both be right."""
