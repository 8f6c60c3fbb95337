"""Ablations of single settings on the real competition: what each choice is worth.

    python -m benchmarks.score run      # trains what is not measured yet; may be interrupted
    python -m benchmarks.score run "lr 0.005" "lr 0.02"    # these variants only
    python -m benchmarks.score report   # writes benchmarks/score.md

Networks are of one setting, `BASE`, not of a portfolio. Each line of `VARIANTS` is trained on fold
seeds 0 to 2, those that differ by little on 3 to 7 as well, with 6 random starts per fold unless it
says otherwise. Results are appended to
benchmarks/score.jsonl, one line per variant and fold seed, so a run goes on where the last one
ended. Differences to the default are paired by fold seed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lines import Line, append_line, read_lines
from benchmarks.peers import Problem, score
from kaggleprice.api.workflow import DatasetRef, load
from kaggleprice.competitions.catalog import COMPETITIONS
from kaggleprice.evaluation import cross_validation
from kaggleprice.evaluation.folds import make_folds
from kaggleprice.settings.run import make_settings
from kaggleprice.training.devices import choose_compute

FOLDER = Path(__file__).parent
RESULTS, REPORT = FOLDER / "score.jsonl", FOLDER / "score.md"
FOLD_SEEDS = (0, 1, 2)
# For choices that three fold seeds did not tell from the default.
MORE_FOLD_SEEDS = (3, 4, 5, 6, 7)
CLOSE = (
    "default",
    "without engineered features",
    "gelu alone (dropout 0.3)",
    "tanh alone (dropout 0.1)",
)

# The default of before there was a portfolio.
BASE: dict[str, Any] = {
    "portfolio": (),
    "seeds": 6,
    "epochs": 60,
    "batch_size": 64,
    "frequencies": 4,
    "frequency_scale": 0.1,
    "activation": ("gelu", "tanh"),
    "dropout": ((0.3,), (0.1,)),
}
VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "gelu alone (dropout 0.3)": {"activation": ("gelu",), "dropout": ((0.3,),)},
    "tanh alone (dropout 0.1)": {"activation": ("tanh",), "dropout": ((0.1,),)},
    "silu alone (dropout 0.2)": {"activation": ("silu",), "dropout": ((0.2,),)},
    "without embedding": {"embedding": "none"},
    "without soft bound": {"soft_bound": None},
    "without feature scales": {"feature_scales": False},
    "without engineered features": {"engineering": False},
    "lr 0.005": {"lr": 0.005},
    "lr 0.02": {"lr": 0.02},
    "clip at 3": {"clip": 3.0},
    "weight decay 0.1": {"weight_decay": 0.1},
    "quantile scaling": {"scale": "quantile"},
    "30 epochs": {"epochs": 30},
    "hidden 256,128": {"hidden": (256, 128)},
    "12 starts": {"seeds": 12},
    "Huber loss": {"loss": "huber"},
    "90 epochs": {"epochs": 90},
    "standard parametrization, lr 0.001": {"parametrization": "standard", "lr": 0.001},
    "without pooling rare categories": {"min_rows": 1},
    "without log of skewed amounts": {"log_skew": None},
    "without clipping": {"clip": None},
    "batch 32": {"batch_size": 32},
    "robust scaling": {"scale": "robust"},
    "8 frequencies": {"frequencies": 8},
    "first frequencies 0.2": {"frequency_scale": 0.2},
    "the defaults of before": {
        "embedding": "none",
        "soft_bound": None,
        "feature_scales": False,
        "activation": ("silu",),
        "dropout": ((0.2,),),
        "hidden": (256, 128),
        "clip": 3.0,
        "seeds": 4,
    },
}


def measured() -> dict[tuple[str, int], Line]:
    """Return what has been measured: (variant, fold seed) → result."""
    return read_lines(RESULTS, lambda line: (line["variant"], line["fold_seed"]))


def missing() -> Iterator[tuple[str, int]]:
    """Yield what is to be measured, variant by variant."""
    done = measured()
    for seed in MORE_FOLD_SEEDS:
        yield from ((variant, seed) for variant in CLOSE if (variant, seed) not in done)
    for variant in VARIANTS:
        yield from ((variant, seed) for seed in FOLD_SEEDS if (variant, seed) not in done)


def measure(variant: str, fold_seed: int) -> Line:
    """Cross-validate one variant on one set of folds."""
    data_dir = Path(os.environ.get("KAGGLEPRICE_DATA_DIR", "data"))
    competition = COMPETITIONS["house-prices"]
    tables = load(DatasetRef(competition, data_dir)).tables
    settings = make_settings(options={**BASE, **VARIANTS[variant], "fold_seed": fold_seed})
    folds = make_folds(len(tables.train), settings.k, seed=fold_seed)
    result = cross_validation.cross_validate(
        competition, tables, folds, settings, choose_compute("cpu", None).device
    )
    problem = Problem(competition, tables, fold_seed)
    return {
        "variant": variant,
        "fold_seed": fold_seed,
        **score(problem, np.log(result.oof)),
        "member": float(np.mean([m.validation for m in result.members])),
        "train": result.scores.train_mean,
        "seconds": result.seconds,
    }


def run(*variants: str) -> None:
    """Measure what is missing, of these variants or of all."""
    todo = [(v, seed) for v, seed in missing() if v in (variants or VARIANTS)]
    for number, (variant, seed) in enumerate(todo, start=1):
        line = measure(variant, seed)
        append_line(RESULTS, line)
        print(
            f"{number} of {len(todo)}: {variant}, fold seed {seed}: {line['oof']:.4f}", flush=True
        )


def report() -> None:
    """Write the table of what is measured on every fold seed."""
    done = measured()
    seeds = {v: [seed for variant, seed in sorted(done) if variant == v] for v in VARIANTS}
    complete = [v for v in VARIANTS if set(FOLD_SEEDS) <= set(seeds[v])]
    lines = [
        "# What each default is worth",
        "",
        "`KAGGLEPRICE_DATA_DIR=... python -m benchmarks.score run`, then `... report`, on the real",
        "House Prices files: networks of one setting (`--portfolio none`, 4 frequencies, gelu with",
        "dropout 0.3 and tanh with 0.1 in turn), 60 epochs in batches of 64,",
        "5 shuffled folds, fold seeds 0 to 2, 6 random starts per fold, all",
        "scores RMSE between logs, averaged over fold seeds. *Difference*: pooled score less the",
        "default's, paired by fold seed, with its standard error, over as many fold seeds as stand",
        "beside it; a variant is better where it is clearly below 0. *Usual*: pooled score without",
        "the two freak sales (Ids 524 and 1299).",
        "",
        "| variant | folds' mean | pooled | difference | usual | one member | train |",
        "|---|---|---|---|---|---|---|",
    ]
    for variant in complete:
        rows = [done[variant, seed] for seed in FOLD_SEEDS]
        mean = {key: np.mean([row[key] for row in rows]) for key in rows[0] if key != "variant"}
        both = [seed for seed in seeds[variant] if ("default", seed) in done]
        change = np.array([done[variant, s]["oof"] - done["default", s]["oof"] for s in both])
        error = change.std(ddof=1) / np.sqrt(len(change))
        difference = f"{change.mean():+.4f} ± {error:.4f} ({len(both)})"
        difference = "" if variant == "default" else difference
        lines.append(
            f"| {variant} | {mean['fold_mean']:.4f} | {mean['oof']:.4f} | {difference} "
            f"| {mean['usual']:.4f} | {mean['member']:.4f} | {mean['train']:.4f} |"
        )
    REPORT.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(REPORT.read_text(encoding="utf-8"))


if __name__ == "__main__":
    {"run": run, "report": report}[sys.argv[1]](*sys.argv[2:])
