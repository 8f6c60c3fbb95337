"""The engine's promise: a member is trained exactly as if it were alone, and as torch would."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import mean_pinball_loss, mean_tweedie_deviance
from torch import nn

from kaggleprice.competitions.tables import Table, Tables
from kaggleprice.core.errors import DivergenceError
from kaggleprice.evaluation.folds import Folds, make_folds
from kaggleprice.models.networks import MemberNetwork, build_network
from kaggleprice.preprocessing.encoding import Encoding
from kaggleprice.preprocessing.fitting import fit_folds
from kaggleprice.settings.model import ACTIVATIONS, MODELS, PARAMETRIZATIONS, ModelSettings
from kaggleprice.settings.recipe import RECIPES
from kaggleprice.settings.run import RunSettings
from kaggleprice.settings.training import LOSSES, OPTIMIZERS, SCHEDULES, Member, TrainingSettings
from kaggleprice.training import batches, randomness
from kaggleprice.training.batches import DeviceRows
from kaggleprice.training.engine import predict_members
from kaggleprice.training.loop import Callback, Group, TrainingLoop
from kaggleprice.training.parameters import MemberParameters
from kaggleprice.training.randomness import NoiseSource, Purpose, member_generator, row_order
from kaggleprice.training.task import TrainingResult, TrainingTask

ROWS, FOLDS, BATCH = 150, 4, 16
MEMBERS = [Member(fold, seed) for fold in range(FOLDS) for seed in range(2)]
SMALL = ModelSettings(hidden=(12, 6), activation=("silu",), dropout=((0.3, 0.1),))
# Six turns; the second layer drops something in some of them only.
MIX = replace(SMALL, activation=("gelu", "tanh", "prelu"), dropout=((0.3, 0.0), (0.1,)))
# In no order, every turn, two members of some: what stands beside a member is not its business.
MIXED = [Member(fold, seed) for fold, seed in enumerate((4, 0, 5, 2))]
MIXED += [Member(fold, seed) for fold, seed in enumerate((2, 3, 1, 6))]
# What may be made of the features before the first layer; SMALL has all of it.
FRONTS: dict[str, dict[str, Any]] = {
    "no embedding": {"embedding": "none"},
    "piecewise": {"embedding": "piecewise", "bins": 5},
    "no soft bound": {"soft_bound": None},
    "no feature scales": {"feature_scales": False},
    "embedding alone": {"soft_bound": None, "feature_scales": False},
    "soft bound alone": {"embedding": "none", "feature_scales": False},
    "feature scales alone": {"embedding": "none", "soft_bound": None},
    "nothing": {"embedding": "none", "soft_bound": None, "feature_scales": False},
}
SHORT = TrainingSettings(lr=0.01, epochs=3, batch_size=BATCH, dtype="float64")


@dataclass(frozen=True)
class Setting:
    """The first rows of the sample competition, folds whose sizes differ, and an encoding."""

    table: Table
    target: NDArray[np.float64]
    folds: NDArray[np.int64]
    encoding: Encoding

    def rows(self, members: Sequence[Member]) -> DeviceRows:
        return DeviceRows(
            self.encoding,
            self.encoding.encode(self.table.features),
            [m.fold for m in members],
            torch.device("cpu"),
            torch.float64,
        )

    def network(self, members: Sequence[Member], model: ModelSettings) -> MemberNetwork:
        starts = [m.seed for m in members]
        network = build_network(model, starts, self.encoding.inputs, torch.float64)
        generators = [member_generator(7, m, Purpose.WEIGHTS) for m in members]
        network.initialize(generators, self.encoding.active[[m.fold for m in members]])
        return network

    def train(
        self,
        members: Sequence[Member],
        model: ModelSettings,
        training: TrainingSettings,
        *callbacks: Callback,
    ) -> tuple[MemberNetwork, TrainingResult, NDArray[np.float64]]:
        rows, folds = self.encoding.encode(self.table.features), range(FOLDS)
        pairs = [(np.flatnonzero(self.folds != f), np.flatnonzero(self.folds == f)) for f in folds]
        settings = RunSettings(seed=7, model=model, training=training)
        task = TrainingTask(self.encoding, rows, self.target, pairs, members, settings)
        loop = TrainingLoop(task, Group(0, len(members)), torch.device("cpu"))
        fit = loop.run(callbacks)
        network = loop.engine.network
        return network, fit, predict_members(network, self.rows(members), fit)


@pytest.fixture(scope="module")
def setting(sample_tables: Tables) -> Setting:
    train = sample_tables.train
    table = Table(train.ids[:ROWS], train.features.head(ROWS), train.known_target[:ROWS])
    folds = make_folds(ROWS, FOLDS, seed=0).fold_of_row
    counts = {int((folds != f).sum()) for f in range(FOLDS)}
    # The longer folds have a last step, of one row, in which the others have none.
    assert counts == {112, 113}
    recipes = fit_folds(RECIPES["standard"], table, table.features, Folds.of_rows(folds).left_out)
    return Setting(table, np.log(table.known_target), folds, Encoding(recipes))


BEFORE_NORM = r"(linears\.[01]|entrance|downs\..)\.bias"
STOPPING = replace(SHORT, epochs=12, patience=1, lr=0.05)
PENALIZED = replace(SHORT, weight_decay=0.05, l1=0.001)
ALONE: list[tuple[ModelSettings, TrainingSettings, list[Member]]] = [
    # Folds of 112 and 113 rows: 7 and 8 steps, so that members step by themselves; or 6 and 6.
    *(
        (
            replace(SMALL, model=model),
            replace(SHORT, optimizer=optimizer, weight_decay=0.05, batch_size=batch_size),
            MEMBERS,
        )
        for model in ("mlp", "linear")
        for optimizer in OPTIMIZERS
        for batch_size in (BATCH, 20)
    ),
    *((replace(SMALL, **front), PENALIZED, MEMBERS) for front in FRONTS.values()),
    *((replace(SMALL, model=model), how, MEMBERS) for model in MODELS for how in (SHORT, STOPPING)),
    (replace(SMALL, batch_norm=True), SHORT, MEMBERS),
    (replace(SMALL, activation=("prelu",)), SHORT, MEMBERS),
    (replace(SMALL, activation=("pmish", "maxout", "relu")), SHORT, MIXED),
    (replace(SMALL, parametrization="standard"), SHORT, MEMBERS),
    (SMALL, replace(SHORT, l1=0.01), MEMBERS),
    (SMALL, replace(SHORT, clip_norm=0.1), MEMBERS),
    (SMALL, replace(SHORT, clip_norm=0.1, l1=0.01, batch_size=20), MEMBERS),
    (SMALL, replace(SHORT, loss="huber 0.3", schedule="onecycle"), MEMBERS),
    (SMALL, replace(SHORT, target_scale="none", optimizer="adam"), MEMBERS),
    (SMALL, STOPPING, MEMBERS),
    (replace(SMALL, batch_norm=True), replace(STOPPING, patience=2), MEMBERS),
    (SMALL, replace(STOPPING, stop_on="validation"), MEMBERS),
    # Each has its own activation and dropout, whatever its neighbours have.
    *((replace(MIX, **front), SHORT, MIXED) for front in [{}, *FRONTS.values()]),
    (MIX, replace(SHORT, optimizer="adam", l1=0.01, clip_norm=0.1), MIXED),
    (MIX, STOPPING, MIXED),
    (replace(MIX, batch_norm=True), replace(STOPPING, epochs=6, patience=2), MIXED),
]


@pytest.mark.parametrize(("model", "training", "members"), ALONE, ids=lambda value: "")
def test_members_are_trained_as_if_alone(
    setting: Setting, model: ModelSettings, training: TrainingSettings, members: Sequence[Member]
) -> None:
    together, fit, predictions = setting.train(members, model, training)
    whole = together.state_dict()
    for m in range(len(members)) if members is MIXED else (1, 4, 7):
        alone, own_fit, own = setting.train([members[m]], model, training)
        np.testing.assert_allclose(predictions[m], own[0], rtol=1e-9, atol=1e-9)
        assert fit.epochs[m] == own_fit.epochs[0]
        parts = alone.state_dict()
        for name, mine in parts.items():
            # Batch norm takes away what a bias before it adds: such a bias has no gradient but
            # rounding, which adaptive optimizers blow up, and no effect.
            if not (model.resolved.batch_norm and re.fullmatch(BEFORE_NORM, name)):
                torch.testing.assert_close(whole[name][m], mine[0], rtol=1e-7, atol=1e-9, msg=name)
        # Slopes that others need stand idle beside a member that has another activation.
        slopes = {f"activations.{layer}.slope" for layer in (0, 1)}
        assert whole.keys() - parts.keys() <= slopes
        for name in whole.keys() - parts.keys():
            assert whole[name][m].item() == 0
    # The comparison means something only where members differ and have moved.
    assert np.ptp(predictions[:, 0]) > 1e-3


def with_vectors(setting: Setting, above: int) -> Setting:
    return replace(setting, encoding=Encoding(setting.encoding.recipes, above))


@pytest.mark.parametrize("name", [name for name in MODELS if name != "linear"])
@pytest.mark.parametrize("training", [PENALIZED, STOPPING], ids=["penalized", "stopping"])
def test_vectors_of_levels_are_trained_as_if_alone(
    setting: Setting, name: str, training: TrainingSettings
) -> None:
    """Folds differ in their levels, and in which columns have vectors at all."""
    setting, model = with_vectors(setting, 3), replace(SMALL, model=name, category_embedding=3)
    lacking = ~setting.encoding.active[:, setting.encoding.dense :]
    assert lacking.any()
    together, _, predictions = setting.train(MEMBERS, model, training)
    vectors = together.vectors.vector.detach().numpy()
    for m, member in enumerate(MEMBERS):
        has = ~lacking[member.fold]
        assert np.array_equal((vectors[m] != 0).all(axis=1), has)
        assert np.array_equal((vectors[m] != 0).any(axis=1), has)
    start = setting.network(MEMBERS, model).vectors.vector.detach().numpy()
    assert np.abs(vectors - start).max() > 1e-3
    for m in (1, 6):
        _, _, own = setting.train([MEMBERS[m]], model, training)
        np.testing.assert_allclose(predictions[m], own[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("changes", "whole"),
    [({}, False), ({"batch_size": 20}, True), ({"batch_size": 20, "patience": 1}, False)],
)
def test_members_that_always_step_together_are_optimized_as_one(
    setting: Setting, changes: dict[str, Any], whole: bool
) -> None:
    counts = [int((setting.folds != member.fold).sum()) for member in MEMBERS]
    network = setting.network(MEMBERS, SMALL)
    assert (
        MemberParameters(network, [replace(SHORT, **changes)] * len(counts), counts).whole is whole
    )


@pytest.mark.parametrize("scale", ["standard", "quantile"])
def test_features_that_are_kept_are_those_that_are_made(
    setting: Setting, monkeypatch: pytest.MonkeyPatch, scale: str
) -> None:
    recipe = replace(RECIPES["standard"], scale=scale)
    left_out = Folds.of_rows(setting.folds).left_out
    recipes = fit_folds(recipe, setting.table, setting.table.features, left_out)
    setting = replace(setting, encoding=Encoding(recipes, 3))
    index = torch.from_numpy(np.random.default_rng(0).integers(0, ROWS, (len(MIXED), 9)))
    kept = setting.rows(MIXED)
    monkeypatch.setattr(batches, "_KEPT_BYTES", 0)
    made = setting.rows(MIXED)
    assert (kept._features is None, made._features is None) == (False, True)
    assert torch.equal(kept.assemble(index), made.assemble(index))


def test_bins_are_learned_from_a_members_own_training_rows(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not from validation rows, nor from those that early stopping watches; of many from some."""
    model = replace(SMALL, embedding="piecewise", bins=4)

    def lowest(setting: Setting, training: TrainingSettings) -> NDArray[np.float64]:
        network, _, _ = setting.train(MEMBERS, model, replace(training, epochs=1))
        return network.embedding.low[:, :, 0].numpy()

    columns = slice(0, setting.encoding.inputs.numbers)
    every = setting.rows(MEMBERS).assemble(torch.arange(ROWS).expand(len(MEMBERS), -1)).numpy()
    for m, found in enumerate(lowest(setting, SHORT)):
        own = every[m, setting.folds != MEMBERS[m].fold, columns]
        np.testing.assert_allclose(found, own.min(axis=0) * (np.ptp(own, axis=0) > 0), atol=1e-9)
    # One of the two random starts at least does not see the lowest of all.
    assert (lowest(setting, STOPPING) > lowest(setting, SHORT)).any()
    monkeypatch.setattr("kaggleprice.training.engine._LEARNED_ROWS", 60)
    for m, found in enumerate(lowest(setting, SHORT)):
        own = every[m, np.flatnonzero(setting.folds != MEMBERS[m].fold)[::2], columns]
        np.testing.assert_allclose(found, own.min(axis=0) * (np.ptp(own, axis=0) > 0), atol=1e-9)


def test_early_stopping_stops_members_at_different_epochs(setting: Setting) -> None:
    _, fit, _ = setting.train(MEMBERS, SMALL, STOPPING)
    assert len(set(fit.epochs.tolist())) > 1
    assert fit.epochs.max() < 12


def test_a_stopped_member_has_its_best_weights(setting: Setting) -> None:
    """The watched score of every member is that of its best epoch, found by stopping there."""
    training = replace(SHORT, epochs=12, patience=12, lr=0.05, stop_on="validation")
    _, fit, predictions = setting.train(MEMBERS, SMALL, replace(training, history_every=1))
    for m, member in enumerate(MEMBERS):
        held = setting.folds == member.fold
        error = np.sqrt(np.mean((predictions[m, held] - setting.target[held]) ** 2))
        scores = [line.validation for line in fit.history if line.member == m]
        assert error == pytest.approx(min(scores), rel=1e-9)
        assert int(np.argmin(scores)) + 1 == fit.epochs[m]


@pytest.mark.parametrize(
    ("loss", "scored"),
    [
        ("pinball 0.9", lambda y, z: mean_pinball_loss(y, z, alpha=0.9)),
        ("mae", lambda y, z: np.abs(y - z).mean()),
        ("huber 0.3", lambda y, z: nn.HuberLoss(delta=0.3)(*map(torch.from_numpy, (z, y)))),
        ("mse", lambda y, z: np.square(y - z).mean()),
        ("poisson", lambda y, z: mean_tweedie_deviance(np.exp(y), np.exp(z), power=1)),
    ],
)
def test_early_stopping_watches_the_loss_that_is_trained_on(
    setting: Setting, loss: str, scored: Callable[..., Any]
) -> None:
    """Noise with a long tail upwards: what is best for squared errors is best for no other."""
    noise = np.random.default_rng(0).exponential(0.5, ROWS)
    skewed = replace(setting, target=setting.target + noise)
    training = replace(SHORT, epochs=12, patience=12, lr=0.05, stop_on="validation", loss=loss)
    scores: list[list[float]] = []
    squares: list[list[float]] = []

    class Scoring(Callback):
        def on_epoch_end(self, loop: TrainingLoop) -> None:
            scales, network = loop.engine.scales, loop.engine.network
            predicted = predict_members(network, skewed.rows(MEMBERS), scales)
            # Poisson deviance is one of amounts, in the unit of their geometric mean.
            scale = np.ones(len(MEMBERS)) if loss == "poisson" else scales.target_scale
            both = [
                [(x[skewed.folds == member.fold] - center) / by for x in (skewed.target, own)]
                for member, own, center, by in zip(
                    MEMBERS, predicted, scales.target_center, scale, strict=True
                )
            ]
            scores.append([float(scored(*pair)) for pair in both])
            squares.append([float(np.square(y - z).mean()) for y, z in both])

    _, fit, _ = skewed.train(MEMBERS, SMALL, training, Scoring())
    assert fit.epochs.tolist() == (np.argmin(scores, axis=0) + 1).tolist()
    other = (np.argmin(squares, axis=0) + 1).tolist()
    assert (fit.epochs.tolist() == other) == (loss == "mse")


class PlainActivation(nn.Module):
    """An activation as somebody would write it; behind pieces of linear units, of the first."""

    def __init__(self, name: str, pieces: int) -> None:
        super().__init__()
        self.name, self.pieces = name, pieces
        self.prelu = nn.PReLU(dtype=torch.float64) if name == "prelu" else None
        if name in ("pgelu", "pmish"):
            self.alpha = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pieces = x.unflatten(1, (self.pieces, -1))
        if self.name == "maxout":
            return pieces.max(dim=1).values
        x = pieces[:, 0]
        if self.prelu is not None:
            return self.prelu(x)
        if self.name in ("pgelu", "pmish"):
            f = getattr(nn.functional, self.name[1:])
            return (1 - self.alpha) * x + self.alpha * f(x)
        return getattr(nn.functional, self.name)(x)


class PlainNetwork(nn.Module):
    """What somebody would write for one member with `torch.nn`, of the features that it has."""

    def __init__(self, width: int, numbers: int, model: ModelSettings, seed: int) -> None:
        """The first `numbers` of the `width` features are numbers."""
        super().__init__()
        bent = model.model != "linear"
        hidden = model.hidden if bent else ()
        cosines = model.frequencies if bent and model.embedding == "periodic" else 0
        # Where bins begin and end, of each number, where there are some.
        self.ends: list[NDArray[np.float64]] = []
        self.bins = model.bins if bent and model.embedding == "piecewise" else 0
        inputs = width + numbers * (cosines or self.bins)
        self.numbers, self.bound = numbers, model.soft_bound if bent else None
        self.frequency, self.phase = (
            nn.Parameter(torch.zeros(numbers, cosines, dtype=torch.float64)) for _ in range(2)
        )
        ones = torch.ones(inputs, dtype=torch.float64)
        self.factor = nn.Parameter(ones) if bent and model.feature_scales else ones
        sizes = [inputs, *hidden, 1]
        self.pieces = 2 if bent and "maxout" in model.activation else 1
        self.linears = nn.ModuleList(
            nn.Linear(i, o, dtype=torch.float64)
            for i, o in zip(sizes, [*(self.pieces * units for units in hidden), 1], strict=False)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm1d(self.pieces * o, dtype=torch.float64) for o in hidden if model.batch_norm
        )
        name = model.activation[seed % len(model.activation)]
        self.activations = nn.ModuleList(PlainActivation(name, self.pieces) for _ in hidden)
        turns = [rates * len(hidden) if len(rates) == 1 else rates for rates in model.dropout]
        self.rates = turns[seed % len(turns)] if bent else ()
        # A layer takes random numbers where any start drops something of it.
        self.drawn = [any(rates[layer] > 0 for rates in turns) for layer in range(len(hidden))]
        ntk = model.parametrization == "ntk"
        self.scales = [i**-0.5 if ntk else 1.0 for i in sizes[:-1]]

    def forward(self, x: torch.Tensor, noise: torch.Tensor | None) -> torch.Tensor:
        x, used = self.embedded(x) * self.factor, 0
        for layer, activation in enumerate(self.activations):
            x = self.linear(layer, x)
            x = activation(self.norms[layer](x) if self.norms else x)
            if self.drawn[layer] and noise is not None:
                bits = noise[:, used : used + x.shape[1]].to(torch.int64) + 2**15
                dropped = round(self.rates[layer] * 2**16)
                x = x * (bits >= dropped) / (1 - dropped / 2**16)
                used += x.shape[1]
        return self.linear(-1, x).squeeze(1)

    def embedded(self, x: torch.Tensor) -> torch.Tensor:
        numbers, rest = x[:, : self.numbers], x[:, self.numbers :]
        angles = 2 * torch.pi * self.frequency * numbers[:, :, None] + self.phase
        binned = [self.binned(x[:, i], ends) for i, ends in enumerate(self.ends)]
        if self.bound is not None:
            numbers = numbers / torch.sqrt(1 + (numbers / self.bound) ** 2)
        return torch.cat([numbers, rest, torch.cos(angles).flatten(1), *binned], dim=1)

    def binned(self, x: torch.Tensor, ends: NDArray[np.float64]) -> torch.Tensor:
        made = x.new_zeros(len(x), self.bins)
        for t, (low, high) in enumerate(pairwise(ends)):
            made[:, t] = ((x - low) / (high - low)).clamp(0, 1)
        return made

    def linear(self, layer: int, x: torch.Tensor) -> torch.Tensor:
        linear = self.linears[layer]
        return nn.functional.linear(x, linear.weight) * self.scales[layer] + linear.bias


OPTIMIZERS_OF_TORCH = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.01),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9),
    "nesterov": lambda groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True),
    "adagrad": lambda groups: torch.optim.Adagrad(groups, lr=0.01),
    "adadelta": lambda groups: torch.optim.Adadelta(groups, lr=0.01),
    "rmsprop": lambda groups: torch.optim.RMSprop(groups, lr=0.01),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.01),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.01),
}


def train_plainly(
    setting: Setting, member: Member, model: ModelSettings, training: TrainingSettings
) -> NDArray[np.float64]:
    """One member by a plain loop; returns its predictions of all rows, shape (n,)."""
    start = setting.network([member], model)
    own = torch.from_numpy(setting.encoding.active[member.fold])
    numbers = own[: setting.encoding.inputs.numbers]
    dense = setting.rows([member]).assemble(torch.arange(ROWS)[None])[0][:, own]
    plain = PlainNetwork(dense.shape[1], int(numbers.sum()), model, member.seed)
    with torch.no_grad():
        cosines = plain.frequency.shape[1]
        if plain.bins:
            seen = dense[setting.folds != member.fold][:, : plain.numbers].numpy()
            shares = np.arange(plain.bins + 1) / plain.bins
            plain.ends = [np.unique(np.quantile(column, shares)) for column in seen.T]
        if cosines:
            plain.frequency.copy_(start.embedding.frequency[0, numbers])
            plain.phase.copy_(start.embedding.phase[0, numbers])
        inputs = torch.cat([own, numbers.repeat_interleave(cosines or plain.bins)])
        for mine, theirs in zip(plain.linears, start.linears, strict=True):
            mine.weight.copy_(theirs.weight[0, inputs].T)
            mine.bias.copy_(theirs.bias[0, 0])
            inputs = slice(None)
    rows = np.flatnonzero(setting.folds != member.fold)
    center, scale = setting.target[rows].mean(), setting.target[rows].std()
    target = torch.from_numpy((setting.target - center) / scale)
    weights = [layer.weight for layer in plain.linears]
    others = [p for p in plain.parameters() if not any(p is w for w in weights)]
    optimizer = OPTIMIZERS_OF_TORCH[training.optimizer](
        [
            {"params": weights, "weight_decay": training.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
    )
    noise = NoiseSource(7, [member], training.batch_size, start.noise_width, steps=9)
    steps = -(-len(rows) // training.batch_size)
    plain.train()
    for epoch in range(1, training.epochs + 1):
        order = row_order(7, member, epoch, rows, len(rows))
        noise.start(epoch)
        for step in range(steps):
            batch = order[step * training.batch_size : (step + 1) * training.batch_size]
            drawn = noise.step(torch.device("cpu"))
            done = (epoch - 1 + step / steps) / training.epochs
            for group in optimizer.param_groups:
                group["lr"] = training.lr * 0.5 * (1 + np.cos(np.pi * done))
            optimizer.zero_grad()
            output = plain(dense[batch], None if drawn is None else drawn[0, : len(batch)])
            nn.functional.mse_loss(output, target[batch]).backward()
            optimizer.step()
    plain.eval()
    with torch.no_grad():
        return plain(dense, None).numpy() * scale + center


PLAIN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{name: ({}, {"optimizer": name, "weight_decay": 0.05}) for name in OPTIMIZERS},
    **{name: ({"parametrization": name}, {}) for name in PARAMETRIZATIONS},
    **{name: ({"activation": (name,)}, {}) for name in ACTIVATIONS},
    **{
        f"{name}, {optimizer}": (front, {"optimizer": optimizer, "weight_decay": 0.05})
        for name, front in FRONTS.items()
        for optimizer in ("adamw", "sgd")
    },
    "linear": ({"model": "linear"}, {}),
    # Steps of 20 leave no last step of a single row, which torch's batch norm refuses.
    "batch norm": ({"batch_norm": True}, {"batch_size": 20}),
    "mix": ({"activation": MIX.activation, "dropout": MIX.dropout}, {"weight_decay": 0.05}),
    "maxout in turn": ({"activation": ("gelu", "maxout")}, {}),
    "maxout, batch norm": ({"activation": ("maxout",), "batch_norm": True}, {"batch_size": 20}),
}


@pytest.mark.parametrize(("model", "training"), PLAIN.values(), ids=PLAIN)
def test_members_equal_a_plain_loop(
    setting: Setting, model: dict[str, Any], training: dict[str, Any]
) -> None:
    own, how = replace(SMALL, **model), replace(SHORT, **training)
    members = MIXED if own == MIX else MEMBERS
    _, _, predictions = setting.train(members, own, how)
    for m in range(len(members)) if members is MIXED else (2, 7):
        plain = train_plainly(setting, members[m], own, how)
        np.testing.assert_allclose(predictions[m], plain, rtol=1e-8)


def test_submodels_are_trained_on_the_mean_of_their_losses(setting: Setting) -> None:
    """One step of plain gradient descent on all rows."""
    model = replace(SMALL, model="tabm", submodels=3, dropout=((0.0,),))
    training = replace(SHORT, optimizer="sgd", epochs=1, batch_size=ROWS, weight_decay=0.0)
    trained, fit, _ = setting.train(MEMBERS[:2], model, training)
    plain = setting.network(MEMBERS[:2], model).train()
    rows = np.flatnonzero(setting.folds != 0)
    outputs = plain(
        setting.rows(MEMBERS[:2]).assemble(torch.from_numpy(rows).expand(2, -1)), None, None
    )
    target = (setting.target[rows] - fit.target_center[0]) / fit.target_scale[0]
    errors = [
        nn.functional.mse_loss(outputs[m, :, s], torch.from_numpy(target))
        for m in range(2)
        for s in range(3)
    ]
    (sum(errors) / 3).backward()
    for name, parameter in plain.named_parameters():
        expected = parameter - training.lr * parameter.grad
        torch.testing.assert_close(trained.get_parameter(name), expected, msg=name)


@pytest.mark.parametrize("front", [{}, *FRONTS.values()], ids=["all", *FRONTS])
@pytest.mark.parametrize(
    "training",
    [
        replace(SHORT, weight_decay=0.0),
        replace(SHORT, optimizer="adam", weight_decay=0.05, l1=0.01),
        replace(SHORT, optimizer="rmsprop", clip_norm=0.5),
    ],
    ids=["adamw", "adam", "rmsprop"],
)
def test_a_feature_that_a_fold_does_not_have_stays_out(
    setting: Setting, front: dict[str, Any], training: TrainingSettings
) -> None:
    """Its weights, its factor, its frequencies and phases stay 0, exactly."""
    network, _, _ = setting.train(MEMBERS, replace(MIX, **front), training)
    active = setting.encoding.active[[m.fold for m in MEMBERS]]
    count = setting.encoding.inputs.numbers
    numbers = active[:, :count]
    assert not numbers.all(), "the folds of this test should differ in their logs"
    assert not active[:, count:].all(), "the folds of this test should differ in their categories"
    embedded = np.repeat(numbers, network.embedding.outputs, axis=1)
    used = np.concatenate([active, embedded], axis=1)
    state = {name: value.numpy() for name, value in network.state_dict().items()}
    first = state["linears.0.weight"]
    assert np.all(first[~used] == 0)
    assert np.all(np.abs(first[used]).max(axis=1) > 0)
    if "scale.factor" in state:
        assert np.array_equal(state["scale.factor"][:, 0] != 0, used)
    for name in {"embedding.frequency", "embedding.phase"} & state.keys():
        assert np.array_equal((state[name] != 0).all(axis=2), numbers)
        assert np.all(state[name][~numbers] == 0)


def test_history_is_the_error_of_each_member(setting: Setting) -> None:
    _, fit, predictions = setting.train(MEMBERS, SMALL, replace(SHORT, history_every=2))
    assert sorted({line.epoch for line in fit.history}) == [2, 3]
    for line in (line for line in fit.history if line.epoch == 3):
        error = np.square(predictions[line.member] - setting.target)
        held = setting.folds == MEMBERS[line.member].fold
        assert line.validation == pytest.approx(np.sqrt(error[held].mean()), rel=1e-12)
        assert line.train == pytest.approx(np.sqrt(error[~held].mean()), rel=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_only_own_training_rows_are_trained_on(setting: Setting, name: str) -> None:
    """Garbage in a fold's validation targets changes nothing of its members, to the last bit."""
    model = replace(SMALL, model=name)
    for training in (SHORT, replace(SHORT, epochs=8, patience=1, lr=0.05)):
        clean, fit, _ = setting.train(MEMBERS, model, training)
        target = np.where(setting.folds == 2, 99.0, setting.target)
        spoilt, spoilt_fit, _ = replace(setting, target=target).train(MEMBERS, model, training)
        for m, member in enumerate(MEMBERS):
            same = [
                torch.equal(a[m], b[m])
                for a, b in zip(
                    clean.state_dict().values(), spoilt.state_dict().values(), strict=True
                )
            ]
            assert all(same) is (member.fold == 2)
            if member.fold == 2:
                assert fit.target_center[m] == spoilt_fit.target_center[m]
                assert fit.epochs[m] == spoilt_fit.epochs[m]


def test_seeds_and_folds_differ(setting: Setting) -> None:
    draws = {
        member_generator(seed, Member(fold, start), purpose, epoch).random()
        for seed in (0, 1)
        for fold in (0, 1)
        for start in (0, 1)
        for purpose in Purpose
        for epoch in (0, 1)
    }
    assert len(draws) == 2 * 2 * 2 * len(Purpose) * 2


def test_noise_does_not_depend_on_how_much_is_drawn_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def steps(members: Sequence[Member]) -> torch.Tensor:
        source = NoiseSource(0, members, batch_size=5, width=7, steps=4)
        source.start(1)
        drawn = (source.step(torch.device("cpu")) for _ in range(9))
        return torch.stack([d.clone() for d in drawn if d is not None])

    together = steps(MEMBERS)
    monkeypatch.setattr("kaggleprice.training.randomness._BLOCK_BYTES", 200)
    assert torch.equal(steps(MEMBERS[2:4]), together[:, 2:4])
    values = together.numpy().astype(float).ravel()
    assert abs(values.mean()) < 2**15 * 0.05
    assert values.std() == pytest.approx(2**16 / np.sqrt(12), rel=0.02)


def test_many_rows_are_taken_window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(randomness, "_MANY_ROWS", 999)
    monkeypatch.setattr(randomness, "_BLOCK_ROWS", 10)
    monkeypatch.setattr(randomness, "_WINDOW_BLOCKS", 5)
    rows, some = np.arange(1000), np.flatnonzero(np.arange(1000) % 7)
    order = row_order(7, Member(0, 0), 2, rows, 1000)
    np.testing.assert_array_equal(np.sort(order), rows)
    # A window is the rows of five blocks, in an order that does not tell which.
    windows = order.reshape(20, 50)
    for window in windows:
        assert len(set((window // 10).tolist())) == 5
        assert np.abs(np.diff(window)).max() > 10
    # Another member takes those of its rows in the same windows, in an order of its own.
    other = row_order(7, Member(1, 3), 2, some, 1000)
    np.testing.assert_array_equal(np.sort(other), some)
    place = np.empty(1000, dtype=int)
    place[windows] = np.arange(20)[:, None]
    assert (np.diff(place[other]) >= 0).all()
    assert other.tolist() != order[np.isin(order, some)].tolist()
    later = row_order(7, Member(0, 0), 3, rows, 1000)
    assert (np.diff(place[later]) < 0).sum() > 100


def test_divergence_names_members_epoch_and_a_smaller_rate(setting: Setting) -> None:
    training = replace(SHORT, optimizer="sgd", lr=1e6, epochs=8)
    with pytest.raises(
        DivergenceError, match=r"epoch \d+ for 8 of 8 members \(fold 1 seed 0,.*--lr 100000"
    ):
        setting.train(MEMBERS, SMALL, training)


def test_finite_nonsense_is_divergence_too(setting: Setting) -> None:
    with pytest.raises(DivergenceError, match="by epoch 3"):
        setting.train(MEMBERS, SMALL, replace(SHORT, lr=30.0, weight_decay=0.0))


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_stay_within_their_rate(name: str) -> None:
    schedule = SCHEDULES[name].load()
    factors = [schedule(t) for t in np.linspace(0, 1, 50, endpoint=False)]
    assert all(0 < factor <= 1 for factor in factors)
    assert max(factors) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("mse", nn.MSELoss()),
        ("mae", nn.L1Loss()),
        ("huber", nn.HuberLoss()),
        ("huber 0.3", nn.HuberLoss(delta=0.3)),
    ],
)
def test_losses_are_torchs(name: str, reference: nn.Module) -> None:
    output, target = torch.linspace(-3, 3, 11), torch.zeros(11)
    torch.testing.assert_close(
        LOSSES[name].load()(output, target).mean(), reference(output, target)
    )


@pytest.mark.parametrize("name", ["pinball", "pinball 0.9", "poisson", "tweedie", "tweedie 1.2"])
def test_losses_are_scikit_learns(name: str) -> None:
    """Of logs, the deviance is that of what they are the logs of, up to the factor of a step."""
    random = np.random.default_rng(0)
    output, target = random.normal(size=(2, 4, 50))
    entry, base = LOSSES[name], name.split()[0]
    number = entry.number if entry.number is not None else getattr(entry.parameter, "default", 0)
    if base == "pinball":
        found = LOSSES[name].load()(torch.tensor(output), torch.tensor(target))
        expected = mean_pinball_loss(target.ravel(), output.ravel(), alpha=number)
    else:
        scale = np.array([[0.3], [0.5], [1.0], [1.5]])
        power = number if base == "tweedie" else 1
        found = entry.load()(*map(torch.tensor, (output, target)), scale=torch.tensor(scale))
        found = 2 * found * torch.tensor(scale) ** 2
        expected = mean_tweedie_deviance(
            np.exp(scale * target).ravel(), np.exp(scale * output).ravel(), power=power
        )
    assert float(found.mean()) == pytest.approx(expected, rel=1e-9)


# Prints how many bytes the system gave while a step's worth of arrays came and went, 20 times.
_CHURN = """
import resource, torch
from kaggleprice.training.devices import freed_memory_kept
def churn():
    arrays = [torch.ones(30_000) for _ in range(400)]
def given():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt * resource.getpagesize()
with freed_memory_kept() as kept:
    assert kept
    churn()
    before = given()
    for _ in range(20):
        churn()
    print(given() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    command = [sys.executable, "-c", _CHURN]
    given = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # Less than the arrays of a single step: what the first one was given served them all.
    assert given < 400 * 30_000 * 4


def test_a_constant_target_has_not_diverged(setting: Setting) -> None:
    """A network that says nothing is perfect there, so nothing that learns could be as good."""
    _, _, predicted = replace(setting, target=np.full(ROWS, 5.0)).train(MEMBERS, SMALL, SHORT)
    assert np.abs(predicted - 5).max() < 5
