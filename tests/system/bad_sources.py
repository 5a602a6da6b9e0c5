"""Sources with everything in them that can be wrong, and what must become of each thing."""

import gzip
import io
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.hostile_images import encoded, film, header, photo, pixels, png

Fates = Mapping[str, str | None]
"""Name of a row within its source -> why it is rejected, or None where it is taken in."""

_BOMB = png(header(60_000, 60_000), pixels(8, 8))
_JPEG = encoded(photo(), "JPEG")
_BAD_IMAGES: Mapping[str, tuple[bytes, str]] = {
    "empty.png": (b"", "empty_image"),
    "words.jpg": (b"This is a text.\n" * 9, "not_an_image"),
    "half.jpg": (_JPEG[: len(_JPEG) // 2], "truncated_image"),
    "long.jpg": (b"No image. " * 1000, "not_an_image"),
    "bomb.png": (_BOMB, "too_many_pixels"),
    "film.png": (film("PNG"), "animated_image"),
    "drawing.tif": (encoded(photo(), "TIFF"), "not_an_image"),
}


def image(number: int) -> bytes:
    """Return a small good image; another number is another image."""
    return encoded(Image.new("RGB", (16, 16), (number, 90, 9)), "PNG")


def bad_folder(root: Path) -> Fates:
    """Write a folder of images with texts beside them and captions files."""
    (root / "captioned").mkdir(parents=True)
    fates: dict[str, str | None] = {}

    def pair(name: str, data: bytes, text: bytes | None, reason: str | None = None) -> None:
        (root / name).write_bytes(data)
        if text is not None:
            (root / name).with_suffix(".txt").write_bytes(text)
        fates[name] = reason

    pair("good.png", image(1), b"A good pair")
    for name, (data, reason) in _BAD_IMAGES.items():
        pair(name, data, f"About {name}".encode(), reason)
    pair("silent.png", image(2), None, "missing_caption")
    pair("blank.png", image(3), b" \n", "missing_caption")
    pair("latin.png", image(4), "café".encode("latin-1"), "bad_utf8")
    pair("wordy.png", image(5), b"word " * 300_000, "too_many_bytes")
    pair("same_as_good.png", image(1), b"A good pair", "duplicate_pair")
    (root / "folder.png").mkdir()
    pair("folder.png/inside.png", image(6), b"In a folder that is called like an image")
    (root / "texts_in_a_folder.txt").mkdir()
    pair("texts_in_a_folder.png", image(7), None, "missing_caption")
    return {**fates, **_odd_files(root), **_captioned(root / "captioned")}


def _odd_files(root: Path) -> Fates:
    """Write what has a name like an image and cannot be read, not even by root."""
    fates: dict[str, str | None] = {}
    (root / "broken_link.png").symlink_to(root / "nowhere")
    (root / "circle.png").symlink_to(root / "circle.png")
    (root / "device.png").symlink_to("/dev/zero")
    (root / "back").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    fates |= dict.fromkeys(("broken_link.png", "circle.png", "device.png", "pipe.png"), "missing_image")
    if Path("/proc/self/mem").exists():
        # A file whose first byte no one can read: what a bad sector looks like.
        (root / "sector.png").symlink_to("/proc/self/mem")
        (root / "sector.txt").write_text("A picture on a bad sector")
        fates["sector.png"] = "missing_image"
    try:
        (root / os.fsdecode(b"caf\xe9.png")).write_bytes(image(8))
        fates["./caf\\xe9.png"] = "missing_image"
    except OSError:
        pass  # some file systems know no names but UTF-8
    if os.geteuid() != 0:  # root may read anything
        (root / "locked.png").write_bytes(image(9))
        (root / "locked.txt").write_text("A picture under lock and key")
        (root / "locked.png").chmod(0)
        fates["locked.png"] = "missing_image"
    return fates


def _captioned(root: Path) -> Fates:
    for number in range(2):
        (root / f"{number}.png").write_bytes(image(10 + number))
    lines = [
        json.dumps({"file_name": "0.png", "text": "The first line counts"}).encode(),
        json.dumps({"file_name": "0.png", "text": "The second does not"}).encode(),
        json.dumps({"file_name": "0.png", "text": "Nor does the third"}).encode(),
        json.dumps({"file_name": "gone.png", "text": "There is no such image"}).encode(),
        json.dumps({"file_name": "../../up.png", "text": "Out of the folder"}).encode(),
        json.dumps({"text": "No name"}).encode(),
        b"{not JSON",
        b'{"file_name": "1.png", "text": "caf\xe9"}',
    ]
    (root / "metadata.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    reasons = ("duplicate_key", "duplicate_key", "missing_image", "unsafe_name", "bad_metadata", "bad_metadata")
    numbered = {f"captioned/metadata.jsonl:{number}": reason for number, reason in enumerate(reasons, 2)}
    # The line in another encoding names nobody, and its image has no other text.
    last = {"captioned/metadata.jsonl:8": "bad_utf8", "captioned/1.png": "missing_caption"}
    return {"captioned/0.png": None, **numbered, **last}


def bad_tars(root: Path) -> Fates:
    """Write a folder of tars. Rejects under a repeated key are named by key and byte offset, written here as ``@``."""
    root.mkdir()
    return {**_kinds(root / "kinds.tar"), **_twins(root / "twins.tar"), **_cuts(root), **_no_tars(root)}


def _kinds(file: Path) -> Fates:
    members: list[tuple[str, bytes]] = [("good.png", image(20)), ("good.txt", b"Good in a tar")]
    fates: dict[str, str | None] = {"kinds.tar/good": None}
    for name, (data, reason) in _BAD_IMAGES.items():
        key = name.partition(".")[0]
        members += [(name, data), (f"{key}.txt", f"{name} in a tar".encode())]
        fates[f"kinds.tar/{key}"] = reason
    members += [
        ("silent.png", image(21)),
        ("text.txt", b"A text alone"),
        ("latin.png", image(22)),
        ("latin.txt", "café".encode("latin-1")),
        ("json.png", image(23)),
        ("json.json", b"[1, 2]"),
        # Three images under one key: one pair, two rejects.
        ("three.png", image(24)),
        ("three.jpg", _JPEG),
        ("three.webp", image(25)),
        ("three.txt", b"Three images, one text"),
        ("../escape.png", image(26)),
        ("a/../../escape.txt", b"Out"),
        ("/etc/absolute.png", image(27)),
        ("other.png", image(28)),
        ("other.txt", b"Between two of a key"),
    ]
    # Three samples under one key, not side by side: one pair, two rejects.
    for number in range(3):
        members += [("again.png", image(30 + number)), ("again.txt", f"Again {number}".encode())]
        members += [(f"between{number}.png", image(40 + number)), (f"between{number}.txt", b"Between")]
    with tarfile.open(file, "w") as tar:
        for name, data in members:
            _add(tar, name, data)
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    fates |= {f"kinds.tar/{key}": None for key in ("three", "other", "again", "between0", "between1", "between2")}
    fates |= {"kinds.tar/silent": "missing_caption", "kinds.tar/text": "missing_image"}
    fates |= {"kinds.tar/latin": "bad_utf8", "kinds.tar/json": "bad_metadata"}
    fates |= dict.fromkeys(("kinds.tar/three.jpg@", "kinds.tar/three.webp@"), "duplicate_key")
    fates |= dict.fromkeys(("kinds.tar/again@ 1", "kinds.tar/again@ 2"), "duplicate_key")
    unsafe = ("../escape.png", "a/../../escape.txt", "/etc/absolute.png", "link.png")
    return fates | {f"kinds.tar/{name}@": "unsafe_name" for name in unsafe}


def _twins(file: Path) -> Fates:
    """The same pair under a name that is not UTF-8, and under the name that spells the first one's escape."""
    with tarfile.open(file, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in (os.fsdecode(b"caf\xe9"), r"caf\udce9"):
            _add(tar, f"{name}.png", image(61))
            _add(tar, f"{name}.txt", b"One of twins")
    return {r"twins.tar/caf\\udce9": None, r"twins.tar/caf\udce9": "duplicate_pair"}


def _cuts(root: Path) -> Fates:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for number, key in enumerate(("first", "second", "third")):
            _add(tar, f"{key}.txt", f"The {key} of a cut tar".encode())
            _add(tar, f"{key}.png", os.urandom(4000) if key == "third" else image(50 + number))
    data = whole.getvalue()
    middle = data.index(b"third.png") + 2048
    (root / "cut.tar").write_bytes(data[:middle])
    # Other texts, or they would be the same pairs.
    packed = gzip.compress(data.replace(b"of a cut tar", b"of a cut tgz"), mtime=0)
    (root / "cut.tgz").write_bytes(packed[: len(packed) - 1500])
    (root / "no_end.tar").write_bytes(one_pair(60)[: 4 * 512])
    fates: dict[str, str | None] = {f"cut.{kind}/{key}": None for kind in ("tar", "tgz") for key in ("first", "second")}
    fates |= {"cut.tar/third": "truncated_source", "cut.tgz/third": "truncated_source"}
    return fates | {"no_end.tar/pair": None, "no_end.tar@": "truncated_source"}


def _no_tars(root: Path) -> Fates:
    (root / "nothing.tar").write_bytes(b"")
    (root / "letters.tar").write_bytes(b"This is no tar. " * 99)
    (root / "gone.tar").symlink_to(root / "nowhere.tar")
    os.mkfifo(root / "pipe.tar")
    fates = dict.fromkeys(("nothing.tar@", "letters.tar@", "gone.tar", "pipe.tar"), "truncated_source")
    if Path("/proc/self/mem").exists():
        (root / "sector.tar").symlink_to("/proc/self/mem")
        fates["sector.tar@"] = "truncated_source"
    return fates


def one_pair(number: int) -> bytes:
    """Return a tar of one good pair; another number is another pair."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        _add(tar, "pair.png", image(number))
        _add(tar, "pair.txt", f"Pair {number}".encode())
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def bad_parquet(root: Path) -> Fates:
    """Write a folder with one Parquet file; its rows are named by their number."""
    root.mkdir()
    rows: list[tuple[bytes | None, bytes | None, str | None]] = [
        (image(70), b"Good in Parquet", None),
        (None, b"No image", "missing_image"),
        (image(71), None, "missing_caption"),
        (image(72), b"\t ", "missing_caption"),
        (image(73), b"caf\xe9", "bad_utf8"),
        (image(70), b"Good in Parquet", "duplicate_pair"),
        *((data, f"{name} in Parquet".encode(), reason) for name, (data, reason) in _BAD_IMAGES.items()),
    ]
    # Made of its buffers: PyArrow itself would not write text that is not UTF-8.
    texts = pa.array([text for _, text, _ in rows], pa.binary())
    columns = {
        "image": pa.array([data for data, _, _ in rows], pa.binary()),
        "text": pa.Array.from_buffers(pa.string(), len(texts), texts.buffers()),
    }
    pq.write_table(pa.table(columns), root / "rows.parquet")
    return {f"rows.parquet#{number}": reason for number, (_, _, reason) in enumerate(rows)}
