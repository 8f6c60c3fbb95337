"""The presets, and what they were measured to do."""

from __future__ import annotations

from dataclasses import asdict

from rich.console import Group

from kaggleprice.cli.documents import MeasuredPreset, PresetLine, PresetsDocument
from kaggleprice.cli.views.tables import make_table, score_text, texts
from kaggleprice.settings.preset_benchmarks import read_measurements
from kaggleprice.settings.run import PRESETS


def presets_document() -> PresetsDocument:
    """Describe the presets, and what each was measured to do."""
    measured = read_measurements()
    found = {name: MeasuredPreset(**asdict(line)) for name, line in measured.presets.items()}
    lines = [PresetLine(name, preset.help, found.get(name)) for name, preset in PRESETS.items()]
    return PresetsDocument(machine=measured.machine, presets=lines)


def presets_view(document: PresetsDocument) -> Group:
    """Show the presets, and what each was measured to do on House Prices."""
    right = ("networks", "mean of folds", "pooled", "seconds")
    rows = []
    for preset in document.presets:
        found = preset.measured
        numbers = ("not measured", "", "", "")
        if found is not None:
            scores = score_text(found.fold_mean), score_text(found.oof)
            numbers = (str(found.networks), *scores, f"{found.seconds:g}")
        rows.append((preset.name, *numbers))
    return Group(
        make_table(("preset", *right), rows, right),
        *texts(*(f"{preset.name}: {preset.help}" for preset in document.presets)),
        *texts(f"Measured on House Prices (RMSE between logs), {document.machine}."),
    )
