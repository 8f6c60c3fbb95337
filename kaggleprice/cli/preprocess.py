"""`kaggleprice preprocess`: columns to features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.cli import arguments
from kaggleprice.cli.commands import RecipeCommand, chosen_preset, chosen_settings, given_settings
from kaggleprice.cli.configured import explicit
from kaggleprice.cli.dataset import read_dataset
from kaggleprice.cli.help import OUTPUT, option
from kaggleprice.cli.output import make_reporter, show, start
from kaggleprice.core.errors import UsageError
from kaggleprice.settings.run import OPTIONS

COMMAND = RecipeCommand
EXAMPLES = (
    "kaggleprice preprocess --recipe book --head 4",
    "kaggleprice preprocess --output features.csv",
)


def preprocess(
    *,
    context: typer.Context,
    competition: arguments.CompetitionOption = None,
    data_dir: arguments.DataDirOption = Path("data"),
    no_verify: arguments.NoVerifyOption = False,
    output: Annotated[
        Path | None,
        option(
            OUTPUT,
            "Write the features of all rows as .csv, .npz or .parquet, and the fitted recipe "
            "beside them as .recipe.json.",
            "--output",
            "-o",
            value="FILE",
            default="write nothing",
        ),
    ] = None,
    apply: Annotated[
        Path | None,
        option(
            "Recipe", "Apply this fitted recipe.", "--apply", value="RECIPE.json", default="fit one"
        ),
    ] = None,
    head: Annotated[
        int,
        option(
            OUTPUT,
            "Show this many rows of the first and last features instead of the columns.",
            "--head",
            value="N",
            min=0,
        ),
    ] = 0,
) -> None:
    """Turn columns into features: fill, scale, one-hot encode; show and write them."""
    start()
    from kaggleprice.api import workflow
    from kaggleprice.cli.views.preprocess import preprocess_document, preprocess_view

    flags = [OPTIONS[n].flag for n in given_settings(context) if explicit(context, n)]
    if apply is not None and flags:
        raise UsageError(
            f"--apply takes a fitted recipe as it is; leave {flags[0]} away, or fit a new recipe "
            "without --apply."
        )
    recipe = chosen_settings(context, chosen_preset(context)).recipe
    with make_reporter() as reporter:
        result = workflow.preprocess(read_dataset(context), recipe, output, apply, reporter)
    show(
        preprocess_document(result),
        lambda document: preprocess_view(document, result, head),
    )
