"""Moves batches to a device one batch ahead, so that a step never waits for a copy."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lakehouse.stream.assembly import Assembled
from lakehouse.stream.batch import Batch


class DeviceCopier:
    """Copies the tensors of batches to ``device``; on CUDA beside the computation, on a stream of its own.

    A batch in pinned memory is held until its copy has ended: before that its memory must not be used again.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._side: Any = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._held: deque[tuple[Any, Batch]] = deque()

    def ahead(self, assembled: Iterable[Assembled]) -> Iterator[Assembled]:
        """Yield what comes, on the device, the copy of the next batch begun."""
        waiting: deque[tuple[Assembled, Any]] = deque()
        try:
            for one in assembled:
                waiting.append(self._begin(one))
                if len(waiting) > 1:
                    yield self._finish(*waiting.popleft())
            while waiting:
                yield self._finish(*waiting.popleft())
        finally:
            for copied, _ in self._held:
                copied.synchronize()
            self._held.clear()

    def _begin(self, one: Assembled) -> tuple[Assembled, Any]:
        if one.batch is None:
            return one, None
        if self._side is None:
            return replace(one, batch=_moved(one.batch, self._device)), None
        with torch.cuda.stream(self._side):
            moved = replace(one, batch=_moved(one.batch, self._device))
            copied = self._side.record_event()
        self._held.append((copied, one.batch))
        return moved, copied

    def _finish(self, one: Assembled, copied: Any) -> Assembled:
        if copied is not None and one.batch is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(copied)
            for tensor in _tensors(one.batch):
                tensor.record_stream(current)  # its memory is the side stream's, and is used on this one
        while self._held and self._held[0][0].query():
            self._held.popleft()
        return one


def _moved(batch: Batch, device: torch.device) -> Batch:
    # Only CUDA's copies are waited for by events; another device's must have ended when this returns.
    is_async = device.type == "cuda"
    tags = None if batch.tags is None else batch.tags.to(device, non_blocking=is_async)
    return replace(batch, image=batch.image.to(device, non_blocking=is_async), tags=tags)


def _tensors(batch: Batch) -> list[Tensor]:
    return [batch.image] if batch.tags is None else [batch.image, batch.tags]
