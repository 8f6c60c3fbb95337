"""From a tabular regression competition's CSVs to an ensembled submission, honestly scored.

What a notebook needs stands here, and is imported when it is first used:

    download, preprocess, cross_validate, predict, report, submit   the commands (`api.notebook`)
    KagglePriceRegressor                                            the networks for scikit-learn
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PLACES = {
    "KagglePriceRegressor": "kaggleprice.api.regressor",
    "cross_validate": "kaggleprice.api.notebook",
    "download": "kaggleprice.api.notebook",
    "predict": "kaggleprice.api.notebook",
    "preprocess": "kaggleprice.api.notebook",
    "report": "kaggleprice.api.notebook",
    "submit": "kaggleprice.api.notebook",
}

# Typed in `__init__.pyi`: what a type checker reads in place of this file.
__all__: list[str] = [*_PLACES, "__version__"]


def __getattr__(name: str) -> Any:
    """Import what stands elsewhere, so that `import kaggleprice` loads nothing heavy."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
