"""Random streams: every number a member draws comes from (seed, fold, purpose, epoch).

So a member's numbers do not depend on which members it is trained with, on the device, or on
where training was begun. Drawn by numpy on the CPU (SFC64, seeded through `SeedSequence`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kaggleprice.settings.training import Member

_BLOCK_BYTES = 2**24
# Rows of a table that is read window by window: of more than these, in blocks of neighbours.
_MANY_ROWS, _BLOCK_ROWS, _WINDOW_BLOCKS = 2**22, 2**10, 2**8


class Purpose(IntEnum):
    """What a stream is for; part of its seed, so the numbers may never change."""

    WEIGHTS = 0
    ORDER = 1
    DROPOUT = 2
    INNER_SPLIT = 3
    INNER_BLOCKS = 4
    LABEL_NOISE = 5
    WINDOWS = 6


def member_bits(
    base_seed: int, member: Member, purpose: Purpose, epoch: int = 0
) -> np.random.SFC64:
    """Return the bit stream of one member for one purpose in one epoch."""
    words = (base_seed, member.seed, member.fold, int(purpose), epoch)
    return np.random.SFC64(np.random.SeedSequence(words))


def member_generator(
    base_seed: int, member: Member, purpose: Purpose, epoch: int = 0
) -> np.random.Generator:
    """Return the generator of one member for one purpose in one epoch."""
    return np.random.Generator(member_bits(base_seed, member, purpose, epoch))


def row_order(
    base_seed: int, member: Member, epoch: int, rows: NDArray[np.integer], count: int
) -> NDArray[np.integer]:
    """Return the member's training rows in the order in which this epoch takes them.

    Of many rows, which may lie in a file, it takes them window by window, each in random order: a
    window is some blocks of neighbouring rows, drawn for all members alike, so that all of them
    read the same part of the file.

    Args:
        base_seed: what `--seed` says.
        member: whose order.
        epoch: counted from 1.
        rows: the numbers of its training rows.
        count: of all rows.
    """
    generator = member_generator(base_seed, member, Purpose.ORDER, epoch)
    order = rows[generator.permutation(len(rows))]
    if count <= _MANY_ROWS:
        return order
    words = (base_seed, int(Purpose.WINDOWS), epoch)
    blocks = -(-count // _BLOCK_ROWS)
    place = np.random.Generator(np.random.SFC64(np.random.SeedSequence(words))).permutation(blocks)
    window = (place // _WINDOW_BLOCKS).astype(np.int16 if blocks < 2**22 else np.int32)
    return order[np.argsort(window[order // _BLOCK_ROWS], kind="stable")]


class NoiseSource:
    """16-bit random numbers for dropout, drawn for several steps at a time.

    A member's stream is read in order, a fixed number of words per step, so how many steps are
    drawn at once, and for how many members, changes nothing.
    """

    def __init__(
        self, base_seed: int, members: Sequence[Member], batch_size: int, width: int, steps: int
    ) -> None:
        """Prepare; nothing is drawn yet.

        Args:
            base_seed: what `--seed` says.
            members: M of them.
            batch_size: rows per step.
            width: numbers per row.
            steps: of an epoch, so that none are drawn in vain.
        """
        self._base_seed, self._members = base_seed, members
        self._shape = (batch_size, width)
        self._words = -(-batch_size * width // 4)
        step_bytes = max(8 * self._words * len(members), 1)
        self._block_steps = max(1, min(_BLOCK_BYTES // step_bytes, steps))
        # By step first: what a step takes lies together.
        self._block = np.empty((self._block_steps, len(members), self._words), dtype=np.uint64)
        self._streams: list[np.random.SFC64] = []

    def start(self, epoch: int) -> None:
        """Begin an epoch."""
        self._streams = [
            member_bits(self._base_seed, member, Purpose.DROPOUT, epoch) for member in self._members
        ]
        self._next = self._block_steps

    def step(self, device: torch.device) -> Tensor | None:
        """Return the next step's numbers; on the CPU they are good until the step after it.

        Shape:
            (M, batch_size, width), int16; None for width 0.
        """
        if not self._words:
            return None
        if self._next == self._block_steps:
            for member, stream in enumerate(self._streams):
                drawn = stream.random_raw(self._block_steps * self._words)
                self._block[:, member] = drawn.reshape(self._block_steps, self._words)
            self._next = 0
        batch_size, width = self._shape
        bits = self._block[self._next].view(np.int16)
        self._next += 1
        noise = torch.from_numpy(bits[:, : batch_size * width])
        return noise.reshape(-1, batch_size, width).to(device, non_blocking=True)
