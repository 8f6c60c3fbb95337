"""The presets, and what they were measured to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.text import Text

from kaggleprice.cli.views.tables import document, make_table, score_text
from kaggleprice.settings.preset_benchmarks import read_measurements
from kaggleprice.settings.run import PRESETS


def presets_document() -> dict[str, Any]:
    """Describe the presets, and what each was measured to do."""
    measured = read_measurements()
    found = {name: asdict(values) for name, values in measured.presets.items()}
    return document(
        "presets",
        machine=measured.machine,
        presets=[
            {"name": name, "help": preset.help, "measured": found.get(name)}
            for name, preset in PRESETS.items()
        ],
    )


def presets_view() -> Group:
    """Show the presets, and what each was measured to do on House Prices."""
    measured = read_measurements()
    columns = ("networks", "mean of folds", "pooled", "seconds")
    table = make_table("preset", *columns, right=columns)
    for name in PRESETS:
        found = measured.presets.get(name)
        cells = ["not measured", "", "", ""]
        if found is not None:
            scores = [score_text(found.fold_mean), score_text(found.oof)]
            cells = [str(found.networks), *scores, f"{found.seconds:g}"]
        table.add_row(name, *cells)
    lines = [f"{name}: {preset.help}" for name, preset in PRESETS.items()]
    lines.append(f"Measured on House Prices (RMSE between logs), {measured.machine}.")
    return Group(table, *[Text(line) for line in lines])
