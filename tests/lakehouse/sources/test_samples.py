"""Samples of a WebDataset tar, whole or cut anywhere."""

import io
import json
import tarfile
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.sources.columns import Columns
from lakehouse.sources.samples import read_samples
from lakehouse.sources.source_row import Limits, SourceRow, to_batches
from tests.lakehouse.sources.made import Members, image, tar_of

KEYS = [f"{number:04d}" for number in range(4)]
SAMPLES = {key: [(f"{key}.png", image(int(key))), (f"{key}.txt", b"text " + key.encode())] for key in KEYS}
WHOLE = tar_of(member for members in SAMPLES.values() for member in members)


def samples(data: bytes, limits: Limits = Limits(), columns: Columns = Columns()) -> list[SourceRow]:  # noqa: B008
    return list(read_samples(io.BytesIO(data), tar="t.tar", limits=limits, columns=columns))


def reasons(members: Members, limits: Limits = Limits()) -> dict[str, str | None]:  # noqa: B008
    return {row.uid: row.caption.reason for row in samples(tar_of(members), limits)}


def test_a_sample_is_an_image_with_its_text() -> None:
    rows = samples(WHOLE)
    assert [(row.uid, row.image, row.caption.alt_text) for row in rows] == [
        (f"t.tar/{key}", image(int(key)), f"text {key}") for key in KEYS
    ]


def test_img2datasets_record_fills_the_columns() -> None:
    record = {
        "caption": "a kite",
        "url": "http://x/1.jpg",
        "key": "1",
        "sha256": "ab",
        "status": "success",
        "exif": None,
    }
    (row,) = samples(
        tar_of([("1.jpg", image(kind="JPEG")), ("1.txt", b"a kite"), ("1.json", json.dumps(record).encode())])
    )
    assert (row.caption.alt_text, row.caption.url) == ("a kite", "http://x/1.jpg")
    assert json.loads(row.caption.metadata or "") == {"key": "1", "sha256": "ab", "status": "success"}


def test_the_record_is_the_text_where_there_is_no_text_file() -> None:
    (row,) = samples(tar_of([("1.JPG", image(kind="JPEG")), ("1.json", b'{"caption": "a kite"}')]))
    assert row.caption.alt_text == "a kite"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([("1.png", image())], "missing_caption"),
        ([("1.png", image()), ("1.txt", b" \n")], "missing_caption"),
        ([("1.txt", b"a kite")], "missing_image"),
        ([("1.v2.png", image()), ("1.v2.txt", b"a kite")], "missing_image"),
        ([("1.png", image()), ("1.txt", b"caf\xe9")], "bad_utf8"),
        ([("1.png", image()), ("1.json", b'{"caption": "\\ud800"}')], "bad_utf8"),
        ([("1.png", image()), ("1.json", b"[1]")], "bad_metadata"),
        ([("1.png", image()), ("1.json", b"{")], "bad_metadata"),
        ([("1.png", image()), ("1.json", b"[" * 100_000)], "bad_metadata"),
        ([("1.png", b"x" * 5000), ("1.txt", b"a kite")], "too_many_bytes"),
        ([("1.png", image()), ("1.txt", b"a" * 5000)], "too_many_bytes"),
    ],
)
def test_what_is_no_pair_says_why(members: Members, reason: str) -> None:
    (row,) = samples(
        tar_of(members), Limits(member_bytes=4000, text_bytes=200_000 if reason == "bad_metadata" else 4000)
    )
    assert (row.uid, row.image, row.caption.reason) == ("t.tar/1", None, reason)


@pytest.mark.parametrize("name", ["/etc/passwd.png", "../a.png", "a/../../b.png", "C:/a.png", r"..\a.png"])
def test_an_unsafe_name_is_rejected_under_its_name(name: str) -> None:
    assert reasons([(name, image())]) == {f"t.tar/{name}@0": "unsafe_name"}


def test_a_second_image_of_a_key_is_a_duplicate() -> None:
    found = reasons([("1.png", image()), ("1.txt", b"a"), ("1.jpg", image(kind="JPEG")), ("1.txt", b"b")])
    assert found == {"t.tar/1": None, "t.tar/1.jpg@2048": "duplicate_key", "t.tar/1.txt@3584": "duplicate_key"}


def test_second_members_of_a_key_are_not_held() -> None:
    data = tar_of([("1.png", image()), *[("1.jpg", b"x")] * 50, ("1.txt", b"a")])
    stream = io.BytesIO(data)
    first = next(read_samples(stream, tar="t.tar", limits=Limits(), columns=Columns()))
    assert (first.uid, first.caption.reason) == ("t.tar/1.jpg@1024", "duplicate_key")
    assert stream.tell() < len(data) // 10


def test_of_members_that_are_not_read_a_few_are_told() -> None:
    (row,) = samples(tar_of([*[(f"1.{n}.npy", b"") for n in range(99)], *[(f"1.{n}.png", b"") for n in range(99)]]))
    assert row.caption.reason == "missing_image"
    assert (row.caption.detail or "").startswith("no image among 0.png, 1.png, ")
    assert len(row.caption.detail or "") < 150


def test_a_name_that_is_no_text_stays_apart_from_one_that_spells_it() -> None:
    names = ("caf\udce9", r"caf\udce9")
    data = tar_of([(f"{name}.{kind}", b"x") for name in names for kind in ("png", "txt")], format=tarfile.GNU_FORMAT)
    (batch,) = to_batches(samples(data), source="s")
    assert batch.column("source_uid").to_pylist() == [r"t.tar/caf\udce9", r"t.tar/caf\\udce9"]


def test_a_key_that_comes_again_is_a_duplicate() -> None:
    pair = [("1.png", image()), ("1.txt", b"a")]
    assert list(reasons([*pair, ("2.png", image()), ("2.txt", b"b"), *pair]).values()) == [None, None, "duplicate_key"]


def test_members_of_systems_are_left_out() -> None:
    pair = [("./1.png", image()), ("./1.txt", b"a")]
    assert reasons([("._1.png", b"x"), ("__MACOSX/1.png", b"x"), *pair, ("README", b"x"), ("1.npy", b"x")]) == {
        "t.tar/1": None
    }


def test_a_name_that_is_no_text_does_not_stop_the_tar() -> None:
    data = tar_of([("1X.png", image()), ("1X.txt", b"a")]).replace(b"1X.", b"1\xff.")
    fixed = bytearray(data)
    for at in (0, 1024):
        _renew_checksum(fixed, at)
    assert [row.caption.reason for row in samples(bytes(fixed))] == [None]


def test_only_one_sample_is_held_at_a_time() -> None:
    stream = io.BytesIO(WHOLE)
    first = next(islice(read_samples(stream, tar="t.tar", limits=Limits(), columns=Columns()), 1))
    assert first.uid == "t.tar/0000"
    assert stream.tell() <= len(WHOLE) // 2


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE)))
def test_a_tar_cut_anywhere_keeps_the_pairs_before_the_cut(cut: int) -> None:
    rows = samples(WHOLE[:cut])
    kept = [row for row in rows if row.caption.reason is None]
    complete = [key for number, key in enumerate(KEYS) if _end_of_text(number) <= cut]
    assert [row.uid for row in kept] == [f"t.tar/{key}" for key in complete]
    assert all(row.image == image(int(row.uid[-4:])) for row in kept)
    assert len({row.uid for row in rows}) == len(rows)
    has_end = cut >= _end_of_archive()
    assert [row.caption.reason for row in rows if row not in kept] == ([] if has_end else ["truncated_source"])


@pytest.mark.parametrize("cut", [1024 + 100, 1024 + 512 + 3, 1024])
def test_a_sample_whose_text_is_cut_is_one_reject(cut: int) -> None:
    assert [(row.uid, row.caption.reason) for row in samples(WHOLE[:cut])] == [("t.tar/0000", "truncated_source")]


def _end_of_text(sample: int) -> int:
    # Image and text each take a header block and one block of data; padding does not count.
    return sample * 2048 + 1536 + len(b"text 0000")


def _end_of_archive() -> int:
    return len(KEYS) * 2048 + 512


def _renew_checksum(data: bytearray, at: int) -> None:
    data[at + 148 : at + 156] = b" " * 8
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
