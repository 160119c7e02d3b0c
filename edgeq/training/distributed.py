# SPDX-License-Identifier: Apache-2.0
"""Data parallelism under torchrun: every process reads its own windows, gradients are averaged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


class Processes:
    """The processes of a training; a single one needs no communication.

    Attributes:
        rank: Of this process.
        count: Of all.
        device: Where this process computes.
    """

    def __init__(self) -> None:
        self.rank, self.count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
        self.device = _device(int(os.environ.get("LOCAL_RANK", "0")))

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Communicates inside, over NCCL between GPUs and Gloo between CPUs."""
        if self.count == 1:
            yield
            return
        dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        try:
            yield
        finally:
            dist.destroy_process_group()

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replaces tensors by their mean over all processes."""
        if self.count == 1:
            return
        for tensor in tensors:
            dist.all_reduce(tensor)
            tensor.div_(self.count)

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Replaces tensors by those of the first process."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor.data, 0)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set in any process."""
        if self.count == 1:
            return flag
        value = torch.tensor([float(flag)], device=self.device)
        dist.all_reduce(value, dist.ReduceOp.MAX)
        return bool(value.item())

    def from_first(self, value: Any) -> Any:
        """The first process's value, in all processes."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, device=self.device if self.device.type == "cuda" else None)
        return box[0]


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device
