"""Loaders that other people wrote, and ours: each a module that converts a lake to its own format and streams it back.

A module has ``convert(lake, out)`` and ``batches(data, **setting)``; it runs in an environment of its own, in a
process of its own. All give the same pixels (simplejpeg, a random square of 224 of an image of 256, uint8), the same
text and the same key, in batches of 256, shuffled as well as the loader can without holding the whole table decoded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

Setting = Mapping[str, int | str]
"""Arguments of a loader's ``batches``."""

_PROCESSES: Final[Setting] = {"workers": 2, "threads": 1}
_THREADS: Final[Setting] = {"workers": 0, "threads": 2}
_BOTH: Final[Setting] = {"workers": 1, "threads": 2}


@dataclass(frozen=True)
class Loader:
    """Something that streams batches.

    Attributes:
        package: the distribution that it comes in
        environment: which requirements-ENVIRONMENT.txt it runs with; None is the project's own environment
        settings: those that are sensible on two cores: all are tried, and the fastest counts
    """

    package: str
    environment: str | None
    settings: Sequence[Setting]


OURS: Final = "multigrain"

LOADERS: Final[Mapping[str, Loader]] = {
    OURS: Loader("multigrain", None, [{"threads": 2}]),
    "torch_row_groups": Loader("torch", "together", [_PROCESSES, _THREADS, _BOTH]),
    "webdataset_tars": Loader("webdataset", "together", [_PROCESSES, _THREADS, _BOTH]),
    "mosaicml_mds": Loader("mosaicml-streaming", "mosaicml", [_PROCESSES, _THREADS, _BOTH]),
    "litdata_chunks": Loader(
        "litdata",
        "together",
        [_PROCESSES, {**_PROCESSES, "window": "auto"}, {**_PROCESSES, "form": "parquet"}, _THREADS],
    ),
    "hf_datasets": Loader(
        "datasets", "together", [{**_PROCESSES, "form": "stream"}, {**_PROCESSES, "form": "map"}, _THREADS, _BOTH]
    ),
    "lance_rows": Loader("pylance", "together", [_PROCESSES, _THREADS, {**_THREADS, "form": "scan"}]),
    "spdl_pipeline": Loader("spdl", "together", [{"threads": 2}, {"threads": 3}]),
    "ray_data": Loader("ray", "together", [{"decode": "in tasks"}, {"decode": "in iterator"}]),
    "daft_frame": Loader("daft", "daft", [{"decode": "daft"}, {"decode": "simplejpeg"}]),
    "deltatorch_table": Loader("deltatorch", "deltatorch", [_PROCESSES, _THREADS, _BOTH]),
    "petastorm_reader": Loader("petastorm", "petastorm", [{"pool": "thread"}, {"pool": "process"}]),
}
"""By the name of their module."""
