"""Work: all that training a set of members needs, but a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from kaggleprice.core.progress import SILENT, Progress
from kaggleprice.models.networks import MemberNetwork, build_network
from kaggleprice.preprocessing.encoding import EncodedRows, Encoding
from kaggleprice.settings.run import RunSettings
from kaggleprice.settings.training import Member
from kaggleprice.training.batches import DeviceRows
from kaggleprice.training.engine import Training
from kaggleprice.training.randomness import Purpose, member_generator


@dataclass(frozen=True)
class Work:
    """What to train.

    Attributes:
        encoding: of F folds.
        rows: n rows, encoded by it.
        target: shape (n,), the transformed target.
        fold_of_row: shape (n,), the fold that validates each row.
        members: M of them.
        settings: everything else.
    """

    encoding: Encoding
    rows: EncodedRows
    target: NDArray[np.float64]
    fold_of_row: NDArray[np.int64]
    members: Sequence[Member]
    settings: RunSettings

    def of(self, span: slice) -> Work:
        """Return the work of some of the members."""
        return replace(self, members=self.members[span])

    def network(self) -> MemberNetwork:
        """Return the members' network as training begins with it, on the CPU."""
        network = self.blank_network()
        generators = [
            member_generator(self.settings.seed, member, Purpose.WEIGHTS) for member in self.members
        ]
        network.initialize(generators, self.encoding.active[[m.fold for m in self.members]])
        return network

    def blank_network(self) -> MemberNetwork:
        """Return a network of the members on the CPU, whose weights are yet to be loaded."""
        dtype: torch.dtype = getattr(torch, self.settings.training.dtype)
        seeds = [member.seed for member in self.members]
        return build_network(self.settings.model, seeds, self.encoding.inputs, dtype)

    def rows_on(self, device: torch.device) -> DeviceRows:
        """Move the rows to a device."""
        folds = [member.fold for member in self.members]
        dtype: torch.dtype = getattr(torch, self.settings.training.dtype)
        return DeviceRows(self.encoding, self.rows, folds, device, dtype)

    def training(
        self, network: MemberNetwork, rows: DeviceRows, progress: Progress = SILENT
    ) -> Training:
        """Return what trains a network of the members, on the device of the rows."""
        return Training(
            network.to(rows.device),
            rows,
            self.target,
            self.members,
            self.fold_of_row,
            self.settings.training,
            self.settings.seed,
            progress,
        )
