"""A release in a bucket is streamed as from a disk: same rows, same order, deleted rows left out."""

import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pyarrow import fs

from lakehouse.errors import StreamError
from lakehouse.stream import CaptionStream
from lakehouse.stream.stores import s3_settings
from tests.lakehouse.stream.lakes import Lake, flip_a_byte, ids_of, training_rows, write_lake
from tests.servers.running import environment, running


@pytest.fixture(scope="module")
def options() -> Iterator[Mapping[str, str]]:
    """Return settings of a server with an empty bucket ``lakes``."""
    folder = environment("moto", gigabytes=0.2)

    def command(port: int) -> list[str | Path]:
        return [folder / "bin" / "moto_server", "-p", str(port)]

    with running(folder, command, model="", health="moto-api/") as server:
        address = f"http://127.0.0.1:{server.port}"
        with urllib.request.urlopen(urllib.request.Request(f"{address}/lakes", method="PUT")):
            yield {
                "AWS_ACCESS_KEY_ID": "anyone",
                "AWS_SECRET_ACCESS_KEY": "anything",
                "AWS_REGION": "us-east-1",
                "AWS_ENDPOINT_URL": address,
                "AWS_ALLOW_HTTP": "true",
            }


def put(lake: Lake, name: str, options: Mapping[str, str]) -> str:
    """Copy a lake into the bucket; return where it lies."""
    bucket = fs.S3FileSystem(**s3_settings(options))
    for file in filter(Path.is_file, lake.path.rglob("*")):
        with bucket.open_output_stream(f"lakes/{name}/{file.relative_to(lake.path)}") as sink:
            sink.write(file.read_bytes())
    return f"s3a://lakes/{name}"


def stream(root: str, options: Mapping[str, str]) -> CaptionStream:
    return CaptionStream(root, release="demo", batch_size=16, image_size=32, storage_options=options, threads=2)


def test_a_bucket_gives_the_batches_of_the_disk(tmp_path: Path, options: Mapping[str, str]) -> None:
    lake = write_lake(tmp_path / "lake", training_rows(300), deleted={0: [0, 17]}, train_rows=268)
    local = CaptionStream(lake.path, release="demo", batch_size=16, image_size=32)
    assert ids_of(stream(put(lake, "whole", options), options)) == ids_of(local)


def test_a_flipped_byte_is_found_in_a_bucket(tmp_path: Path, options: Mapping[str, str]) -> None:
    lake = write_lake(tmp_path / "lake", training_rows(300))
    flip_a_byte(lake.files[1], row_group=2, column="image")
    found = stream(put(lake, "damaged", options), options)
    list(found)
    assert found.counters.skipped["corrupt_row_group"] > 0


def test_a_lake_that_is_not_there_is_an_error(options: Mapping[str, str]) -> None:
    with pytest.raises(StreamError, match=r"no Delta table at 's3a://lakes/nothing/gold/releases'"):
        stream("s3a://lakes/nothing", options)
