"""Members' parameters: as the optimizer sees them, and as they were at their best."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kaggleprice.models.networks import MemberNetwork
from kaggleprice.settings.training import OPTIMIZERS, SCHEDULES, TrainingSettings


class MemberParameters:
    """Members' parameters as the optimizer sees them: whole, or in slices of some members.

    Whole where every member takes every step at the same rate: what is done to a value depends on
    no other value, in every optimizer of `OPTIMIZERS`, so one call for all members does what a call
    for each would.

    A slice has neighbours of the same rate, schedule and decay; or one member, where a member may
    run out of rows earlier, or stop. To the optimizer a slice is a parameter of its own, with its
    own state and step count, and takes a step only where it has a gradient. Gradients live in
    buffers that are zeroed, not replaced, so that a slice of a gradient is made once.

    Attributes:
        whole: which of both it is.
    """

    def __init__(
        self, network: MemberNetwork, each: Sequence[TrainingSettings], counts: Sequence[int]
    ) -> None:
        """Make the optimizer.

        Args:
            network: of M members.
            each: shape (M,), each member's optimizer, schedule and penalties, of which
                `TrainingSettings.shared` are the same.
            counts: shape (M,), each member's training rows.
        """
        settings = each[0]
        self._settings, self._passes = settings, settings.passes
        self._parameters = dict(network.named_parameters())
        self._decayed = set(network.decayed_parameters())
        self._frozen: set[int] = set()
        # Members with the same number of steps in an epoch share a learning rate throughout.
        steps = [-(-count // settings.rows_per_step) for count in counts]
        alone = settings.patience is not None or len(set(steps)) > 1
        keys = [(s.lr, s.schedule, s.weight_decay, m if alone else 0) for m, s in enumerate(each)]
        firsts = [m for m, key in enumerate(keys) if not m or key != keys[m - 1]]
        self._slices = [slice(*ends) for ends in pairwise([*firsts, len(keys)])]
        self.whole = len(self._slices) == 1 and not alone
        groups: dict[tuple[Any, ...], list[Tensor]] = {}
        # What the optimizer gets of each parameter.
        self._parts: dict[str, list[Tensor]] = {}
        for name, parameter in self._parameters.items():
            self._parts[name] = [parameter] if self.whole else self._cut(parameter.detach())
            for own, part in zip(self._slices, self._parts[name], strict=True):
                key = keys[own.start][:3]
                groups.setdefault((*key, steps[own.start], name in self._decayed), []).append(part)
            if not self.whole:
                parameter.grad = torch.zeros_like(parameter)
        if not self.whole:
            self._attach(range(len(self._slices)))
        self._optimizer = OPTIMIZERS[settings.optimizer].load()(
            [
                {
                    "params": parts,
                    "weight_decay": decay * decays,
                    "steps": length,
                    "highest": lr,
                    "schedule": schedule,
                }
                for (lr, schedule, decay, length, decays), parts in groups.items()
            ],
            settings.lr,
        )
        self._schedules: dict[str, Callable[[float], float]] = {
            name: SCHEDULES[name].load() for _, name, *_ in keys
        }
        bounds = [math.inf if own.clip_norm is None else own.clip_norm for own in each]
        device = next(network.parameters()).device
        self._bounds = torch.tensor(bounds, device=device) if min(bounds) < math.inf else None

    def _cut(self, value: Tensor) -> list[Tensor]:
        return [value[own] for own in self._slices]

    def set_rates(self, epoch: int, step: int) -> None:
        """Set the learning rates of a step (both counted from 0): each by its own epoch length."""
        for group in self._optimizer.param_groups:
            done = (epoch + min(step, group["steps"]) / group["steps"]) / self._passes
            group["lr"] = group["highest"] * self._schedules[group["schedule"]](done)

    def step(self, loss: Tensor, idle: Collection[int]) -> None:
        """Go one step down the gradient of the members' summed loss.

        Args:
            loss: of all members.
            idle: members without a row in this step.
        """
        if self.whole:
            # Gradients that are not there yet are written, not added to zeros.
            self._optimizer.zero_grad(set_to_none=True)
        else:
            torch._foreach_zero_(self._gradients())
        loss.backward()  # type: ignore[no-untyped-call]
        self._regularize()
        skipped = [member for member in idle if member not in self._frozen]
        self._detach(skipped)
        self._optimizer.step()
        self._attach(skipped)

    @torch.no_grad()
    def _regularize(self) -> None:
        if self._settings.l1:
            for name in sorted(self._decayed):
                weight = self._parameters[name]
                _gradient(weight).add_(weight.sign(), alpha=self._settings.l1)
        if self._bounds is not None:
            self._clip(self._bounds)

    def _clip(self, bounds: Tensor) -> None:
        """Scale each member's whole gradient to a norm of at most its bound, shape (M,)."""
        gradients = self._gradients()
        squares = [gradient.flatten(1).square().sum(dim=1) for gradient in gradients]
        norm = torch.stack(squares).sum(dim=0).sqrt()
        factor = (bounds / (norm + 1e-6)).clamp(max=1.0).to(norm.dtype)
        for gradient in gradients:
            gradient.mul_(factor.view(-1, *[1] * (gradient.dim() - 1)))

    def _gradients(self) -> list[Tensor]:
        return [_gradient(parameter) for parameter in self._parameters.values()]

    def freeze(self, members: NDArray[np.int64]) -> None:
        """Let these members, whose parameters are in slices, take no further step."""
        self._detach(members)
        self._frozen.update(members.tolist())

    def _detach(self, members: Collection[int] | NDArray[np.int64]) -> None:
        for member in members:
            for parts in self._parts.values():
                parts[member].grad = None

    def _attach(self, members: Collection[int]) -> None:
        # Whoever rests is a slice alone.
        for place in members:
            for name, parts in self._parts.items():
                parts[place].grad = _gradient(self._parameters[name])[self._slices[place]]

    def state_dict(self) -> dict[str, Tensor]:
        """Return the optimizer's state by name, `optimizer.QUANTITY.PARAMETER`; members first.

        It is the same whether parameters are optimized whole or in slices.
        """
        state: dict[str, Tensor] = {}
        for name, parts in self._parts.items():
            kept = [self._optimizer.state[part] for part in parts]
            for quantity, value in kept[0].items():
                if not isinstance(value, Tensor):
                    continue
                values = [own[quantity] for own in kept]
                if not value.dim():  # A count of steps is kept once per slice.
                    pairs = zip(values, self._slices, strict=True)
                    values = [one.repeat(own.stop - own.start) for one, own in pairs]
                state[f"optimizer.{quantity}.{name}"] = torch.cat(values)
        return state

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` returned; other names are left alone."""
        loaded: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            kind, _, rest = key.partition(".")
            quantity, _, name = rest.partition(".")
            if kind == "optimizer" and name in self._parts:
                for part, own in zip(self._parts[name], self._slices, strict=True):
                    kept = value[own.start] if quantity == "step" else value[own]
                    # Copies: an optimizer keeps and changes what it is given.
                    loaded.setdefault(id(part), {})[quantity] = kept.clone()
        parts = [part for group in self._optimizer.param_groups for part in group["params"]]
        state = {i: loaded[id(part)] for i, part in enumerate(parts) if id(part) in loaded}
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": state, "param_groups": groups})


def _gradient(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        raise RuntimeError("a parameter has no gradient: it takes no part in the output")
    return parameter.grad


class BestWeights:
    """Each member's weights at its best epoch so far.

    Attributes:
        active: shape (M,), who is still training.
    """

    def __init__(self, network: MemberNetwork) -> None:
        self._kept = {name: value.clone() for name, value in network.state_dict().items()}
        self._score = np.full(network.members, np.inf)
        self._epoch = np.zeros(network.members, dtype=np.int64)
        self.active = np.ones(network.members, dtype=bool)

    def update(
        self, network: MemberNetwork, epoch: int, scores: NDArray[np.float64], patience: int
    ) -> None:
        """Keep the weights of active members that improved; stop those whose patience is over."""
        better = self.active & (scores < self._score)
        self._score[better], self._epoch[better] = scores[better], epoch
        chosen = torch.from_numpy(np.flatnonzero(better))
        for name, value in network.state_dict().items():
            self._kept[name][chosen] = value[chosen]
        self.active &= epoch - self._epoch < patience

    def state_dict(self) -> dict[str, Tensor]:
        """Return weights, scores, epochs, and who goes on, by name: `best.QUANTITY`."""
        kept = {f"best.weights.{name}": value for name, value in self._kept.items()}
        arrays = {"score": self._score, "epoch": self._epoch, "active": self.active}
        return kept | {f"best.{name}": torch.from_numpy(v) for name, v in arrays.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` returned."""
        for name, value in self._kept.items():
            value.copy_(tensors[f"best.weights.{name}"])
        self._score[:] = tensors["best.score"].numpy()
        self._epoch[:] = tensors["best.epoch"].numpy()
        self.active[:] = tensors["best.active"].numpy()

    def restore(self, network: MemberNetwork) -> NDArray[np.int64]:
        """Put the kept weights back; return the epoch of each member."""
        network.load_state_dict(self._kept)
        return self._epoch
