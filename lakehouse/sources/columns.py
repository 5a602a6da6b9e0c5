"""Which column, key or field of a source holds what."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

IMAGE: Final = ("image", "jpg", "jpeg", "png", "webp", "img", "image_bytes", "bytes")
ALT_TEXT: Final = ("alt_text", "alt", "text", "caption", "title")
URL: Final = ("url", "image_url")
LICENCE: Final = ("licence", "license")
FILE_NAME: Final = ("file_name", "filename", "image", "path", "image_path", "file")
"""Names that are looked for, best first, in any case."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns to read; None looks for the usual ones.

    The same names are looked for in Parquet and Delta columns, in captions files and in JSON sidecars. In a captions
    file ``image`` names the column with the image's file name. ``id`` is never looked for: only who knows the data
    knows that a column is unique, and one that is not gives two rows one name. Without it rows are named by place.
    """

    image: str | None = None
    alt_text: str | None = None
    url: str | None = None
    licence: str | None = None
    id: str | None = None


def find(names: Iterable[str], wanted: str | None, usual: Iterable[str]) -> str | None:
    """Return the name to read: ``wanted`` if it is there, else the best of the usual ones that is, else None.

    >>> find(["URL", "TEXT"], None, ALT_TEXT)
    'TEXT'
    """
    present = list(names)
    if wanted is not None:
        return wanted if wanted in present else None
    by_lower = {name.lower(): name for name in reversed(present)}
    return next((by_lower[name] for name in usual if name in by_lower), None)
