"""Sizes of models by name: how large the two towers are, and of which architecture."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Architecture = Literal["clip", "siglip"]

ARCHITECTURES: Final[tuple[Architecture, ...]] = ("clip", "siglip")
"""The ``model_type`` that a configuration of transformers may have here."""


@dataclass(frozen=True)
class Sizes:
    """How large the two towers are. The defaults train in two minutes on two CPU cores."""

    image_size: int = 64
    patch_size: int = 16
    image_width: int = 128
    image_layers: int = 4
    text_width: int = 128
    text_layers: int = 2
    max_tokens: int = 32
    feature_width: int = 128
    """Of a SigLIP it is the width of both towers."""
    head_width: int = 32
    temperature: float = 0.07
    """Where the learned temperature starts: CLIP's own value. SigLIP's is 0.1, whatever stands here."""
    architecture: Architecture = "clip"


SIZES: Final[Mapping[str, Sizes]] = {
    "small": Sizes(),
    "ViT-B-32": Sizes(224, 32, 768, 12, 512, 12, max_tokens=77, feature_width=512, head_width=64),
    "ViT-B-16": Sizes(224, 16, 768, 12, 512, 12, max_tokens=77, feature_width=512, head_width=64),
    "ViT-L-14": Sizes(224, 14, 1024, 24, 768, 12, max_tokens=77, feature_width=768, head_width=64),
    "small-SigLIP": Sizes(architecture="siglip"),
    "ViT-B-16-SigLIP": Sizes(
        224, 16, 768, 12, 768, 12, max_tokens=64, feature_width=768, head_width=64, architecture="siglip"
    ),
}
"""By the names that open_clip gave them; the small ones are ours."""
