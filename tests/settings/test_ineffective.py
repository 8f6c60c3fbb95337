"""Options that change nothing are told, where somebody gave them."""

from __future__ import annotations

from typing import Any

import pytest

from kaggleprice.settings.ineffective import ineffective_options
from kaggleprice.settings.run import make_settings


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"base_model_share": 0.2}, ["--base-model-share has no effect without --base-models."]),
        (
            {"base_model_share": 0.2, "base_models": ("ridge",)},
            ["--base-model-share has no effect with --inner-blocks above 1: weights are learned."],
        ),
        ({"base_model_share": 0.2, "base_models": ("ridge",), "inner_blocks": 1}, []),
        (
            {"embedding": "none", "frequencies": 3, "frequency_scale": 0.2},
            [
                "--frequencies has no effect with --embedding none.",
                "--frequency-scale has no effect with --embedding none.",
            ],
        ),
        ({"frequencies": 3}, []),
        ({"bins": 3}, ["--bins has no effect with --embedding periodic."]),
        ({"bins": 3, "embedding": "piecewise"}, []),
        ({"model": "linear", "hidden": (8,)}, ["--hidden has no effect with --model linear."]),
        ({"model": "linear", "lr": 0.1}, []),
        (
            {"model": "linear", "frequencies": 3},
            ["--frequencies has no effect with --model linear."],
        ),
        (
            {"model": "resnet", "batch_norm": False},
            ["--batch-norm has no effect with --model resnet."],
        ),
        ({"submodels": 4}, ["--submodels has no effect with --model mlp."]),
        ({"model": "tabm", "submodels": 4}, []),
        ({"model": "cnn", "kernel": (5,), "padding": (2,)}, []),
        ({"model": "lenet", "kernel": (3,)}, ["--kernel has no effect with --model lenet."]),
        ({"stop_on": "validation"}, ["--stop-on has no effect without --patience."]),
        ({"stop_share": 0.2, "patience": 3}, []),
        (
            {"stop_share": 0.2, "patience": 3, "stop_on": "validation"},
            ["--stop-share has no effect with --stop-on validation."],
        ),
        (
            {"fold_seed": 3, "fold_scheme": "contiguous"},
            [
                "--fold-seed has no effect with --fold-scheme contiguous: "
                "no seed changes these folds."
            ],
        ),
        (
            {"fold_scheme": "hold-out", "k": 4, "fold_gap": 2},
            [
                "--fold-gap has no effect with --fold-scheme hold-out.",
                "--k has no effect with --fold-scheme hold-out: it is one fold.",
            ],
        ),
        ({"fold_scheme": "forward", "fold_column": "day", "fold_gap": 2}, []),
        ({"hold_out": 0.1}, ["--hold-out has no effect with --fold-scheme shuffled."]),
        ({"fold_scheme": "hold-out", "hold_out": 0.1, "repeats": 2}, []),
        (
            {"seeds": 2, "activation": ("gelu", "tanh", "relu")},
            [
                "--activation gelu/tanh/relu: with 2 random starts per fold (--seeds), "
                "only gelu/tanh is used."
            ],
        ),
        (
            {"seeds": 1, "dropout": ((0.3,), (0.1, 0.2))},
            ["--dropout 0.3/0.1,0.2: with 1 random start per fold (--seeds), only 0.3 is used."],
        ),
        ({"seeds": 1}, []),
    ],
)
def test_options_without_effect_are_told(options: dict[str, Any], said: list[str]) -> None:
    assert list(ineffective_options(make_settings(options=options), options)) == said
    # What nobody typed is nobody's slip.
    assert list(ineffective_options(make_settings(options=options), ())) == []


def test_a_file_of_folds_decides_the_folds() -> None:
    said = list(ineffective_options(make_settings(), ["fold_seed", "k"], folds=True))
    assert said == [
        "--fold-seed has no effect with --folds: the file says which rows are which fold."
    ]
