"""Layers and networks, against torch.nn and numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from kaggleprice.models import ACTIVATIONS, INITIALIZATIONS, MODELS, ModelSettings
from kaggleprice.models.layers import MemberBatchNorm, MemberDropout, MemberLinear, MemberPReLU
from kaggleprice.models.networks import build_network

M, B, D = 3, 32, 40


def conforms(model: str, settings: ModelSettings) -> None:
    """What the engine asks of an architecture: joined by every entry of `MODELS`."""
    network = build_network(settings, M, D, torch.float64)
    used = np.ones((M, D), dtype=bool)
    used[1, 5:9] = False
    network.initialize([np.random.default_rng(m) for m in range(M)], used)
    x, noise = torch.randn(M, B, D, dtype=torch.float64), None
    if network.noise_width:
        noise = torch.zeros(M, B, network.noise_width, dtype=torch.int16)
    assert network.train()(x, noise, None).shape == (M, B)
    assert network.members == M
    parameters = dict(network.named_parameters())
    assert all(len(p) == M for p in parameters.values()), "a parameter without members"
    assert set(network.decayed_parameters()) <= set(parameters)
    assert any(p.abs().sum() > 0 for p in parameters.values())
    # A member's output depends on nothing of the others.
    network.eval()
    before = network(x, None, None)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter[0] += 1.0
    x[0] = 0
    after = network(x, None, None)
    torch.testing.assert_close(after[1:], before[1:])
    # A feature that a member does not have is without effect.
    x[1, :, 5:9] = 1e6
    torch.testing.assert_close(network(x, None, None)[1], before[1])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dropout", [(0.0,), (0.5, 0.25)])
def test_conformance(model: str, dropout: tuple[float, ...]) -> None:
    conforms(model, ModelSettings(model=model, hidden=(8, 4), dropout=dropout))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_conformance_of_activations(activation: str, batch_norm: bool) -> None:
    conforms("mlp", ModelSettings(hidden=(8, 4), activation=activation, batch_norm=batch_norm))


@pytest.mark.parametrize(
    ("init", "torch_init", "deviation"),
    [
        ("normal", lambda w: nn.init.normal_(w, 0, 0.01), 0.01),
        ("xavier", nn.init.xavier_normal_, np.sqrt(2 / 700)),
        ("he", lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), np.sqrt(2 / 400)),
        ("lecun", lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"), np.sqrt(1 / 400)),
    ],
)
def test_initializations_have_torchs_deviation(
    init: str, torch_init: Callable[[torch.Tensor], torch.Tensor], deviation: float
) -> None:
    layer = MemberLinear(1, 400, 300)
    function = INITIALIZATIONS[init].load()
    layer.initialize(0, np.random.default_rng(0), function, np.ones(400, dtype=bool))
    theirs = torch_init(torch.empty(300, 400))
    assert layer.weight.std().item() == pytest.approx(deviation, rel=0.02)
    assert theirs.std().item() == pytest.approx(deviation, rel=0.02)
    assert layer.bias.abs().max().item() == 0


def test_initialization_counts_used_inputs_only() -> None:
    """Padding reaches neither fan-in nor random draws: the same numbers as without it."""
    padded, tight = MemberLinear(1, 50, 6), MemberLinear(1, 30, 6)
    used = np.zeros(50, dtype=bool)
    used[10:40] = True
    he = INITIALIZATIONS["he"].load()
    padded.initialize(0, np.random.default_rng(3), he, used)
    tight.initialize(0, np.random.default_rng(3), he, np.ones(30, dtype=bool))
    assert torch.equal(padded.weight[0, 10:40], tight.weight[0])
    assert padded.weight[0, :10].abs().max() == 0


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


def test_prelu_is_torchs() -> None:
    x = torch.randn(2, 9, 4)
    torch.testing.assert_close(MemberPReLU(2)(x), nn.PReLU()(x))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.93])
def test_dropout_drops_its_rate_and_keeps_the_mean(rate: float) -> None:
    layer = MemberDropout(rate).train()
    noise = torch.arange(-(2**15), 2**15, dtype=torch.int64).to(torch.int16)
    y = layer(torch.ones(noise.shape), noise)
    assert (y == 0).float().mean().item() == pytest.approx(rate, abs=2**-16)
    assert y.double().mean().item() == pytest.approx(1.0, rel=1e-5)
    assert torch.equal(layer.eval()(y, noise), y)
