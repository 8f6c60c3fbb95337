"""Style: colours of both themes, numbers on axes, and figures as SVG and PNG.

Figures are drawn once, in the light theme's colours. A PNG keeps them. In an SVG each becomes a
CSS variable of the page, so that one drawing follows the reader's theme; its text stays text.
Only matplotlib's object-oriented interface is used, and none of a user's own matplotlib settings.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator
from numpy.typing import NDArray

from kaggleprice.competitions.transforms import TargetTransform
from kaggleprice.reports.wording import compact

Floats = NDArray[np.float64]

# Role: its colour in the light and in the dark theme. The first two data colours are Okabe and
# Ito's blue and vermilion (2008, "Color Universal Design"), darker or lighter for contrast.
PALETTE = {
    "paper": ("#ffffff", "#16191d"),
    "ink": ("#1c2126", "#e8ebee"),
    "muted": ("#5a636c", "#a7b0b9"),
    "rule": ("#dde1e5", "#353c44"),
    "first": ("#0070b0", "#5ab6ec"),
    "second": ("#c04a00", "#f2994a"),
}
PAPER, INK, MUTED, RULE, FIRST, SECOND = (light for light, _ in PALETTE.values())

_DPI = 150
# Ticks on an axis of logs, from few to many, and the least room for one as a part of the axis.
_STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))
_ENOUGH_TICKS = 4
LEAST_GAP = 0.1
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    # A column may be called `$x$`.
    "text.parse_math": False,
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.4,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in this package's style, whatever the user's matplotlibrc says."""
    with mpl.rc_context(), warnings.catch_warnings():
        # A name in a script that the font lacks: the page's own fonts show it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def to_png(figure: Figure) -> bytes:
    """Return a figure as a PNG in the light theme's colours."""
    buffer = io.BytesIO()
    with drawing():
        figure.savefig(buffer, format="png", dpi=_DPI, facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()


def to_svg(figure: Figure, name: str) -> str:
    """Return a figure as an `<svg>` element for a page that has the palette as CSS variables.

    Args:
        figure: drawn within `drawing()`.
        name: unique on the page: what the figure's ids are made of.
    """
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with drawing():
        mpl.rcParams["svg.hashsalt"] = name
        figure.savefig(buffer, format="svg", facecolor="none", metadata=metadata)
    return _for_page(buffer.getvalue())


def _for_page(svg: str) -> str:
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    head, body = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    if box is None:
        raise ValueError("matplotlib wrote an SVG without a viewBox")
    # Ids that nothing refers to would stand on the page once for every figure.
    used = set(re.findall(r"#([\w-]+)[\")]", body))
    body = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", body)
    body = re.sub(r"<[^>]*>", lambda tag: _retouch(tag[0]), body)
    return f"<svg {box[0]}>{_hoist_styles(body)}"


def _retouch(tag: str) -> str:
    """Shorten a tag's numbers, and let the page choose its colours and fonts."""
    # A hundredth of a point is finer than any screen.
    tag = re.sub(r"(\d\.\d\d)\d+", r"\1", tag)
    tag = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--font)", tag)
    for role, (light, _) in PALETTE.items():
        tag = tag.replace(light, f"var(--{role})")
    return tag


def _hoist_styles(body: str) -> str:
    """Give the style that all markers of a group share to the group: thousands of points."""

    def hoist(group: re.Match[str]) -> str:
        styles = set(re.findall(r'<use [^>]*?style="([^"]*)"', group[2]))
        if len(styles) != 1:
            return group[0]
        inner = re.sub(r'(<use [^>]*?) style="[^"]*"', r"\1", group[2])
        return f'<g{group[1]} style="{styles.pop()}">{inner}</g>'

    return re.sub(r"<g( clip-path=\"[^\"]*\")>((?:\s*<use [^>]*/>)+)\s*</g>", hoist, body)


def value_ticks(
    low: float, high: float, transform: TargetTransform, gap: float = LEAST_GAP
) -> list[float]:
    """Return a few round values between two, to be marked on the transformed scale.

    Args:
        low: the smaller one.
        high: the larger one.
        transform: what the axis shows values by.
        gap: the least room between two marks, as a part of the axis.
    """
    best: list[float] = []
    if transform.logarithmic and high > 0:
        # Nine decades below the largest value, all else is next to nothing.
        decades = 10.0 ** np.arange(np.floor(np.log10(max(low, high * 1e-9))), 300)
        for steps in _STEPS:
            values = [
                0.0,
                *(float(f"{step * d:g}") for d in decades[decades <= high] for step in steps),
            ]
            inside = [
                value
                for value in values
                if low <= value <= high and transform.accepts(np.array(value))
            ]
            if len(inside) > len(best) and _apart(inside, low, high, transform) >= gap:
                best = inside
            if len(best) >= _ENOUGH_TICKS:
                return best
    if len(best) > 1:
        return best
    return [float(v) for v in MaxNLocator(5).tick_values(low, high) if low <= v <= high]


def _apart(values: list[float], low: float, high: float, transform: TargetTransform) -> float:
    """Return the least room between marks on the transformed scale, as a part of the axis."""
    places = transform.forward(np.array([low, *values, high]))
    gaps = np.diff(places[1:-1])
    return float(gaps.min() / (places[-1] - places[0])) if len(gaps) else 1.0


def value_axis(
    axis: Axis, values: Floats, transform: TargetTransform, gap: float = LEAST_GAP
) -> None:
    """Mark round values on an axis that shows transformed ones.

    Args:
        axis: of the plot.
        values: what is shown, in their own unit.
        transform: what they are shown by.
        gap: as in `value_ticks`.
    """
    ticks = value_ticks(float(np.min(values)), float(np.max(values)), transform, gap)
    axis.set_major_locator(FixedLocator(list(transform.forward(np.array(ticks)))))
    axis.set_major_formatter(FuncFormatter(lambda _, i: compact(ticks[i or 0])))
    axis.set_tick_params(which="minor", bottom=False, left=False)


def number_axis(axis: Axis, most: int = 6, *, whole: bool = False) -> None:
    """Mark a few plain numbers, or only whole ones."""
    axis.set_major_locator(MaxNLocator(most, integer=whole, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: compact(value)))


def plain_legend(axes: Axes, **options: Any) -> None:
    """Add a legend whose signs are as strong as its words."""
    legend = axes.legend(**options)
    for handle in legend.legend_handles:
        if handle is not None:
            handle.set_alpha(1.0)
