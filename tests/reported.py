"""A competition whose names and values are markup, a run of it, and a parser of the page."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kaggleprice.api import workflow
from kaggleprice.competitions.catalog import read_competition
from kaggleprice.runs.run import Run
from kaggleprice.settings.run import make_settings

# Names and values that are HTML, Jinja2, mathematics or nothing, wherever they are not text.
EVIL = "<script>alert(1)</script>"
QUOTED = '$a_b$ & "onclick="x'
LEVELS = ["a<b", "{{ 7 * 7 }}", '"e"', None]
FIGURES = (
    "learning-curves",
    "predictions",
    "residuals",
    "residuals-by-column",
    "importance",
    "distributions",
)
ROWS, TEST_ROWS = 90, 40
# Without bounds, so that what a report says can be computed from the networks alone.
OPTIONS = {
    "k": 3,
    "portfolio": (),
    "seeds": 2,
    "epochs": 12,
    "hidden": (8,),
    "lr": 0.03,
    "history_every": 4,
    "bound": False,
}
VOID = {"meta", "link"}


@dataclass(frozen=True)
class Made:
    """A run of the invented competition, and where everything is."""

    folder: Path
    source: workflow.DatasetRef
    runtime: workflow.RuntimeConfig
    run: Run


class Parsed(HTMLParser):
    """A page as tags and text; every tag must be closed in the order they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open += [tag] * (tag not in VOID)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def write_competition(folder: Path, transform: str = "log", metric: str = "log_rmse") -> Path:
    """Write CSVs in which `Size` decides the target and `Still` never varies; return the TOML."""
    random = np.random.default_rng(0)
    count = ROWS + TEST_ROWS
    size = random.uniform(1, 3, count)
    size[ROWS:] += 0.5
    empty = random.uniform(size=count) < 0.2
    frame = pd.DataFrame(
        {
            "Id": [f"h{i}<b>" for i in range(count)],
            "Size": size.round(4),
            "Noise": random.normal(size=count).round(4),
            "Still": 7.0,
            EVIL: random.choice(np.array(LEVELS, dtype=object), count),
            QUOTED: np.where(empty, np.nan, random.integers(0, 3, count)),
        }
    )
    target = np.exp(size + 0.02 * random.normal(size=count)) if transform != "none" else -size
    train = frame.iloc[:ROWS].assign(**{"Pr<ice": target[:ROWS].round(5)})
    train.to_csv(folder / "train.csv", index=False)
    frame.iloc[ROWS:].to_csv(folder / "test.csv", index=False)
    toml = folder / "evil.toml"
    toml.write_text(
        f'name = "evil"\ntitle = "A & B {EVIL}"\nid_column = "Id"\ntarget_column = "Pr<ice"\n'
        f'target_transform = "{transform}"\nmetric = "{metric}"\n'
        '[train]\npath = "train.csv"\n[test]\npath = "test.csv"\n',
        encoding="utf-8",
    )
    return toml


def make_run(
    folder: Path, transform: str = "log", metric: str = "log_rmse", **options: Any
) -> Made:
    """Cross-validate the invented competition in a folder."""
    competition = read_competition(write_competition(folder, transform, metric))
    source = workflow.DatasetRef(competition, folder / "data")
    runtime = workflow.RuntimeConfig(folder / "runs", "cpu", 1)
    settings = make_settings(options={**OPTIONS, **options})
    run, _ = workflow.cross_validate(source, settings, runtime)
    return Made(folder, source, runtime, run)
