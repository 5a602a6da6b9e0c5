"""Training from Spark: a function in several processes that train together, started by TorchDistributor."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from pyspark.ml.torch.distributor import TorchDistributor

from lakehouse.session import connect, is_one_machine


def run_on_spark(app: str, processes: int, function: Callable[..., Any], *args: Any, logs: str | None = None) -> Any:
    """Return what ``function`` returns in one of so many processes, each of which torchrun's variables tell its rank.

    On one machine they are processes of the driver's; on a cluster each is a task of one barrier stage, and takes the
    GPUs that ``spark.task.resource.gpu.amount`` says. ``function`` and ``args`` are pickled: a function of a module
    that every process can import. What the processes print goes to standard error.
    """
    session = connect(app, logs=logs)
    is_local = is_one_machine(session)
    gpus = int(str(session.conf.get("spark.task.resource.gpu.amount", "0")))
    # On one machine nothing hides the GPUs, and each process takes the one at its own place.
    distributor = TorchDistributor(num_processes=processes, local_mode=is_local, use_gpu=gpus > 0 and not is_local)
    with _importing_the_same(), redirect_stdout(sys.stderr):
        return distributor.run(function, *args)


@contextmanager
def _importing_the_same() -> Iterator[None]:
    """Let processes started inside the block import what this one can, such as the folder that it was started in."""
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
