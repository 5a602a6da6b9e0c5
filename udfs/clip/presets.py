"""DataComp's recipes by name, and ours, in each of which flags may differ."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from lakehouse.errors import BadInput
from udfs.clip.recipe import Recipe


@dataclass(frozen=True)
class Scale:
    """What a preset settles: how large a training is, how fast, its views of images, and the weights of further losses.

    Each field is a flag of train_clip. ``image_size`` None takes the model's own; ``samples`` other than 0 are seen in
    all, whatever ``epochs`` says.
    """

    model: str = "small"
    image_size: int | None = None
    vocab_size: int = 4000
    batch_size: int = 128
    epochs: int = 32
    samples: int = 0
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    weight_decay: float = Recipe.weight_decay
    beta2: float = Recipe.beta2
    crop: str = "random"
    flip: bool = True
    hni_weight: float = Recipe.hni_weight
    stc_weight: float = Recipe.stc_weight


_SMALL: Final = Scale(
    "ViT-B-32",
    vocab_size=49_408,
    batch_size=4096,
    samples=12_800_000,
    learning_rate=5e-4,
    warmup_steps=500,
    crop="random_resized",
    flip=False,
    hni_weight=0.0,
    stc_weight=0.0,
)

PRESETS: Final[Mapping[str, Scale]] = {
    "": Scale(),
    "datacomp-small": _SMALL,
    "datacomp-medium": replace(_SMALL, samples=128_000_000),
    "datacomp-large": replace(_SMALL, model="ViT-B-16", batch_size=8192, samples=1_280_000_000),
    "datacomp-xlarge": replace(
        _SMALL,
        model="ViT-L-14",
        batch_size=90_112,
        samples=12_800_000_000,
        learning_rate=1e-3,
        warmup_steps=10_000,
        beta2=0.95,
    ),
}
"""DataComp's four scales (Gadre et al. 2023; ``scale_configs.py`` of mlfoundations/datacomp) and, by no name, ours.

Weight decay, beta2 where DataComp leaves it out, and the views of images (``random_resized``, none mirrored) are those
of open_clip, which it trains by. CLIP's loss is the only one: negatives and tags stay unread. The vocabulary has as
many entries as CLIP's. Which texts are read is the release's mix, as ever: DataComp's are alt-texts alone.
"""


def scale_of(preset: str, **flags: Any) -> Scale:
    """Return the scale of ``preset``, with those fields in its place that ``flags`` give: None is not given.

    A given number of epochs takes the place of the preset's samples.

    >>> scale_of("datacomp-large", batch_size=256, beta2=None).batch_size
    256
    """
    if preset not in PRESETS:
        raise BadInput(f"unknown preset {preset!r}: expected one of {', '.join(filter(None, PRESETS))}")
    given = {name: value for name, value in flags.items() if value is not None}
    by_epochs = {"samples": 0} if "epochs" in given else {}
    return replace(PRESETS[preset], **{**by_epochs, **given})


def check_share(batch_size: int, processes: int) -> None:
    """Raise BadInput unless so many processes can share a batch equally."""
    if batch_size % processes:
        raise BadInput(f"--batch-size {batch_size} is not shared equally by {processes} processes")
