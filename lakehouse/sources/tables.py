"""Parquet files and Delta tables as streams of pairs: which column is what, and which row is no pair."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark import TaskContext
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BinaryType, StringType, StructType

from lakehouse.errors import BadInput
from lakehouse.lake_root import is_local
from lakehouse.sources.columns import ALT_TEXT, IMAGE, LICENCE, URL, Columns, find
from lakehouse.sources.names import ending
from lakehouse.sources.schema import SOURCE_ROW
from lakehouse.sources.source_row import Limits
from lakehouse.sources.storage import NO_FILE, first_line, open_root, walk

_ROW: Final = "_row"
_FILES: Final = {"recursiveFileLookup": "true", "pathGlobFilter": "*.[pP][aA][rR][qQ][uU][eE][tT]"}
_ENDS_A_SENTENCE = r"[.!?…:;]\s*$"


def open_parquet(spark: SparkSession, root: str, *, columns: Columns, limits: Limits) -> DataFrame:
    """Return the rows of the Parquet files below ``root`` as a stream, named by file and row number.

    An id column names them instead if ``columns`` says which; a row without an id keeps its number.
    """
    schema = _schema(spark, root)
    rows = spark.readStream.schema(schema).options(**_file_options(limits)).parquet(literal_path(root))
    numbered = rows.select("*", F.concat_ws("#", _file_name(root), "_metadata.row_index").alias(_ROW))
    return _source_rows(numbered, schema, root, columns, limits, uid=F.col(_ROW))


def open_delta(spark: SparkSession, root: str, *, columns: Columns, limits: Limits) -> DataFrame:
    """Return the rows of a Delta table, by path or name, as a stream, named by content, batch and number in it.

    A stream of Delta does not say which file a row is in: a stream that starts afresh may give a row another name.
    With an id column in ``columns`` that is the name, for good.
    """
    reader = spark.readStream.format("delta").option("maxBytesPerTrigger", str(limits.batch_bytes))
    try:
        rows = reader.table(root) if is_table_name(root) else reader.load(_path(root))
    except PySparkException as error:
        raise BadInput(f"cannot read the Delta table {root!r}: {first_line(error)}") from error
    found = _source_rows(rows, rows.schema, root, columns, limits, uid=None)
    return found if columns.id else found.mapInArrow(_number, SOURCE_ROW)


def is_table_name(path: str) -> bool:
    """Say whether ``path`` can only be a table of the catalog.

    >>> is_table_name("bronze.pairs"), is_table_name("data/pairs")
    (True, False)
    """
    return re.fullmatch(r"\w+(\.\w+){1,2}", path) is not None


def count_rows(spark: SparkSession, root: str, kind: str) -> int:
    """Return the rows of the Parquet files or of the Delta table, from their footers or log alone."""
    if kind == "parquet":
        return spark.read.options(**_FILES).parquet(literal_path(root)).count()
    return (spark.read.table(root) if is_table_name(root) else spark.read.format("delta").load(_path(root))).count()


def literal_path(root: str) -> str:
    r"""Return ``root`` for Spark's file readers, which would take brackets and stars in it for a pattern.

    >>> literal_path("/data/[new]")
    'file:/data/\\[new\\]'
    """
    return re.sub(r"([\\*?\[\]{}])", r"\\\1", _path(root))


def _path(root: str) -> str:
    # A local folder stays local where Spark's default file system is another.
    return f"file:{root}" if is_local(root) else root


def _file_options(limits: Limits) -> dict[str, str]:
    # By default a file that is a week older than the newest one seen is passed over without a word.
    return {**_FILES, "maxBytesPerTrigger": str(limits.batch_bytes), "maxFileAge": "36500d"}


def _schema(spark: SparkSession, root: str) -> StructType:
    files, base = open_root(root)
    found = [(name, size) for folder in walk(root) for name, size in folder if ending(name) == "parquet"]
    # Spark would leave out a link to nothing without a word.
    first = next((name for name, size in found if size == NO_FILE), found[0][0])
    try:
        if not files.get_file_info(f"{base}/{first}").is_file:
            raise OSError("no file to be read: a broken link, a device, or a name not UTF-8")
        # Spark's own error for a file that is no Parquet is a Java stack trace of a failed task.
        pq.read_schema(f"{base}/{first}", filesystem=files)
        return spark.read.options(**_FILES).parquet(literal_path(root)).schema
    except (PySparkException, pa.ArrowException, OSError) as error:
        raise BadInput(f"cannot read the Parquet file {first!r} of {root!r}: {first_line(error)}") from error


def _source_rows(
    rows: DataFrame, schema: StructType, root: str, columns: Columns, limits: Limits, *, uid: Column | None
) -> DataFrame:
    names = schema.names
    image_name = _image_name(schema, root, columns)
    text_name = _named(names, root, columns.alt_text, ALT_TEXT, "alt_text")
    url_name = _optional(names, root, columns.url, URL)
    licence_name = _optional(names, root, columns.licence, LICENCE)
    id_name = _named(names, root, columns.id, (), "id") if columns.id else None
    if not isinstance(schema[text_name].dataType, StringType):
        raise BadInput(f"column {text_name!r} of {root!r} is {schema[text_name].dataType.simpleString()}, not string")
    image = _image(schema, image_name)
    alt_text, used = _alt_text(schema, text_name)
    taken = {image_name, url_name, licence_name, id_name, *used}
    found = rows.select(
        F.lit(root).alias("source"),
        _uid(id_name, uid, image, alt_text).alias("source_uid"),
        image.alias("image"),
        alt_text.alias("alt_text"),
        _text(url_name).alias("url"),
        _text(licence_name).alias("licence"),
        _metadata(schema, taken, image_name).alias("metadata"),
    )
    return _with_reasons(found, limits)


def _with_reasons(found: DataFrame, limits: Limits) -> DataFrame:
    length = F.length("image")
    reasons: list[tuple[Column, str, Column]] = [
        (F.col("image").isNull(), "missing_image", F.lit("the image column is null")),
        (F.col("alt_text").isNull(), "missing_caption", F.lit("the text column is null")),
        (~F.is_valid_utf8("alt_text"), "bad_utf8", F.lit("the text column is not UTF-8")),
        (~F.col("alt_text").rlike(r"\S"), "missing_caption", F.lit("the text column is empty")),
        (length > limits.member_bytes, "too_many_bytes", F.concat_ws(" ", length, F.lit("bytes"))),
        (F.octet_length("alt_text") > limits.text_bytes, "too_many_bytes", F.lit("the text is over the limit")),
    ]
    reason = F.coalesce(*(F.when(is_so, F.lit(name)) for is_so, name, _ in reasons))
    detail = F.coalesce(*(F.when(is_so, text) for is_so, _, text in reasons))
    is_kept = reason.isNull()
    texts = [_utf8(F.col(name)).alias(name) for name in ("url", "licence", "metadata")]
    return found.select(
        "source",
        "source_uid",
        F.when(is_kept, F.col("image")).alias("image"),
        _utf8(F.col("alt_text")).alias("alt_text"),
        *texts,
        reason.alias("reason"),
        detail.alias("detail"),
    )


def _image_name(schema: StructType, root: str, columns: Columns) -> str:
    if columns.image is not None:
        name = _named(schema.names, root, columns.image, IMAGE, "image")
        if not _holds_bytes(schema, name):
            raise BadInput(f"column {name!r} of {root!r} is {schema[name].dataType.simpleString()}, not bytes")
        return name
    name_or_none = find([name for name in schema.names if _holds_bytes(schema, name)], None, IMAGE)
    if name_or_none is not None:
        return name_or_none
    if find(schema.names, columns.url, URL):
        raise BadInput(f"{root!r} holds links, no image bytes: downloading them belongs to fetch_images")
    raise BadInput(f"no image column in {root!r}: expected bytes in one of {_listed(schema.names)}")


def _holds_bytes(schema: StructType, name: str) -> bool:
    kind = schema[name].dataType
    is_struct = (
        isinstance(kind, StructType) and "bytes" in kind.names and isinstance(kind["bytes"].dataType, BinaryType)
    )
    return is_struct or isinstance(kind, BinaryType)


def _image(schema: StructType, name: str) -> Column:
    column = _column(name)
    return column.getField("bytes") if isinstance(schema[name].dataType, StructType) else column


def _alt_text(schema: StructType, name: str) -> tuple[Column, list[str]]:
    description = find(schema.names, None, ["description"])
    if name.lower() != "title" or description is None or not isinstance(schema[description].dataType, StringType):
        return _column(name), [name]
    title, more = F.trim(_column(name)), F.trim(F.coalesce(_column(description), F.lit("")))
    is_said = (more == "") | (F.lower(F.rtrim(more, F.lit("."))) == F.lower(F.rtrim(title, F.lit("."))))
    joint = F.when(title.rlike(_ENDS_A_SENTENCE), " ").otherwise(". ")
    both = F.when(is_said, _column(name)).when(F.coalesce(title, F.lit("")) == "", more)
    return both.otherwise(F.concat(title, joint, more)), [name, description]


def _uid(id_name: str | None, number: Column | None, image: Column, alt_text: Column) -> Column:
    content = F.concat(F.coalesce(image, F.lit(b"")), F.lit(b"\0"), F.coalesce(alt_text.cast("binary"), F.lit(b"")))
    name = F.sha2(content, 256) if number is None else number
    return name if id_name is None else F.coalesce(_utf8(_column(id_name).cast("string")), name)


def _number(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    # Equal rows, of one batch or of two, have equal content; Spark's own numbers are not for streams.
    context = TaskContext.get()
    task = f"{context.getLocalProperty('streaming.sql.batchId') or 0}.{context.partitionId()}" if context else "0.0"
    first = 0
    for batch in batches:
        uids = batch.column("source_uid").to_pylist()
        numbered = [f"{uid}#{task}.{number}" for number, uid in enumerate(uids, first)]
        first += len(uids)
        yield batch.set_column(
            batch.schema.get_field_index("source_uid"), "source_uid", pa.array(numbered, pa.string())
        )


def _file_name(root: str) -> Column:
    # Spark writes the path as a URL: the root's part is left out by its number of steps, not by its letters.
    steps = len((f"file://{root}" if is_local(root) else root).split("/"))
    path = F.split(F.regexp_replace("_metadata.file_path", "^file:/+", "file:///"), "/")
    relative = F.array_join(F.slice(path, F.lit(steps + 1), F.size(path)), "/")
    return F.url_decode(F.replace(relative, F.lit("+"), F.lit("%2B")))


def _metadata(schema: StructType, taken: set[str | None], image_name: str) -> Column:
    rest = [field.name for field in schema if field.name not in taken and "binary" not in field.dataType.simpleString()]
    columns = [_column(name) for name in rest]
    kind = schema[image_name].dataType
    if isinstance(kind, StructType) and "path" in kind.names:
        columns.append(_column(image_name).getField("path").alias("image_path"))
    text = F.to_json(F.struct(*columns)) if columns else F.lit(None).cast("string")
    return F.when(text != "{}", text)


def _named(names: Sequence[str], root: str, wanted: str | None, usual: Sequence[str], what: str) -> str:
    found = find(names, wanted, usual)
    if found is None:
        problem = f"no column {wanted!r} in" if wanted else f"no {what} column in"
        raise BadInput(f"{problem} {root!r}: it has {_listed(names)}")
    return found


def _optional(names: Sequence[str], root: str, wanted: str | None, usual: Sequence[str]) -> str | None:
    return _named(names, root, wanted, usual, "") if wanted else find(names, None, usual)


def _text(name: str | None) -> Column:
    return F.lit(None).cast("string") if name is None else _column(name).cast("string")


def _utf8(text: Column) -> Column:
    # Broken bytes in a column that Parquet calls text would stop the Python workers that read it later.
    return F.when(F.is_valid_utf8(text), text)


def _column(name: str) -> Column:
    return F.col("`" + name.replace("`", "``") + "`")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))
