"""Making a report of a finished run: its page and its figures, in the run folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kaggleprice.competitions.data import DatasetRef, load, refuse_overwriting_inputs
from kaggleprice.core.errors import RunFolderError, UsageError
from kaggleprice.core.files import check_writable, replacing
from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.reports import (
    DEFAULT_COLUMNS,
    DEFAULT_REPEATS,
    FIGURES,
    PAGE,
    require_matplotlib,
)
from kaggleprice.reports.findings import Findings, find
from kaggleprice.runs.exclusive import unchanged
from kaggleprice.runs.listing import find_run
from kaggleprice.runs.run import Run
from kaggleprice.runs.runtime import RuntimeConfig, check_data, source_of
from kaggleprice.training.devices import choose_compute, place_network

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUFFIXES = (".html", ".htm")


@dataclass(frozen=True)
class Report:
    """What `make_report` computed and wrote.

    Attributes:
        findings: the numbers.
        page: the HTML file in the run folder.
        output: a second copy of the page; or None.
        figures: name of a figure, its PNG in the run folder.
    """

    findings: Findings
    page: Path
    output: Path | None
    figures: dict[str, Path]


def make_report(
    source: DatasetRef,
    runtime: RuntimeConfig,
    name: str | None = None,
    *,
    output: Path | None = None,
    repeats: int = DEFAULT_REPEATS,
    columns: int = DEFAULT_COLUMNS,
    target: str | None = None,
    progress: Progress = SILENT,
) -> Report:
    """Report a finished run: write a page and its figures.

    They go to the run folder: `report.html` and `figures/NAME.png`. The same run gives the same
    page.

    Args:
        source: the data that the run was trained on.
        runtime: the folder of all runs, and the device that predicts.
        name: of the run; None for the latest finished one.
        output: a second copy of the page, as `.html` or `.htm`; None for none.
        repeats: permutations of each column for its importance; 0 leaves importance out.
        columns: how many to show, at most, where columns are shown.
        target: which of several targets to report; None for the first.
        progress: told what happens.

    Raises:
        UsageError: where matplotlib is missing, a value is not allowed, or there is no run yet.
        UnknownNameError: for a name that no run, or no target, has.
        DataError: where the data changed since the run was trained.
        RunFolderError: where the run is incomplete or was altered.
        OutputError: where a file cannot be written.
    """
    _check(output, repeats, columns)
    targets = source.competition.targets
    chosen = targets[0] if target is None else target
    source.competition.of_target(chosen)
    run = find_run(runtime.runs_dir, source.competition.name, name)
    source = source_of(run, source, progress)
    competition = source.competition.of_target(chosen)
    pages = [run.output(PAGE), *([] if output is None else [output])]
    for path in (*pages, run.output(f"{FIGURES}/{PAGE}")):
        check_writable(path)
    compute = choose_compute(runtime.device, runtime.threads)
    progress.notice(f"reporting run {run.name} of {run.path.parent}")
    data = load(source, progress)
    if output is not None:
        refuse_overwriting_inputs(data, output)
    check_data(run, source.competition, data)
    ensemble, number = run.ensemble(), targets.index(competition.targets[0])
    if len(targets) > 1:
        others = ", ".join(repr(name) for name in targets if name not in competition.targets)
        progress.notice(f"of target {competition.targets[0]!r}; --target names another: {others}")
        data = replace(data, tables=data.tables.of_target(number))
        ensemble = ensemble.of_target(number, run.settings.variants)
    place_network(ensemble.network, compute.device, progress)
    with runtime.executor(compute, progress) as executor:
        findings = find(
            run,
            competition,
            data,
            ensemble,
            target=number,
            repeats=repeats,
            executor=executor,
            progress=progress,
        )
    # Not above: everything else works where matplotlib is not installed.
    from kaggleprice.reports.figures import draw
    from kaggleprice.reports.page import make_page

    figures = draw(findings, columns)
    text = make_page(findings, figures, columns)
    with unchanged(run.path, run.record["digest"], progress) as same:
        if not same:
            raise RunFolderError(
                f"run {run.name} was changed by another process meanwhile; give the same command "
                "again to report what it is now."
            )
        written = _write_figures(run, figures)
        _write_page(pages[0], text)
    if output is not None:
        _write_page(output, text)
    return Report(findings, pages[0], output, written)


def _check(output: Path | None, repeats: int, columns: int) -> None:
    require_matplotlib()
    if repeats < 0:
        raise UsageError(f"repeats must be 0 (no importance) or more, found {repeats}.")
    if columns < 1:
        raise UsageError(f"columns must be 1 or more, found {columns}.")
    if output is not None and output.suffix.lower() not in _SUFFIXES:
        raise UsageError(
            f"--output {output}: expected a suffix of {' or '.join(_SUFFIXES)}, "
            f"found {output.suffix or 'none'!r}."
        )


def _write_page(path: Path, text: str) -> None:
    with replacing(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def _write_figures(run: Run, figures: Mapping[str, Figure]) -> dict[str, Path]:
    """Write each figure as a PNG; return where. Those of an earlier report go."""
    from kaggleprice.reports.figures import NAMES
    from kaggleprice.reports.style import to_png

    written = {name: run.output(f"{FIGURES}/{name}.png") for name in figures}
    for name, path in written.items():
        with replacing(path) as beside:
            beside.write_bytes(to_png(figures[name]))
    for name in set(NAMES) - set(written):
        (run.path / FIGURES / f"{name}.png").unlink(missing_ok=True)
    return written


__all__ = ["DEFAULT_COLUMNS", "DEFAULT_REPEATS", "Report", "make_report"]
