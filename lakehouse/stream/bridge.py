"""Makes petastorm 0.13.1 import and run on current pyarrow and NumPy. Importing this module does it.

petastorm names things that pyarrow and NumPy have dropped. Those that it needs while it is imported are lent to it and
taken away again; those that it needs later are put into petastorm's own modules. Nothing of pyarrow, NumPy or the
standard library is changed. What changes in petastorm:

- ``ParquetDataset`` and ``ParquetDatasetPiece`` are those of ``lakehouse.stream.parquet_pieces``;
- its thread pool no longer ends an epoch while the last row groups are still being read;
- string columns of any width are understood;
- nothing that lies in a dataset is unpickled.

Afterwards ``petastorm.make_batch_reader`` works too, with its thread and dummy pools. Not served: ``petastorm.spark``,
``petastorm.tf_utils``, worker processes, ``make_reader`` (its schema is a pickle).
"""

import importlib
import importlib.util
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse.errors import MissingPart, StreamError
from lakehouse.stream.parquet_pieces import ParquetDataset, ParquetDatasetPiece

SUPPORTED = "0.13.1"
"""The one version of petastorm that the bridge knows."""

_MODULES = (
    "petastorm.reader",
    "petastorm.etl.rowgroup_indexing",
    "petastorm.predicates",
    "petastorm.weighted_sampling_reader",
)
_IDLE_S = 0.0005
_lock = threading.Lock()


def activate() -> None:
    """Import petastorm and mend it; a second call does nothing."""
    with _lock:
        _check_version()
        if getattr(sys.modules.get("petastorm"), "_bridged", False):
            return
        with _lent_modules():
            for name in _MODULES:
                importlib.import_module(name)
        _mend()


def _check_version() -> None:
    try:
        found = version("petastorm")
    except PackageNotFoundError:
        raise MissingPart(f"petastorm is not installed: expected petastorm=={SUPPORTED}") from None
    if found != SUPPORTED:
        raise MissingPart(f"petastorm {found} is installed, and the bridge knows only {SUPPORTED}")


@contextmanager
def _lent_modules() -> Iterator[None]:
    """Lend the modules that petastorm imports and nobody has any more."""
    lent = {"pyarrow.filesystem": _legacy_filesystem(), "pyarrow.hdfs": _legacy_hdfs(), **_legacy_distutils()}
    sys.modules.update(lent)
    try:
        yield
    finally:
        for name in lent:
            del sys.modules[name]


def _legacy_filesystem() -> ModuleType:
    from fsspec.implementations.local import LocalFileSystem

    return _module("pyarrow.filesystem", LocalFileSystem=LocalFileSystem)


def _legacy_hdfs() -> ModuleType:
    return _module("pyarrow.hdfs", HadoopFileSystem=type("HadoopFileSystem", (), {}), connect=_connect_to_hdfs)


def _legacy_distutils() -> dict[str, ModuleType]:
    """Return what petastorm takes from distutils, where this Python has none; it compares two version numbers."""
    if importlib.util.find_spec("distutils") is not None:
        return {}
    from packaging.version import Version

    versions = _module("distutils.version", LooseVersion=Version)
    return {"distutils": _module("distutils", version=versions), "distutils.version": versions}


def _connect_to_hdfs(host: str = "default", port: int = 0, user: str | None = None, **_: Any) -> Any:
    import fsspec

    return fsspec.filesystem("hdfs", host=host, port=port, user=user)


class _Extended(ModuleType):
    """A module with a few names more: everything else comes from the real one."""

    def __init__(self, real: ModuleType, **names: object) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(names, _real=real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_real"], name)


def _module(name: str, **names: object) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(names)
    return module


def _mend() -> None:
    import petastorm
    from fsspec.implementations.local import LocalFileSystem

    replaced = {
        id(np): _Extended(np, unicode_=np.str_, string_=np.bytes_, float=float, in1d=np.isin),
        id(pq): _Extended(pq, ParquetDataset=ParquetDataset, ParquetDatasetPiece=ParquetDatasetPiece),
        id(pa): _Extended(pa, localfs=LocalFileSystem(), hdfs=_legacy_hdfs()),
    }
    for name, module in list(sys.modules.items()):
        if name.startswith("petastorm."):
            for attribute, value in list(vars(module).items()):
                if id(value) in replaced:
                    setattr(module, attribute, replaced[id(value)])
    _mend_thread_pool()
    _mend_types()
    _refuse_unpickling()
    petastorm._bridged = True


def _mend_thread_pool() -> None:
    """Let the pool ask whether all was ventilated before it looks whether all was read, not after.

    In the other order the last row groups can be handed to the workers between the two looks, and are lost.
    """
    from petastorm.workers_pool.thread_pool import ThreadPool

    have_all_read = ThreadPool.all_workers_done

    def all_workers_done(pool: Any) -> bool:
        is_all_ventilated = not pool._ventilator or pool._ventilator.completed()
        if not have_all_read(pool):
            return False
        if not is_all_ventilated:
            time.sleep(_IDLE_S)  # the pool's own loop would spin
        return bool(is_all_ventilated)

    ThreadPool.all_workers_done = all_workers_done


def _mend_types() -> None:
    import petastorm.unischema as unischema

    original = unischema._numpy_and_codec_from_arrow_type

    def numpy_type(arrow_type: pa.DataType) -> Any:
        if pa.types.is_large_string(arrow_type) or pa.types.is_string_view(arrow_type):
            return np.str_
        if pa.types.is_large_binary(arrow_type) or pa.types.is_binary_view(arrow_type):
            return np.bytes_
        return original(arrow_type)

    unischema._numpy_and_codec_from_arrow_type = numpy_type


def _refuse_unpickling() -> None:
    import petastorm.etl.dataset_metadata as dataset_metadata
    import petastorm.etl.legacy as legacy
    import petastorm.etl.rowgroup_indexing as rowgroup_indexing

    for module in (legacy, dataset_metadata, rowgroup_indexing):
        module.depickle_legacy_package_name_compatible = _refuse_pickle
    legacy.restricted_loads = _refuse_pickle


def _refuse_pickle(_: bytes) -> NoReturn:
    raise StreamError("refused to unpickle what a dataset holds: unpickling runs code that others wrote")


activate()
