"""How a CLIP is trained: rates, weights of losses, arithmetic, memory."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Recipe:
    """How to train. The defaults suit a small model on a few thousand pairs, on two CPU cores.

    HQ-CLIP did not publish the weights of its two losses: ``hni_weight`` and ``stc_weight`` are ours.
    """

    learning_rate: float = 1e-3
    """At its peak: it rises in a line over ``warmup`` of the steps, then falls to zero along a cosine."""
    warmup: float = 0.1
    warmup_steps: int = 0
    """Of the rise, instead of a share of all steps; 0 leaves the share."""
    weight_decay: float = 0.2
    """Of matrices; biases, gains and the temperature do not decay."""
    beta2: float = 0.98
    hni_weight: float = 0.1
    """Of hard-negative identification."""
    stc_weight: float = 0.002
    """Of short-tag classification, which is a sum over tags. 0 leaves tags unread."""
    neg_columns: bool = False
    """Negatives are further texts that no image of the batch must find (NegCLIP). Without these and HNI, unread."""
    smoothing: float = 0.0
    """Of labels, in CLIP's loss; SigLIP's has none."""
    word_dropout: float = 0.0
    """Share of the words of a text that are left out, drawn anew each time it is read; one always stays."""
    ema: float = 0.0
    """What is left of the moving average of the weights at each step, such as 0.9999; 0 makes none. See ``ema``."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; auto takes bfloat16 where there are units for it: CUDA, or AMX on a CPU."""
    micro_batch: int = 0
    """Most images of a process that the image tower sees at a time, 0 for all: less memory, for one forward pass more.

    The distinct texts, negatives among them, are cut into as many parts: up to twice as many at a time.
    """
    gradient_checkpointing: bool = False
    """Keep the input of each layer alone and compute its inner values again, backwards: less memory, a third slower."""
    seed: int = 0

    @property
    def reads_negatives(self) -> bool:
        """Say whether a loss needs negatives."""
        return self.neg_columns or self.hni_weight > 0

    def warmup_of(self, steps: int) -> float:
        """Return the share of ``steps`` over which the rate rises: above 1 where the training ends before."""
        return self.warmup_steps / steps if self.warmup_steps else self.warmup
