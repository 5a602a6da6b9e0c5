"""Suites that others made, as they lie on disk: captions, SugarCrepe's and Winoground's JSON, prompt templates."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

from lakehouse.errors import BadInput

TEMPLATES: Final = ("a photo of a {}.",)
"""What CLIP's paper asks where nothing is known of a data set (Radford et al. 2021, section 3.1.4)."""

MAX_BYTES: Final = 64 << 20
"""A larger image is not opened."""

_SUFFIXES: Final = ("", ".png", ".jpg")
_SPLIT: Final = "test"


@dataclass(frozen=True)
class HardNegative:
    """An image with a text that is true of it and one that is not."""

    image: str
    true: str
    false: str


@dataclass(frozen=True)
class Exchange:
    """Winoground's example: the first text is of the first image, the second one of the second."""

    images: tuple[str, str]
    texts: tuple[str, str]


def read_templates(file: Path) -> tuple[str, ...]:
    """Return the templates in ``file``, a line each, blank ones left out; each has ``{}`` where a class's name goes."""
    lines = [(number, line.strip()) for number, line in enumerate(_text(file).splitlines(), start=1)]
    templates = [(number, line) for number, line in lines if line]
    for number, line in templates:
        if "{}" not in line and "{c}" not in line:
            raise BadInput(f"bad template {line!r} in line {number} of {str(file)!r}: expected {{}} for the class")
    if not templates:
        raise BadInput(f"no template in {str(file)!r}: expected lines such as a photo of a {{}}.")
    return tuple(line for _, line in templates)


def read_captions(file: Path) -> dict[str, list[str]]:
    """Return the captions of each image in ``file``, by its path.

    The file is JSON: image path to captions; or Karpathy's splits, of which the images of ``test`` are taken where
    splits are named; or COCO's own, with ``images`` and ``annotations``.
    """
    found = _json(file)
    if not isinstance(found, dict) or not found:
        raise _bad_captions(file, "the whole")
    if isinstance(found.get("annotations"), list):
        captions = _of_coco(file, found)
    elif isinstance(found.get("images"), list):
        captions = _of_karpathy(file, found["images"])
    else:
        captions = {name: [own] if isinstance(own, str) else own for name, own in found.items()}
    for name, own in captions.items():
        if not isinstance(own, list) or not own or not all(_is_text(text) for text in own):
            raise _bad_captions(file, repr(name))
    return captions


def read_hard_negatives(path: Path) -> dict[str, list[HardNegative]]:
    """Return what is in each of the JSON files at ``path``, a folder or one file, by the file's name without suffix.

    A file is SugarCrepe's: an object, or a list, of objects with filename, caption and negative_caption.
    """
    files = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not files:
        raise BadInput(f"no JSON file in {str(path)!r}: expected SugarCrepe's, such as add_att.json")
    return {file.stem: _hard_negatives(file) for file in files}


def read_winoground(path: Path) -> list[Exchange]:
    """Return the examples at ``path``: examples.jsonl, or the folder that it is in, or a JSON list of such lines."""
    file = next((path / name for name in ("examples.jsonl", "examples.json") if (path / name).exists()), path)
    if file.is_dir():
        raise BadInput(f"no examples.jsonl in {str(path)!r}: expected Winoground's")
    found = _lines(file) if file.suffix == ".jsonl" else _json(file)
    names = ("image_0", "image_1", "caption_0", "caption_1")
    if not isinstance(found, list) or not found:
        raise BadInput(f"no example in {str(file)!r}: expected objects with {', '.join(names)}")
    values = [_fields(file, number, one, names) for number, one in enumerate(found)]
    return [Exchange((first, second), (true, other)) for first, second, true, other in values]


def found_images(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return, for each of ``names``, its file in ``folder``; a name without a suffix may have any of an image's.

    Raises BadInput for a name that leads out of the folder, and where files are missing, with how many.
    """
    wanted = list(dict.fromkeys(names))
    for name in wanted:
        parts = PurePosixPath(name).parts
        if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or ".." in parts or "\0" in name:
            raise BadInput(f"bad image {name!r}: expected a path inside {str(folder)!r}")
    found = {
        name: f"{name}{suffix}"
        for name in wanted
        for suffix in reversed(_SUFFIXES)
        if (folder / f"{name}{suffix}").is_file()
    }
    missing = [name for name in wanted if name not in found]
    if missing:
        raise BadInput(f"{len(missing)} of {len(wanted)} images are not in {str(folder)!r}, such as {missing[0]!r}")
    return found


def read_files(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
    """Yield each of ``names`` with the bytes of its file in ``folder``, None for a file over ``MAX_BYTES``."""
    for name in names:
        file = folder / name
        yield name, file.read_bytes() if file.stat().st_size <= MAX_BYTES else None


def digest_of(folder: Path, files: Iterable[str], *more: str) -> str:
    """Return 12 hex digits over ``more`` and the names and sizes of ``files``: another suite has another.

    An image that is exchanged for one of the same size goes unseen: to read all of them would take as long as to
    measure.
    """
    lines = [*more, *(f"{name}\0{(folder / name).stat().st_size}" for name in sorted(files))]
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()[:12]


def _hard_negatives(file: Path) -> list[HardNegative]:
    found = _json(file)
    entries = (
        list(found.items()) if isinstance(found, dict) else list(enumerate(found)) if isinstance(found, list) else []
    )
    if not entries:
        raise BadInput(f"no entry in {str(file)!r}: expected objects with filename, caption and negative_caption")
    names = ("filename", "caption", "negative_caption")
    return [HardNegative(*_fields(file, place, one, names)) for place, one in entries]


def _fields(file: Path, place: object, entry: Any, names: Sequence[str]) -> list[str]:
    values: list[Any] = [entry.get(name) for name in names] if isinstance(entry, dict) else []
    if not values or not all(_is_text(value) for value in values):
        raise BadInput(f"bad entry {place} of {str(file)!r}: expected {', '.join(names)}, each a text")
    return values


def _of_karpathy(file: Path, images: Sequence[Any]) -> dict[str, Any]:
    if not all(isinstance(one, dict) and _is_text(one.get("filename")) for one in images):
        raise _bad_captions(file, "an image")
    splits = {str(one["split"]) for one in images if one.get("split")}
    if splits and _SPLIT not in splits:
        raise BadInput(f"no image of split {_SPLIT!r} in {str(file)!r}: there are {', '.join(sorted(splits))}")
    own = [one for one in images if not splits or one.get("split") == _SPLIT]
    return {str(PurePosixPath(str(one.get("filepath") or ""), one["filename"])): _raw(one) for one in own}


def _raw(image: Mapping[str, Any]) -> Any:
    sentences = image.get("sentences")
    return (
        [one.get("raw") if isinstance(one, dict) else one for one in sentences] if isinstance(sentences, list) else None
    )


def _of_coco(file: Path, found: Mapping[str, Any]) -> dict[str, Any]:
    try:
        names = {one["id"]: str(one["file_name"]) for one in found["images"]}
        captions: dict[str, Any] = {}
        for one in found["annotations"]:
            captions.setdefault(names[one["image_id"]], []).append(one["caption"])
    except (KeyError, TypeError) as error:
        raise _bad_captions(file, "an image or annotation") from error
    return captions


def _bad_captions(file: Path, what: str) -> BadInput:
    return BadInput(
        f"cannot read {what} of {str(file)!r}: expected image paths with lists of captions, Karpathy's form or COCO's"
    )


def _lines(file: Path) -> list[Any]:
    return [_parsed(file, line) for line in _text(file).splitlines() if line.strip()]


def _json(file: Path) -> Any:
    return _parsed(file, _text(file))


def _parsed(file: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"cannot read {str(file)!r}: it is no JSON ({error})") from error


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"cannot read {str(file)!r}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"cannot read {str(file)!r}: it is no text in UTF-8") from error


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
