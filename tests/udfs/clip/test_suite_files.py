"""Suites of others are read in their forms, and refused in any other with one clear line."""

import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from lakehouse.errors import BadInput
from udfs.clip.clip_benchmark import write_classification, write_retrieval
from udfs.clip.labelled_images import read_labelled
from udfs.clip.suite_files import (
    Exchange,
    HardNegative,
    digest_of,
    found_images,
    read_captions,
    read_hard_negatives,
    read_templates,
    read_winoground,
)

KARPATHY = {
    "images": [
        {"filepath": "val2014", "filename": "a.jpg", "split": "test", "sentences": [{"raw": "one"}, {"raw": "two"}]},
        {"filepath": "val2014", "filename": "b.jpg", "split": "train", "sentences": [{"raw": "three"}]},
    ]
}
COCO = {
    "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}],
    "annotations": [{"image_id": at, "caption": text} for at, text in ((7, "one"), (8, "three"), (7, "two"))],
}


def written(folder: Path, content: Any, name: str = "suite.json") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


@pytest.mark.parametrize(
    ("content", "captions"),
    [
        ({"a.jpg": ["one", "two"], "b.jpg": "three"}, {"a.jpg": ["one", "two"], "b.jpg": ["three"]}),
        (KARPATHY, {"val2014/a.jpg": ["one", "two"]}),
        (COCO, {"a.jpg": ["one", "two"], "b.jpg": ["three"]}),
    ],
)
def test_captions_are_read_in_three_forms(content: Any, captions: dict[str, list[str]], tmp_path: Path) -> None:
    assert read_captions(written(tmp_path, content)) == captions


def test_sugarcrepe_is_read_file_by_file(tmp_path: Path) -> None:
    entry = {"filename": "a.jpg", "caption": "a red kite", "negative_caption": "a blue kite"}
    written(tmp_path, {"0": entry}, "swap_att.json")
    written(tmp_path, [entry, entry], "add_obj.json")
    row = HardNegative("a.jpg", "a red kite", "a blue kite")
    assert read_hard_negatives(tmp_path) == {"add_obj": [row, row], "swap_att": [row]}
    assert read_hard_negatives(tmp_path / "swap_att.json") == {"swap_att": [row]}


def test_winoground_is_read_line_by_line(tmp_path: Path) -> None:
    line = {"id": 0, "image_0": "i0", "image_1": "i1", "caption_0": "some", "caption_1": "other", "tag": "Object"}
    written(tmp_path, f"{json.dumps(line)}\n\n", "examples.jsonl")
    assert read_winoground(tmp_path) == [Exchange(("i0", "i1"), ("some", "other"))]


BAD: list[tuple[Callable[[Path], object], Any, str]] = [
    (read_captions, "{", "it is no JSON"),
    (read_captions, "[" * 100_000, "it is no JSON"),
    (read_captions, ["a.jpg"], "cannot read the whole"),
    (read_captions, {"a.jpg": []}, r"cannot read 'a.jpg' of .*: expected image paths with lists of captions"),
    (read_captions, {"a.jpg": ["one", 2]}, "cannot read 'a.jpg'"),
    (read_captions, {"images": [{"file": "a.jpg"}]}, "cannot read an image"),
    (read_captions, {"images": [KARPATHY["images"][1]]}, "no image of split 'test' in .*: there are train"),
    (read_captions, {**COCO, "images": []}, "cannot read an image or annotation"),
    (read_hard_negatives, {}, "no entry in"),
    (
        read_hard_negatives,
        {"3": {"filename": "a.jpg", "caption": "x"}},
        "bad entry 3 of .*: expected filename",
    ),
    (read_hard_negatives, 5, "no entry in"),
    (read_winoground, [], "no example in"),
    (read_winoground, [{"image_0": "a"}], "bad entry 0 of .*: expected image_0, image_1, caption_0, caption_1"),
    (read_templates, "a photo of a {}\na photo", "bad template 'a photo' in line 2 of"),
    (read_templates, "\n", "no template in"),
]


@pytest.mark.parametrize(("read", "content", "problem"), BAD)
def test_another_form_is_said(read: Callable[[Path], object], content: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=problem):
        read(written(tmp_path, content))


@pytest.mark.parametrize("read", [read_captions, read_hard_negatives, read_winoground, read_templates])
def test_a_file_that_is_not_there_is_said(read: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read .*gone.json': No such file"):
        read(tmp_path / "gone.json")


def test_bytes_that_are_no_text_are_said(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match=r"no text in UTF-8"):
        read_captions(tmp_path / "x.json")


def test_folders_without_a_suite_are_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no JSON file in"):
        read_hard_negatives(tmp_path)
    with pytest.raises(BadInput, match=r"no examples.jsonl in"):
        read_winoground(tmp_path)


def test_missing_images_are_counted(tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(b"x")
    assert found_images(tmp_path, ["there", "there.png"]) == {"there": "there.png", "there.png": "there.png"}
    with pytest.raises(BadInput, match=r"2 of 3 images are not in .*, such as 'a.jpg'"):
        found_images(tmp_path, ["there.png", "a.jpg", "b.jpg", "a.jpg"])


@pytest.mark.parametrize("name", ["../up.png", "/etc/passwd", "a/../../b", "C:\\x.png", "a\0b"])
def test_an_image_outside_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"expected a path inside"):
        found_images(tmp_path, [name])


def test_what_no_one_ends_is_no_image(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(BadInput, match=r"1 of 1 images are not in"):
        found_images(tmp_path, ["pipe.jpg"])


def test_other_files_have_another_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    first = digest_of(tmp_path, ["a"], "text")
    assert digest_of(tmp_path, ["a"], "text") == first
    assert digest_of(tmp_path, ["a"], "other") != first
    (tmp_path / "a").write_bytes(b"12")
    assert digest_of(tmp_path, ["a"], "text") != first


def labelled(path: Path) -> dict[str, str]:
    found = read_labelled(path, image_column="image", label_column="label")
    return {name: found.classes[place] for name, place in found.labels.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("n01_dog", "n02_kite"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.JPG").write_bytes(b"1")
        (tmp_path / name / "notes.txt").write_bytes(b"2")
    (tmp_path / ".git").mkdir()
    return tmp_path


def test_class_folders_are_classes(folder: Path) -> None:
    assert labelled(folder) == {"n01_dog/1.JPG": "n01 dog", "n02_kite/1.JPG": "n02 kite"}


def test_classes_may_have_names_of_their_own(folder: Path) -> None:
    (folder / "classnames.txt").write_text("dog\nkite\n")
    assert labelled(folder) == {"n01_dog/1.JPG": "dog", "n02_kite/1.JPG": "kite"}
    (folder / "classnames.txt").write_text("dog\n")
    with pytest.raises(BadInput, match=r"has 1 lines: expected 2"):
        labelled(folder)


def test_a_class_without_images_is_said(folder: Path) -> None:
    (folder / "n03_cat").mkdir()
    with pytest.raises(BadInput, match=r"1 of 3 classes in .* have no image, such as 'n03_cat'"):
        labelled(folder)


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no class in .*: expected .*/CLASS NAME"):
        labelled(tmp_path)


def test_a_delta_table_gives_the_rows_that_have_a_label(tmp_path: Path) -> None:
    rows = {"image": [b"1", b"2", b"3"], "label": ["kite", None, "boat"]}
    deltalake.write_deltalake(str(tmp_path / "shapes"), pa.table(rows))
    found = read_labelled(tmp_path / "shapes", image_column="image", label_column="label")
    assert found.classes == ("boat", "kite")
    assert sorted((data, found.classes[found.labels[name]]) for name, data in found.read()) == [
        (b"1", "kite"),
        (b"3", "boat"),
    ]


def test_a_delta_table_may_be_partitioned_by_the_label(tmp_path: Path) -> None:
    rows = {"image": [b"1", b"2", b"3", b"4"], "label": ["a kite", "boat, 50% off/new", None, "a kite"]}
    deltalake.write_deltalake(str(tmp_path / "the shapes"), pa.table(rows), partition_by=["label"])
    found = read_labelled(tmp_path / "the shapes", image_column="image", label_column="label")
    assert sorted((data, found.classes[found.labels[name]]) for name, data in found.read()) == [
        (b"1", "a kite"),
        (b"2", "boat, 50% off/new"),
        (b"4", "a kite"),
    ]


def test_the_digest_of_a_partitioned_table_counts_its_files(tmp_path: Path) -> None:
    rows, options = pa.table({"image": [b"1"], "label": ["kite"]}), {"image_column": "image", "label_column": "label"}
    deltalake.write_deltalake(str(tmp_path / "shapes"), rows, partition_by=["label"])
    before = read_labelled(tmp_path / "shapes", **options).digest
    other = pa.table({"image": [b"other bytes"], "label": ["kite"]})
    deltalake.write_deltalake(str(tmp_path / "shapes"), other, mode="overwrite")
    assert read_labelled(tmp_path / "shapes", **options).digest != before


def test_a_label_that_is_younger_than_a_file_is_missing_there(tmp_path: Path) -> None:
    table = str(tmp_path / "shapes")
    deltalake.write_deltalake(table, pa.table({"image": [b"1"]}))
    younger = pa.table({"image": [b"2"], "label": ["kite"]})
    deltalake.write_deltalake(table, younger, mode="append", schema_mode="merge")
    found = read_labelled(tmp_path / "shapes", image_column="image", label_column="label")
    assert [data for _, data in found.read()] == [b"2"]


def test_columns_of_a_table_are_listed(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"image": [{"bytes": b"1", "path": "a"}], "class": [3]}), tmp_path / "x.parquet")
    with pytest.raises(BadInput, match=r"no column 'label' in .*: it has image, class"):
        labelled(tmp_path / "x.parquet")
    with pytest.raises(BadInput, match=r"bad label 3 in column 'class'"):
        read_labelled(tmp_path / "x.parquet", image_column="image", label_column="class")
    (tmp_path / "y.parquet").write_bytes(b"no table")
    with pytest.raises(BadInput, match=r"expected a Parquet file"):
        labelled(tmp_path / "y.parquet")


def test_a_caption_is_one_line_of_the_export(tmp_path: Path) -> None:
    assert write_retrieval(tmp_path, [(b"jpeg", ["two\nlines", "a\u2028b\x85c", "three"])]) == 1
    with tarfile.open(tmp_path / "test" / "0.tar") as tar:
        text = tar.extractfile("s0000000.txt").read().decode()  # type: ignore[union-attr]
    assert text.splitlines() == ["two lines", "a b c", "three"]


def test_large_exports_have_several_tars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("udfs.clip.clip_benchmark.SHARD", 2)
    rows = [(bytes([at]), at % 2) for at in range(5)]
    assert write_classification(tmp_path, rows, classes=["a", "b"], templates=["a {}"]) == 5
    assert (tmp_path / "test" / "nshards.txt").read_text() == "3\n"
    with tarfile.open(tmp_path / "test" / "2.tar") as tar:
        assert tar.getnames() == ["s0000004.jpg", "s0000004.cls"]


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_retrieval(tmp_path / name, [(b"jpeg", ["kite"])])
    assert (tmp_path / "one/test/0.tar").read_bytes() == (tmp_path / "other/test/0.tar").read_bytes()
