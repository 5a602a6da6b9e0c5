"""What CLIP's images are scaled by, for the models that are trained here and for those that come from outside."""

from typing import Final

Colour = tuple[float, float, float]

CLIP_MEAN: Final[Colour] = (0.48145466, 0.4578275, 0.40821073)
"""Mean of red, green and blue, from 0 to 1, of the images that OpenAI's CLIP was trained on."""
CLIP_STD: Final[Colour] = (0.26862954, 0.26130258, 0.27577711)
"""Their standard deviations."""
