"""An export is the release, row by row, whatever cuts it off; no JVM is needed for it."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import export_release
from lakehouse.errors import BadInput, StreamError
from lakehouse.export.folder import Folder
from lakehouse.lake_mark import MARK, mark_text
from lakehouse.stream import CaptionStream
from tests.lakehouse.stream.lakes import Lake, flip_a_byte, jpeg, sample_id, training_rows, write_lake, write_release
from tests.system.said import python

ROOT = Path(__file__).parents[2]
Made = Callable[..., Lake]


@pytest.fixture
def make(tmp_path: Path) -> Made:
    """Return a function that writes a lake of some rows, 300 unless said otherwise."""

    def make(rows: pa.Table | None = None, **given: Any) -> Lake:
        lake = write_lake(tmp_path / "lake", training_rows(300) if rows is None else rows, **given)
        (lake.path / MARK).write_text(mark_text())
        return lake

    return make


def export(lake: Lake, out: Path, **given: Any) -> dict[str, int]:
    config = export_release.Config(str(lake.path), str(out), **{"shard_rows": 100, "threads": 2, **given})
    return dict(export_release.run(str(lake.path), "", config))


def samples(out: Path) -> list[dict[str, bytes]]:
    """Return the samples of all tars, as readers group them: neighbours up to the first dot of their names."""
    found: list[dict[str, bytes]] = []
    for file in sorted(out.glob("*.tar")):
        with tarfile.open(file) as tar:
            for member in tar:
                key, _, kind = member.name.partition(".")
                if not found or found[-1]["key"] != key.encode():
                    found.append({"key": key.encode()})
                extracted = tar.extractfile(member)
                assert extracted is not None
                found[-1][kind] = extracted.read()
    return found


def rows_of(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.concat_tables(
        pq.read_table(file) for file in sorted(out.glob("*.parquet"))
    ).to_pylist()
    return rows


def contents(out: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in out.iterdir() if not file.name.startswith(".")}


# what is in it


def test_tars_hold_every_row_once(make: Made, tmp_path: Path) -> None:
    lake = make(deleted={0: [3, 4]})
    kept = [name for name in lake.train_ids if name not in (sample_id(3), sample_id(4))]
    assert export(lake, tmp_path / "out") == {"files": 3, "samples": 268, "left_out": 0}
    found = samples(tmp_path / "out")
    assert sorted(sample["key"].decode() for sample in found) == kept
    assert all(set(sample) == {"key", "jpg", "json", "txt"} for sample in found)


def test_a_sample_has_the_image_with_its_own_texts(make: Made, tmp_path: Path) -> None:
    export(make(), tmp_path / "out")
    by_key = {sample["key"].decode(): sample for sample in samples(tmp_path / "out")}
    sample = by_key[sample_id(5)]
    assert sample["jpg"] == jpeg(5)
    assert json.loads(sample["json"]) == {
        "key": sample_id(5),
        "uid": sample_id(5)[:32],
        "sha256": "image 5",
        "caption": sample["txt"].decode(),
        "alt_text": "alt 5",
        "web_tags": "",
        "long_positive": "long 5",
        "short_positive": "kite 5, beach",
        "long_negative": "not 5",
        "short_negative": "tree 5, car",
        "tag_ids": [0, 5],
        "lists": {"web_tags": [], "short_positive": ["kite 5", "beach"], "short_negative": ["tree 5", "car"]},
    }


def test_parquet_says_which_column_is_an_image(make: Made, tmp_path: Path) -> None:
    lake = make()
    export(lake, tmp_path / "out", format="parquet")
    files = sorted(file.name for file in (tmp_path / "out").glob("*.parquet"))
    assert files == [f"train-{number:05}-of-00003.parquet" for number in range(3)]
    features = json.loads(pq.read_schema(tmp_path / "out" / files[0]).metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}
    assert features["short_positive"] == {"_type": "Sequence", "feature": {"dtype": "string", "_type": "Value"}}
    assert features["tag_ids"]["feature"]["dtype"] == "int32"
    rows = {row["sample_id"]: row for row in rows_of(tmp_path / "out")}
    assert sorted(rows) == lake.train_ids
    row = rows[sample_id(5)]
    assert row["image"] == {"bytes": jpeg(5), "path": f"{sample_id(5)}.jpg"}
    assert (row["long_positive"], row["short_positive"], row["tag_ids"]) == ("long 5", ["kite 5", "beach"], [0, 5])


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_captions_are_those_of_the_streams_first_epoch(make: Made, tmp_path: Path, form: str) -> None:
    lake = make()
    export(lake, tmp_path / "out", format=form)
    stream = CaptionStream(lake.path, release="demo", batch_size=16, image_size=32, threads=1, drop_last=False)
    streamed = {row: text for batch in stream for row, text in zip(batch.sample_id, batch.text, strict=True)}
    if form == "parquet":
        exported = {row["sample_id"]: row["caption"] for row in rows_of(tmp_path / "out")}
    else:
        exported = {sample["key"].decode(): sample["txt"].decode() for sample in samples(tmp_path / "out")}
    assert exported == streamed


def test_a_mix_may_be_of_lists(make: Made, tmp_path: Path) -> None:
    export(make(), tmp_path / "out", mix="short_positive=1", split="held_out")
    texts = {sample["key"].decode(): sample["txt"] for sample in samples(tmp_path / "out")}
    assert texts == {sample_id(number): f"kite {number}, beach".encode() for number in range(9, 300, 10)}


def test_sizes_are_where_open_clip_looks_for_them(make: Made, tmp_path: Path) -> None:
    export(make(), tmp_path / "out")
    sizes = json.loads((tmp_path / "out" / "sizes.json").read_text())
    assert sizes == {"00000.tar": 100, "00001.tar": 100, "00002.tar": 70}


def test_a_pinned_version_is_what_is_exported(make: Made, tmp_path: Path) -> None:
    lake = make()
    log = lake.path / "gold" / "training" / "_delta_log"
    gone = {"remove": {"path": "part%200.parquet", "deletionTimestamp": 0, "dataChange": True}}
    (log / f"{1:020}.json").write_text(json.dumps(gone))
    assert export(lake, tmp_path / "out")["samples"] == 270


# the same again


@pytest.mark.parametrize("form", ["webdataset", "parquet"])
def test_two_exports_are_equal_to_the_byte(make: Made, tmp_path: Path, form: str) -> None:
    lake = make()
    for name, threads in (("one", 1), ("two", 3)):
        export(lake, tmp_path / name, format=form, threads=threads)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_export_that_is_there_is_left_alone(make: Made, tmp_path: Path) -> None:
    lake = make()
    export(lake, tmp_path / "out")
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.tar")}
    assert export(lake, tmp_path / "out") == {}
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "out").glob("*.tar")} == before


def test_a_killed_export_goes_on_where_it_was(make: Made, tmp_path: Path) -> None:
    lake = make(training_rows(2000), group_rows=8)
    export(lake, tmp_path / "whole", shard_rows=20)
    out = tmp_path / "out"
    words = ["--lake", str(lake.path), "--out", str(out), "--shard-rows", "20", "--threads", "2"]
    process = subprocess.Popen([sys.executable, "-m", "jobs.export_release", *words], cwd=ROOT, start_new_session=True)
    until = time.monotonic() + 60
    while not Folder(out).written():
        assert time.monotonic() < until
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    there = {file: file.stat().st_mtime_ns for file in out.glob("*.tar")}
    assert all(file.read_bytes() == (tmp_path / "whole" / file.name).read_bytes() for file in there)
    counts = export(lake, out, shard_rows=20)
    assert contents(out) == contents(tmp_path / "whole")
    assert 90 - len(there) <= counts["files"] < 90  # one that had its name and was not recorded is written again


# what it is not to do


def test_another_release_is_not_mixed_in(make: Made, tmp_path: Path) -> None:
    lake = make()
    export(lake, tmp_path / "out", release="demo")
    write_release(lake.path, lake.rows, release="other")
    with pytest.raises(BadInput, match="holds an export with release='demo', not 'other': choose another --out"):
        export(lake, tmp_path / "out", release="other")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"release": "demmo"}, "unknown release 'demmo' in .*: expected one of demo"),
        ({"format": "zip"}, "unknown --format 'zip': expected one of webdataset, parquet"),
        ({"split": "test"}, "has no row of split 'test': expected --split train or held_out"),
        ({"mix": "alttext=1"}, "unknown text column 'alttext' in a mix: expected one of alt_text, web_tags,"),
        ({"out": "s3://bucket/out"}, "--out 's3://bucket/out' is no local folder"),
    ],
)
def test_bad_input_is_one_line(make: Made, tmp_path: Path, given: dict[str, Any], message: str) -> None:
    lake, out = make(), given.pop("out", tmp_path / "out")
    with pytest.raises((BadInput, StreamError), match=message) as raised:
        export(lake, out, **given)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_damaged_row_group_is_left_out_with_its_reason(
    make: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = make()
    flip_a_byte(lake.files[1], row_group=2, column="image")
    counts = export(lake, tmp_path / "out")
    note = f"note: {counts['left_out']} rows left out as corrupt_row_group, first in "
    assert note in capsys.readouterr().err
    assert export(lake, tmp_path / "out") == {}
    assert note in capsys.readouterr().err, "an export with holes is no less so the next day"
    assert counts == {"files": 3, "samples": 270 - counts["left_out"], "left_out": counts["left_out"]}
    assert 14 <= counts["left_out"] <= 16
    records = [json.loads(line) for line in (tmp_path / "out" / ".written.jsonl").read_text().splitlines()]
    assert sum(record["skipped"].get("corrupt_row_group", 0) for record in records) == counts["left_out"]
    assert sum(json.loads((tmp_path / "out" / "sizes.json").read_text()).values()) == counts["samples"]


def test_too_much_damage_ends_it(make: Made, tmp_path: Path) -> None:
    lake = make()
    flip_a_byte(lake.files[1], row_group=2, column="image")
    with pytest.raises(StreamError, match=r"more than max_skipped=3: 1[456] corrupt_row_group"):
        export(lake, tmp_path / "out", max_skipped=3)


def test_too_much_damage_ends_every_run(make: Made, tmp_path: Path) -> None:
    lake = make()
    for file in lake.files:
        flip_a_byte(file, row_group=2, column="image")
    for _ in range(4):  # each writes one more file than the one before it, if it may leave out as much again
        with pytest.raises(StreamError, match=r"skipped \d+ rows, more than max_skipped=20"):
            export(lake, tmp_path / "out", max_skipped=20, threads=1)
    assert export(lake, tmp_path / "out", max_skipped=60, threads=1)["left_out"] > 40


def test_rows_that_an_earlier_run_left_out_are_counted(make: Made, tmp_path: Path) -> None:
    lake = make()
    flip_a_byte(lake.files[0], row_group=2, column="image")
    whole = export(lake, tmp_path / "out")
    (tmp_path / "out" / "00002.tar").unlink()
    assert export(lake, tmp_path / "out") == {"files": 1, "samples": 70, "left_out": whole["left_out"]}


def test_rows_without_image_or_text_are_left_out(make: Made, tmp_path: Path) -> None:
    rows = training_rows(300)
    images, texts = rows.column("image").to_pylist(), rows.column("alt_text").to_pylist()
    images[0], images[1], texts[2], texts[3] = None, b"GIF89a", None, "  "
    rows = rows.set_column(rows.schema.get_field_index("image"), "image", pa.array(images))
    rows = rows.set_column(rows.schema.get_field_index("alt_text"), "alt_text", pa.array(texts))
    assert export(make(rows), tmp_path / "out", mix="alt_text=1")["left_out"] == 4
    assert not {sample_id(number).encode() for number in range(4)} & {
        sample["key"] for sample in samples(tmp_path / "out")
    }


def test_the_job_needs_no_java(make: Made, tmp_path: Path) -> None:
    lake = make()
    nothing = str(tmp_path / "no java")
    flags = ("--lake", lake.path, "--out", tmp_path / "out")
    said = python("-m", "jobs.export_release", *flags, JAVA_HOME=nothing, PATH=nothing)
    assert (said.code, said.out) == (0, "export_release: 1 files, 270 samples, 0 left out\n"), said.err
