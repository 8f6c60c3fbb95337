"""Embeddings of numbers, against numpy, and what is asked of each."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kaggleprice.models.embeddings import MemberEmbedding, MemberPeriodic
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
    embedding = kind(M, P, ModelSettings(frequencies=3)).double()
    used = np.ones((M, P), dtype=bool)
    used[1, 2] = False
    initialized(embedding, used)
    parameters = dict(embedding.named_parameters())
    assert all(len(p) == M for p in parameters.values()), "a parameter without members"
    assert not list(embedding.buffers()), "a buffer would be no member's own"
    x = torch.randn(M, B, P, dtype=torch.float64)
    made = embedding(x)
    assert made.shape == (M, B, P * embedding.outputs)
    assert made.dtype == x.dtype
    # Each number by itself: another value changes its own features, and no others.
    other = x.clone()
    other[:, :, 1] += 0.3
    changed = (embedding(other) != made).view(M, B, P, embedding.outputs)
    assert not changed[:, :, [0, 2, 3]].any()
    assert changed[:, :, 1].all()
    # Each row and member by itself.
    torch.testing.assert_close(embedding(x[:, 2:3]), made[:, 2:3])
    with torch.no_grad():
        for parameter in parameters.values():
            parameter[0] += 1
    torch.testing.assert_close(embedding(x)[1:], made[1:], rtol=0, atol=0)


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_periodic_begins_with_the_frequencies_asked_for(scale: float) -> None:
    settings = ModelSettings(frequencies=50, frequency_scale=scale)
    embedding = initialized(MemberPeriodic(2, 200, settings), np.ones((2, 200), dtype=bool))
    for frequency, phase in zip(embedding.frequency, embedding.phase, strict=True):
        assert frequency.std().item() == pytest.approx(scale, rel=0.03)
        assert frequency.mean().item() == pytest.approx(0, abs=0.04 * scale)
        assert phase.abs().max().item() <= np.pi
        assert phase.std().item() == pytest.approx(np.pi / np.sqrt(3), rel=0.03)
        assert phase.mean().item() == pytest.approx(0, abs=0.08)
    assert not torch.equal(embedding.frequency[0], embedding.frequency[1])
