# SPDX-License-Identifier: GPL-3.0-or-later
"""A language model for finance as a scorer of headlines, with weights that the user brings.

Needs the extra `finbert` and a folder with the model's files on this machine; nothing is ever
downloaded. Mind the licence of the weights: most allow research only.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iverson.errors import ConfigError

BATCH = 32
_BLOCK = 1 << 20


class FinBert:
    """Scores by the probability of "positive" less that of "negative".

    `pipeline` is called with texts, as a text-classification pipeline of `transformers` is, and
    returns for each the labels with their chances, [{"label": "positive", "score": 0.9}, ...].
    `version` names the weights; `load` takes their digest.
    """

    name = "finbert"

    def __init__(self, pipeline: Callable[..., Any], *, version: str) -> None:
        if not version:
            raise ConfigError("version is empty; name the weights, for scores to be told apart")
        self._pipeline = pipeline
        self.version = version

    def __repr__(self) -> str:
        return f"FinBert({self.version!r})"

    @classmethod
    def load(cls, folder: Path | str) -> FinBert:
        """Load a model from a folder; `ConfigError` when it, or `transformers`, is not there."""
        path = Path(folder)
        if not (path / "config.json").is_file():
            raise ConfigError(
                f"{path} holds no model (no config.json); give the folder of weights you downloaded"
            )
        try:
            transformers = import_module("transformers")
        except ImportError as error:
            raise ConfigError(
                "FinBERT needs transformers and torch; run `pip install 'iverson[finbert]'`"
            ) from error
        local = {"local_files_only": True}
        pipeline = transformers.pipeline(
            "text-classification",
            model=transformers.AutoModelForSequenceClassification.from_pretrained(path, **local),
            tokenizer=transformers.AutoTokenizer.from_pretrained(path, **local),
            top_k=None,
        )
        return cls(pipeline, version=_digest(path))

    def score(self, headlines: Sequence[str]) -> NDArray[np.float64]:
        """Return scores (n,) from -1 to 1; `ConfigError` for a model with other labels."""
        found: list[float] = []
        for start in range(0, len(headlines), BATCH):
            batch = list(headlines[start : start + BATCH])
            told = self._pipeline(batch, truncation=True)
            found += [_score(labels) for labels in told]
        return np.array(found)


def _score(labels: Sequence[Mapping[str, Any]]) -> float:
    chances = {str(one["label"]).lower(): float(one["score"]) for one in labels}
    if not {"positive", "negative"} <= set(chances):
        raise ConfigError(
            f"the model's labels are {', '.join(sorted(chances))}; expected positive and negative"
        )
    return chances["positive"] - chances["negative"]


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for file in sorted(one for one in folder.iterdir() if one.is_file()):
        total.update(file.name.encode())
        with file.open("rb") as content:
            while block := content.read(_BLOCK):
                total.update(block)
    return total.hexdigest()[:12]
