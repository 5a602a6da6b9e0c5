"""A training before it begins: what it starts from, what it is fed, and how it learns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lakehouse.errors import BadInput
from udfs.clip.presets import Scale
from udfs.clip.recipe import Recipe
from udfs.clip.start import Start


@dataclass(frozen=True)
class Plan:
    """What is to be trained.

    Attributes:
        start, scale, recipe: the model, how much of what size of step, and how
        mix, negatives: weights of text columns as people write them; empty for the release's own
        max_steps: where it ends at the latest, 0 for no limit
        checkpoint_minutes: how often it is kept where it is
        settings: all that its result depends on, by the names of flags
    """

    start: Start
    scale: Scale
    recipe: Recipe
    mix: str
    negatives: str
    max_steps: int
    checkpoint_minutes: float
    settings: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.recipe.smoothing and self.start.architecture == "siglip":
            raise BadInput("--label-smoothing is of CLIP's loss, a softmax: expected 0 for a SigLIP model")
