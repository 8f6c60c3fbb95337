"""A cross-validation that was not done: what it would read, train and write."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.text import Text

from kaggleprice.api.dry_run import Plan, PredictionPlan, Workload
from kaggleprice.cli.console.displays import duration_text
from kaggleprice.cli.views.tables import document, make_table, path_text, threads_text
from kaggleprice.settings.run import settings_to_record


def plan_document(plan: Plan) -> dict[str, Any]:
    """Describe a plan."""
    return document(
        "plan",
        competition=plan.competition,
        files=[
            {"role": file.role, "path": str(file.path), "bytes": file.bytes, "sha256": file.sha256}
            for file in plan.files
        ],
        fetched=[str(path) for path in plan.fetched],
        workload=None if plan.workload is None else asdict(plan.workload),
        device=plan.device,
        threads=plan.threads,
        path=str(plan.folder),
        resumes=path_text(plan.resumes),
        settings=settings_to_record(plan.settings),
    )


def plan_view(plan: Plan) -> Group:
    """Show a plan: read, train, write, how long."""
    table = _table(plan)
    lines = ["Nothing was trained or written (--dry-run)."]
    if plan.workload is not None:
        lines.insert(0, _duration(plan, plan.workload))
    return Group(table, *[Text(line) for line in lines])


def prediction_plan_document(plan: PredictionPlan) -> dict[str, Any]:
    """Describe the plan of a prediction."""
    return document(
        "prediction-plan",
        competition=plan.competition,
        run=None if plan.run is None else plan.run.name,
        training=None if plan.training is None else plan_document(plan.training),
        outputs=[str(path) for path in plan.outputs],
    )


def prediction_plan_view(plan: PredictionPlan) -> Group:
    """Show the plan of a prediction."""
    writes = [Text(f"Would write {path}.") for path in plan.outputs]
    if plan.training is not None:
        return Group(plan_view(plan.training), *writes)
    name = "" if plan.run is None else plan.run.name
    count = 0 if plan.run is None else len(plan.run.record["members"])
    return Group(
        Text(f"Would predict with the {count} networks of run {name}."),
        *writes,
        Text("Nothing was predicted or written (--dry-run)."),
    )


def _table(plan: Plan) -> Any:
    table = make_table("", "what")
    for file in plan.files:
        table.add_row("read", Text(f"{file.path} ({file.bytes:,} bytes)", overflow="fold"))
    for path in plan.fetched:
        table.add_row("fetch", Text(str(path), overflow="fold"))
    if plan.workload is not None:
        for line in _workload_lines(plan.workload):
            table.add_row("train", line)
    if plan.settings.partners:
        table.add_row("fit", f"{', '.join(plan.settings.partners)}, once per fold")
    if plan.resumes is not None:
        table.add_row("resume", Text(f"{plan.resumes}, the checkpoint of this run"))
    table.add_row("write", Text(str(plan.folder), overflow="fold"))
    return table


def _workload_lines(work: Workload) -> list[str]:
    folds, widths = len(work.fold_sizes), sorted({min(work.features), max(work.features)})
    sizes = sorted({min(work.fold_sizes), max(work.fold_sizes)})
    return [
        f"{work.rows:,} rows, {work.columns} columns -> {_range(widths)} features per fold",
        f"{folds} folds of {_range(sizes)} rows x {work.members // folds} seeds = "
        f"{work.members} networks",
        f"{work.parameters:,} parameters, {work.steps:,} steps, "
        f"{work.operations / 1e9:,.0f} GFLOP of matrix products",
    ]


def _range(ends: list[int]) -> str:
    return " to ".join(f"{end:,}" for end in ends)


def _about(seconds: float) -> str:
    return f"about {duration_text(seconds)}" if seconds >= 1 else "less than 1 s"


def _duration(plan: Plan, work: Workload) -> str:
    partners = " and the partners" if plan.settings.partners else ""
    return (
        f"Training would take {_about(work.seconds)} on {plan.device} "
        f"({threads_text(plan.threads)}), by steps measured just now; then scoring{partners}."
    )
