"""Lakes to stream from, made without Spark: crops of photographs with four texts of made-up words."""

import hashlib
import json
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import cv2
import deltalake
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

RELEASE: Final = "bench"
TAGS: Final = 2000
ROW_GROUP: Final = 256
_FILE_ROWS: Final = 2048
_QUALITY: Final = 90
_SMALLEST: Final = 300
"""Shortest side of a photograph that is cropped."""
_LONGEST: Final = 1600

Photo = npt.NDArray[np.uint8]


def make_lake(root: Path, *, rows: int, side: int) -> None:
    """Write ``gold/training`` of so many rows, images of ``side`` pixels, and the release ``bench`` of it all."""
    table = root / "gold" / "training"
    table.mkdir(parents=True)
    photos, draw = _photos(), random.Random(0)  # no secret
    vocabulary = _words(draw)
    for number, begin in enumerate(range(0, rows, _FILE_ROWS)):
        made = [_row(at, photos, vocabulary, draw, side) for at in range(begin, min(rows, begin + _FILE_ROWS))]
        file = table / f"part-{number:05}.parquet"
        # JPEGs do not become smaller, and are not to be unpacked before they are decoded.
        pq.write_table(
            pa.Table.from_pylist(made, schema=_SCHEMA),
            file,
            row_group_size=ROW_GROUP,
            write_page_checksum=True,
            compression={name: "none" if name == "image" else "snappy" for name in _SCHEMA.names},
        )
    deltalake.convert_to_deltalake(table, collect_stats=False)
    deltalake.write_deltalake(root / "gold" / "releases", _release(rows))


_SCHEMA: Final = pa.schema(
    {
        "sample_id": pa.string(),
        "image_id": pa.string(),
        "image": pa.binary(),
        "alt_text": pa.string(),
        "long_positive": pa.string(),
        "short_positive": pa.list_(pa.string()),
        "long_negative": pa.string(),
        "short_negative": pa.list_(pa.string()),
        "tag_ids": pa.list_(pa.int32()),
        "vocabulary": pa.string(),
        "split": pa.string(),
        "bucket": pa.int32(),
    }
)


def _row(
    number: int, photos: Sequence[Photo], vocabulary: Sequence[str], draw: random.Random, side: int
) -> dict[str, Any]:
    image = _crop(draw.choice(photos), draw, side)
    return {
        "sample_id": hashlib.sha256(f"sample {number}".encode()).hexdigest(),
        "image_id": hashlib.sha256(image).hexdigest(),
        "image": image,
        "alt_text": " ".join(draw.choices(vocabulary, k=draw.randint(5, 20))),
        "long_positive": " ".join(draw.choices(vocabulary, k=draw.randint(60, 120))),
        "short_positive": draw.choices(vocabulary, k=draw.randint(4, 12)),
        "long_negative": " ".join(draw.choices(vocabulary, k=draw.randint(60, 120))),
        "short_negative": draw.choices(vocabulary, k=draw.randint(4, 12)),
        "tag_ids": sorted(draw.sample(range(TAGS), draw.randint(4, 12))),
        "vocabulary": "v1",
        "split": "train",
        "bucket": number % 1000,
    }


def _crop(photo: Photo, draw: random.Random, side: int) -> bytes:
    height, width = photo.shape[:2]
    size = draw.randint(min(256, height, width), min(height, width))
    top, left = draw.randint(0, height - size), draw.randint(0, width - size)
    piece = cv2.resize(photo[top : top + size, left : left + size], (side, side), interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", piece, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def _photos() -> list[Photo]:
    """Return the photographs in scikit-image's wheel that are large enough."""
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("skimage", name="scikit-image")
    files = sorted(Path(spec.origin).with_name("data").glob("*.[jp][pn]g"))
    return [photo for file in files if (photo := _photo(file)) is not None]


def _photo(file: Path) -> Photo | None:
    photo = cv2.imread(str(file), cv2.IMREAD_COLOR)
    if photo is None or min(photo.shape[:2]) < _SMALLEST:
        return None
    scale = min(1.0, _LONGEST / max(photo.shape[:2]))
    return np.asarray(cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def _words(draw: random.Random) -> list[str]:
    def word() -> str:
        return "".join(draw.choice("bcdfghjklmnprstvwz") + draw.choice("aeiou") for _ in range(draw.randint(1, 4)))

    return [word() for _ in range(4000)]


def _release(rows: int) -> pa.Table:
    line = {
        "release": RELEASE,
        "table_name": "gold.training",
        "table_version": 0,
        "predicate": "",
        "mix": json.dumps({"alt_text": 0.25, "long_positive": 0.5, "short_positive": 0.25}),
        "negatives": json.dumps({"long_negative": 0.5, "short_negative": 0.5}),
        "seed": 0,
        "vocabulary": "v1",
        "tag_count": TAGS,
        "train_rows": rows,
        "held_out_rows": 0,
        "digest": "bench",
        "released_at": datetime.now(UTC),
        "run_id": "bench",
    }
    types = {"tag_count": pa.int32(), "released_at": pa.timestamp("us", "UTC")}
    return pa.table({name: pa.array([value], types.get(name)) for name, value in line.items()})


def ids_of(root: Path) -> Iterator[str]:
    """Yield the ids of all rows."""
    for file in sorted((root / "gold" / "training").glob("*.parquet")):
        yield from pq.read_table(file, columns=["sample_id"]).column("sample_id").to_pylist()
