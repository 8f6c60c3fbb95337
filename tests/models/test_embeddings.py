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


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_draws_do_not_depend_on_padding(name: str) -> None:
    """As many numbers are drawn as a member uses; the others stay 0."""
    settings, kind = ModelSettings(frequencies=3), EMBEDDINGS[name].load()
    used = np.array([[False, True, True, False, True]])
    padded = initialized(kind(1, 5, settings), used)
    tight = initialized(kind(1, 3, settings), np.ones((1, 3), dtype=bool))
    for name, value in tight.state_dict().items():
        whole = padded.state_dict()[name]
        assert torch.equal(whole[:, used[0]], value)
        assert torch.equal(whole[:, ~used[0]], torch.zeros_like(whole[:, ~used[0]]))


def test_periodic_is_numpys() -> None:
    embedding = MemberPeriodic(M, P, ModelSettings(frequencies=2)).double()
    draws = np.random.default_rng(0)
    frequency, phase = draws.normal(size=(2, M, P, 2))
    x = draws.normal(0, 3, (M, B, P))
    with torch.no_grad():
        embedding.frequency.copy_(torch.from_numpy(frequency))
        embedding.phase.copy_(torch.from_numpy(phase))
    made = embedding(torch.from_numpy(x)).detach().numpy()
    for m in range(M):
        for b in range(B):
            expected = [
                np.cos(2 * np.pi * frequency[m, j, k] * x[m, b, j] + phase[m, j, k])
                for j in range(P)
                for k in range(2)
            ]
            np.testing.assert_allclose(made[m, b], expected, rtol=0, atol=1e-13)


def test_periodic_has_the_gradients_of_a_cosine() -> None:
    embedding = MemberPeriodic(2, 3, ModelSettings(frequencies=2)).double()
    initialized(embedding, np.ones((2, 3), dtype=bool))
    x = torch.randn(2, B, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda frequency, phase: torch.func.functional_call(
            embedding, {"frequency": frequency, "phase": phase}, x
        ),
        (embedding.frequency, embedding.phase),
    )


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
