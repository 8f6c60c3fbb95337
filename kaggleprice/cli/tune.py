"""`kaggleprice tune`: settings searched inside each fold, and a preset of those that won."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaggleprice.cli import arguments
from kaggleprice.cli.commands import (
    RunCommand,
    chosen_preset,
    chosen_settings,
    given_settings,
    warn_ineffective_options,
)
from kaggleprice.cli.configured import configuration_of
from kaggleprice.cli.dataset import read_dataset, read_runtime, repeated
from kaggleprice.cli.help import RUN, option
from kaggleprice.cli.output import make_reporter, output_options, show, start

COMMAND = RunCommand
EXAMPLES = (
    "kaggleprice tune --time-limit 10m",
    "kaggleprice tune --only lr,dropout --trials 32 --name calm",
    "kaggleprice tune --show",
)
SEARCH = "Search"


def tune(
    *,
    context: typer.Context,
    competition: arguments.CompetitionOption = None,
    train_file: arguments.TrainOption = None,
    test_file: arguments.TestOption = None,
    target: arguments.TargetOption = None,
    id_column: arguments.IdOption = None,
    kind: arguments.KindOption = None,
    drop: arguments.DropOption = None,
    drop_missing_target: arguments.DropMissingTargetOption = False,
    data_dir: arguments.DataDirOption = Path("data"),
    no_verify: arguments.NoVerifyOption = False,
    name: Annotated[
        str,
        option(SEARCH, "Name of the preset that is found.", "--name", value="NAME"),
    ] = "tuned",
    trials: Annotated[
        int | None,
        option(
            SEARCH,
            "Settings to try in each fold.",
            "--trials",
            value="N",
            default="48, or as many as --time-limit allows",
            min=1,
        ),
    ] = None,
    population: Annotated[
        int,
        option(
            SEARCH,
            "Settings of a generation: tried side by side, and told before the next are proposed.",
            "--population",
            value="N",
            min=1,
        ),
    ] = 16,
    only: Annotated[
        str | None,
        option(
            SEARCH,
            "Search these settings alone.",
            "--only",
            value="NAMES",
            default="all that have bounds",
        ),
    ] = None,
    space: Annotated[
        Path | None,
        option(
            SEARCH,
            "Search the settings in this file, between its bounds: lr = [0.002, 0.05], "
            'activation = ["gelu", "tanh"].',
            "--space",
            value="FILE.toml",
            default="as the settings declare",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        option(
            SEARCH,
            "Database that keeps the studies, for optuna-dashboard; a URL as SQLAlchemy takes it.",
            "--storage",
            value="URL",
            default="a SQLite file beside the runs",
        ),
    ] = None,
    show_search: Annotated[
        bool,
        option(
            SEARCH,
            "Show a finished search, and draw it on a page; nothing is searched.",
            "--show",
        ),
    ] = False,
    runs_dir: arguments.RunsDirOption = Path("runs"),
    preset: arguments.PresetOption = None,
    device: arguments.DeviceOption = "auto",
    threads: arguments.ThreadsOption = None,
    time_limit: Annotated[
        str | None,
        option(
            RUN,
            "Begin no generation that would not end within this time, such as 90s, 10m or 1h30m.",
            "--time-limit",
            value="TIME",
            default="none",
        ),
    ] = None,
    checkpoint_every: arguments.CheckpointOption = "10s",
    engine: arguments.EngineOption = "here",
    address: arguments.AddressOption = None,
    folds: arguments.FoldsOption = None,
) -> None:
    """Search settings inside each fold, score the search honestly, save what won as a preset.

    Whatever a fold's validation rows could teach has no part in its search. --time-limit ends the
    search with the last generation that fits into it.
    """
    start()
    from kaggleprice.api import tuning
    from kaggleprice.cli.preset_file import file_for_presets, write_preset
    from kaggleprice.cli.views.tune import tune_document, tune_view
    from kaggleprice.settings.search import SPACE, narrow, read_space, without

    source, runtime = read_dataset(context), read_runtime(context)
    if show_search:
        made = tuning.read_tuning(runtime, source.competition, name)
        page = tuning.write_page(made, runtime)
        show(tune_document(made, None, page), tune_view)
        return
    searched = SPACE if space is None else read_space(space)
    if only is not None:
        searched = narrow(searched, [part.strip() for part in only.split(",")])
    given = given_settings(context)
    searched = without(searched, given)
    request = tuning.TuneRequest(name, searched, trials, population, storage)
    configuration = configuration_of(context)
    written = None
    if not context.params["no_config"]:
        written = file_for_presets(configuration, name)
    usual = {} if folds is not None else source.competition.fold_options(given)
    found = chosen_preset(context, preset)
    settings = chosen_settings(context, found, usual)
    warn_ineffective_options(context, settings, folds)
    with make_reporter() as reporter:
        made = tuning.tune(
            source, settings, found.changes, runtime, request, folds=folds, progress=reporter
        )
        if written is None:
            reporter.notice("--no-config: the preset is not written; --json shows it")
        else:
            write_preset(*written, name, made.preset_table())
    document = tune_document(made, None if written is None else written[0], None)
    again = None if output_options.quiet else repeated(context)
    show(document, lambda shown: tune_view(shown, again))
