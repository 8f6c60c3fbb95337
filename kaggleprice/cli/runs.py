"""`kaggleprice runs`: list, show, compare, prune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kaggleprice.cli.arguments import RunsDirOption
from kaggleprice.cli.commands import Commands
from kaggleprice.cli.completion import complete_competitions
from kaggleprice.cli.help import DATA, OUTPUT, option
from kaggleprice.cli.output import ask, show
from kaggleprice.core.errors import UsageError
from kaggleprice.runs import run_folders

if TYPE_CHECKING:
    from kaggleprice.runs.pruning import Pruning

DEFAULT = "list"
EXAMPLES = {
    "list": ("kaggleprice runs", "kaggleprice runs list -c sample --json"),
    "show": ("kaggleprice runs show", "kaggleprice runs show mlp-001 --all"),
    "compare": (
        "kaggleprice runs compare mlp-001 mlp-002",
        "kaggleprice runs compare runs/sample/mlp-001 runs/sample/mlp-002",
    ),
    "prune": (
        "kaggleprice runs prune --keep 3 --dry-run",
        "kaggleprice runs prune --unfinished --yes",
    ),
}


class RunsGroup(Commands):
    """The subcommands of `runs`; `list` is the default."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read `runs --json` as `runs list --json`."""
        names_none = not args or (args[0].startswith("-") and args[0] not in ("-h", "--help"))
        if names_none and not ctx.resilient_parsing:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    name="runs",
    cls=RunsGroup,
    help="List, show, compare and remove runs; alone it lists them, best first.",
    context_settings={"help_option_names": ["-h", "--help"]},
)

CompetitionsOption = Annotated[
    str | None,
    option(
        DATA,
        "Runs of this competition.",
        "--competition",
        "-c",
        value="NAME|FILE.toml",
        default="of all that have runs",
        autocompletion=complete_competitions,
    ),
]


def _complete(context: typer.Context, incomplete: str) -> list[str]:
    """Offer the runs of the competition that the line names, or of all."""
    runs_dir = Path(str(context.params.get("runs_dir") or "runs"))
    of = context.params.get("competition")
    parents = [runs_dir / str(of)] if of else sorted(p for p in runs_dir.glob("*") if p.is_dir())
    return list(dict.fromkeys(f.name for parent in parents for f in run_folders(parent)))


def _named(help_text: str, default: str | bool = False) -> Any:
    return typer.Argument(
        metavar="RUN", help=help_text, show_default=default, autocompletion=_complete
    )


@app.command("list")
def list_(
    competition: CompetitionsOption = None,
    runs_dir: RunsDirOption = Path("runs"),
) -> None:
    """List runs by competition, best first: score, members, and what differs from a preset."""
    from kaggleprice.cli.views.runs import list_document, list_view
    from kaggleprice.runs.listing import list_runs

    runs = list_runs(runs_dir, _whose(runs_dir, competition))
    show(list_document(runs), lambda _: list_view(runs))


@app.command("show")
def show_(
    name: Annotated[
        str | None,
        _named("Its name, COMPETITION/NAME or folder.", "the latest"),
    ] = None,
    competition: CompetitionsOption = None,
    runs_dir: RunsDirOption = Path("runs"),
    everything: Annotated[
        bool,
        option(
            OUTPUT,
            "Show every setting, not only those that differ from the default preset.",
            "--all",
        ),
    ] = False,
) -> None:
    """Show one run: scores, folds, members, settings, data, versions, files."""
    from kaggleprice.cli.views.runs import show_document, show_view
    from kaggleprice.runs.listing import find_run

    run = find_run(runs_dir, _whose(runs_dir, competition), name)
    files = run.stored_files()
    show(
        show_document(run, files),
        lambda document: show_view(document, run, everything=everything),
    )


@app.command("compare")
def compare_(
    first: Annotated[str, _named("The one to compare with: name, COMPETITION/NAME or folder.")],
    second: Annotated[str, _named("The other; a difference above 0 says that it is worse.")],
    competition: CompetitionsOption = None,
    runs_dir: RunsDirOption = Path("runs"),
) -> None:
    """Compare two runs: fold by fold, row by row with standard errors, and their settings."""
    from kaggleprice.cli.views.comparison import compare_document, compare_view
    from kaggleprice.runs.comparison import compare
    from kaggleprice.runs.listing import find_run

    whose = _whose(runs_dir, competition)
    found = [find_run(runs_dir, whose, name) for name in (first, second)]
    compared = compare(*found)
    show(compare_document(compared), lambda document: compare_view(document, compared))


@app.command("prune")
def prune_(
    competition: CompetitionsOption = None,
    runs_dir: RunsDirOption = Path("runs"),
    keep: Annotated[
        int | None,
        option(
            "What goes",
            "Remove all but the N best runs of each competition and the latest, which "
            "`predict` uses.",
            "--keep",
            value="N",
            default="keep all",
        ),
    ] = None,
    unfinished: Annotated[
        bool,
        option(
            "What goes",
            "Remove what interrupted runs left; nothing goes on with them then.",
            "--unfinished",
        ),
    ] = False,
    unreadable: Annotated[
        bool,
        option("What goes", "Remove damaged runs and those of another version.", "--unreadable"),
    ] = False,
    dry_run: Annotated[
        bool,
        option("What goes", "Show what would go; remove nothing.", "--dry-run"),
    ] = False,
    yes: Annotated[
        bool,
        option("What goes", "Remove without asking; needed without a terminal.", "--yes", "-y"),
    ] = False,
) -> None:
    """Remove runs: all but the best, what interrupted ones left, damaged ones."""
    from kaggleprice.cli.views.runs import prune_document, prune_view
    from kaggleprice.runs.listing import list_runs
    from kaggleprice.runs.pruning import plan_pruning, remove

    runs = list_runs(runs_dir, _whose(runs_dir, competition))
    pruning = plan_pruning(runs, keep, unfinished=unfinished, unreadable=unreadable)
    agreed = yes or dry_run or not pruning.remove or _agreed(pruning)
    removed = list(pruning.remove) if agreed and not dry_run else []
    for run in removed:
        remove(run)
    show(prune_document(pruning, removed, dry=dry_run), prune_view)


def _whose(runs_dir: Path, competition: str | None) -> str | None:
    from kaggleprice.runs.listing import find_competition

    return None if competition is None else find_competition(runs_dir, competition)


def _agreed(pruning: Pruning) -> bool:
    """Show what would go and ask.

    Raises:
        UsageError: where there is nobody to ask.
    """
    from kaggleprice.cli.views.runs import plan_lines, prune_document

    told = plan_lines(prune_document(pruning, [], dry=True))
    answer = ask("Remove for good? [y/N] ", *told)
    if answer is None:
        many = len(pruning.remove)
        raise UsageError(
            f"{many} folder{'s' * (many != 1)} would be removed and there is no terminal to ask; "
            "look with --dry-run, then give --yes."
        )
    return answer.lower() in ("y", "yes")
