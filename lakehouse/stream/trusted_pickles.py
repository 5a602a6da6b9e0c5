"""Which of the pickles that petastorm keeps in datasets may be opened, and what they may hold.

petastorm 0.13.1 writes a dataset's schema and its index of row groups as pickles into ``_common_metadata``. Unpickling
runs what its author wrote, so a pickle is opened only

- if this process has pickled it itself, or
- if it lies in a dataset that was named to ``trust``,

and even then only classes that describe columns get through. Worker processes need no trust: they are handed the schema
that was read, and open no pickle.
"""

import hashlib
import importlib
import io
import os
import pickle
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from lakehouse.errors import BadInput, MissingPart, StreamError

KEYS = (b"dataset-toolkit.unischema.v1", b"dataset-toolkit.rowgroups_index.v1")
"""Keys of ``_common_metadata`` under which petastorm keeps pickles."""

_BARE_SCHEMES = {"s3a": "s3", "gcs": "gs", "local": "file"}
_OLD_PACKAGES = ("av.experimental.deepdrive.dataset_toolkit", "av.ml.dataset_toolkit")
_OLD_NAMES = {"unicode_": "str_", "string_": "bytes_"}
_PLAIN = {
    ("builtins", name)
    for name in ("bool", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "set", "str")
} | {
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("copyreg", "_reconstructor"),
    ("decimal", "Decimal"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "scalar"),
    ("petastorm.unischema", "Unischema"),
    ("petastorm.unischema", "UnischemaField"),
    ("petastorm.codecs", "CompressedImageCodec"),
    ("petastorm.codecs", "CompressedNdarrayCodec"),
    ("petastorm.codecs", "NdarrayCodec"),
    ("petastorm.codecs", "ScalarCodec"),
    ("petastorm.etl.rowgroup_indexers", "FieldNotNullIndexer"),
    ("petastorm.etl.rowgroup_indexers", "SingleFieldIndexer"),
}

_own: set[bytes] = set()
_admitted: set[bytes] = set()
_trusted: Counter[str] = Counter()


@dataclass(frozen=True)
class Trust:
    """The trust in one dataset; as a context it ends with the block."""

    place: str

    def __enter__(self) -> "Trust":
        return self

    def __exit__(self, *_: object) -> None:
        _trusted[self.place] -= 1


def trust(dataset: str | Path) -> Trust:
    """Let the pickled schema and index of exactly this dataset be opened, for good or as a context.

    ``dataset`` is a folder or a URL such as ``file:///data/pets`` or ``s3://bucket/pets``; what lies below it or beside
    it is not trusted. Name only what you wrote yourself, or had from somebody whose programs you would run.

    Raises:
        BadInput: the URL does not say where the dataset lies without more, as those of HDFS
    """
    place = _place(str(dataset))
    _trusted[place] += 1
    return Trust(place)


def admit(path: str, *, place: Iterable[str], metadata: Mapping[bytes, bytes]) -> None:
    """Let the pickles among ``metadata`` be opened; ``path`` is their file and ``place`` the names of their dataset.

    Raises:
        StreamError: one of them is neither this process's own nor trusted
    """
    pickles = {key: metadata[key] for key in KEYS if key in metadata}
    foreign = {key: pickled for key, pickled in pickles.items() if _digest(pickled) not in _own}
    places = [_place(name) for name in place]
    if foreign and not any(_trusted[name] > 0 for name in places):
        raise StreamError(
            f"refused {path!r}: it holds pickled objects ({', '.join(map(bytes.decode, foreign))}), and unpickling "
            f"runs code that others wrote; if you wrote it, call lakehouse.stream.bridge.trust({places[0]!r}) first; "
            "without that file make_batch_reader reads the plain Parquet"
        )
    _admitted.update(map(_digest, pickles.values()))


def dumps(value: object, protocol: int | None = None) -> bytes:
    """Return ``value`` pickled; this process may open it again."""
    pickled = pickle.dumps(value, protocol)
    _own.add(_digest(pickled))
    return pickled


def loads(pickled: bytes) -> Any:
    """Return what was pickled, if it may be opened.

    Raises:
        StreamError: it was not admitted, or holds something that describes no column
    """
    if _digest(pickled) not in _own | _admitted:
        raise StreamError("refused to unpickle what a dataset holds: unpickling runs code that others wrote")
    return _Schemas(io.BytesIO(pickled)).load()


class _Schemas(pickle.Unpickler):
    """Knows only the classes that describe columns, and the values that an index has."""

    def find_class(self, module: str, name: str) -> Any:
        module, name = _renamed(module, name)
        if (module, name) not in _PLAIN and not _is_type(module, name):
            raise StreamError(f"refused to unpickle {module}.{name}: it is no class that describes a column")
        return super().find_class(module, name)


def _renamed(module: str, name: str) -> tuple[str, str]:
    """Return what a class is called today: petastorm and NumPy have renamed some."""
    for package in _OLD_PACKAGES:
        if module.startswith(f"{package}."):
            return module.replace(package, "petastorm", 1), name
    if module == "numpy":
        return module, _OLD_NAMES.get(name, name)
    return module.replace("numpy.core.", "numpy._core.", 1), name


def _is_type(module: str, name: str) -> bool:
    """Return whether this is a NumPy scalar's class, or a type of Spark's."""
    if module == "numpy":
        return _is_subclass(getattr(np, name, None), np.generic)
    if module != "pyspark.sql.types":
        return False
    try:
        types = importlib.import_module(module)
    except ImportError:
        raise MissingPart("the dataset's schema names types of pyspark: install pyspark to read it") from None
    found = getattr(types, name, None)
    return _is_subclass(found, types.DataType) and not _is_subclass(found, types.UserDefinedType)


def _is_subclass(found: object, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base)


def _place(dataset: str) -> str:
    """Return the one way to write where a dataset lies."""
    scheme, _, path = dataset.rpartition("://")
    scheme = _BARE_SCHEMES.get(scheme, scheme) or "file"
    if scheme == "hdfs":
        raise BadInput(f"cannot trust {dataset!r}: expected a folder, or a URL that begins with a bucket")
    path = os.path.realpath(path) if scheme == "file" else path.strip("/")
    return f"{scheme}://{path}"


def _digest(pickled: bytes) -> bytes:
    return hashlib.sha256(pickled).digest()


def _mend_writing(module: ModuleType) -> None:
    # Nothing else of it is asked for there.
    module.__dict__["pickle"] = SimpleNamespace(dumps=dumps, HIGHEST_PROTOCOL=pickle.HIGHEST_PROTOCOL)


def _mend_reading(legacy: ModuleType) -> None:
    legacy.__dict__["restricted_loads"] = loads
    legacy.__dict__["depickle_legacy_package_name_compatible"] = loads


MENDS = {
    "petastorm.etl.legacy": _mend_reading,
    "petastorm.etl.dataset_metadata": _mend_writing,
    "petastorm.etl.rowgroup_indexing": _mend_writing,
}
"""What mends which module."""
