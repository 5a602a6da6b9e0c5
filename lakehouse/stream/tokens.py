"""Texts of batches turned into tokens while the trainer computes with the batch before."""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

import numpy as np

from lakehouse.errors import StreamError
from lakehouse.stream.batch import Batch

if TYPE_CHECKING:
    import torch

Tokenizer = Callable[[list[str]], "torch.Tensor"]
"""From texts to one row of token numbers each, all of the same length."""

_AHEAD = 1
_PATIENCE_S = 120.0


class Tokens:
    """Runs a tokenizer, one batch ahead.

    One that is written in Python turns some thousands of texts a second and holds the interpreter meanwhile, which a
    fast trainer feels: with ``workers`` above 0 so many processes do it, each a part of the batch. It must then be
    picklable.
    """

    def __init__(self, tokenizer: Tokenizer, *, workers: int = 0) -> None:
        self._parts = max(1, workers)
        self._call: Callable[[list[str]], Any] = _call if workers else lambda texts: tokenizer(texts).numpy()
        # Nothing starts before there is something to do.
        self._executor: Executor = (
            ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _keep, (tokenizer,))
            if workers
            else ThreadPoolExecutor(1, thread_name_prefix="tokens")
        )

    def of(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, "torch.Tensor"]]:
        """Yield each batch with the tokens of its texts."""
        waiting: deque[tuple[Batch, list[Future[Any]]]] = deque()
        for batch in batches:
            waiting.append((batch, self._begun(batch.text)))
            if len(waiting) > _AHEAD:
                yield _ended(*waiting.popleft())
        while waiting:
            yield _ended(*waiting.popleft())

    def _begun(self, texts: list[str]) -> list[Future[Any]]:
        length = -(-len(texts) // self._parts)
        parts = [texts[start : start + length] for start in range(0, len(texts), length)]
        try:
            return [self._executor.submit(self._call, part) for part in parts]
        except BrokenProcessPool as error:
            raise _has_died() from error


def _ended(batch: Batch, parts: list[Future[Any]]) -> tuple[Batch, "torch.Tensor"]:
    import torch

    try:
        return batch, torch.from_numpy(np.concatenate([part.result(_PATIENCE_S) for part in parts]))
    except TimeoutError:
        raise StreamError(f"no answer from the tokenizer in {_PATIENCE_S:g} s") from None
    except BrokenProcessPool as error:
        raise _has_died() from error


def _has_died() -> StreamError:
    return StreamError("a process of the tokenizer has died: out of memory, or its tokenizer cannot be loaded")


_kept: list[Tokenizer] = []
"""The tokenizer of a worker process: sent once, not with every batch."""


def _keep(tokenizer: Tokenizer) -> None:
    _kept.append(tokenizer)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # A trainer that is killed says no good-bye, and its workers would wait for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(texts: list[str]) -> Any:
    return _kept[0](texts).numpy()
