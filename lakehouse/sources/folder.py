"""A folder of images as a stream: Spark lists the new ones, captions are joined to their names, then bytes are read.

The bytes come last and are read in the executors, so that no join moves them and no heap of Spark's holds them.
"""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import BadInput
from lakehouse.lake_root import is_local
from lakehouse.sources.caption_lines import (
    CAPTION_FIELDS,
    caption_in,
    caption_lines,
    captions_files,
    rejected_lines,
)
from lakehouse.sources.captions import read_sidecars
from lakehouse.sources.captions_file import ENDINGS
from lakehouse.sources.chunks import chunks
from lakehouse.sources.columns import Columns
from lakehouse.sources.names import IMAGE_ENDINGS, OTHER_IMAGES, ending, stem
from lakehouse.sources.new_files import new_files
from lakehouse.sources.schema import SOURCE_ROW
from lakehouse.sources.source_row import Caption, Limits, SourceRow, pair_of, to_batches
from lakehouse.sources.storage import NO_FILE, first_line, open_root, read_up_to, speaks_against_the_file, walk

# A bucket answers slowly but many at a time; a local disk gains nothing.
_THREADS = 16
# Larger captions files are joined by a shuffle of names and texts; Spark cannot guess their size before it reads them.
_BROADCAST_BYTES = 64 << 20


def open_folder(spark: SparkSession, root: str, *, columns: Columns, limits: Limits) -> DataFrame:
    """Return the images below ``root`` with their texts as a stream, and the captions lines that have no image.

    A text comes from the folder's captions file, else from NAME.json or NAME.txt beside the image; it must be there
    before the image is read, since a file is read once, by its name. Captions files are found when the stream is
    opened; each is searched for lines without an image once, the first time it is seen.
    """
    folders = list(walk(root))
    if not any(ending(name) in IMAGE_ENDINGS for folder in folders for name, _ in folder):
        raise BadInput(f"no images in {root!r}: expected files that end in {', '.join(IMAGE_ENDINGS)}")
    names = captions_files(root, folders, columns, limits)
    lines = caption_lines(spark, root, names, columns, limits)
    bytes_of = dict(chain.from_iterable(folders))
    is_small = sum(bytes_of[name] for name in names) <= _BROADCAST_BYTES
    files = new_files(spark, root, (*IMAGE_ENDINGS, *OTHER_IMAGES, *ENDINGS), limits)
    pairs = _pairs(files, F.broadcast(lines) if is_small else lines, root, columns, limits)
    return pairs.union(_unused_lines(files, lines, root))


def _pairs(files: DataFrame, lines: DataFrame, root: str, columns: Columns, limits: Limits) -> DataFrame:
    images = files.where(_ends_in((*IMAGE_ENDINGS, *OTHER_IMAGES)))
    first_lines = lines.where((F.col("place") == 1) & F.col("image_name").isNotNull())
    captions = first_lines.select(F.col("image_name").alias("name"), *CAPTION_FIELDS)
    read = partial(_read_images, root=root, columns=columns, limits=limits)
    # Names are small: Spark would put thousands of images to be read into one task.
    tasks = int(files.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    return images.join(captions, on="name", how="left").repartition(tasks).mapInArrow(read, SOURCE_ROW)


def _unused_lines(files: DataFrame, lines: DataFrame, root: str) -> DataFrame:
    names = files.where(_ends_in(ENDINGS)).select(F.col("name").alias("captions_file"))
    of_new_files = names.join(lines, on="captions_file", how="inner")
    return of_new_files.mapInArrow(partial(rejected_lines, root=root), SOURCE_ROW)


def _ends_in(endings: tuple[str, ...]) -> Column:
    return F.lower(F.substring_index("name", ".", -1)).isin(*endings)


def _read_images(
    batches: Iterator[pa.RecordBatch], *, root: str, columns: Columns, limits: Limits
) -> Iterator[pa.RecordBatch]:
    files, base = open_root(root)
    read = partial(_read_image, files=files, root=root, base=base, columns=columns, limits=limits)
    images = (image for batch in batches for image in batch.to_pylist())
    if is_local(root):
        yield from to_batches(map(read, images), source=root)
        return
    with ThreadPoolExecutor(_THREADS) as pool:
        rows = (row for group in chunks(images, _THREADS) for row in pool.map(read, group))
        yield from to_batches(rows, source=root)


def _read_image(
    image: Mapping[str, Any], *, files: Any, root: str, base: str, columns: Columns, limits: Limits
) -> SourceRow:
    name, caption = image["name"], caption_in(image)
    refused = _refused(name, image["length"], limits)
    if refused is not None:
        return refused
    missing = "missing_caption"
    try:
        if not caption.alt_text and not caption.reason:
            caption = _with_sidecar(caption, files, f"{base}/{stem(name)}", columns, limits)
        if caption.reason:
            return SourceRow(name, caption=caption)
        missing = "missing_image"
        data = read_up_to(files, f"{base}/{name}", limits.member_bytes)
    except OSError as error:
        if not speaks_against_the_file(error, root):
            raise
        return SourceRow.rejected(name, missing, first_line(error))
    if data is None:
        return SourceRow.rejected(name, "missing_image", "the file was there when it was listed, now it is gone")
    return pair_of(name, data, caption)


def _refused(name: str, length: int, limits: Limits) -> SourceRow | None:
    """Return the reject for what need not be opened to be turned away."""
    if length == NO_FILE:
        return SourceRow.rejected(
            name, "missing_image", "no file to be read: a broken link, a device, or a name not UTF-8"
        )
    if ending(name) in OTHER_IMAGES:
        return SourceRow.rejected(name, "not_an_image", f"read are {', '.join(IMAGE_ENDINGS)}, not {ending(name)}")
    if length > limits.member_bytes:
        return SourceRow.rejected(name, "too_many_bytes", f"{length} bytes")
    return None


def _with_sidecar(line: Caption, files: Any, path: str, columns: Columns, limits: Limits) -> Caption:
    record, text = (read_up_to(files, f"{path}.{kind}", limits.text_bytes + 1) for kind in ("json", "txt"))
    if max(len(record or b""), len(text or b"")) > limits.text_bytes:
        return Caption(reason="too_many_bytes", detail="the sidecar is over the limit of a text")
    beside = read_sidecars(text=text, record=record, columns=columns)
    if beside.reason:
        return beside
    known = {**json.loads(beside.metadata or "{}"), **json.loads(line.metadata or "{}")}
    metadata = json.dumps(known, ensure_ascii=False, separators=(",", ":")) if known else None
    return Caption(beside.alt_text, line.url or beside.url, line.licence or beside.licence, metadata)
