# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m tests.bench.sentiment FILE...`: how well headlines are scored, on labelled files.

A file (CSV or Parquet) has the columns text and label: negative, neutral or positive. It is split
by a seeded hash of the text; `--half tune` is for looking and tuning, `--half judge` for the one
number that is reported. Always-neutral and VADER alone stand beside for comparison. Labelled sets
that may be used for measuring but not passed on are the user's to bring.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from iverson.signals.headlines import NEUTRAL, Vader, default_scorer

LABELS = ("negative", "neutral", "positive")
SEED = "iverson"


def in_judged_half(text: str) -> bool:
    """Whether a text is of the half that is looked at once, at the end."""
    return hashlib.sha256(f"{SEED}|{text}".encode()).digest()[0] % 2 == 1


def labels_of(scores: Sequence[float] | np.ndarray[Any, Any]) -> list[str]:
    """Return the label of each score."""
    return ["negative" if s <= -NEUTRAL else "positive" if s >= NEUTRAL else "neutral"
            for s in scores]  # fmt: skip


def measures(wanted: Sequence[str], found: Sequence[str]) -> dict[str, float]:
    """Return accuracy, the F1 of each label, and their mean, the macro-F1."""
    pairs = list(zip(wanted, found, strict=True))
    told = {"accuracy": sum(w == f for w, f in pairs) / len(pairs)}
    for label in LABELS:
        right = sum(w == f == label for w, f in pairs)
        given = sum(w == label for w in wanted) + sum(f == label for f in found)
        told[label] = 2 * right / given if given else 0.0
    told["macro_f1"] = sum(told[label] for label in LABELS) / len(LABELS)
    return told


def read(path: Path) -> pd.DataFrame:
    """Read a labelled file; ends with one sentence when it is none."""
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    if not {"text", "label"} <= set(frame.columns) or not set(frame["label"]) <= set(LABELS):
        sys.exit(f"{path} needs the columns text and label, of {', '.join(LABELS)}")
    return frame


def main() -> None:
    """Measure and print one table for each file."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("files", nargs="+", type=Path)
    asked.add_argument("--half", choices=["tune", "judge", "all"], default="judge")
    options = asked.parse_args()
    ours = default_scorer()
    scorers: dict[str, Callable[[Sequence[str]], Any]] = {
        "always neutral": lambda texts: np.zeros(len(texts)),
        "VADER alone": Vader().score,
        f"{ours.name} {ours.version}": ours.score,
    }
    for path in options.files:
        frame = read(path)
        judged = frame["text"].map(in_judged_half)
        if options.half != "all":
            frame = frame[judged if options.half == "judge" else ~judged]
        texts, wanted = frame["text"].tolist(), frame["label"].tolist()
        say(f"\n{path.stem}, half: {options.half}, {len(texts):,} headlines\n")
        say("| scorer | accuracy | macro-F1 | negative | neutral | positive | ms a headline |")
        say("|---|---|---|---|---|---|---|")
        for name, score in scorers.items():
            began = time.perf_counter()
            found = labels_of(score(texts))
            took = 1e3 * (time.perf_counter() - began) / len(texts)
            told = measures(wanted, found)
            cells = [told[key] for key in ("accuracy", "macro_f1", *LABELS)]
            say(f"| {name} | {' | '.join(f'{one:.3f}' for one in cells)} | {took:.2f} |")


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201 (a command: it prints)


if __name__ == "__main__":
    main()
