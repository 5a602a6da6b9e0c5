"""A training before it begins: what it starts from, what it is fed, and how it learns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import BadInput
from udfs.clip.feed import Feed
from udfs.clip.presets import Scale
from udfs.clip.recipe import Recipe
from udfs.clip.start import Start


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes:
        start, scale, recipe, feed: the model, how much of what size of step, how, and of what of a row
        max_steps: where it ends at the latest, 0 for no limit
        checkpoint_minutes: how often it is kept where it is
        settings: all that its result depends on, by the names of flags
    """

    start: Start
    scale: Scale
    recipe: Recipe
    feed: Feed
    max_steps: int
    checkpoint_minutes: float
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.recipe.smoothing and self.start.architecture == "siglip":
            raise BadInput("--label-smoothing is of CLIP's loss, a softmax: expected 0 for a SigLIP model")
