"""The look of a figure: both themes' colours, matplotlib's settings, and output as PNG and SVG.

A figure is drawn once, in the light theme's colours. A PNG keeps them. In an SVG each of them
becomes a CSS variable of the page, so that one drawing follows the reader's theme. Text stays
text. Nothing of the user's own matplotlib settings is used or changed.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from matplotlib.figure import Figure

# Role: its colour in the light and in the dark theme. The two data colours are Okabe and Ito's
# blue and vermilion (2008, "Color Universal Design"), darker or lighter for contrast.
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
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    # A column may be called `$x$`.
    "text.parse_math": False,
    # One name: where text is drawn by a browser, the page names the fonts.
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 9.0,
    "figure.labelsize": 9.0,
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
    "lines.markeredgewidth": 0.0,
}


def template(name: str, **filters: Callable[..., str]) -> Template:
    """Return one of this package's templates, which escapes every value that it shows."""
    environment = Environment(
        loader=PackageLoader("kaggleprice.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    environment.globals["palette"] = PALETTE
    return environment.get_template(name)


@contextmanager
def drawing() -> Iterator[None]:
    """Set this package's style, whatever the user's matplotlibrc holds, until the block ends."""
    with mpl.rc_context(), warnings.catch_warnings():
        # matplotlib's font may lack a script that a name is written in; the page's fonts have it.
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
    """Return a figure as an `<svg>` element for a page that defines the palette as CSS variables.

    Args:
        figure: drawn within `drawing()`.
        name: unique on the page; the ids within the element are made from it.
    """
    buffer = io.StringIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with drawing():
        mpl.rcParams["svg.hashsalt"] = name
        figure.savefig(buffer, format="svg", facecolor="none", metadata=metadata)
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    head, body = svg[svg.index("<svg") :].strip().split(">", 1)
    # matplotlib gives every group an id, the same in each figure: keep those that are referred to.
    used = set(re.findall(r"#([\w-]+)[\")]", body))
    # Only tags are changed, never text, which comes from the data.
    body = re.sub(r"<[^>]*>", lambda tag: _adapt(tag[0], used), body)
    size = re.findall(r' (viewBox="[^"]*")', head)[0]
    return f"<svg {size}>{_share_styles(body)}"


def _adapt(tag: str, used: set[str]) -> str:
    """Return a tag without an unused id, with short numbers and the page's colours."""
    tag = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", tag)
    # A hundredth of a point is finer than any screen.
    tag = re.sub(r"(\d\.\d\d)\d+", r"\1", tag)
    for role, (light, _) in PALETTE.items():
        tag = tag.replace(light, f"var(--{role})")
    return tag


def _share_styles(svg: str) -> str:
    """Move the style that thousands of markers repeat to their group."""

    def share(group: re.Match[str]) -> str:
        styles = set(re.findall(r'<use [^>]*?( style="[^"]*")', group[2]))
        if len(styles) != 1:
            return group[0]
        (style,) = styles
        return f"<g{group[1]}{style}>{group[2].replace(style, '')}</g>"

    return re.sub(r"<g( clip-path=\"[^\"]*\")>((?:\s*<use [^>]*/>)+)\s*</g>", share, svg)
