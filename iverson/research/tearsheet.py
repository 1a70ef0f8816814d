# SPDX-License-Identifier: GPL-3.0-or-later
"""The tearsheet: quantstats' own page of daily returns, for who is used to reading one.

It is a guest: its warnings, its logging and its failures stay its own, its figures are closed, and
the one thing it would fetch from elsewhere, an icon, is taken out.
"""

from __future__ import annotations

import logging
import os
import re
import tempfile
import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

QUIET = (
    *(FutureWarning, DeprecationWarning, PendingDeprecationWarning),
    *(RuntimeWarning, UserWarning),
)

log = logging.getLogger(__name__)


def quantstats_page(
    returns: pd.Series, target: Path, *, title: str, benchmark: pd.Series | None = None
) -> str:
    """Have quantstats write its page; return "" or, in words, why there is none.

    `returns` and `benchmark` are fractions by session, named for the legend. What was at `target`
    before is replaced at once; an `OSError` leaves it as it was. A missing folder is made.
    """
    if find_spec("quantstats") is None:
        return "quantstats is not installed (`pip install 'iverson[research]'`)"
    if not (returns != 0.0).sum() > 1:
        return "equity never moved, and quantstats cannot describe that"
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem}-", suffix=".html")
    os.close(handle)
    try:
        _quantstats(returns, benchmark, name, title)
        page = Path(name).read_text(encoding="utf-8")
        # Its icon is the one thing the page would fetch from elsewhere.
        Path(name).write_text(re.sub(r"<link[^>]*icon[^>]*>", "", page), encoding="utf-8")
        publish(name, target)
    except OSError:
        raise
    except Exception as error:  # a guest's page may not take ours with it
        log.warning("tearsheet left out", exc_info=error)
        return f"quantstats failed ({type(error).__name__})"
    finally:
        Path(name).unlink(missing_ok=True)
    return ""


def publish(temporary: str, target: Path) -> None:
    """Put a finished file in its place, with the permissions of a file made the usual way."""
    mask = os.umask(0)
    os.umask(mask)
    Path(temporary).chmod(0o666 & ~mask)
    Path(temporary).replace(target)


def _quantstats(returns: pd.Series, benchmark: pd.Series | None, output: str, title: str) -> None:
    import matplotlib as mpl

    fonts = logging.getLogger("matplotlib.font_manager")  # says hundreds of times: no Arial
    level = fonts.level
    with mpl.rc_context(), warnings.catch_warnings():
        # quantstats and seaborn use calls that newer pandas, numpy and matplotlib announce as
        # going away, and divide by zero where there are no losses; none of it is ours to mend.
        for category in QUIET:
            warnings.simplefilter("ignore", category=category)
        reports: Any = import_module("quantstats.reports")
        from matplotlib import pyplot as plt

        before = set(plt.get_fignums())
        fonts.setLevel(logging.ERROR)
        try:
            reports.html(
                returns, benchmark=benchmark, output=output, title=title, match_dates=False
            )
        finally:
            fonts.setLevel(level)
            for figure in set(plt.get_fignums()) - before:
                plt.close(figure)
