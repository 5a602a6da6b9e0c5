"""What a URI ``hf://FOLDER-OR-ID`` says: which weights, and how they are asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from lakehouse.errors import UnknownModel
from udfs.uri_settings import Reader, number, on_or_off, one_of, read_query, write_query


@dataclass(frozen=True, kw_only=True)
class HfSettings:
    """A model and how it is asked. Everything but batch size and device can change an answer."""

    model: str
    """A folder that every executor can read, or the id of a model on Hugging Face's hub."""
    revision: str = ""
    """Of an id: the commit. Of a folder: what its contents must come to, if given (see ``udfs.hf.weights``)."""
    max_new_tokens: int = 256
    dtype: str = "auto"
    """Of the weights: float32, bfloat16, float16; auto takes what the device is made for."""
    images: bool = True
    """Whether the model is shown the image; without, it rewrites what the web says of it."""
    max_pixels: int = 1_003_520
    """Images over it are made smaller before the model's own processor has them."""
    batch_size: int = 8
    """Images that the model is given at one time."""
    device: str = "auto"

    @property
    def is_folder(self) -> bool:
        """Whether the weights lie in a folder; what looks like no id is one, even if it is not there."""
        return Path(self.model).is_dir() or not _ID.fullmatch(self.model)

    @property
    def identity(self) -> str:
        """The URI without what cannot change an answer: a folder keeps its name wherever it lies."""
        name = Path(self.model).resolve().name if self.is_folder else self.model
        return f"hf://{name}?{write_query({name: getattr(self, name) for name in _OF_THE_ANSWER})}"


_OF_THE_ANSWER: Final = ("max_new_tokens", "dtype", "images", "max_pixels")
_ID: Final = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
READ: Final[Mapping[str, Reader]] = {
    "revision": str,
    "max_new_tokens": number(int, lambda value: 0 < value <= 1 << 16, "a whole number over 0"),
    "dtype": one_of("auto", "float32", "bfloat16", "float16"),
    "images": on_or_off,
    "max_pixels": number(int, lambda value: value >= 28 * 28, "a whole number, 784 or more"),
    "batch_size": number(int, lambda value: 0 < value <= 4096, "a whole number over 0"),
    "device": one_of("auto", "cpu", "cuda"),
}
"""What may stand behind the question mark of the URI, and how it is read."""


def read_settings(path: str) -> HfSettings:
    """Return what the URI ``hf://path`` says; raise UnknownModel for what cannot be meant.

    >>> read_settings("/models/llava?batch_size=4").batch_size
    4
    """
    model, _, _ = path.partition("?")
    if not model:
        raise UnknownModel(f"unknown model {'hf://' + path!r}: expected hf://FOLDER or hf://ID?revision=COMMIT")
    return HfSettings(model=model, **read_query(f"hf://{path}", READ))


assert set(READ) < {field.name for field in fields(HfSettings)}
