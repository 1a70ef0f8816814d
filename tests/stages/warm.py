# SPDX-License-Identifier: GPL-3.0-or-later
"""What the server of `tests.stages.killing` imports: everything, with one scene already played.

A process forked from it finds the calendars computed and every late import done, also those of the
campaign, which a child imports as its main module.
"""

from __future__ import annotations

from tests.stages import cases, killing, streaming
from tests.stages.play import play
from tests.stages.scenes import scenes

__all__ = ["cases", "killing", "streaming"]

play(next(iter(scenes().values())))
