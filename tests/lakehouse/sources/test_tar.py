"""Tars of all kinds: what comes out, in order, and where reading ends."""

import gzip
import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse.sources.tar import Cut, Member, read_members
from tests.lakehouse.sources.made import tar_of

LONG = "a" * 90 + "/" + "b" * 120 + "/ü.txt"


def members(data: bytes, *, limit: int = 1 << 20) -> list[Member | Cut]:
    return list(read_members(io.BytesIO(data), limit=lambda _: limit))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_come_in_order_with_their_bytes(format: int) -> None:
    found = members(tar_of([("b.txt", b"1"), ("a/x.txt", b""), ("c.txt", b"x" * 5000)], format=format))
    assert [(m.name, m.data) for m in found if isinstance(m, Member)] == [
        ("b.txt", b"1"),
        ("a/x.txt", b""),
        ("c.txt", b"x" * 5000),
    ]


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read_whole(format: int) -> None:
    assert [m.name for m in members(tar_of([(LONG, b"1")], format=format))] == [LONG]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.from_regex(r"[a-zé0-9_]{1,120}(\.[a-z]{1,3})?", fullmatch=True), st.binary(max_size=2000)))
)
def test_every_tar_that_python_writes_is_read_back(content: list[tuple[str, bytes]]) -> None:
    found = members(tar_of(content))
    assert [(m.name, m.data) for m in found if isinstance(m, Member)] == content
    assert not any(isinstance(m, Cut) for m in found)


def test_a_member_over_the_limit_comes_without_its_bytes() -> None:
    large, small = members(tar_of([("a", b"x" * 2000), ("b", b"y")]), limit=1000)
    assert isinstance(large, Member)
    assert (large.size, large.data) == (2000, None)
    assert isinstance(small, Member)
    assert small.data == b"y"


def test_links_say_that_they_are_links() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            info = tarfile.TarInfo("x")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    assert [m.kind for m in members(out.getvalue()) if isinstance(m, Member)] == ["link", "link", "device", "device"]


def test_an_extended_header_of_a_gigabyte_is_not_read() -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 30
    found = members(info.tobuf(tarfile.USTAR_FORMAT) + bytes(1 << 20))
    assert len(found) == 1
    assert isinstance(found[0], Cut)


def test_a_size_that_lies_is_a_cut() -> None:
    info = tarfile.TarInfo("x.png")
    info.size = 1 << 40
    (found,) = members(info.tobuf(tarfile.GNU_FORMAT) + b"few bytes")
    assert isinstance(found, Cut)
    assert found.name == "x.png"


@pytest.mark.parametrize("data", [b"", b"hello", b"x" * 512, b"\x1f\x8b" + b"y" * 600, b"\xff" * 2048])
def test_what_is_no_tar_is_one_cut(data: bytes) -> None:
    (found,) = members(data)
    assert isinstance(found, Cut)
    assert found.offset == 0


def test_a_damaged_header_ends_reading_there() -> None:
    data = bytearray(tar_of([("a", b"1"), ("b", b"2")]))
    data[1024 + 10] ^= 0xFF
    first, cut = members(bytes(data))
    assert isinstance(first, Member)
    assert isinstance(cut, Cut)
    assert cut.offset == 1024


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 4095), st.data())
def test_no_bytes_make_it_fail(noise: bytes, at: int, data: st.DataObject) -> None:
    whole = bytearray(tar_of([("a.txt", b"1" * 700), (LONG, b"2" * 10)]))
    at = at % len(whole)
    whole[at : at + len(noise)] = noise
    found = members(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    assert all(isinstance(m, Member) for m in found[:-1])


def test_a_cut_gzip_is_a_cut() -> None:
    packed = gzip.compress(tar_of([("a", bytes(range(256)) * 40), ("b", b"2")]))
    stream = gzip.GzipFile(fileobj=io.BytesIO(packed[:-60]))
    assert isinstance(list(read_members(stream, limit=lambda _: 1 << 20))[-1], Cut)
