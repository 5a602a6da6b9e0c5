"""A journal in a bucket: what is in it is read and removed through S3 as it is on a disk, and is not paid again."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.chat_server import ChatServer
from lakehouse.journal import journal_files, open_journal, read_records, remove_files
from tests.chat import serving
from tests.servers.running import environment, running
from tests.udfs.test_ask import answers


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    folder = environment("moto", gigabytes=0.2)

    def command(port: int) -> list[str | Path]:
        return [folder / "bin" / "moto_server", "-p", str(port)]

    with running(folder, command, model="", health="moto-api/") as server:
        yield f"http://127.0.0.1:{server.port}"


@pytest.fixture
def bucket(address: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a new bucket, as Spark calls it."""
    keys = {"AWS_ACCESS_KEY_ID": "anyone", "AWS_SECRET_ACCESS_KEY": "anything", "AWS_REGION": "us-east-1"}
    for name, value in (keys | {"AWS_ENDPOINT_URL": address}).items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{abs(hash(request.node.name))}"
    with urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT")):
        return f"s3a://{name}/lake/_journal/describe-0123456789abcdef"


def test_what_was_kept_is_read_and_removed(bucket: str) -> None:
    assert journal_files(bucket) == ()
    journal = open_journal(bucket)
    records = [{"kind": "answer", "request_key": str(number)} for number in range(5)]
    for record in records[:3]:
        journal.write(record)
        journal.keep()
    assert list(read_records(journal_files(bucket))) == records[:3]
    for record in records[3:]:
        journal.write(record)
    journal.close()
    files = journal_files(bucket)
    assert (len(files), list(read_records(files))) == (4, records)
    remove_files(files[:1])
    assert list(read_records(journal_files(bucket))) == records[1:]


def test_answers_in_a_bucket_are_not_paid_again(bucket: str) -> None:
    server = ChatServer()
    with serving(server) as model:
        first = answers(model, bucket)
        paid = len(server.served)
        assert answers(model, bucket) == first
    assert paid == len(first) == len(server.served)
