"""Makes petastorm 0.13.1 import and run on current pyarrow and NumPy. Importing this module does it.

    import lakehouse.stream.bridge  # before petastorm

    from petastorm import make_batch_reader, make_reader

Only modules of petastorm are touched, each as it is imported, whenever that is: nothing of pyarrow, NumPy or the
standard library is changed. What changes in petastorm:

- its imports are answered by ``lakehouse.stream.stand_ins``;
- an epoch no longer ends while the last row groups are still being read, and a dead thread or worker process is an
  error within seconds (``lakehouse.stream.mended_pools``);
- row groups come in another order each epoch, as its documentation says (the same);
- text columns of any width are understood, and a null stays a null (``lakehouse.stream.mended_columns``);
- nothing that lies in a dataset is unpickled but what this process has pickled itself, or what lies in a dataset that
  was named to ``trust`` (``lakehouse.stream.trusted_pickles``).

Spark's Python workers get the bridge by ``SparkSession.builder.config(map=bridge.SPARK_CONF)``. Not served:
``petastorm.tf_utils``. See docs/petastorm.md.
"""

import builtins
import sys
import threading
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

from lakehouse.errors import MissingPart
from lakehouse.stream.mended_columns import MENDS as COLUMN_MENDS
from lakehouse.stream.mended_pools import MENDS as POOL_MENDS
from lakehouse.stream.stand_ins import ABSENT, EXTENDED
from lakehouse.stream.trusted_pickles import MENDS as PICKLE_MENDS
from lakehouse.stream.trusted_pickles import trust

__all__ = ["SPARK_CONF", "SUPPORTED", "activate", "trust"]

SUPPORTED = "0.13.1"
"""The one version of petastorm that the bridge knows."""

SPARK_CONF = {"spark.python.daemon.module": "lakehouse.stream.spark_daemon"}
"""What a Spark session needs so that its Python workers can import petastorm."""

_MENDS = {**COLUMN_MENDS, **POOL_MENDS, **PICKLE_MENDS}
_lock = threading.Lock()


def activate() -> None:
    """Mend whatever of petastorm is imported from now on; a second call does nothing."""
    with _lock:
        _check_version()
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            _forget_broken_modules()
            sys.meta_path.insert(0, _Finder())


def _check_version() -> None:
    try:
        found = version("petastorm")
    except PackageNotFoundError:
        raise MissingPart(f"petastorm is not installed: expected petastorm=={SUPPORTED}") from None
    if found != SUPPORTED:
        raise MissingPart(f"petastorm {found} is installed, and the bridge knows only {SUPPORTED}")


def _forget_broken_modules() -> None:
    """Forget what a failed import of petastorm has left behind."""
    for name in [name for name in sys.modules if _is_of_petastorm(name)]:
        del sys.modules[name]


def _is_of_petastorm(name: str) -> bool:
    return name == "petastorm" or name.startswith("petastorm.")


class _Finder(MetaPathFinder):
    """Finds petastorm's modules where Python finds them, and no others."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _is_of_petastorm(fullname):
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Runs a module with an ``import`` statement of ours, then mends it."""

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = _BUILTINS
        super().exec_module(module)
        if mend := _MENDS.get(module.__name__):
            mend(module)


def _import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    if level == 0 and name in ABSENT:
        top = name.partition(".")[0]
        return ABSENT[name] if fromlist else EXTENDED.get(top) or ABSENT[top]
    module = builtins.__import__(name, globals, locals, fromlist or (), level)
    return EXTENDED.get(module.__name__, module)


def _print(*values: object, **options: Any) -> None:
    # Looked up anew each time: people silence the line that a reader prints when it is left.
    builtins.print(*values, **options)


_BUILTINS = {**vars(builtins), "__import__": _import, "print": _print}
# A plain copy, for CPython looks names up faster in one.

activate()
