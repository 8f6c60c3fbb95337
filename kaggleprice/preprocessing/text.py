"""Free text: hashed character n-grams, weighted by rarity, reduced to a few numbers.

Latent semantic analysis (Deerwester et al. 1990): texts that share rare n-grams lie near each
other. Nothing of a text is kept but numbers; an n-gram is known by its hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Gt
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kaggleprice.preprocessing.distribution import Floats, factorized
from kaggleprice.preprocessing.features import Feature
from kaggleprice.settings.declaration import STRICT

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# scikit-learn is loaded where there is text: other predictions do without it.
HASHES = 1024
COMPONENTS = 10


@dataclass(frozen=True)
class TextState:
    """What was learned of one column of texts.

    Attributes:
        name: the column.
        weights: of each hash, its inverse document frequency.
        components: each a weight of every hash.
        center, scale: of each component: `(sum - center) / scale` is the feature.
    """

    name: str
    weights: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]
    center: tuple[float, ...]
    scale: tuple[Annotated[float, Gt(0)], ...]

    __pydantic_config__ = STRICT

    def __post_init__(self) -> None:
        """Check that tables are as wide as there are hashes, and components have their numbers.

        Raises:
            ValueError: where it is not so.
        """
        widths = {len(line) for line in (self.weights, *self.components)}
        if widths != {HASHES}:
            raise ValueError(f"{self.name!r}: expected {HASHES} hashes")
        if not len(self.components) == len(self.center) == len(self.scale):
            raise ValueError(f"{self.name!r}: a component without its scale")

    @property
    def columns(self) -> list[str]:
        """The column that it needs."""
        return [self.name]

    @property
    def features(self) -> list[Feature]:
        """One number for each component."""
        numbers = range(1, len(self.components) + 1)
        return [Feature("learned", self.name, f"text {number}") for number in numbers]

    def transform(self, frame: pd.DataFrame) -> Floats:
        """Return the components of n rows, shape (n, c); 0, the mean, where there is no text."""
        codes, levels = factorized(frame[self.name])
        # The code of a missing text is -1, the last.
        table = np.zeros((len(levels) + 1, len(self.components)))
        if len(levels):
            table[:-1] = (self._components(hashed(levels)) - self.center) / self.scale
        made: Floats = table[codes]
        return made

    def _components(self, counts: csr_matrix) -> Floats:
        from sklearn.preprocessing import normalize

        weighted = normalize(counts.multiply(np.array(self.weights)).tocsr())
        table = np.array(self.components).reshape(-1, HASHES)
        made: Floats = weighted @ table.T
        return made


def hashed(texts: pd.Index) -> csr_matrix:
    """Count the hashed n-grams of 3 and 4 characters within words; shape (len(texts), HASHES)."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import HashingVectorizer

    if not len(texts):
        return csr_matrix((0, HASHES))
    vectorizer = HashingVectorizer(
        analyzer="char_wb",
        ngram_range=(3, 4),
        n_features=HASHES,
        alternate_sign=False,
        norm=None,
    )
    return vectorizer.transform(texts.astype(object))


def learn_text(name: str, codes: NDArray[np.integer[Any]], counts: csr_matrix) -> TextState:
    """Learn from rows; there are fewer components where rows have few texts.

    Args:
        name: of the column.
        codes: shape (n,), which of the texts each row has, -1 for none.
        counts: of each text, as `hashed` has them.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.preprocessing import normalize

    seen, rows = np.unique(codes[codes >= 0], return_counts=True)
    own = counts[seen]
    size = min(COMPONENTS, len(seen) - 1)
    if size < 1:
        return TextState(name, (1.0,) * HASHES, (), (), ())
    weights = TfidfTransformer().fit(own).idf_
    weighted = normalize(own.multiply(weights).tocsr())
    # Sums of several threads differ in their last bit; texts may be all alike.
    with threadpool_limits(limits=1), np.errstate(invalid="ignore", divide="ignore"):
        table = TruncatedSVD(size, random_state=0).fit(weighted).components_
    values: Floats = weighted @ table.T
    center = np.average(values, axis=0, weights=rows)
    spread = np.sqrt(np.average((values - center) ** 2, axis=0, weights=rows))
    return TextState(
        name,
        tuple(weights.tolist()),
        tuple(tuple(line) for line in table.tolist()),
        tuple(center.tolist()),
        tuple(np.where(spread > 1e-9, spread, 1.0).tolist()),
    )
