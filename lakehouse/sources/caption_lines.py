"""The lines of a folder's captions files as a DataFrame, and what is wrong with them."""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from lakehouse.errors import BadInput
from lakehouse.sources.captions_file import CaptionLine, choose_captions, first_fields, is_known, read_captions
from lakehouse.sources.chunks import weighed_chunks
from lakehouse.sources.columns import FILE_NAME, Columns, find
from lakehouse.sources.names import IMAGE_ENDINGS, OTHER_IMAGES, ending, is_hidden
from lakehouse.sources.source_row import BATCH_BYTES, Caption, Limits, SourceRow, pair_of, text_bytes, to_batches
from lakehouse.sources.storage import NO_FILE, first_line, listed, open_root, open_stream

CAPTION_FIELDS: Final = ("alt_text", "url", "licence", "metadata", "reason", "detail")
"""The columns of a line that make a Caption."""

_ARROW_LINE: Final = pa.schema(
    {"captions_file": pa.string(), "number": pa.int64(), "image_name": pa.string()}
    | {name: pa.string() for name in CAPTION_FIELDS}
)


def captions_files(root: str, folders: Iterable[list[tuple[str, int]]], columns: Columns, limits: Limits) -> list[str]:
    """Return the captions file of each folder that has one; raise BadInput where a file so named names no images."""
    found = []
    for sizes in map(dict, folders):
        name = choose_captions(sizes)
        if name is not None and sizes[name] == NO_FILE:
            # A pipe would be waited for until somebody writes into it.
            raise BadInput(f"cannot read {name!r} of {root!r}: a broken link, a pipe, or a name not UTF-8")
        if name and _names_images(root, name, columns, limits):
            found.append(name)
    return found


def caption_lines(spark: SparkSession, root: str, names: list[str], columns: Columns, limits: Limits) -> DataFrame:
    """Return one row a line of the files: file, number, image_name, the caption, and ``place`` among the image's lines.

    An image's first line has place 1 and is the one that counts.
    """
    read = partial(_read_files, root=root, columns=columns, limits=limits)
    files = spark.createDataFrame([(name,) for name in names], "captions_file STRING")
    lines = files.mapInArrow(read, from_arrow_schema(_ARROW_LINE))
    # Lines without an image would all meet in one task if null were their key.
    same_image = F.coalesce("image_name", F.concat_ws(":", "captions_file", "number"))
    in_order = Window.partitionBy(same_image).orderBy("captions_file", "number")
    return lines.select("*", F.row_number().over(in_order).alias("place"))


def rejected_lines(batches: Iterator[pa.RecordBatch], *, root: str) -> Iterator[pa.RecordBatch]:
    """Yield a row for each line that is no image's caption: unreadable, repeated, or of an image that is not there."""
    lines = (line for batch in batches for line in batch.to_pylist())
    rows = (row for group in weighed_chunks(lines, BATCH_BYTES, weigh=_line_bytes) for row in _reject(group, root))
    return to_batches(rows, source=root)


def caption_in(line: Mapping[str, Any]) -> Caption:
    """Return the caption in a row of ``caption_lines``."""
    return Caption(**{name: line[name] for name in CAPTION_FIELDS})


def _names_images(root: str, name: str, columns: Columns, limits: Limits) -> bool:
    files, base = open_root(root)
    try:
        with open_stream(files, f"{base}/{name}") as stream:
            fields = first_fields(stream, name=name, limits=limits)
    except OSError as error:
        raise BadInput(f"cannot read {name!r} of {root!r}: {first_line(error)}") from error
    if find(fields, columns.image, FILE_NAME):
        return True
    if is_known(name) and fields:
        wanted = repr(columns.image) if columns.image else "'file_name'"
        raise BadInput(f"no column {wanted} in {name!r} of {root!r}: it has {', '.join(map(repr, fields))}")
    return False


def _read_files(
    batches: Iterator[pa.RecordBatch], *, root: str, columns: Columns, limits: Limits
) -> Iterator[pa.RecordBatch]:
    files, base = open_root(root)
    for name in (name for batch in batches for name in batch.column(0).to_pylist()):
        with open_stream(files, f"{base}/{name}") as stream:
            lines = read_captions(stream, name=name, columns=columns, limits=limits)
            flat = (_flat(name, line) for line in lines)
            for group in weighed_chunks(flat, BATCH_BYTES, weigh=_line_bytes):
                yield pa.RecordBatch.from_pylist(group, schema=_ARROW_LINE)


def _flat(name: str, line: CaptionLine) -> dict[str, Any]:
    caption = {field: getattr(line.caption, field) for field in CAPTION_FIELDS}
    return {"captions_file": name, "number": line.number, "image_name": line.image, **caption}


def _line_bytes(line: Mapping[str, Any]) -> int:
    return text_bytes(line["image_name"], *(line[name] for name in CAPTION_FIELDS))


def _reject(lines: list[dict[str, Any]], root: str) -> Iterator[SourceRow]:
    present = listed(
        root, {line["image_name"] for line in lines if line["image_name"] and _is_read(line["image_name"])}
    )
    for line in lines:
        uid, name = f"{line['captions_file']}:{line['number']}", line["image_name"]
        if name is None:
            yield SourceRow(uid, caption=caption_in(line))
        elif line["place"] > 1:
            yield SourceRow.rejected(uid, "duplicate_key", f"a second line for {name!r}")
        elif name not in present:
            yield pair_of(uid, None, _without_image(line, name))


def _without_image(line: Mapping[str, Any], name: str) -> Caption:
    caption = caption_in(line)
    detail = f"no image {name!r}" if _is_read(name) else f"{name!r} is not a {', '.join(IMAGE_ENDINGS)} to be read"
    return Caption(caption.alt_text, caption.url, caption.licence, caption.metadata, "missing_image", detail)


def _is_read(name: str) -> bool:
    return ending(name) in (*IMAGE_ENDINGS, *OTHER_IMAGES) and not any(is_hidden(part) for part in name.split("/"))
