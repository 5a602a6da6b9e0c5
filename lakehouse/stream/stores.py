"""Opens the file system that a table lies in: this machine's, or an object store with the settings of deltalake."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pyarrow import fs

from lakehouse.errors import StreamError

_S3: Final = re.compile(r"^s3[an]?://")
_CONNECT_S, _REQUEST_S = 10, 60
"""Seconds to wait for a bucket: pyarrow alone waits for as long as the server likes."""

_S3_OPTIONS: Final[Mapping[str, str]] = {
    "access_key_id": "access_key",
    "secret_access_key": "secret_key",
    "session_token": "session_token",
    "region": "region",
    "endpoint": "endpoint_override",
    "endpoint_url": "endpoint_override",
}
"""Name of a setting in deltalake, without ``aws_``, to its name in pyarrow. What is not given is the environment's."""


def open_store(uri: str, storage_options: Mapping[str, str] | None = None) -> fs.FileSystem:
    """Return the file system of ``uri``; for S3 with ``storage_options`` under the names that deltalake gives them.

    Other stores than S3 take their credentials from the environment.
    """
    if urlsplit(uri).scheme in ("", "file"):
        return fs.LocalFileSystem()
    if _S3.match(uri):
        return fs.S3FileSystem(
            **s3_settings(storage_options or {}), connect_timeout=_CONNECT_S, request_timeout=_REQUEST_S
        )
    try:
        return fs.FileSystem.from_uri(uri)[0]
    except (ValueError, OSError) as error:
        raise StreamError(f"cannot read from {uri!r}: {error}") from None


def s3_settings(storage_options: Mapping[str, str]) -> dict[str, Any]:
    """Return what pyarrow's S3 is told.

    >>> s3_settings({"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9000"})
    {'region': 'us-east-1', 'endpoint_override': 'http://127.0.0.1:9000'}
    """
    plain = {name.lower().removeprefix("aws_"): value for name, value in storage_options.items()}
    told: dict[str, Any] = {_S3_OPTIONS[name]: value for name, value in plain.items() if name in _S3_OPTIONS}
    if plain.get("virtual_hosted_style_request", "").lower() in ("true", "1"):
        told["force_virtual_addressing"] = True
    return told
