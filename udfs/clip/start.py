"""What a training starts from: a size by name, or the folder of a model that transformers reads."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lakehouse.errors import BadInput
from udfs.clip.folder import Folder, check_folder, read_folder, weights_digest
from udfs.clip.sizes import ARCHITECTURES, SIZES, Sizes


@dataclass(frozen=True)
class Start:
    """Where a training starts: random weights of some ``sizes``, or what is in a ``folder``; one of the two is there.

    ``name`` says which; ``revision`` is the SHA-256 of a folder's weights or, where it has none, of its configuration.
    Where the folder lies is no part of either.
    """

    name: str
    image_size: int
    max_tokens: int
    architecture: str
    sizes: Sizes | None = None
    folder: Folder | None = None
    revision: str = ""

    @property
    def has_tokenizer(self) -> bool:
        """Say whether a tokenizer comes with it; else one is trained on the release's texts."""
        return self.folder is not None and self.folder.has_tokenizer


def find_start(model: str, image_size: int | None) -> Start:
    """Return the start that ``model``, a name or a folder, means; ``image_size`` None takes the model's own.

    A folder with weights is trained on, one without begins from random weights.

    Raises:
        BadInput: there is no such model, it cannot be trained here, or it sees images of another size
    """
    if model in SIZES:
        return _named(model, image_size)
    if not model.strip() or not Path(model, "config.json").is_file():
        known = f"{', '.join(SIZES)}, or a folder with config.json of type {' or '.join(ARCHITECTURES)}"
        raise BadInput(f"unknown model {model!r}: expected one of {known}")
    return _of_folder(model, image_size)


def _named(name: str, image_size: int | None) -> Start:
    sizes = SIZES[name]
    side = image_size or sizes.image_size
    if side < sizes.patch_size:
        raise BadInput(f"bad --image-size {side}: {name} sees patches of {sizes.patch_size} pixels")
    return Start(name, side, sizes.max_tokens, sizes.architecture, sizes=sizes)


def _of_folder(model: str, image_size: int | None) -> Start:
    folder = read_folder(model)
    if folder.has_weights:
        check_folder(model)
    if image_size not in (None, folder.image_size):
        raise BadInput(
            f"bad --image-size {image_size}: the model in {model!r} sees images of {folder.image_size} pixels; "
            "leave the flag out"
        )
    return Start(
        folder.path.resolve().name,
        folder.image_size,
        folder.max_tokens,
        folder.architecture,
        folder=folder,
        revision=weights_digest(model) if folder.has_weights else _config_digest(folder),
    )


def _config_digest(folder: Folder) -> str:
    return hashlib.sha256((folder.path / "config.json").read_bytes()).hexdigest()
