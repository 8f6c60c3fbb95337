"""The presets, and what they were measured to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_doc import Doc
from rich.console import Group

from kaggleprice.cli.documents import COMMAND, Document
from kaggleprice.cli.views.tables import make_table, texts
from kaggleprice.reports.wording import score
from kaggleprice.settings.preset_benchmarks import Measured, read_measurements
from kaggleprice.settings.run import PRESETS, Preset


@dataclass(frozen=True)
class PresetLine:
    """A preset."""

    name: Annotated[str, Doc("As `--preset` takes it.")]
    help: Annotated[str, Doc("What it is, in one line.")]
    measured: Annotated[Measured | None, Doc("Null where it was not measured.")]


@dataclass(frozen=True, kw_only=True)
class PresetsDocument(Document):
    """The presets, and what each was measured to do on House Prices."""

    command: Annotated[Literal["presets"], COMMAND] = "presets"
    machine: Annotated[str, Doc("Where it was measured.")]
    presets: Annotated[list[PresetLine], Doc("One entry per preset.")]


def presets_document(own: Mapping[str, Preset]) -> PresetsDocument:
    """Describe the presets, and what each was measured to do; those of the user's own as well."""
    found, all_of_them = read_measurements(), {**PRESETS, **own}
    lines = [PresetLine(n, preset.help, found.presets.get(n)) for n, preset in all_of_them.items()]
    return PresetsDocument(machine=found.machine, presets=lines)


def presets_view(document: PresetsDocument) -> Group:
    """Show the presets, and what each was measured to do on House Prices."""
    right = ("networks", "mean of folds", "pooled", "seconds")
    rows = []
    for preset in document.presets:
        found = preset.measured
        numbers = ("not measured", "", "", "")
        if found is not None:
            scores = score(found.fold_mean), score(found.oof)
            numbers = (str(found.networks), *scores, f"{found.seconds:g}")
        rows.append((preset.name, *numbers))
    return Group(
        make_table(("preset", *right), rows, right),
        *texts(*(f"{preset.name}: {preset.help}" for preset in document.presets)),
        *texts(f"Measured on House Prices (RMSE between logs), {document.machine}."),
    )
