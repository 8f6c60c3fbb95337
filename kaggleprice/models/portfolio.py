"""Networks of unlike architectures side by side, as one network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from kaggleprice.models.networks import MemberNetwork, build_network
from kaggleprice.settings.model import Inputs
from kaggleprice.settings.portfolio import Variant
from kaggleprice.settings.training import Member


class MemberPortfolio(MemberNetwork):
    """Networks of unlike architectures side by side, each of neighbouring members; to predict with.

    Shape:
        as in `MemberNetwork.forward`, of the members of all networks.
    """

    def __init__(self, networks: Mapping[int, MemberNetwork]) -> None:
        """Take networks by `Member.variant`, in order."""
        super().__init__()
        self.networks = nn.ModuleDict({str(number): part for number, part in networks.items()})
        self._counts = [network.members for network in networks.values()]
        self.members = sum(self._counts)

    def forward(self, x: Tensor, noise: Tensor | None, rows_used: Tensor | None) -> Tensor:
        """Let each network map its members' features; noise and padding are for training alone."""
        parts = zip(self.networks.values(), torch.split(x, self._counts), strict=True)
        return torch.cat([network(part, None, None) for network, part in parts])


def networks_of(network: MemberNetwork) -> dict[int, MemberNetwork]:
    """Return the networks of a portfolio, or the network itself, by `Member.variant`."""
    if not isinstance(network, MemberPortfolio):
        return {0: network}
    parts = network.networks.items()
    return {int(number): part for number, part in parts if isinstance(part, MemberNetwork)}


def build_portfolio(
    variants: Sequence[Variant], members: Sequence[Member], inputs: Inputs, dtype: torch.dtype
) -> MemberNetwork:
    """Return an uninitialized network of members of one or more architectures, on the CPU.

    Args:
        variants: the architectures, by `Member.variant`.
        members: M of them; those of a variant stand together, in the order of the variants.
        inputs: the features.
        dtype: of the parameters.
    """
    built = {
        number: build_network(variants[number].model, [m.seed for m in own], inputs, dtype)
        for number, own in groupby(members, key=lambda member: member.variant)
    }
    return built[0] if len(variants) == 1 else MemberPortfolio(built)
