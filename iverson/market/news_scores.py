# SPDX-License-Identifier: GPL-3.0-or-later
"""The scores of stored headlines, each with the name and version of what made it.

    news/scores.jsonl    {"id": ..., "revision": 0, "model": ..., "version": ..., "score": -0.61}

A file that only grows. Another version of a model scores anew; the old scores stay, so that an old
decision can be explained.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from iverson.errors import DataError
from iverson.market.bars import Floats
from iverson.market.news import Headline

_Key = tuple[str, int]


class Model(Protocol):
    """What scores headlines; its version changes whenever a score could."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def version(self) -> str:
        """What it was made of."""
        ...

    def score(self, headlines: Sequence[str]) -> Floats:
        """Return scores (n,) from -1, bad for the share, to 1."""
        ...


class ScoreFile:
    """Scores beside the headlines; `folder` None keeps none."""

    def __init__(self, folder: Path | None) -> None:
        self.path = None if folder is None else folder / "scores.jsonl"

    def scored(self, states: Sequence[Headline], model: Model) -> Floats:
        """Return the score of each state (n,), from the file or made now and added to it.

        Raises
        ------
        DataError: a model gave something else than a number from -1 to 1 for each headline.
        """
        known = self._read(model)
        missing = [one for one in states if (one.id, one.revision) not in known]
        if missing:
            made = np.asarray(model.score([one.headline for one in missing]), dtype=np.float64)
            if made.shape != (len(missing),) or not (np.abs(made) <= 1).all():
                raise DataError(
                    f"{model.name} {model.version} gave scores of shape {made.shape}; expected a "
                    f"number from -1 to 1 for each of {len(missing)} headlines"
                )
            new = {(s.id, s.revision): float(m) for s, m in zip(missing, made, strict=True)}
            self._append(new, model)
            known |= new
        return np.array([known[one.id, one.revision] for one in states])

    def _read(self, model: Model) -> dict[_Key, float]:
        if self.path is None or not self.path.is_file():
            return {}
        found = {}
        content = self.path.read_bytes()
        for line in content[: content.rfind(b"\n") + 1].splitlines():
            row = json.loads(line)
            if row["model"] == model.name and row["version"] == model.version:
                found[row["id"], row["revision"]] = float(row["score"])
        return found

    def _append(self, scores: dict[_Key, float], model: Model) -> None:
        if self.path is None:
            return
        rows = (
            {"id": key[0], "revision": key[1], "model": model.name, "version": model.version,
             "score": score}
            for key, score in scores.items()
        )  # fmt: skip
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        try:
            with self.path.open("a+b") as file:
                file.seek(0)
                content = file.read()
                file.truncate(content.rfind(b"\n") + 1)  # a last line that was cut off in writing
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except PermissionError:  # a store that may only be read is scored each time
            return
