"""Members' parameters: as the optimizer sees them, one by one, and as they were at their best."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kaggleprice.models.networks import MemberNetwork
from kaggleprice.settings.training import OPTIMIZERS, SCHEDULES, TrainingSettings

# What optimizers keep once per parameter, not once per value of it.
_COUNT = "step"


class MemberParameters:
    """The parameters of members that always step together, as the optimizer sees them: whole.

    What is done to a value depends on no other value, in every optimizer of `OPTIMIZERS`, so one
    call for all members does what a call for each would.
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
        # Members with the same number of steps in an epoch share a learning rate throughout.
        steps = [-(-count // settings.batch_size) for count in counts]
        groups: dict[tuple[int, bool], list[Tensor]] = {}
        # What the optimizer gets of each parameter: all of it, or one part per member.
        self._given: dict[str, list[Tensor]] = {}
        for name, parameter in self._parameters.items():
            for length, part in self._parts(name, parameter, steps):
                groups.setdefault((length, name in self._decayed), []).append(part)
                self._given.setdefault(name, []).append(part)
        self._optimizer = OPTIMIZERS[settings.optimizer].load()(
            [
                {"params": parts, "weight_decay": settings.weight_decay * decays, "steps": length}
                for (length, decays), parts in groups.items()
            ],
            settings.lr,
        )
        self._schedule: Callable[[float], float] = SCHEDULES[settings.schedule].load()

    def _parts(
        self, name: str, parameter: Tensor, steps: Sequence[int]
    ) -> Iterable[tuple[int, Tensor]]:
        """Return what the optimizer gets of a parameter, each with its steps per epoch."""
        return [(steps[0], parameter)]

    def set_rates(self, epoch: int, step: int, settings: TrainingSettings) -> None:
        """Set the learning rates of a step (both counted from 0): each by its own epoch length."""
        for group in self._optimizer.param_groups:
            done = (epoch + min(step, group["steps"]) / group["steps"]) / settings.epochs
            group["lr"] = settings.lr * self._schedule(done)

    def step(self, loss: Tensor, idle: Sequence[int]) -> None:
        """Go one step down the gradient of the members' summed loss.

        Args:
            loss: of all members.
            idle: members without a row in this step.
        """
        # Gradients that are not there yet are written, not added to zeros.
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._regularize()
        self._optimizer.step()

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
        gradients = [_gradient(parameter) for parameter in self._parameters.values()]
        squares = [gradient.flatten(1).square().sum(dim=1) for gradient in gradients]
        norm = torch.stack(squares).sum(dim=0).sqrt()
        factor = (bound / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.view(-1, *[1] * (gradient.dim() - 1)))

    def state_dict(self) -> dict[str, Tensor]:
        """Return the optimizer's state by name, `optimizer.QUANTITY.PARAMETER`; members first.

        It is the same whether parameters are optimized whole or in slices.
        """
        state: dict[str, Tensor] = {}
        for name, given in self._given.items():
            kept = [self._optimizer.state[part] for part in given]
            for quantity, value in kept[0].items():
                if isinstance(value, Tensor):
                    values = [own[quantity] for own in kept]
                    state[f"optimizer.{quantity}.{name}"] = self._of_members(values)
        return state

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take up what `state_dict` returned; other names are left alone."""
        loaded: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            kind, _, rest = key.partition(".")
            quantity, _, name = rest.partition(".")
            if kind == "optimizer" and name in self._given:
                given = self._given[name]
                values = self._to_given(value, counts=quantity == _COUNT)
                for part, own in zip(given, values, strict=True):
                    loaded.setdefault(id(part), {})[quantity] = own
        parts = [part for group in self._optimizer.param_groups for part in group["params"]]
        state = {i: loaded[id(part)] for i, part in enumerate(parts) if id(part) in loaded}
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": state, "param_groups": groups})

    def _of_members(self, values: Sequence[Tensor]) -> Tensor:
        """Return the optimizer's values of a parameter as one, members first."""
        (value,) = values
        return value if value.dim() else value.repeat(self._members)

    def _to_given(self, value: Tensor, *, counts: bool) -> Sequence[Tensor]:
        """Undo `_of_members`."""
        return [value[0].clone() if counts else value]

    def freeze(self, members: Sequence[int] | NDArray[np.int64]) -> None:
        """Let these members take no further step: not these, which always step together."""
        if len(members):
            raise NotImplementedError("members that step together are not frozen one by one")


class SlicedParameters(MemberParameters):
    """Those of members that step by themselves: each member's slice of every parameter.

    To the optimizer a slice is a parameter of its own, with its own state and step count, so a
    member that has no rows in a step, or has stopped, takes none. Gradients live in buffers that
    are zeroed, not replaced, so that a slice of a gradient is made once.
    """

    def __init__(
        self, network: MemberNetwork, settings: TrainingSettings, counts: Sequence[int]
    ) -> None:
        """Make the optimizer; arguments as in `MemberParameters`."""
        self._slices: list[list[tuple[Tensor, Tensor]]] = [[] for _ in counts]
        self._gradients: list[Tensor] = []
        self._frozen: set[int] = set()
        super().__init__(network, settings, counts)

    def _parts(
        self, name: str, parameter: Tensor, steps: Sequence[int]
    ) -> Iterable[tuple[int, Tensor]]:
        parameter.grad = torch.zeros_like(parameter)
        self._gradients.append(parameter.grad)
        for member, length in enumerate(steps):
            part, gradient = parameter.detach()[member], parameter.grad[member]
            part.grad = gradient
            self._slices[member].append((part, gradient))
            yield length, part

    def step(self, loss: Tensor, idle: Sequence[int]) -> None:
        """Go one step down the gradient; arguments as in `MemberParameters.step`."""
        torch._foreach_zero_(self._gradients)
        loss.backward()  # type: ignore[no-untyped-call]
        self._regularize()
        skipped = [m for m in idle if m not in self._frozen]
        self._detach(skipped)
        self._optimizer.step()
        self._attach(skipped)

    def freeze(self, members: Sequence[int] | NDArray[np.int64]) -> None:
        """Let these members take no further step."""
        self._detach(members)
        self._frozen.update(int(m) for m in members)

    def _of_members(self, values: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(values))

    def _to_given(self, value: Tensor, *, counts: bool) -> Sequence[Tensor]:
        # Copies: an optimizer keeps and changes what it is given.
        return [part.clone() for part in value]

    def _detach(self, members: Sequence[int] | NDArray[np.int64]) -> None:
        for m in members:
            for part, _ in self._slices[m]:
                part.grad = None

    def _attach(self, members: Sequence[int]) -> None:
        for m in members:
            for part, gradient in self._slices[m]:
                part.grad = gradient


def optimized(
    network: MemberNetwork, settings: TrainingSettings, counts: Sequence[int]
) -> MemberParameters:
    """Return a network's parameters as the optimizer sees them; arguments as `MemberParameters`.

    Whole where every member takes every step; in slices where one may run out of rows earlier, or
    stop.
    """
    lengths = {-(-count // settings.batch_size) for count in counts}
    together = settings.patience is None and len(lengths) == 1
    return (MemberParameters if together else SlicedParameters)(network, settings, counts)


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
