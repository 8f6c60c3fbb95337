"""Free text: scikit-learn's own pipeline, learned from training rows alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kaggleprice.competitions.tables import Table
from kaggleprice.core.errors import DataError
from kaggleprice.evaluation.folds import Folds
from kaggleprice.preprocessing.fitted import FittedRecipe
from kaggleprice.preprocessing.fitting import fit, fit_folds
from kaggleprice.preprocessing.text import COMPONENTS, HASHES, hashed
from kaggleprice.settings.recipe import Recipe

WORDS = ["sunny", "large", "flat", "near", "park", "with", "garden", "view", "of", "sea,", "old"]
RANDOM = np.random.default_rng(0)
# Each text once, so that rows and texts are the same.
TEXTS = [f"{i} {' '.join(RANDOM.choice(WORDS, 6))}" for i in range(90)]


def table_of(texts: list[str | None]) -> Table:
    frame = pd.DataFrame({"t": pd.Series(texts, dtype="str"), "x": np.arange(len(texts)) * 1.0})
    return Table(np.arange(len(texts)).astype(str), frame, texts=("t",))


def test_components_are_scikit_learns() -> None:
    pipeline = make_pipeline(
        HashingVectorizer(
            analyzer="char_wb",
            ngram_range=(3, 4),
            n_features=HASHES,
            alternate_sign=False,
            norm=None,
        ),
        TfidfTransformer(),
        TruncatedSVD(COMPONENTS, random_state=0),
        StandardScaler(),
    ).fit(sorted(TEXTS))
    fitted = fit(Recipe(), table_of(TEXTS))
    assert [f.name for f in fitted.features[:2]] == ["t_text 1", "t_text 2"]
    # A text is no category as well.
    assert not fitted.categorical
    new = ["a sunny house", "totally different 東京 words", "x"]
    for texts in (TEXTS, new):
        made = fitted.transform(table_of(list(texts)).features)[:, :COMPONENTS]
        np.testing.assert_allclose(made, pipeline.transform(texts), atol=1e-9)


def test_missing_texts_are_at_the_mean() -> None:
    fitted = fit(Recipe(), table_of([None, *TEXTS, None]))
    made = fitted.transform(table_of([None, "sea view"]).features)[:, :COMPONENTS]
    assert not made[0].any()
    assert made[1].any()
    # A file may have not one.
    assert not fitted.transform(table_of([None, None]).features)[:, :COMPONENTS].any()


def test_no_texts_have_no_rows() -> None:
    assert hashed(pd.Index([], dtype=object)).shape == (0, HASHES)
    assert hashed(pd.Index(["sea view"])).shape == (1, HASHES)


def test_texts_of_validation_rows_teach_nothing() -> None:
    folds = np.arange(90) % 3
    garbage = ["@@@@ ####" if fold == 1 else text for text, fold in zip(TEXTS, folds, strict=True)]
    states = [
        fit_folds(Recipe(), table, table.features, Folds.of_rows(folds).left_out)
        for table in (table_of(list(TEXTS)), table_of(garbage))
    ]
    assert states[0][1].to_json() == states[1][1].to_json()
    assert states[0][0].to_json() != states[1][0].to_json()


@pytest.mark.parametrize("texts", [[None], ["a b c"], ["a b c", None, "a b c"], ["?", "!", "?"]])
def test_few_texts(texts: list[str | None]) -> None:
    fitted = fit(Recipe(), table_of(texts))
    made = fitted.transform(table_of([*texts, "new words here"]).features)
    assert made.shape == (len(texts) + 1, len(fitted.features))
    assert np.isfinite(made).all()


def test_plain_data() -> None:
    table = table_of(list(TEXTS))
    fitted = fit(Recipe(), table)
    again = FittedRecipe.from_json(fitted.to_json())
    assert again == fitted
    assert again.transform(table.features).tobytes() == fitted.transform(table.features).tobytes()
    with pytest.raises(DataError, match="'t'"):
        fitted.transform(table.features.drop(columns="t"))
