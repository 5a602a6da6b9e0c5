"""The smallest CLIP and the smallest SigLIP that still have every part: for tests of what holds at any size."""

from dataclasses import replace

from udfs.clip.model import Sizes

TINY = Sizes(
    image_size=16,
    patch_size=8,
    image_width=16,
    image_layers=1,
    text_width=16,
    text_layers=1,
    max_tokens=16,
    feature_width=8,
    head_width=8,
)

TINY_SIGLIP = replace(TINY, feature_width=16, architecture="siglip")
