"""Every command once or more, in one folder and in this order: what tests of all of them run."""

from __future__ import annotations

from entry_point import TINY

SMALL = "--competition small.toml"
CV = f"cv {SMALL} {' '.join(TINY)}"
PORTFOLIO = "--portfolio fine,robust --inner-blocks 3 --seeds 2 --base-models ridge"
SEARCH = "--portfolio robust,tanh --inner-blocks 2 --k 2 --seeds 1 --epochs 1 --trials 1 --only lr"
# Command line, exit code, name of its document.
COMMANDS: list[tuple[str, int, str]] = [
    (f"{CV} --base-models ridge --dry-run", 0, "plan"),
    (f"predict{CV[2:]} --dry-run", 0, "prediction-plan"),
    (CV, 0, "cv"),
    (f"{CV} {PORTFOLIO} --baseline mlp-001 --tolerance 9", 0, "cv"),
    (f"{CV} --fail-above 0.000001", 6, "cv"),
    (f"predict {SMALL}", 0, "predict"),
    (f"predict {SMALL} --dry-run", 0, "prediction-plan"),
    (f"preprocess {SMALL} --output features.csv", 0, "preprocess"),
    (f"preprocess {SMALL} --impute knn", 0, "preprocess"),
    (f"preprocess {SMALL} --head 2", 0, "preprocess"),
    (f"download {SMALL}", 0, "download"),
    ("init --train train.csv --test test.csv --yes --force", 0, "init"),
    ("cv --preset list", 0, "presets"),
    ("runs list", 0, "runs-list"),
    (f"runs show mlp-001 {SMALL}", 0, "runs-show"),
    (f"runs show mlp-002 {SMALL} --all", 0, "runs-show"),
    (f"runs compare mlp-001 mlp-002 {SMALL}", 0, "runs-compare"),
    (f"runs prune {SMALL} --keep 1 --dry-run", 0, "runs-prune"),
    (f"report mlp-002 {SMALL} --permutations 1", 0, "report"),
    (f"replay mlp-002 {SMALL}", 0, "replay"),
    (f"config --command cv {SMALL}", 0, "config"),
    (f"tune {SMALL} {SEARCH}", 0, "tune"),
    (f"tune {SMALL} --show", 0, "tune"),
    ("cv --lr none", 2, "error"),
    ("cv --epoch 3", 2, "error"),
    (f"predict {SMALL} --run mlp-009", 2, "error"),
    ("cv --competition absent.toml", 3, "error"),
]
