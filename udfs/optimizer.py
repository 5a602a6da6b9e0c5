"""What every training here shares: the optimizer, and how its learning rate rises and falls."""

import math
from collections.abc import Iterable

import torch


def adamw(
    weights: Iterable[torch.nn.Parameter], *, learning_rate: float, weight_decay: float, beta2: float, eps: float
) -> torch.optim.Optimizer:
    """Return AdamW over ``weights``, of which matrices alone decay: biases, gains and temperatures do not."""
    own = list(weights)
    groups = [
        {"params": [one for one in own if one.ndim > 1], "weight_decay": weight_decay},
        {"params": [one for one in own if one.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, beta2), eps=eps, fused=True)


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate at ``step``, counted from 0, as a share of its peak; zero from ``steps`` on.

    It rises in a line over the share ``warmup`` of the steps, then falls to zero along a cosine.

    >>> [round(schedule(step, 10, 0.2), 2) for step in range(11)]
    [0.5, 1.0, 1.0, 0.96, 0.85, 0.69, 0.5, 0.31, 0.15, 0.04, 0.0]
    """
    rising = warmup * steps
    if step < rising:
        return (step + 1) / max(rising, 1.0) if rising >= 1 else 1.0
    share = min((step - rising) / max(steps - rising, 1e-9), 1.0)
    return (1 + math.cos(math.pi * share)) / 2
