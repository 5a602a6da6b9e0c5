"""How a captioner is tuned: every setting, with its help."""

from dataclasses import dataclass, fields
from typing import Annotated, Any

from lakehouse.cli import FROM_ZERO, POSITIVE, SHARE
from lakehouse.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How to tune. HQ-CLIP does not say how its captioner was: the defaults are ours, and usual for models of 7B."""

    steps: Annotated[int, "steps to train; 0 for as many as --epochs come to", FROM_ZERO] = 0
    epochs: Annotated[float, "times over the seeds", POSITIVE] = 2.0
    batch_size: Annotated[int, "seeds a step", POSITIVE] = 32
    micro_batch: Annotated[
        int, "seeds that the student is given at one time: the gradients of a step are added up", POSITIVE
    ] = 4
    learning_rate: Annotated[
        float, "at its peak, behind which it falls along a cosine; adapters want ten times more", POSITIVE
    ] = 1e-5
    warmup: Annotated[float, "share of the steps over which the learning rate rises", SHARE] = 0.03
    weight_decay: Annotated[float, "of matrices", FROM_ZERO] = 0.0
    lora_rank: Annotated[
        int, "tune adapters of this rank, merged at the end (needs the extra lora); 0 tunes the weights", FROM_ZERO
    ] = 0
    train_vision: Annotated[bool, "tune the image encoder too, which is left as it is otherwise"] = False
    gradient_checkpointing: Annotated[bool, "compute more, and hold less in memory"] = False
    max_tokens: Annotated[int, "a seed with more, its image's included, is left out", POSITIVE] = 4096
    checkpoint_every: Annotated[int, "steps between two checkpoints, from which a run that died goes on", POSITIVE] = (
        200
    )
    seed: Annotated[int, "seed of order, adapters and dropout", FROM_ZERO] = 0


def settings_of(recipe: Recipe) -> dict[str, Any]:
    """Return what of ``recipe`` can change the weights, by name."""
    return {one.name: getattr(recipe, one.name) for one in fields(Recipe) if one.name != "checkpoint_every"}


def steps_of(recipe: Recipe, seeds: int) -> int:
    """Return how many steps ``recipe`` takes over so many seeds.

    >>> steps_of(Recipe(epochs=1.5, batch_size=4), 10)
    4
    """
    return recipe.steps or max(1, round(recipe.epochs * seeds / recipe.batch_size))


def check_count(seeds: int, held_out: float, recipe: Recipe, *, what: str) -> None:
    """Raise BadInput where so many seeds do not fill a step, or hold no one out who should be; ``what`` they are."""
    wanted = recipe.batch_size + bool(held_out)
    if seeds < wanted:
        raise BadInput(f"{seeds:,} {what}: expected {wanted:,} or more, which --batch-size {recipe.batch_size} takes")
