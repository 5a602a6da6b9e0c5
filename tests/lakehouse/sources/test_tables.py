"""Parquet files and Delta tables: columns found, rows named, bad rows said."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import BadInput
from lakehouse.sources import SOURCE_ROW, Columns, Limits, count_hint, open_source
from tests.lakehouse.sources.made import by_uid, image, read_new

pytestmark = pytest.mark.spark


def write(path: Path, columns: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)


def test_the_usual_columns_are_found(spark: SparkSession, tmp_path: Path) -> None:
    columns = {"key": ["a", "b"], "jpg": [image(1), image(2)], "TEXT": ["one", "two"], "URL": ["http://x", None]}
    write(tmp_path / "p[0] +" / "x=1" / "0 é.parquet", {**columns, "license": ["CC0", None], "width": [8, None]})
    stream = open_source(spark, str(tmp_path / "p[0] +"))
    assert stream.schema.simpleString() == SOURCE_ROW.simpleString()
    first, second = read_new(stream, tmp_path / "c")
    assert first.asDict() == {
        "source": str(tmp_path / "p[0] +"),
        "source_uid": "x=1/0 é.parquet#0",
        "image": image(1),
        "alt_text": "one",
        "url": "http://x",
        "licence": "CC0",
        "metadata": '{"key":"a","width":8}',
        "reason": None,
        "detail": None,
    }
    assert (second["url"], second["metadata"]) == (None, '{"key":"b"}')
    assert count_hint(spark, str(tmp_path / "p[0] +")) == 2


def test_a_named_id_names_the_rows(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "p" / "0.parquet", {"key": ["a", None], "image": [image(1), image(2)], "text": ["one", "two"]})
    rows = read_new(open_source(spark, str(tmp_path / "p"), columns=Columns(id="key")), tmp_path / "c")
    assert [row["source_uid"] for row in rows] == ["0.parquet#1", "a"]


def test_an_image_struct_of_hugging_face_is_read(spark: SparkSession, tmp_path: Path) -> None:
    images = [{"bytes": image(1), "path": "1.png"}, {"bytes": None, "path": "2.png"}]
    write(
        tmp_path / "p" / "train.parquet", {"image": images, "title": ["Kite", "Sea"], "description": ["A bird.", "sea"]}
    )
    rows = by_uid(read_new(open_source(spark, str(tmp_path / "p")), tmp_path / "c"))
    first, second = rows["train.parquet#0"], rows["train.parquet#1"]
    assert (first["alt_text"], json.loads(first["metadata"])) == ("Kite. A bird.", {"image_path": "1.png"})
    assert (second["alt_text"], second["reason"]) == ("Sea", "missing_image")


def test_rows_of_a_delta_table_that_are_equal_keep_two_names(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.createDataFrame([(bytearray(image()), "one")] * 2, "image BINARY, text STRING")
    rows.write.format("delta").save(str(tmp_path / "table"))
    assert len(by_uid(read_new(open_source(spark, str(tmp_path / "table")), tmp_path / "c"))) == 2


def test_a_row_that_comes_again_in_a_later_batch_has_another_name(spark: SparkSession, tmp_path: Path) -> None:
    path, names = str(tmp_path / "table"), set()
    for _ in range(2):
        rows = spark.createDataFrame([(bytearray(image()), "one")], "image BINARY, text STRING")
        rows.write.format("delta").mode("append").save(path)
        names |= {row["source_uid"] for row in read_new(open_source(spark, path), tmp_path / "c")}
    assert len(names) == 2


def test_bad_rows_say_why(spark: SparkSession, tmp_path: Path) -> None:
    texts = pa.array([None, b" \n", b"caf\xe9", b"x" * 300, b"a", b"b"], pa.binary()).view(pa.string())
    images = [image(), image(), image(), image(), bytes(9000), None]
    write(tmp_path / "p" / "0.parquet", {"id": list(range(6)), "image": images, "text": texts})
    stream = open_source(spark, str(tmp_path / "p"), limits=Limits(member_bytes=8000, text_bytes=200))
    rows = read_new(stream, tmp_path / "c")
    assert [row["reason"] for row in rows] == [
        "missing_caption",
        "missing_caption",
        "bad_utf8",
        "too_many_bytes",
        "too_many_bytes",
        "missing_image",
    ]
    assert all(row["image"] is None for row in rows)
    assert rows[2]["alt_text"] is None


def test_new_parquet_files_alone_are_read_again(spark: SparkSession, tmp_path: Path) -> None:
    write(tmp_path / "p" / "0.parquet", {"id": ["a"], "image": [image()], "text": ["one"]})
    assert len(read_new(open_source(spark, str(tmp_path / "p")), tmp_path / "c")) == 1
    write(tmp_path / "p" / "1.parquet", {"id": ["b"], "image": [image()], "text": ["two"]})
    again = read_new(open_source(spark, str(tmp_path / "p")), tmp_path / "c")
    assert [row["source_uid"] for row in again] == ["1.parquet#0"]


def test_a_delta_table_is_read_as_it_grows(spark: SparkSession, tmp_path: Path) -> None:
    path, checkpoint = str(tmp_path / "table"), tmp_path / "c"
    for number, text in enumerate(("one", "two")):
        rows = spark.createDataFrame([(bytearray(image(number)), text)], "image BINARY, caption STRING")
        rows.write.format("delta").mode("append").save(path)
        (row,) = read_new(open_source(spark, path), checkpoint)
        assert (row["image"], row["alt_text"], row["source_uid"][64:]) == (image(number), text, f"#{number}.0.0")
    assert read_new(open_source(spark, path), checkpoint) == []
    assert count_hint(spark, path, "delta") == 2


@pytest.mark.parametrize(
    ("columns", "named", "message"),
    [
        ({"url": ["http://x"], "text": ["a"]}, Columns(), "holds links, no image bytes: .* fetch_images"),
        ({"x": [b"1"], "text": ["a"]}, Columns(), "no image column in .* one of 'x', 'text'"),
        ({"image": [b"1"], "note": ["a"]}, Columns(), "no alt_text column in .* it has 'image', 'note'"),
        ({"image": [b"1"], "text": ["a"]}, Columns(alt_text="en"), "no column 'en' in .* it has 'image', 'text'"),
        ({"image": [b"1"], "text": ["a"]}, Columns(id="key"), "no column 'key' in"),
        ({"image": [b"1"], "text": ["a"]}, Columns(image="text"), "column 'text' of .* is string, not bytes"),
        ({"image": [b"1"], "text": [["a"]]}, Columns(), "column 'text' of .* is array<string>, not string"),
    ],
)
def test_columns_that_are_not_there_are_a_bad_input(
    spark: SparkSession, tmp_path: Path, columns: dict[str, Any], named: Columns, message: str
) -> None:
    write(tmp_path / "0.parquet", columns)
    with pytest.raises(BadInput, match=message):
        open_source(spark, str(tmp_path), columns=named)


def test_a_broken_parquet_file_is_a_bad_input(spark: SparkSession, tmp_path: Path) -> None:
    (tmp_path / "0.parquet").write_bytes(b"no parquet")
    with pytest.raises(BadInput, match=r"cannot read the Parquet file .0.parquet. of") as error:
        open_source(spark, str(tmp_path))
    assert "\n" not in str(error.value)
