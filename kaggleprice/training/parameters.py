"""Members' parameters: as the optimizer sees them, and as they were at their best."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kaggleprice.models.networks import MemberNetwork
from kaggleprice.settings.training import OPTIMIZERS, SCHEDULES, TrainingSettings


class MemberParameters:
    """Members' parameters as the optimizer sees them: whole, or each member's slice of them.

    Whole where every member takes every step: what is done to a value depends on no other value,
    in every optimizer of `OPTIMIZERS`, so one call for all members does what a call for each would.

    In slices where a member may run out of rows earlier, or stop. To the optimizer a slice is a
    parameter of its own, with its own state and step count, and takes a step only where it has a
    gradient. Gradients live in buffers that are zeroed, not replaced, so that a slice of a gradient
    is made once.

    Attributes:
        whole: which of both it is.
    """

    def __init__(
        self, network: MemberNetwork, settings: TrainingSettings, counts: Sequence[int]
    ) -> None:
        """Make the optimizer.

        Args:
            network: of M members.
            settings: optimizer, schedule and penalties.
            counts: shape (M,), each member's training rows.
        """
        self._settings, self._members = settings, len(counts)
        self._parameters = dict(network.named_parameters())
        self._decayed = set(network.decayed_parameters())
        self._frozen: set[int] = set()
        # Members with the same number of steps in an epoch share a learning rate throughout.
        steps = [-(-count // settings.rows_per_step) for count in counts]
        self.whole = settings.patience is None and len(set(steps)) == 1
        groups: dict[tuple[int, bool], list[Tensor]] = {}
        # What the optimizer gets of each parameter.
        self._parts: dict[str, list[Tensor]] = {}
        for name, parameter in self._parameters.items():
            self._parts[name] = [parameter] if self.whole else [*parameter.detach()]
            for length, part in zip(steps, self._parts[name], strict=not self.whole):
                groups.setdefault((length, name in self._decayed), []).append(part)
            if not self.whole:
                parameter.grad = torch.zeros_like(parameter)
        if not self.whole:
            self._attach(range(self._members))
        self._optimizer = OPTIMIZERS[settings.optimizer].load()(
            [
                {"params": parts, "weight_decay": settings.weight_decay * decays, "steps": length}
                for (length, decays), parts in groups.items()
            ],
            settings.lr,
        )
        self._schedule: Callable[[float], float] = SCHEDULES[settings.schedule].load()

    def set_rates(self, epoch: int, step: int, settings: TrainingSettings) -> None:
        """Set the learning rates of a step (both counted from 0): each by its own epoch length."""
        for group in self._optimizer.param_groups:
            done = (epoch + min(step, group["steps"]) / group["steps"]) / settings.passes
            group["lr"] = settings.lr * self._schedule(done)

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
        if self._settings.clip_norm is not None:
            self._clip(self._settings.clip_norm)

    def _clip(self, bound: float) -> None:
        """Scale each member's whole gradient to a norm of at most `bound`."""
        gradients = self._gradients()
        squares = [gradient.flatten(1).square().sum(dim=1) for gradient in gradients]
        norm = torch.stack(squares).sum(dim=0).sqrt()
        factor = (bound / (norm + 1e-6)).clamp(max=1.0)
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
        for member in members:
            for name, parts in self._parts.items():
                parts[member].grad = _gradient(self._parameters[name])[member]

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
                if not self.whole:
                    value = torch.stack([own[quantity] for own in kept])
                elif not value.dim():  # A count of steps is kept once per parameter.
                    value = value.repeat(self._members)
                state[f"optimizer.{quantity}.{name}"] = value
        return state

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` returned; other names are left alone."""
        loaded: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            kind, _, rest = key.partition(".")
            quantity, _, name = rest.partition(".")
            if kind == "optimizer" and name in self._parts:
                whole = value[0] if quantity == "step" else value
                # Copies: an optimizer keeps and changes what it is given.
                for part, own in zip(
                    self._parts[name], [whole] if self.whole else value, strict=True
                ):
                    loaded.setdefault(id(part), {})[quantity] = own.clone()
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
