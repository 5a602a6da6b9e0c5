"""The moving average of a model's weights: steadier than the last step's, at no cost but memory."""

import torch
from torch import Tensor, nn


class MovingAverage:
    """An exponential moving average of the weights of a model that is being trained.

    Each step leaves ``decay`` of what was. Early on it is less, (1 + step) / (10 + step) as in TensorFlow's
    ``ExponentialMovingAverage``: an average over 10,000 steps would stay near the random weights it began with.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._means = {name: weights.detach().clone() for name, weights in model.named_parameters()}

    @torch.no_grad()
    def follow(self, model: nn.Module, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        left = min(self._decay, (1 + step) / (10 + step))
        for name, weights in model.named_parameters():
            self._means[name].lerp_(weights, 1 - left)

    @torch.no_grad()
    def put_into(self, model: nn.Module) -> None:
        """Make the average the model's own weights."""
        for name, weights in model.named_parameters():
            weights.copy_(self._means[name])

    def state_dict(self) -> dict[str, Tensor]:
        """Return the average, by the names of the model's weights."""
        return dict(self._means)

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from ``state``."""
        for name, mean in self._means.items():
            mean.copy_(state[name])
