"""What processes that train one model tell each other: features, with their gradients, and counts.

Every function is the identity where ``torch.distributed`` was not initialised: one process alone is a world of one.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor

from lakehouse.stream.world import World

_PATIENCE: Final = timedelta(minutes=10)
"""How long a process waits for the others before it counts them as dead."""


@contextmanager
def together(world: World) -> Iterator[None]:
    """Let the processes of ``world``, as torchrun has started them, train together inside the block."""
    if world.size == 1:
        yield
        return
    device = own_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def own_device() -> torch.device:
    """Return the GPU of this process, by its place on its machine; the CPU where PyTorch can use no GPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())


def world_size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if _is_together() else 1


def rank() -> int:
    """Return which of them this is, counted from 0."""
    return dist.get_rank() if _is_together() else 0


def gather(rows: Tensor) -> Tensor:
    """Return the rows of every process, in the order of their ranks, with gradients.

    Processes may have different numbers of rows (rows, width), of one width. The gradient of a row is the sum of what
    the losses of all processes say of it: with parameters' gradients averaged, as ``DistributedDataParallel`` does, the
    mean of the processes' losses is what is learnt from.
    """
    if not _is_together():
        return rows
    counts = [int(count) for count in gather_equal(torch.tensor([len(rows)], device=rows.device))]
    if not any(counts):
        return rows
    padded = torch.cat((rows, rows.new_zeros(max(counts) - len(rows), *rows.shape[1:])))
    everyone: Tensor = _Gather.apply(padded)  # type: ignore[no-untyped-call]
    return torch.cat([piece[:count] for piece, count in zip(everyone.chunk(len(counts)), counts, strict=True)])


def gather_equal(rows: Tensor) -> Tensor:
    """Return the rows of every process, which must be as many on each, without gradients."""
    if not _is_together():
        return rows
    pieces = [torch.empty_like(rows) for _ in range(world_size())]
    dist.all_gather(pieces, rows.contiguous())
    return torch.cat(pieces)


def mean(value: Tensor) -> Tensor:
    """Return the mean of ``value`` over the processes, without gradients."""
    value = value.detach().clone()
    if _is_together():
        dist.all_reduce(value)
    return value / world_size()


def everyones(value: Any) -> list[Any]:
    """Return what each process has, in the order of their ranks: any value that can be pickled."""
    values = [value] * world_size()
    if _is_together():
        dist.all_gather_object(values, value)
    return values


def from_first(value: Any) -> Any:
    """Return what the first process has: any value that can be pickled.

    Tensors in dictionaries, lists and tuples are sent one by one as they are, and lie on the CPU: pickled, those of a
    large model would be in memory twice more, on a GPU too.
    """
    if not _is_together():
        return value
    outline = [_each_tensor(value, lambda tensor: torch.empty_like(tensor, device="meta"))]
    dist.broadcast_object_list(outline, src=0)
    return _each_tensor(value if rank() == 0 else outline[0], _sent)


def _each_tensor(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return ``value`` with the tensors in it changed."""
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return {name: _each_tensor(part, change) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_each_tensor(part, change) for part in value])
    return value


def _sent(tensor: Tensor) -> Tensor:
    """Return the first process's tensor; elsewhere ``tensor`` has its shape and no memory."""
    device = own_device()
    own = torch.empty(tensor.shape, dtype=tensor.dtype, device=device) if tensor.is_meta else tensor.to(device)
    own = own.contiguous()
    if own.numel():
        # As bytes: not every type of numbers is known to every way of sending.
        dist.broadcast(own.reshape(-1).view(torch.uint8), src=0)
    return own.cpu()


class _Gather(torch.autograd.Function):
    """All rows forwards; backwards the sum over processes of the gradients of one's own rows."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        ctx.rows = len(rows)
        return gather_equal(rows)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        first = rank() * ctx.rows
        return gradient[first : first + ctx.rows]


def _is_together() -> bool:
    return dist.is_available() and dist.is_initialized()
