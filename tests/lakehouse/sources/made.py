"""Small real sources to read: images by Pillow, tars by tarfile, and a stream read to its end."""

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from pyspark.sql import DataFrame, Row

Members = Iterable[tuple[str, bytes]]


def image(shade: int = 0, *, kind: str = "PNG") -> bytes:
    """Return a small image; another shade is another image."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade % 256, 3, 4)).save(out, kind)
    return out.getvalue()


def put(folder: Path, **files: bytes) -> None:
    """Write files; ``put(folder, **{"a/b.txt": b"..."})`` makes the folders too."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def tar_of(members: Members, *, format: int = tarfile.PAX_FORMAT) -> bytes:
    """Return an uncompressed tar of plain files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def read_new(stream: DataFrame, checkpoint: Path) -> list[Row]:
    """Return the rows that ``checkpoint`` has not seen, by their names."""
    rows: list[Row] = []
    query = (
        stream.writeStream.option("checkpointLocation", str(checkpoint))
        .foreachBatch(lambda batch, _: rows.extend(batch.collect()))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    return sorted(rows, key=lambda row: str(row["source_uid"]))


def batches_of(stream: DataFrame, checkpoint: Path) -> list[int]:
    """Return how many rows each micro-batch has that ``checkpoint`` has not seen."""
    counts: list[int] = []
    query = (
        stream.writeStream.option("checkpointLocation", str(checkpoint))
        .foreachBatch(lambda batch, _: counts.append(batch.count()))
        .trigger(availableNow=True)
        .start()
    )
    query.awaitTermination()
    return counts


def by_uid(rows: list[Row]) -> dict[str, Row]:
    """Return the rows by their names, which must differ."""
    found = {row["source_uid"]: row for row in rows}
    assert len(found) == len(rows)
    return found
