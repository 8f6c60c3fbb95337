"""`kaggleprice replay`: is a run what its settings make?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.api import DEFAULT_TOLERANCE
from kaggleprice.cli import arguments
from kaggleprice.cli.dataset import read_dataset, read_runtime
from kaggleprice.cli.help import RUN, option
from kaggleprice.cli.output import make_reporter, show, start
from kaggleprice.core.errors import ReplayError

EXAMPLES = (
    "kaggleprice replay",
    "kaggleprice replay mlp-001 --tolerance 0",
)


def replay(
    context: typer.Context,
    run: arguments.RunArgument = None,
    competition: arguments.CompetitionOption = None,
    data_dir: arguments.DataDirOption = Path("data"),
    no_verify: arguments.NoVerifyOption = False,
    runs_dir: arguments.RunsDirOption = Path("runs"),
    tolerance: Annotated[
        float,
        option(
            RUN,
            "The largest difference of out-of-fold predictions that is none, as a share of their "
            "typical error.",
            "--tolerance",
            value="X",
        ),
    ] = DEFAULT_TOLERANCE,
    device: Annotated[
        str | None,
        option(RUN, "Where to compute.", "--device", value="NAME", default="the run's"),
    ] = None,
    threads: Annotated[
        int | None,
        option(RUN, "CPU threads.", "--threads", value="N", default="the run's", min=1),
    ] = None,
    engine: arguments.EngineOption = "here",
    address: arguments.AddressOption = None,
) -> None:
    """Train a run again, and say whether the same comes out: identical, equal, or different.

    Data, folds, settings, threads and device are those of the run. Nothing of it is changed.
    """
    start()
    from kaggleprice.api.replay import replay as train_again
    from kaggleprice.cli.views.replay import replay_document, replay_view

    with make_reporter() as reporter:
        made = train_again(
            read_dataset(context), read_runtime(context), run, tolerance, progress=reporter
        )
    show(replay_document(made), replay_view)
    if made.verdict == "different":
        raise ReplayError(
            f"run {made.run.name}, trained again, predicts differently: by {made.difference:.2g} "
            f"of its typical error, more than --tolerance {made.tolerance:g}."
        )
