"""Embeddings of numbers, against numpy, and what is asked of each."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from kaggleprice.models.embeddings import (
    MemberEmbedding,
    MemberPeriodic,
    MemberPiecewise,
    MemberVectors,
)
from kaggleprice.settings.model import EMBEDDINGS, ModelSettings

M, B, P = 3, 5, 4


def initialized(embedding: MemberEmbedding, used: NDArray[np.bool_]) -> MemberEmbedding:
    """Draw every member's parameters; `used` is of shape (M, p)."""
    for member, own in enumerate(used):
        embedding.initialize(member, np.random.default_rng(member), own)
    return embedding


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_conformance(name: str) -> None:
    """What a network asks of an embedding: joined by every entry of `EMBEDDINGS`."""
    kind = EMBEDDINGS[name].load()
    assert issubclass(kind, MemberEmbedding)
    embedding = kind(M, P, [ModelSettings(frequencies=3)] * M).double()
    used = np.ones((M, P), dtype=bool)
    used[1, 2] = False
    initialized(embedding, used)
    parameters = dict(embedding.named_parameters())
    assert all(len(p) == M for p in parameters.values()), "a parameter without members"
    assert all(len(b) == M for b in embedding.buffers()), "a buffer without members"
    x = torch.randn(M, B, P, dtype=torch.float64)
    if embedding.learns:
        seen = np.random.default_rng(0).normal(0, 2, (M, 50, P))
        embedding.learn(0, seen[0])
        alone = [b[1:].clone() for b in embedding.buffers()]
        assert all(not b.any() for b in alone), "learned for a member that was not asked for"
        for member in (1, 2):
            embedding.learn(member, seen[member])
    made = embedding(x)
    assert made.shape == (M, B, P * embedding.outputs)
    assert made.dtype == x.dtype
    # Each number by itself: another value changes its own features, and no others.
    other = x.clone()
    other[:, :, 1] += 0.3
    changed = (embedding(other) != made).view(M, B, P, embedding.outputs)
    assert not changed[:, :, [0, 2, 3]].any()
    assert changed[:, :, 1].any(dim=2).all() or not embedding.outputs
    # Each row and member by itself.
    torch.testing.assert_close(embedding(x[:, 2:3]), made[:, 2:3])
    with torch.no_grad():
        for parameter in parameters.values():
            parameter[0] += 1
    torch.testing.assert_close(embedding(x)[1:], made[1:], rtol=0, atol=0)


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_periodic_begins_with_the_frequencies_asked_for(scale: float) -> None:
    settings = ModelSettings(frequencies=50, frequency_scale=scale)
    embedding = initialized(MemberPeriodic(2, 200, [settings] * 2), np.ones((2, 200), dtype=bool))
    for frequency, phase in zip(embedding.frequency, embedding.phase, strict=True):
        assert frequency.std().item() == pytest.approx(scale, rel=0.03)
        assert frequency.mean().item() == pytest.approx(0, abs=0.04 * scale)
        assert phase.abs().max().item() <= np.pi
        assert phase.std().item() == pytest.approx(np.pi / np.sqrt(3), rel=0.03)
        assert phase.mean().item() == pytest.approx(0, abs=0.08)
    assert not torch.equal(embedding.frequency[0], embedding.frequency[1])


def plain_encoding(x: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encode values by the paper's three cases, bin by bin; the outer bins end as well."""
    made = np.zeros((len(x), len(ends) - 1))
    for t, (low, high) in enumerate(pairwise(ends)):
        inside = (x - low) / (high - low)
        made[:, t] = np.where(x < low, 0.0, np.where(x >= high, 1.0, inside))
    return made


def test_piecewise_is_the_papers_within_the_values_seen() -> None:
    random = np.random.default_rng(1)
    seen = random.normal(size=(40, 3))
    seen[:, 1] = random.integers(0, 3, 40)  # Of few values, there are few bins.
    seen[:, 2] = 7.0
    embedding = MemberPiecewise(2, 3, [ModelSettings(bins=6)] * 2).double()
    embedding.learn(1, seen)
    x = np.concatenate([seen, [[99.0, 99.0, 99.0], [-99.0, -99.0, -99.0]]])
    found = embedding(torch.from_numpy(x).expand(2, -1, -1))[1].view(len(x), 3, 6).numpy()
    quantiles = np.quantile(seen[:, 0], np.arange(7) / 6)
    np.testing.assert_allclose(found[:, 0], plain_encoding(x[:, 0], quantiles), atol=1e-12)
    few = plain_encoding(x[:, 1], np.array([0.0, 1.0, 2.0]))
    np.testing.assert_allclose(found[:, 1, :2], few, atol=1e-12)
    assert not found[:, 1, 2:].any()
    assert not found[:, 2].any()
    # Each bin has as many rows.
    inside = (found[:40, 0] > 0) & (found[:40, 0] < 1)
    assert np.ptp(inside.sum(axis=0)) <= 2


def test_vectors_are_the_product_of_one_hot_levels() -> None:
    levels, size = (3, 5), 4
    used = np.array([[True] * 8, [True, False, True, True, False, False, True, True]])
    vectors = MemberVectors(2, levels, size).double()
    for member, own in enumerate(used):
        has = vectors.initialize(member, np.random.default_rng(member), own)
        assert has.all()
    assert torch.equal(vectors.vector.abs().sum(dim=2) > 0, torch.from_numpy(used))
    codes = torch.tensor([[[0, 3], [2, 7], [8, 8]], [[1, 4], [8, 6], [2, 8]]])
    # Of nine levels the last one is none.
    expected = nn.functional.one_hot(codes, 9)[..., :8].double() @ vectors.vector.unsqueeze(1)
    assert torch.equal(vectors(codes.double()), expected.flatten(2))
    assert not vectors(codes.double())[0, 2].any()


def test_a_member_without_levels_of_a_column_has_no_vectors_of_it() -> None:
    """As a category of few levels in its fold, which is one-hot there."""
    used = np.array([True, True, False, False, False])
    vectors = MemberVectors(1, (2, 3), 2)
    has = vectors.initialize(0, np.random.default_rng(0), used)
    assert has.tolist() == [True, True, False, False]
