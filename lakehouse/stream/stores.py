"""Opens the file system that a table lies in: this machine's, or an object store with the settings of deltalake."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote, urlsplit

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


_S3_SWITCHES: Final[Mapping[str, str]] = {
    "virtual_hosted_style_request": "force_virtual_addressing",
    "skip_signature": "anonymous",
}


def open_store(uri: str, storage_options: Mapping[str, str] | None = None) -> tuple[fs.FileSystem, str]:
    """Return the file system of a percent-encoded ``uri``, and the path in it, without a slash at its end.

    S3 takes ``storage_options`` under the names that deltalake gives them; other stores take their credentials from
    the environment alone, and options for them are refused: the log would be read with them and the rows without.
    """
    options, scheme = storage_options or {}, urlsplit(uri).scheme
    if scheme in ("", "file"):
        return fs.LocalFileSystem(), _path(uri)
    if _S3.match(uri):
        store = fs.S3FileSystem(**s3_settings(options), connect_timeout=_CONNECT_S, request_timeout=_REQUEST_S)
        return store, _path(uri)
    if options:
        raise StreamError(f"storage_options are passed on to S3 alone: put those of {scheme}:// into the environment")
    try:
        store, path = fs.FileSystem.from_uri(uri)
    except (ValueError, OSError) as error:
        raise StreamError(f"cannot read from {uri!r}: {error}") from None
    return store, path.rstrip("/")


def _path(uri: str) -> str:
    """Return the path within a disk or, with the bucket, within S3."""
    return unquote(uri.split("://", 1)[-1]).rstrip("/")


def s3_settings(storage_options: Mapping[str, str]) -> dict[str, Any]:
    """Return what pyarrow's S3 is told.

    >>> s3_settings({"AWS_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://127.0.0.1:9000"})
    {'region': 'us-east-1', 'endpoint_override': 'http://127.0.0.1:9000'}
    """
    plain = {name.lower().removeprefix("aws_"): value for name, value in storage_options.items()}
    told: dict[str, Any] = {_S3_OPTIONS[name]: value for name, value in plain.items() if name in _S3_OPTIONS}
    for name, ours in _S3_SWITCHES.items():
        if plain.get(name, "").lower() in ("true", "1"):
            told[ours] = True
    return told
