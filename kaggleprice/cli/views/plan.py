"""A cross-validation that was not done: what it would read, train and write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.api.dry_run import Plan, PredictionPlan, Workload
from kaggleprice.cli.console.displays import duration_text
from kaggleprice.cli.documents import COMMAND, Competition, Document
from kaggleprice.cli.views.tables import make_table, texts, threads_text


@dataclass(frozen=True, kw_only=True)
class PlanDocument(Plan, Document):
    """A cross-validation that was not done."""

    command: Annotated[Literal["plan"], COMMAND] = "plan"


@dataclass(frozen=True, kw_only=True)
class PredictionPlanDocument(Document):
    """A prediction that was not done."""

    command: Annotated[Literal["prediction-plan"], COMMAND] = "prediction-plan"
    competition: Competition
    run: Annotated[
        str | None,
        Doc("Which would predict, the first of several; null where one would be trained first."),
    ]
    runs: Annotated[list[str], Doc("All that would be averaged.")]
    training: Annotated[
        PlanDocument | None,
        Doc("How one would be trained, as by `cv --dry-run`; null for none."),
    ]
    outputs: Annotated[list[str], Doc("Files that would be written.")]


def plan_view(plan: Plan) -> Group:
    """Show a plan: read, train, write, how long."""
    base_models = plan.settings["base_models"]
    rows = [("read", f"{file.path} ({file.bytes:,} bytes)") for file in plan.files]
    rows += [("fetch", str(path)) for path in plan.fetched]
    lines = ["Nothing was trained or written (--dry-run)."]
    if plan.workload is not None:
        rows += [("train", line) for line in _workload_lines(plan.workload)]
        seconds = plan.workload.seconds
        # Later starts of settings that do not count are not trained.
        chosen = plan.settings["portfolio"] and plan.settings["inner_blocks"] != 1
        most = "at most" if chosen else "about"
        about = f"{most} {duration_text(seconds)}" if seconds >= 1 else "less than 1 s"
        lines.insert(
            0,
            f"Training would take {about} on {plan.device} ({threads_text(plan.threads)}), by "
            f"steps measured just now; then scoring{' and base models' if base_models else ''}.",
        )
    if base_models:
        rows.append(("fit", f"{', '.join(base_models)}, once per fold"))
    if plan.resumes is not None:
        rows.append(("resume", f"{plan.resumes}, the checkpoint of this run"))
    rows.append(("write", str(plan.path)))
    return Group(make_table(("", "what"), rows), *texts(*lines))


def _workload_lines(workload: Workload) -> list[str]:
    folds, members = len(workload.fold_sizes), workload.members
    return [
        f"{workload.rows:,} rows, {workload.columns} columns -> {_range(workload.features)} "
        "features per fold",
        f"{folds} folds of {_range(workload.fold_sizes)} rows x "
        f"{members // folds // workload.targets}"
        + (f" x {workload.targets} targets" if workload.targets > 1 else "")
        + f" = {members} networks",
        f"{workload.parameters:,} parameters, {workload.steps:,} steps, "
        f"{workload.operations / 1e9:,.0f} GFLOP of matrix products",
    ]


def _range(numbers: list[int]) -> str:
    return " to ".join(f"{end:,}" for end in sorted({min(numbers), max(numbers)}))


def prediction_plan_document(plan: PredictionPlan) -> PredictionPlanDocument:
    """Describe the plan of a prediction."""
    return PredictionPlanDocument(
        competition=plan.competition,
        run=plan.runs[0].name if plan.runs else None,
        runs=[run.name for run in plan.runs],
        training=None if plan.training is None else PlanDocument(**vars(plan.training)),
        outputs=[str(path) for path in plan.outputs],
    )


def prediction_plan_view(document: PredictionPlanDocument, plan: PredictionPlan) -> Group:
    """Show the plan of a prediction."""
    writes = texts(*(f"Would write {path}." for path in document.outputs))
    if document.training is not None:
        return Group(plan_view(document.training), *writes)
    return Group(
        *texts(
            *(
                f"Would predict with the {len(run.record['members'])} networks of run {run.name}."
                for run in plan.runs
            )
        ),
        *writes,
        *texts("Nothing was predicted or written (--dry-run)."),
    )
