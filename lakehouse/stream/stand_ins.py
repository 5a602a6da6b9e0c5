"""What petastorm 0.13.1 imports where pyarrow, NumPy or Python no longer have it.

Only modules of petastorm see these: ``lakehouse.stream.bridge`` answers their imports with them. An extended module is
the real one with a few names more.
"""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from packaging.version import Version

from lakehouse.stream.parquet_pieces import ParquetDataset, ParquetDatasetPiece

_ONLY_OLD_HDFS: Final = frozenset({"chmod", "chown", "df", "get_capacity", "get_space_used"})
"""What pyarrow's old HDFS client had and fsspec's has not."""


class Extended(ModuleType):
    """A module with a few names more: everything else comes from the real one."""

    def __init__(self, real: ModuleType, **names: object) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(names, _real=real)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_real"], name)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *dir(self._real)})

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        # A function of petastorm that goes to Spark's workers by value takes the bridge with it.
        return stand_in, (self.__name__,)


def stand_in(name: str) -> ModuleType:
    """Return what a module of petastorm gets for the module called ``name``."""
    from lakehouse.stream import bridge  # noqa: F401 # whoever has a stand-in has the bridge

    return EXTENDED[name]


def _module(name: str, **names: object) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(names)
    return module


def _connect_to_hdfs(host: str = "default", port: int = 0, user: str | None = None, **_: Any) -> Any:
    import fsspec

    return fsspec.filesystem("hdfs", host=host, port=port, user=user)


def _hdfs_class() -> type:
    """Return a class that has a method for all that is asked of HDFS: petastorm's client hands each to a name node."""

    def asked(name: str) -> Callable[..., Any]:
        def method(self: Any, *_: Any, **__: Any) -> Any:
            raise NotImplementedError(f"{name} of {self!r}: only a connection to a name node has it")

        method.__name__ = name
        return method

    names = {name for name, _ in inspect.getmembers(AbstractFileSystem, inspect.isfunction) if name[0] != "_"}
    return type("HadoopFileSystem", (), {name: asked(name) for name in names | _ONLY_OLD_HDFS})


def _in_1d(values: Any, wanted: Any) -> Any:
    return np.isin(np.ravel(values), wanted)


_HDFS = _module("pyarrow.hdfs", HadoopFileSystem=_hdfs_class(), connect=_connect_to_hdfs)
_VERSIONS = _module("distutils.version", LooseVersion=Version)
_PARQUET = Extended(pq, ParquetDataset=ParquetDataset, ParquetDatasetPiece=ParquetDatasetPiece)

ABSENT: dict[str, ModuleType] = {
    "pyarrow.filesystem": _module("pyarrow.filesystem", LocalFileSystem=LocalFileSystem),
    "pyarrow.hdfs": _HDFS,
    "distutils": _module("distutils", version=_VERSIONS),
    "distutils.version": _VERSIONS,
}
"""Modules that nobody has any more, or that Python 3.12 has not."""

EXTENDED: dict[str, ModuleType] = {
    "numpy": Extended(np, unicode_=np.str_, string_=np.bytes_, float=float, in1d=_in_1d),
    "pyarrow": Extended(pa, parquet=_PARQUET, hdfs=_HDFS, localfs=LocalFileSystem(), LocalFileSystem=LocalFileSystem),
    "pyarrow.parquet": _PARQUET,
}
"""Modules that have lost names."""
