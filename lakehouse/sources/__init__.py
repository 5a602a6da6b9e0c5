"""Where pairs come from: a folder of images, WebDataset tars, Parquet files or a Delta table, as streams alike."""

from typing import Final, Protocol

from pyspark.sql import DataFrame, SparkSession

from lakehouse.errors import BadInput
from lakehouse.lake_root import normal_root
from lakehouse.sources.columns import Columns
from lakehouse.sources.folder import open_folder
from lakehouse.sources.names import IMAGE_ENDINGS, ending, stem
from lakehouse.sources.schema import SOURCE_ROW
from lakehouse.sources.source_row import Limits
from lakehouse.sources.storage import check_folder, is_delta, is_file, walk
from lakehouse.sources.tables import count_rows, is_table_name, open_delta, open_parquet
from lakehouse.sources.webdataset import is_tar, open_tars, tar_sizes, tar_stem

__all__ = ["SOURCE_ROW", "Columns", "Limits", "check_source", "count_hint", "find_kind", "open_source"]


class _Open(Protocol):
    def __call__(self, spark: SparkSession, root: str, *, columns: Columns, limits: Limits) -> DataFrame: ...


_OPEN: Final[dict[str, _Open]] = {
    "folder": open_folder,
    "tar": open_tars,
    "parquet": open_parquet,
    "delta": open_delta,
}
_SHOWN: Final = {"folder": "images", "tar": "tars", "parquet": "Parquet"}


def open_source(
    spark: SparkSession, path: str, *, kind: str = "auto", columns: Columns | None = None, limits: Limits | None = None
) -> DataFrame:
    """Return what lies at ``path`` as a streaming DataFrame with the columns of ``SOURCE_ROW``.

    A row is a pair, or has a ``reason`` and no image. With a checkpoint, a file or table version that was read is not
    read again, and new ones are picked up. Raises BadInput where nothing can be read, before any stream starts.
    """
    check_source(path, kind)
    found = find_kind(spark, path) if kind == "auto" else kind
    root = _checked_root(spark, path, found)
    return _OPEN[found](spark, root, columns=columns or Columns(), limits=limits or Limits())


def check_source(path: str, kind: str) -> None:
    """Raise BadInput where nothing can lie at ``path``: without Spark, so a table's name is not looked up."""
    if kind not in ("auto", *_OPEN):
        raise BadInput(f"unknown kind of source {kind!r}: expected one of auto, {', '.join(_OPEN)}")
    if not path.strip():
        raise BadInput("the source has no path: expected a folder, a tar or a table")
    root = normal_root(path)
    if is_table_name(path) or _is_one_tar(root):
        return
    check_folder(root)
    # A Delta table without rows yet is a log alone, which walk passes over.
    if not is_delta(root) and next(walk(root), None) is None:
        raise BadInput(f"{root!r} is empty")


def find_kind(spark: SparkSession, path: str) -> str:
    """Return the kind of the source at ``path``; raise BadInput where there is none, or more than one.

    To choose among several would be to leave the others out without a word. Parquet beside a tar of the same name is
    none: img2dataset writes down there what it put into the tar.
    """
    if is_table_name(path) and spark.catalog.tableExists(path):
        return "delta"
    root = normal_root(path)
    if _is_one_tar(root):
        return "tar"
    check_folder(root)  # a path may look like a table's name
    if is_delta(root):
        return "delta"
    example = None
    found: dict[str, str] = {}
    for folder in walk(root):
        names = [name for name, _ in folder]
        example = example or names[0]
        found |= {kind: name for kind, name in _kinds(names).items() if kind not in found}
        if len(found) > 1:
            raise BadInput(_choose_from(found, root))
    if example is None:
        raise BadInput(f"{root!r} is empty")
    if not found:
        raise BadInput(f"no images, tars or Parquet in {root!r}: {example!r}")
    return next(iter(found))


def count_hint(spark: SparkSession, path: str, kind: str = "auto") -> int | None:
    """Return how many pairs the source holds at most, if that is cheap to know: images, or rows; None for tars."""
    found = find_kind(spark, path) if kind == "auto" else kind
    root = path if is_table_name(path) else normal_root(path)
    if found == "folder":
        return sum(_is_image(name) for folder in walk(root) for name, _ in folder)
    return count_rows(spark, root, found) if found in ("parquet", "delta") else None


def _checked_root(spark: SparkSession, path: str, kind: str) -> str:
    if kind == "delta" and is_table_name(path) and spark.catalog.tableExists(path):
        return path
    root = normal_root(path)
    if kind == "tar" and _is_one_tar(root):
        return root
    check_folder(root)
    if kind == "tar" and not tar_sizes(root):
        raise BadInput(f"no tars in {root!r}")
    if kind == "delta" and not is_delta(root):
        raise BadInput(f"no Delta table at {root!r}")
    if kind == "parquet" and not any(_is_parquet(name) for folder in walk(root) for name, _ in folder):
        raise BadInput(f"no Parquet files in {root!r}")
    return root


def _kinds(names: list[str]) -> dict[str, str]:
    """Return the kinds that the files of one folder are of, each with one of its names."""
    tars = [name for name in names if is_tar(name)]
    packed = {tar_stem(name) for name in tars}
    tables = [name for name in names if _is_parquet(name) and stem(name) not in packed]
    images = [name for name in names if _is_image(name)]
    return {kind: ours[0] for kind, ours in (("folder", images), ("tar", tars), ("parquet", tables)) if ours}


def _choose_from(found: dict[str, str], root: str) -> str:
    shown = " as well as ".join(f"{_SHOWN[kind]} ({name!r})" for kind, name in found.items())
    return f"{root!r} holds {shown}: choose by {' or '.join(f'--kind {kind}' for kind in found)}"


def _is_one_tar(root: str) -> bool:
    return is_tar(root) and is_file(root)


def _is_parquet(name: str) -> bool:
    return ending(name) == "parquet"


def _is_image(name: str) -> bool:
    return ending(name) in IMAGE_ENDINGS
