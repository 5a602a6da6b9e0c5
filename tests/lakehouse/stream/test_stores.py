"""Where a table lies, and how it is reached."""

import pytest
from pyarrow import fs

from lakehouse.errors import StreamError
from lakehouse.stream.stores import open_store, s3_settings


@pytest.mark.parametrize("uri", ["/data/a%20lake", "file:///data/a%20lake/"])
def test_a_folder_is_on_this_machine(uri: str) -> None:
    store, path = open_store(uri)
    assert isinstance(store, fs.LocalFileSystem)
    assert path == "/data/a lake"


def test_a_path_in_s3_begins_with_the_bucket() -> None:
    store, path = open_store("s3a://bucket/a%20lake/", {"AWS_REGION": "us-east-1", "AWS_SKIP_SIGNATURE": "true"})
    assert isinstance(store, fs.S3FileSystem)
    assert path == "bucket/a lake"


def test_a_path_in_azure_begins_with_the_container() -> None:
    _, path = open_store("abfss://container@account.dfs.core.windows.net/lake/gold/")
    assert path == "container/lake/gold"


def test_options_that_would_reach_the_log_alone_are_refused() -> None:
    with pytest.raises(StreamError, match=r"passed on to S3 alone: put those of abfss:// into the environment"):
        open_store("abfss://container@account.dfs.core.windows.net/lake", {"azure_storage_account_key": "a secret"})


def test_settings_are_deltalakes() -> None:
    given = {"aws_access_key_id": "a", "AWS_SECRET_ACCESS_KEY": "b", "skip_signature": "true", "timeout": "5s"}
    assert s3_settings(given) == {"access_key": "a", "secret_key": "b", "anonymous": True}
