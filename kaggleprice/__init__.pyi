from kaggleprice.api.notebook import (
    cross_validate,
    download,
    predict,
    preprocess,
    report,
    submit,
)
from kaggleprice.api.regressor import KagglePriceRegressor

__version__: str

__all__ = [
    "KagglePriceRegressor",
    "__version__",
    "cross_validate",
    "download",
    "predict",
    "preprocess",
    "report",
    "submit",
]
