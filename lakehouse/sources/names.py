"""What a file name says: safe or not, hidden or not, an image or not."""

import re
from typing import Final

IMAGE_ENDINGS: Final = ("jpg", "jpeg", "png", "webp", "gif")
"""Endings of the images that are read, in any case."""

OTHER_IMAGES: Final = ("avif", "bmp", "heic", "heif", "ico", "jp2", "jxl", "svg", "tif", "tiff")
"""Endings of images that are turned away, so that nobody looks for them in vain."""

_HIDDEN = ("__MACOSX", "_temporary", "_delta_log", "_spark_metadata")
_DRIVE = re.compile(r"[A-Za-z]:")


def is_unsafe(name: str) -> bool:
    r"""Say whether a relative name leaves its folder: absolute, with a drive, or by ``..``.

    >>> [is_unsafe(name) for name in ("a/b.jpg", "a..b.jpg", "../b.jpg", "/b.jpg", r"a\\..\\b.jpg", "c:b.jpg")]
    [False, False, True, True, True, True]
    """
    parts = re.split(r"[/\\]", name)
    return parts[0] == "" or ".." in parts or bool(_DRIVE.match(name)) or "\0" in name


def is_hidden(part: str) -> bool:
    """Say whether a file or folder of this name belongs to a system or a program, not to the data.

    >>> [is_hidden(part) for part in ("a.jpg", ".a.jpg", "__MACOSX", "_italy.png")]
    [False, True, True, False]
    """
    return part.startswith(".") or part in _HIDDEN


def ending(name: str) -> str:
    """Return what stands after the last dot of the base name, in lower case, or an empty text."""
    base = name.rpartition("/")[2]
    return base.rpartition(".")[2].lower() if "." in base else ""


def stem(name: str) -> str:
    """Return the name without its ending: the stem that an image and its sidecar share."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + (base.rpartition(".")[0] or base)


def split_key(name: str) -> tuple[str, str]:
    """Return WebDataset's key and field of a member: the name up to the first dot of the base name, and the rest.

    >>> split_key("a.b/0001.seg.PNG")
    ('a.b/0001', 'seg.png')
    """
    folder, slash, base = name.rpartition("/")
    key, _, field = base.partition(".")
    return folder + slash + key, field.lower()
