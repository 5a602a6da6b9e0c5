"""Where a model runs in this process, and in which arithmetic: on the GPU that Spark has assigned, if any."""

import os
import sys
from collections.abc import Sequence
from typing import Any

import torch

from lakehouse.errors import ModelFailed


def pick_device(asked: str) -> str:
    """Return the device that ``asked`` (auto, cpu, cuda) means in this process, such as "cuda:1".

    auto is a GPU where there is one. Raises ModelFailed for cuda where there is none.
    """
    if asked == "cpu" or (asked == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise ModelFailed("there is no GPU that PyTorch can use on this machine: expected device=cpu or device=auto")
    gpu, place = _from_spark()
    if gpu is None:
        return f"cuda:{place % torch.cuda.device_count()}"
    return f"cuda:{visible_place(gpu, os.environ.get('CUDA_VISIBLE_DEVICES'))}"


def gpu_count(asked: str) -> int:
    """Return how many GPUs of this machine ``asked`` (auto, cpu, cuda) means."""
    return 0 if asked == "cpu" else torch.cuda.device_count()


def visible_place(gpu: str, visible: str | None) -> int:
    """Return the place of ``gpu``, as Spark names it, among the devices that this process is shown.

    Spark hands on what the discovery script lists, which are places among all GPUs of the machine, or the ids of
    slices of one; CUDA counts only those that CUDA_VISIBLE_DEVICES, ``visible``, names.

    >>> visible_place("5", "4,5"), visible_place("1", None)
    (1, 1)
    """
    shown: Sequence[str] = [name.strip() for name in visible.split(",")] if visible else []
    if gpu in shown:
        return shown.index(gpu)
    if not gpu.isdecimal():
        raise ModelFailed(f"the GPU {gpu!r} that Spark has assigned is not in CUDA_VISIBLE_DEVICES={visible or ''}")
    return int(gpu)


def pick_dtype(asked: str, device: str) -> torch.dtype:
    """Return the type of number that ``asked`` means there; auto is the fastest that holds a trained model's range."""
    if asked != "auto":
        dtype: torch.dtype = getattr(torch, asked)
        return dtype
    if has_bfloat16(device):
        return torch.bfloat16
    return torch.float16 if device.startswith("cuda") else torch.float32


def has_bfloat16(device: str) -> bool:
    """Say whether the device has units for bfloat16. Without AMX a CPU is no faster in it."""
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Older versions of torch cannot tell.
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("amx_bf16"))


def free_cached_memory() -> None:
    """Give back the GPU memory that PyTorch keeps for later, if this process has used a GPU."""
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.empty_cache()


def _from_spark() -> tuple[str | None, int]:
    """Return the GPU that Spark has assigned to this task, None if none, and the number of the task's partition."""
    if "pyspark" not in sys.modules:  # no task, and perhaps no Spark on this machine
        return None, 0
    from udfs.spark import assigned_gpu, partition

    return assigned_gpu(), partition()
