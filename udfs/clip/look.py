"""How a model wants its images: side, scaling, and what becomes of a picture that is no square."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lakehouse.clip_colours import CLIP_MEAN, CLIP_STD, Colour
from lakehouse.errors import BadInput


@dataclass(frozen=True)
class Look:
    """Images of ``side`` x ``side`` pixels, scaled by mean and spread of R, G, B in [0, 1].

    ``is_cropped`` says that the middle of the picture is taken; else the whole is squeezed into the square.
    """

    side: int
    mean: Colour = CLIP_MEAN
    std: Colour = CLIP_STD
    is_cropped: bool = True


LOOKS: Final[Mapping[str, Look]] = {
    "clip": Look(224),
    "siglip": Look(224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), is_cropped=False),
}
"""By architecture, as its authors have it."""


def read_look(folder: Path, default: Look) -> Look:
    """Return what the image processor in ``folder`` says, and of what it does not say the ``default``.

    Raises BadInput where it makes images of another size than the ``default``, which is the model's.
    """
    told = _processor(folder)
    side = _side(told)
    if side not in (None, default.side):
        raise BadInput(
            f"the image processor in {str(folder)!r} makes images of {side} pixels: expected {default.side}, as the "
            "model has it"
        )
    is_square = "height" in _size(told.get("size")) and not told.get("do_center_crop")
    return Look(
        default.side,
        mean=_colour(told.get("image_mean"), default.mean),
        std=_colour(told.get("image_std"), default.std),
        is_cropped=not is_square if told else default.is_cropped,
    )


def _processor(folder: Path) -> dict[str, Any]:
    """Return what is saved of an image processor: on its own or, since transformers 5, inside the processor's file."""
    own, whole = folder / "preprocessor_config.json", folder / "processor_config.json"
    try:
        if own.exists():
            return dict(json.loads(own.read_text()))
        return dict(json.loads(whole.read_text()).get("image_processor", {})) if whole.exists() else {}
    except (ValueError, TypeError, AttributeError):
        raise BadInput(f"cannot read the image processor in {str(folder)!r}: expected JSON objects") from None


def _side(told: Mapping[str, Any]) -> int | None:
    size = _size(told.get("crop_size") if told.get("do_center_crop") else None) or _size(told.get("size"))
    return next((int(size[key]) for key in ("height", "shortest_edge") if key in size), None)


def _size(told: Any) -> Mapping[str, int]:
    """Return a size as a mapping: older processors have one number."""
    return {"shortest_edge": told} if isinstance(told, int) else told or {}


def _colour(told: Any, default: Colour) -> Colour:
    if told is None:
        return default
    red, green, blue = map(float, told)
    return red, green, blue
