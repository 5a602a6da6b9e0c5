"""Images as models want them: from 0 to 255 in uint8 to numbers around zero, on the device that computes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch


@dataclass(frozen=True, eq=False)
class Scaling:
    """``image * scale + shift`` for each of three channels: normalising by mean and deviation, as one step."""

    scale: torch.Tensor
    shift: torch.Tensor

    @classmethod
    def of(cls, mean: Sequence[float], std: Sequence[float]) -> Self:
        """Return what takes mean and deviation, of values from 0 to 1, out of values from 0 to 255."""
        means, deviations = torch.tensor(mean), torch.tensor(std)
        return cls(1 / (255 * deviations), -means / deviations)

    def __call__(self, image: torch.Tensor, device: torch.device | str) -> torch.Tensor:
        """Return ``image`` (rows, 3, side, side) as float32 on ``device``, where it is moved in a quarter of the bytes.

        The copy is done when this returns: the stream uses the batch's memory again.
        """
        scale, shift = (one.to(device).view(1, -1, 1, 1) for one in (self.scale, self.shift))
        return image.to(device).float().mul_(scale).add_(shift)
