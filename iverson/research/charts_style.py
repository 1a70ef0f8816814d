# SPDX-License-Identifier: GPL-3.0-or-later
"""How every picture looks: one palette, one set of fonts, quiet axes; and pictures as text.

Figures are made and drawn under `styled`, never through pyplot, so that no global state changes
and nothing needs a display. Colours are Okabe and Ito's (2008), told apart by the colour-blind.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
import pandas as pd

from iverson.errors import ConfigError
from iverson.market.feeds import SYNTHETIC, is_synthetic

try:
    import matplotlib as mpl
    import matplotlib.dates as mpl_dates
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter
except ImportError as error:
    raise ConfigError(
        "pictures need matplotlib, which is not installed; run `pip install 'iverson[research]'`"
    ) from error

BLUE, ORANGE, GREEN, RED = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, INK, GREY, PALE = "#CC79A7", "#56B4E9", "#1F2933", "#7B8794", "#E4E7EB"
DIVERGING = LinearSegmentedColormap.from_list("loss to gain", [RED, "#FBFBFB", BLUE])
RISING = LinearSegmentedColormap.from_list("low to high", ["#F3F7FA", SKY, BLUE, "#08306B"])
Given = ParamSpec("Given")
MARK = f"{SYNTHETIC} BARS"
_MARK: ContextVar[str] = ContextVar("mark", default="")
WIDTH = 10.0  # inches; shown at about 960 pixels

STYLE: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#B0B7C0",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "grid.color": PALE,
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "savefig.dpi": 150,
    "svg.fonttype": "path",
    "svg.hashsalt": "iverson",
    "text.color": INK,
    "text.parse_math": False,  # a $ in a name is a dollar sign
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
}


@contextmanager
def styled() -> Iterator[None]:
    """Apply the style to what is made or drawn inside, and nothing else."""
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # A name in letters that the font lacks is drawn as boxes; that is all there is to say.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from", category=UserWarning)
        yield


class NotebookFigure(Figure):
    """A figure that a notebook shows without pyplot having been imported."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        with styled():
            self.savefig(stream, format="png")
        return stream.getvalue()


def make_figure(height: float = 4.0, *, width: float = WIDTH) -> Figure:
    """Return an empty figure of `width` x `height` inches, marked as the pictures around it are."""
    figure = NotebookFigure(figsize=(width, height), layout="constrained")
    words = _MARK.get()
    if words:
        figure.text(
            0.5, 0.5, words, ha="center", va="center", color=RED, alpha=0.22, weight="bold",
            fontsize=min(44.0, 4.4 * width, 20.0 * height), rotation=8, zorder=10,
        )  # fmt: skip
    return figure


@contextmanager
def marked(words: str) -> Iterator[None]:
    """Write words across every picture made inside; "" leaves the mark that is on already."""
    token = _MARK.set(words or _MARK.get())
    try:
        yield
    finally:
        _MARK.reset(token)


def mark_of(thing: Any) -> str:
    """Return what pictures of a result, of one of its tables, or of bars are marked with."""
    passport = getattr(thing, "passport", None)
    if passport is not None and passport.mark:
        return str(passport.mark)
    if is_synthetic(str(getattr(thing, "feed", ""))):
        return MARK
    return str(getattr(thing, "attrs", {}).get("mark", ""))


def marking(draw: Callable[Given, Figure]) -> Callable[Given, Figure]:
    """Have a chart marked by what it is drawn from, its first argument."""

    @wraps(draw)
    def drawn(*given: Given.args, **options: Given.kwargs) -> Figure:
        with marked(mark_of(given[0] if given else None)):
            return draw(*given, **options)

    return drawn


def empty_figure(words: str) -> Figure:
    """Return a flat figure that says why there is nothing to draw."""
    figure = make_figure(1.2)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center", color=GREY)
    return figure


def svg(figure: Figure) -> str:
    """Return a figure as SVG text; the same figure gives the same bytes."""
    stream = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with styled():
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(stream, metadata=nothing)
    text = stream.getvalue()
    text = re.sub(r"<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
    return re.sub(r"\s*\n\s*", "\n", text)


def data_uri(figure: Figure) -> str:
    """Return a figure as a `data:` address, to be put into a page whole."""
    packed = base64.b64encode(svg(figure).encode()).decode("ascii")
    return f"data:image/svg+xml;base64,{packed}"


def days(index: Any) -> Any:
    """Return sessions as matplotlib's date numbers."""
    return np.asarray(pd.DatetimeIndex(index), dtype="datetime64[D]").astype(np.float64)


def date_axis(axes: Axes) -> None:
    """Write dates short: years where years change, months within."""
    dates: Any = mpl_dates
    locator = dates.AutoDateLocator(minticks=4, maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=True))


def dollars(value: float, _: Any = None) -> str:
    """Write an amount: $1,234 or −$12.50."""
    sign = "−" if value < 0 else ""
    return (
        f"{sign}${abs(value):,.0f}"
        if abs(value) >= 100 or value == round(value)
        else (f"{sign}${abs(value):,.2f}")
    )


def percents(value: float, _: Any = None) -> str:
    """Write a fraction: 12% or −0.5%."""
    digits = 0 if abs(value * 100 - round(value * 100)) < 1e-9 else 1
    return f"{value:.{digits}%}".replace("-", "−")


DOLLARS = FuncFormatter(dollars)
PERCENTS = FuncFormatter(percents)
