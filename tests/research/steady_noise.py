# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise that is the same to the last bit on every machine and in every version, for answers kept.

`tests/answers` holds what other tools said about these numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GOLDEN = 0x9E3779B97F4A7C15
FIRST = 0xBF58476D1CE4E5B9
SECOND = 0x94D049BB133111EB


def steady_noise(count: int, seed: int) -> Floats:
    """Nearly normal: 12 uniform numbers summed, less 6; deviation 1. SplitMix64 (Steele 2014)."""
    state = np.arange(12 * count, dtype=np.uint64) + np.uint64(1 + 1_000_003 * seed)
    with np.errstate(over="ignore"):
        z = state * np.uint64(GOLDEN)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    uniform = ((z ^ (z >> np.uint64(31))) >> np.uint64(11)).astype(np.float64) / 2.0**53
    return uniform.reshape(count, 12).sum(axis=1) - 6.0


def steady_walk(count: int, seed: int, memory: float) -> Floats:
    """Autoregressive of order 1: each value keeps `memory` of the one before."""
    noise = steady_noise(count, seed)
    values = np.empty(count)
    last = 0.0
    for at, shock in enumerate(noise):
        last = values[at] = memory * last + shock
    return values


def steady_trials(sessions: int, trials: int, seed: int) -> Floats:
    """Returns sessions × trials: correlated, remembering a little, means from bad to good."""
    common = steady_walk(sessions, seed, 0.2)
    columns = [
        0.6 * common + steady_walk(sessions, seed + 1 + k, 0.1) + (k - 0.7 * trials) * 0.03
        for k in range(trials)
    ]
    return 0.01 * np.column_stack(columns)
