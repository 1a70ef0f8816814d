# SPDX-License-Identifier: GPL-3.0-or-later
"""Scorers of headlines: how good or bad one is for the share, from -1 to 1.

All have one interface, `Scorer`; a score is kept with the scorer's name and version. The default
needs no download and no network: the rules and words of `headline_rules`, and VADER where they
have nothing to say. How well it does is measured in docs/sentiment.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from iverson.signals import headline_rules, headline_words

Floats = NDArray[np.float64]
NEUTRAL = 0.05  # nearer to 0 a score is neutral: VADER's own convention
VADER_SURE = 0.6  # VADER has a say only when it is sure
VADER_WEIGHT = 0.3


class Scorer(Protocol):
    """What scores headlines; `version` changes whenever a score could."""

    @property
    def name(self) -> str:
        """What it is called, beside its scores."""
        ...

    @property
    def version(self) -> str:
        """A digest of all that decides a score."""
        ...

    def score(self, headlines: Sequence[str]) -> Floats:
        """Return scores (n,) from -1, bad for the share, to 1."""
        ...


class Lexicon:
    """The default: rules and words for finance, VADER for the rest."""

    name = "lexicon"

    def __init__(self) -> None:
        own = (headline_words, headline_rules)
        texts = [Path(str(module.__file__)).read_bytes() for module in own]
        known = f"{version('vaderSentiment')}|{NEUTRAL}|{VADER_SURE}|{VADER_WEIGHT}".encode()
        self.version = hashlib.sha256(b"|".join([*texts, known])).hexdigest()[:12]
        plain = frozenset(headline_words.PLAIN.split())
        self._vader = Vader(without=plain)

    def __repr__(self) -> str:
        return f"Lexicon({self.version})"

    def score(self, headlines: Sequence[str]) -> Floats:
        """Return scores (n,) from -1 to 1; 0 where nothing is said."""
        return np.array([self._one(text) for text in headlines])

    def _one(self, text: str) -> float:
        found = headline_rules.score(text)
        if found is not None:
            return found
        felt = self._vader.one(text)
        return VADER_WEIGHT * felt if abs(felt) >= VADER_SURE else 0.0


class Vader:
    """VADER alone (Hutto and Gilbert 2014, ICWSM): made for what people say on social media."""

    name = "vader"

    def __init__(self, *, without: frozenset[str] = frozenset()) -> None:
        self.version = version("vaderSentiment")
        self._without = without
        self._analyzer: Any = None

    def one(self, text: str) -> float:
        """Return VADER's compound score of one text."""
        if self._analyzer is None:
            module = import_module("vaderSentiment.vaderSentiment")
            self._analyzer = module.SentimentIntensityAnalyzer()
            for word in self._without:
                self._analyzer.lexicon.pop(word, None)
        return float(self._analyzer.polarity_scores(text)["compound"])

    def score(self, headlines: Sequence[str]) -> Floats:
        """Return compound scores (n,)."""
        return np.array([self.one(text) for text in headlines])


@cache
def default_scorer() -> Lexicon:
    """Return the default scorer, made once."""
    return Lexicon()
