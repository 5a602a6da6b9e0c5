"""A folder of images: where texts come from, what is reported, and what a second run reads."""

import json
import os
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.errors import BadInput
from lakehouse.sources import SOURCE_ROW, Columns, Limits, count_hint, open_source
from tests.lakehouse.sources.made import batches_of, by_uid, image, put, read_new

pytestmark = pytest.mark.spark


def test_sidecars_give_text_or_say_what_is_wrong(spark: SparkSession, tmp_path: Path) -> None:
    record = {"title": "Kite", "description": "A bird.", "tags": ["bird"], "license": "CC0", "url": "http://x/1"}
    root = tmp_path / "we[i]rd {x} *"
    put(
        root,
        **{
            "both/1.png": image(1),
            "both/1.json": json.dumps(record).encode(),
            "both/1.txt": b"my kite\n",
            "2.JPG": image(2, kind="JPEG"),
            "2.json": json.dumps(record).encode(),
            "café %20.webp": image(3, kind="WEBP"),
            "café %20.txt": "Müll\n".encode(),
            "_italy.gif": image(4, kind="GIF"),
            "_italy.txt": b"Italy",
            "none.png": image(5),
            "bad.png": image(6),
            "bad.txt": b"caf\xe9",
            "list.png": image(7),
            "list.json": b"[1]",
            "long.png": image(8),
            "long.txt": b"x" * 3000,
            "big.png": bytes(9000),
            "big.txt": b"big",
            ".hidden.png": image(9),
            "__MACOSX/1.png": image(9),
            "pipe.png": image(10),
        },
    )
    os.mkfifo(root / "pipe.txt")
    stream = open_source(spark, str(root), limits=Limits(member_bytes=8000, text_bytes=2000))
    assert stream.schema == SOURCE_ROW
    rows = by_uid(read_new(stream, tmp_path / "checkpoint"))
    assert {uid: row["reason"] or row["alt_text"] for uid, row in rows.items()} == {
        "both/1.png": "my kite",
        "2.JPG": "Kite. A bird.",
        "café %20.webp": "Müll",
        "_italy.gif": "Italy",
        "none.png": "missing_caption",
        "pipe.png": "missing_caption",
        "bad.png": "bad_utf8",
        "list.png": "bad_metadata",
        "long.png": "too_many_bytes",
        "big.png": "too_many_bytes",
    }
    assert all((row["image"] is None) == (row["reason"] is not None) for row in rows.values())
    second = rows["2.JPG"]
    assert (second["image"], second["url"], second["licence"]) == (image(2, kind="JPEG"), "http://x/1", "CC0")
    assert json.loads(second["metadata"]) == {"tags": ["bird"]}
    assert count_hint(spark, str(root), "folder") == len(rows)


def test_a_name_that_is_no_text_hides_no_other_file(spark: SparkSession, tmp_path: Path) -> None:
    root = tmp_path / "images"
    put(
        root,
        **{r"caf\udce9.png": image(1), r"caf\udce9.txt": b"a cafe", r"caf\xe9.png": image(2), r"caf\xe9.txt": b"b"},
    )
    try:
        (root / os.fsdecode(b"caf\xe9.png")).write_bytes(image(3))
    except OSError:
        pytest.skip("this file system knows no names but UTF-8")
    rows = by_uid(read_new(open_source(spark, str(root)), tmp_path / "checkpoint"))
    assert sorted(row["alt_text"] or row["reason"] for row in rows.values()) == ["a cafe", "b", "missing_image"]


def test_a_captions_file_that_is_a_pipe_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path, **{"1.png": image(1)})
    os.mkfifo(tmp_path / "metadata.jsonl")
    with pytest.raises(BadInput, match=r"cannot read 'metadata\.jsonl' of .*: a broken link, a pipe"):
        open_source(spark, str(tmp_path))


def test_captions_files_are_joined_by_name(spark: SparkSession, tmp_path: Path) -> None:
    lines = [
        {"file_name": "1.png", "text": "one", "label": 7},
        {"file_name": "./sub/2.png", "text": "two"},
        {"file_name": "1.png", "text": "one again"},
        {"file_name": "gone.png", "text": "gone"},
        {"file_name": "../1.png", "text": "out"},
        {"file_name": "1.bmp", "text": "another kind"},
        {"file_name": "4.png", "split": "train"},
        {"text": "no name"},
    ]
    put(
        tmp_path / "images",
        **{
            "metadata.jsonl": "\n".join(map(json.dumps, lines)).encode(),
            "1.png": image(1),
            "1.bmp": image(1, kind="BMP"),
            "sub/2.png": image(2),
            "other/texts.csv": b"image,caption\n3.png,three\n5.png,caf\xe9\n",
            "other/3.png": image(3),
            "other/5.png": image(5),
            "4.png": image(4),
            "4.txt": b"four",
        },
    )
    rows = by_uid(read_new(open_source(spark, str(tmp_path / "images")), tmp_path / "checkpoint"))
    assert {uid: row["reason"] or row["alt_text"] for uid, row in rows.items()} == {
        "1.png": "one",
        "sub/2.png": "two",
        "other/3.png": "three",
        "4.png": "four",
        "other/5.png": "bad_utf8",
        "metadata.jsonl:3": "duplicate_key",
        "metadata.jsonl:4": "missing_image",
        "metadata.jsonl:5": "unsafe_name",
        "1.bmp": "not_an_image",
        "metadata.jsonl:8": "bad_metadata",
    }
    assert [rows[uid]["metadata"] for uid in ("1.png", "4.png")] == ['{"label":7}', '{"split":"train"}']
    assert rows["metadata.jsonl:4"]["alt_text"] == "gone"


def test_a_second_run_reads_what_is_new_alone(spark: SparkSession, tmp_path: Path) -> None:
    root, checkpoint = tmp_path / "images", tmp_path / "checkpoint"
    put(root, **{"1.png": image(1), "1.txt": b"one", "metadata.csv": b"file_name,text\ngone.png,gone\n"})
    assert len(read_new(open_source(spark, str(root)), checkpoint)) == 2
    assert read_new(open_source(spark, str(root)), checkpoint) == []
    put(root, **{"0.png": image(2), "0.txt": b"nought"})
    put(root, **{"metadata.csv": b"file_name,text\ngone.png,gone\ngone2.png,gone\n", "1.png": image(3)})
    # A copy that keeps its old time is new all the same.
    os.utime(root / "0.png", (1e9, 1e9))
    assert [row["source_uid"] for row in read_new(open_source(spark, str(root)), checkpoint)] == ["0.png"]


def test_a_batch_takes_files_up_to_the_limit(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path / "i", **{f"{n}.png": bytes(1000) for n in range(5)})
    assert batches_of(open_source(spark, str(tmp_path / "i"), limits=Limits(batch_bytes=2000)), tmp_path / "c") == [
        2,
        2,
        1,
    ]


def test_many_small_files_make_few_tasks(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path / "i", **{f"{n}.png": b"x" for n in range(500)})
    tasks: list[int] = []
    stream = open_source(spark, str(tmp_path / "i")).where("reason IS NULL OR reason IS NOT NULL")
    query = (
        stream.writeStream.option("checkpointLocation", str(tmp_path / "c"))
        .foreachBatch(
            lambda batch, _: tasks.append(batch.selectExpr("spark_partition_id() AS task").distinct().count())
        )
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    assert tasks[0] <= int(spark.conf.get("spark.sql.shuffle.partitions") or 0)


def test_named_columns_are_looked_for_in_captions_files(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path / "i", **{"1.png": image(1), "metadata.csv": b"name,en,text\n1.png,a kite,Drache\n"})
    stream = open_source(spark, str(tmp_path / "i"), columns=Columns(image="name", alt_text="en"))
    (row,) = read_new(stream, tmp_path / "c")
    assert (row["alt_text"], json.loads(row["metadata"])) == ("a kite", {"text": "Drache"})


def test_a_captions_file_without_names_is_a_bad_input(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path, **{"1.png": image(1), "metadata.csv": b"name,text\n1.png,a kite\n"})
    with pytest.raises(BadInput, match=r"no column 'file_name' in 'metadata.csv' of .*: it has 'name', 'text'$"):
        open_source(spark, str(tmp_path))


def test_a_csv_of_something_else_is_no_captions_file(spark: SparkSession, tmp_path: Path) -> None:
    put(tmp_path / "i", **{"1.png": image(1), "1.txt": b"a kite", "sizes.csv": b"a,b\n1,2\n"})
    assert [row["alt_text"] for row in read_new(open_source(spark, str(tmp_path / "i")), tmp_path / "c")] == ["a kite"]
