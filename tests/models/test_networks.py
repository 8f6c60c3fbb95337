"""Layers and networks, against torch.nn and numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from kaggleprice.models.layers import (
    MemberBatchNorm,
    MemberDropout,
    MemberLinear,
)
from kaggleprice.models.networks import MemberNetwork, build_network
from kaggleprice.settings.model import (
    ACTIVATIONS,
    EMBEDDINGS,
    INITIALIZATIONS,
    MODELS,
    Inputs,
    ModelSettings,
)

# The features that a member of `test_conformance` lacks, 5 to 8, are numbers, zeros and ones.
M, B, D, P = 3, 32, 40, 7


CONFORMING = [
    *(
        ModelSettings(model=model, hidden=hidden, dropout=dropout)
        for model in MODELS
        for hidden in [(8, 4), (5, 5)]
        for dropout in [((0.0,),), ((0.5, 0.25),), ((0.3,), (0.0, 0.2))]
    ),
    *(
        ModelSettings(model=model, batch_norm=True, activation=("gelu", "maxout", "pgelu"))
        for model in MODELS
    ),
    *(
        ModelSettings(hidden=(8, 4), activation=activation, batch_norm=batch_norm)
        for name in ACTIVATIONS
        for activation in [(name,), (name, "prelu", "relu")]
        for batch_norm in (False, True)
    ),
    *(
        ModelSettings(embedding=name, soft_bound=bound, feature_scales=scales, hidden=hidden)
        for name in EMBEDDINGS
        for bound in (None, 2.0)
        for scales in (False, True)
        for hidden in [(), (8, 4)]
    ),
]


@pytest.mark.parametrize("settings", CONFORMING, ids=lambda _: "")
def test_conformance(settings: ModelSettings) -> None:
    """What the engine asks of an architecture: joined by every entry of `MODELS`."""
    network = build_network(settings, range(M), Inputs(D, P), torch.float64)
    used = np.ones((M, D), dtype=bool)
    used[1, 5:9] = False
    network.initialize([np.random.default_rng(m) for m in range(M)], used)
    x, noise = torch.randn(M, B, D, dtype=torch.float64), None
    if network.noise_width:
        noise = torch.zeros(M, B, network.noise_width, dtype=torch.int16)
    assert network.train()(x, noise, None).shape[:2] == (M, B)
    assert network.members == M
    parameters = dict(network.named_parameters())
    assert all(len(p) == M for p in parameters.values()), "a parameter without members"
    assert set(network.decayed_parameters()) <= set(parameters)
    assert all(name.endswith("weight") for name in network.decayed_parameters())
    assert any(p.abs().sum() > 0 for p in parameters.values())
    # A member's output depends on nothing of the others.
    network.eval()
    before = network(x, None, None)
    assert before.shape == (M, B)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter[0] += 1.0
    x[0] = 0
    after = network(x, None, None)
    torch.testing.assert_close(after[1:], before[1:])
    # A feature that a member does not have is without effect.
    x[1, :, 5:9] = 1e6
    torch.testing.assert_close(network(x, None, None)[1], before[1])


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("inputs", [Inputs(5, 0), Inputs(5, 5)], ids=["no number", "all numbers"])
def test_tables_of_one_kind_of_features(embedding: str, inputs: Inputs) -> None:
    settings = ModelSettings(embedding=embedding, hidden=(8, 4))
    network = initialized(settings, [0, 1], inputs)
    x = torch.randn(2, 6, 5, dtype=torch.float64)
    assert network(x, None, None).shape == (2, 6)


def initialized(
    settings: ModelSettings,
    starts: Sequence[int],
    inputs: Inputs,
    used: NDArray[np.bool_] | None = None,
) -> MemberNetwork:
    """A network in double precision, not training; the same start has the same numbers."""
    network = build_network(settings, starts, inputs, torch.float64)
    every = np.ones((len(starts), inputs.width), dtype=bool)
    generators = [np.random.default_rng(start) for start in starts]
    network.initialize(generators, every if used is None else used)
    return network.eval()


@pytest.mark.parametrize(
    ("init", "torchs"),
    [
        ("normal", lambda w: nn.init.normal_(w, 0, 0.01)),
        ("xavier", nn.init.xavier_normal_),
        ("he", lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
        ("lecun", lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear")),
    ],
)
def test_initializations_have_torchs_deviation(
    init: str, torchs: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    layer, function = MemberLinear(1, 400, 300), INITIALIZATIONS[init].load()
    layer.initialize(0, np.random.default_rng(0), function, np.ones(400, dtype=bool))
    expected = torchs(torch.empty(300, 400)).std().item()
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.02)
    assert layer.bias.abs().max().item() == 0


@pytest.mark.parametrize("model", ["mlp", "tabm"])
def test_vectors_stand_beside_the_other_features(model: str) -> None:
    """The first layer takes what it would take, and the product of one-hot levels and vectors."""
    settings = ModelSettings(model=model, hidden=(6,), category_embedding=2)
    # 4 numbers, 3 zeros and ones, 5 levels of two columns, of which one member lacks the second.
    inputs = Inputs(12, 4, (3, 2))
    used = np.ones((2, 12), dtype=bool)
    used[1, 10:] = False
    network = initialized(settings, [0, 1], inputs, used)
    x = torch.randn(2, 6, 9, dtype=torch.float64)
    x[:, :, 7], x[:, :, 8] = torch.randint(0, 3, (2, 6)), torch.randint(3, 5, (2, 6))
    x[0, 0, 7:] = x[1, :, 8] = 5
    levels = nn.functional.one_hot(x[:, :, 7:].long(), 6)[..., :5].double()
    vectors = (levels @ network.vectors.vector.unsqueeze(1)).flatten(2)
    assert vectors[0, 0].abs().max() == 0
    features = network._features(x)
    rest = initialized(replace(settings, category_embedding=None), [0, 1], Inputs(7, 4))
    rest.embedding.load_state_dict(network.embedding.state_dict())
    torch.testing.assert_close(features, torch.cat([rest._features(x[:, :, :7]), vectors], dim=2))
    # What a member lacks has no weights.
    first = network.linears[0].weight
    assert not first[1, -2:].any()
    assert first[0, -2:].abs().min() > 0


@pytest.mark.parametrize("embedding", EMBEDDINGS)
@pytest.mark.parametrize("feature_scales", [False, True])
def test_a_members_draws_do_not_depend_on_padding(embedding: str, feature_scales: bool) -> None:
    """Features of other folds, numbers or not, change none of a member's own first numbers."""
    settings = ModelSettings(hidden=(6, 3), embedding=embedding, feature_scales=feature_scales)
    used = np.ones((2, 9), dtype=bool)
    used[0, [0, 2, 6]] = False
    padded = initialized(settings, [1, 2], Inputs(9, 5), used)
    tight = initialized(settings, [1], Inputs(6, 3))
    own = torch.from_numpy(used[0])
    numbers = own[:5]
    embedded = numbers.repeat_interleave(tight.embedding.outputs)
    places = {
        "linears.0.weight": torch.cat([own, embedded]),
        "embedding.frequency": numbers,
        "embedding.phase": numbers,
        "embedding.low": numbers,
        "embedding.rate": numbers,
    }
    for name, value in tight.state_dict().items():
        whole = padded.state_dict()[name][0]
        if name == "scale.factor":
            whole = whole[:, torch.cat([own, embedded])]
        torch.testing.assert_close(whole[places.get(name, ...)], value[0], rtol=0, atol=0)
    x = torch.randn(2, 4, 9, dtype=torch.float64)
    torch.testing.assert_close(padded(x, None, None)[0], tight(x[:1, :, own], None, None)[0])


def test_parametrizations_start_alike_and_differ_in_their_gradients() -> None:
    """The same function at the start; a rate acts on weights that are larger by fan-in ** 0.5."""
    used = np.zeros(50, dtype=bool)
    used[:36] = True
    x = torch.randn(1, 4, 50, dtype=torch.float64) * torch.from_numpy(used)
    layers = [MemberLinear(1, 50, 3, ntk=ntk).double() for ntk in (False, True)]
    for layer in layers:
        layer.initialize(0, np.random.default_rng(0), INITIALIZATIONS["he"].load(), used)
        layer(x).sum().backward()
    plain, ntk = layers
    torch.testing.assert_close(plain(x), ntk(x))
    torch.testing.assert_close(ntk.weight, plain.weight * 6.0)
    torch.testing.assert_close(ntk.weight.grad, plain.weight.grad / 6.0)


def test_batch_norm_is_torchs_with_unequal_rows() -> None:
    layer = MemberBatchNorm(2, 5).double().train()
    references = [nn.BatchNorm1d(5, dtype=torch.float64) for _ in range(2)]
    counts = [7, 4]
    for step in range(3):
        x = torch.randn(2, 7, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        used = (torch.arange(7) < torch.tensor(counts)[:, None])[:, :, None]
        y = layer(x, used)
        for m, (reference, count) in enumerate(zip(references, counts, strict=True)):
            torch.testing.assert_close(y[m, :count], reference(x[m, :count]))
    for m, reference in enumerate(references):
        torch.testing.assert_close(layer.running_mean[m, 0], reference.running_mean)
        torch.testing.assert_close(layer.running_var[m, 0], reference.running_var)
        x = torch.randn(2, 6, 5, dtype=torch.float64)
        torch.testing.assert_close(layer.eval()(x, None)[m], reference.eval()(x[m]))


def test_batch_norm_keeps_its_statistics_without_rows() -> None:
    layer = MemberBatchNorm(2, 5).train()
    used = torch.tensor([[True] * 4, [False] * 4])[:, :, None]
    layer(torch.randn(2, 4, 5) + 3, used)
    assert layer.running_mean[0].abs().min() > 0
    assert torch.equal(layer.running_mean[1], torch.zeros(1, 5))
    assert torch.equal(layer.running_var[1], torch.ones(1, 5))


def test_dropout_drops_each_members_rate_and_keeps_the_mean() -> None:
    rates = [0.1, 0.0, 0.5, 0.93, 0.1]
    layer = MemberDropout(rates).train()
    noise = torch.arange(-(2**15), 2**15, dtype=torch.int64).to(torch.int16)
    noise = noise.view(1, 64, 1024).repeat(len(rates), 1, 1)
    x = torch.ones(noise.shape)
    y = layer(x, noise)
    assert y.dtype == x.dtype
    assert layer.rates == pytest.approx(rates, abs=2**-17)
    for m, rate in enumerate(rates):
        assert (y[m] == 0).double().mean().item() == layer.rates[m]
        assert y[m].double().mean().item() == pytest.approx(1.0, rel=1e-6)
        assert torch.equal(y[m], x[m]) is (rate == 0)
    # Nothing is dropped without noise, or where nothing is trained.
    assert torch.equal(layer(x, None), x)
    assert torch.equal(layer.eval()(x, noise), x)
    assert not layer.state_dict(), "rates are settings, not weights"


def test_random_numbers_of_a_start_do_not_depend_on_the_other_starts() -> None:
    """As many numbers per row for one start as for all, whichever it is."""
    settings = ModelSettings(hidden=(8, 4, 2), dropout=((0.0, 0.3, 0.0), (0.2, 0.0, 0.0), (0.0,)))
    for starts in ([0], [1], [2], [0, 1, 2]):
        assert build_network(settings, starts, Inputs(D, P), torch.float32).noise_width == 8 + 4
    still = ModelSettings(hidden=(8, 4), dropout=((0.0,), (0.0, 0.0)))
    assert build_network(still, [0, 1], Inputs(D, P), torch.float32).noise_width == 0


@pytest.mark.parametrize(
    "given",
    [{"embedding": "none"}, {"soft_bound": None}, {"feature_scales": False}, {"frequencies": 9}],
    ids=str,
)
def test_linear_takes_features_as_they_are(given: dict[str, Any]) -> None:
    x = torch.randn(2, 6, D, dtype=torch.float64) * 9
    plain, other = (
        initialized(ModelSettings(model="linear", **changes), [0, 1], Inputs(D, P))
        for changes in ({}, given)
    )
    assert [n for n, _ in plain.named_parameters()] == ["linears.0.weight", "linears.0.bias"]
    assert torch.equal(plain(x, None, None), other(x, None, None))
    layer = plain.linears[0]
    expected = (x @ layer.weight) * D**-0.5 + layer.bias
    torch.testing.assert_close(plain(x, None, None), expected[:, :, 0])
