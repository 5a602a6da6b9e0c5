"""Tokenizers that load in a moment: a worker process imports their module, and PyTorch takes seconds to load."""

import os

import numpy as np
import numpy.typing as npt


class Light:
    """As much of a tensor as is asked of one."""

    def __init__(self, array: npt.NDArray[np.int64]) -> None:
        self.array = array

    def numpy(self) -> npt.NDArray[np.int64]:
        return self.array


def letters(texts: list[str]) -> Light:
    """Return of each text its first letter's number and its length."""
    return Light(np.array([[ord(text[0]), len(text)] for text in texts]))


def dies(texts: list[str]) -> Light:
    """End the process."""
    os._exit(len(texts))
