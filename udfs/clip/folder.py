"""A model's folder seen from its files alone: what is in it, and whether it can be trained and loaded here."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lakehouse.errors import BadInput
from udfs.clip.sizes import ARCHITECTURES

Place = str | os.PathLike[str]

_TOKENIZERS: Final = ("tokenizer.json", "spiece.model", "vocab.json", "vocab.txt")
_MAX_TOKENS: Final = {"clip": 77, "siglip": 64}
_IMAGE_SIZE: Final = 224
"""What a configuration of transformers means that does not say it."""
_OTHER_WEIGHTS: Final = ("*pytorch_model*.bin", "*.pth", "*.ckpt", "tf_model*", "flax_model*")


@dataclass(frozen=True)
class Folder:
    """What ``save_pretrained`` of transformers has left in a folder, or somebody by hand."""

    path: Path
    architecture: str
    image_size: int
    max_tokens: int
    has_weights: bool
    has_tokenizer: bool


def read_folder(place: Place) -> Folder:
    """Return what is in a folder.

    Raises:
        BadInput: it has no model, one of another architecture, or weights in a format that is not read
    """
    path = Path(place)
    config = _config(path)
    if config.get("model_type") not in ARCHITECTURES:
        known = " or ".join(ARCHITECTURES)
        raise BadInput(f"{str(path)!r} is a model of type {config.get('model_type')!r}: expected {known}")
    has_weights = any(path.glob("model*.safetensors"))
    if not has_weights and any(file for pattern in _OTHER_WEIGHTS for file in path.glob(pattern)):
        raise BadInput(
            f"no model.safetensors in {str(path)!r}: weights in other formats can run code, and are not read"
        )
    return Folder(
        path,
        config["model_type"],
        image_size=_image_size(path, config.get("vision_config") or {}),
        max_tokens=_max_tokens(config),
        has_weights=has_weights,
        has_tokenizer=any((path / name).exists() for name in _TOKENIZERS),
    )


def check_folder(place: Place) -> Folder:
    """Return what is in a folder; raise BadInput unless it is a model with its weights and its tokenizer."""
    folder = read_folder(place)
    if not folder.has_weights:
        raise BadInput(f"no weights in {os.fspath(place)!r}: expected model.safetensors beside config.json")
    if not folder.has_tokenizer:
        raise BadInput(f"no tokenizer in {os.fspath(place)!r}: expected tokenizer.json beside the weights")
    return folder


def weights_digest(place: Place) -> str:
    """Return the SHA-256, in hex, of the weights in a folder, of several files as if they were one.

    It is the ``checkpoint`` of ``gold.evaluations``. Raises BadInput where there are no weights.
    """
    files = sorted(Path(place).glob("model*.safetensors"))
    if not files:
        raise BadInput(f"no model in {os.fspath(place)!r}: expected a folder with config.json and model.safetensors")
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as weights:
            hashlib.file_digest(weights, lambda: digest)
    return digest.hexdigest()


def _config(path: Path) -> dict[str, Any]:
    file = path / "config.json"
    if not file.is_file():
        raise BadInput(f"no model in {str(path)!r}: expected a folder with config.json and model.safetensors")
    try:
        return dict(json.loads(file.read_text()))
    except (ValueError, TypeError):
        raise BadInput(f"cannot read {str(file)!r}: expected a JSON object") from None


def _max_tokens(config: dict[str, Any]) -> int:
    told = (config.get("text_config") or {}).get("max_position_embeddings")
    return int(told or _MAX_TOKENS[config["model_type"]])


def _image_size(path: Path, vision: dict[str, Any]) -> int:
    told = vision.get("image_size") or _IMAGE_SIZE
    sides = {told} if isinstance(told, int) else set(told)
    if len(sides) != 1:
        raise BadInput(f"{str(path)!r} sees images of {told} pixels: expected squares")
    return int(sides.pop())
