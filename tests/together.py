"""Run a function in several processes that train together, as torchrun would start them."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.spawn import spawn

from lakehouse import peers
from lakehouse.stream.world import World

Part = Callable[[], Any]


def run_together(part: Part, size: int, folder: Path) -> list[Any]:
    """Return what ``part``, a function of a module, returns in each of ``size`` processes; it may use ``folder``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    spawn(_run, (part, size, port, str(folder)), nprocs=size)  # type: ignore[no-untyped-call]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(size)]


def _run(rank: int, part: Part, size: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank), "WORLD_SIZE": str(size)}
    with peers.together(World(rank, size)):
        torch.save(part(), Path(folder) / f"{rank}.pt")
