"""Tokens stay with their batch, whoever makes them."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from lakehouse.errors import StreamError
from lakehouse.stream import Batch
from lakehouse.stream.tokens import Tokens
from tests.lakehouse.stream.light_tokens import dies, letters


def batch(*texts: str) -> Batch:
    empty = torch.empty(len(texts), 3, 1, 1, dtype=torch.uint8)
    return Batch(empty, list(texts), [None] * len(texts), [], [f"id of {text}" for text in texts])


def tokens_of(tokenizer: Any, workers: int = 0) -> Tokens:
    return Tokens(tokenizer, workers=workers)


ROOT = Path(__file__).parents[3]
BATCHES = [batch("a", "bb", "ccc", "dddd", "e"), batch("ff"), batch("g", "hh")]


@pytest.mark.parametrize("workers", [0, 2])
def test_each_batch_comes_with_its_tokens(workers: int) -> None:
    found = list(tokens_of(letters, workers).of(BATCHES))
    assert [made for made, _ in found] == BATCHES
    assert [tokens.tolist() for _, tokens in found] == [letters(one.text).numpy().tolist() for one in BATCHES]


def test_one_batch_is_read_ahead() -> None:
    read: list[str] = []

    def reading() -> Iterator[Batch]:
        for one in BATCHES:
            read.append(one.text[0])
            yield one

    next(tokens_of(letters).of(reading()))
    assert read == ["a", "ff"]


def test_what_a_tokenizer_raises_is_raised() -> None:
    with pytest.raises(IndexError):
        list(tokens_of(letters).of([batch("")]))


def test_a_process_that_dies_is_said() -> None:
    with pytest.raises(StreamError, match="a process of the tokenizer has died"):
        list(tokens_of(dies, 1).of(BATCHES))


def test_a_process_that_dies_between_batches_is_said() -> None:
    tokens = tokens_of(letters, 1)
    found, pool = tokens.of(BATCHES), tokens._executor
    next(found)
    assert isinstance(pool, ProcessPoolExecutor)
    (worker,) = pool._processes.values()
    watch = pool._executor_manager_thread
    worker.kill()
    watch.join(30)  # type: ignore[attr-defined] # a thread: it ends when the pool has seen it
    with pytest.raises(StreamError, match="a process of the tokenizer has died"):
        list(found)


KILLED = """
import time
from lakehouse.stream.tokens import Tokens
from tests.lakehouse.stream.light_tokens import letters

tokens = Tokens(letters, workers=1)
tokens._executor.submit(tokens._call, ["a"]).result(60)
print(*tokens._executor._processes, flush=True)
time.sleep(60)
"""


def test_processes_end_with_a_trainer_that_is_killed() -> None:
    trainer = subprocess.Popen([sys.executable, "-c", KILLED], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert trainer.stdout is not None
    worker = int(trainer.stdout.readline())
    assert not has_ended(worker)
    trainer.kill()
    trainer.wait()
    until = time.monotonic() + 30
    while not has_ended(worker):
        assert time.monotonic() < until
        time.sleep(0.1)


def has_ended(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
