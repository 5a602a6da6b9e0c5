"""Names of colours: thirteen everyday words, given to a pixel by its nearest example as people see distance."""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

# A few examples a word, dark to light, so that navy is blue and olive is green.
EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "red": ("#ff0000", "#c81414", "#8b0000", "#dc5050"),
    "orange": ("#ff7f00", "#ffa030", "#e0661a"),
    "yellow": ("#ffff00", "#ffd700", "#fff080", "#c8b400"),
    "green": ("#00c800", "#00ff00", "#006400", "#6b8e23", "#90e090", "#2e8b57", "#3c4a1e"),
    "teal": ("#00ffff", "#008080", "#40d0c8", "#004c4c"),
    "blue": ("#0000ff", "#000080", "#4070e0", "#80c0f0", "#1e90ff", "#50789b"),
    "purple": ("#800080", "#7030c0", "#4b0082", "#b090e0", "#9b30ff"),
    "pink": ("#ffb6c1", "#ff69b4", "#ff1493", "#ff00ff", "#e090b0"),
    "brown": ("#8b4513", "#5a3214", "#a0622d", "#b47850", "#3c2010"),
    "beige": ("#f0e0c0", "#d8c09a", "#ffe8d0"),
    "black": ("#000000", "#1c1c1c"),
    "grey": ("#808080", "#505050", "#a8a8a8", "#cccccc"),
    "white": ("#ffffff", "#f2f2f2"),
}
"""Word to examples of it, as red, green and blue in hexadecimal."""

NAMES: Final = tuple(EXAMPLES)
_STEPS = 32
"""Levels a channel in the table of names: 5 bits."""

MIN_SHARE: Final = 0.05
"""Share of the visible pixels from which a colour is a main one."""


def main_colours(pixels: NDArray[np.uint8], *, at_most: int = 3) -> tuple[str, ...]:
    """Return the names of the most frequent colours of ``pixels`` (n x 3, sRGB), most frequent first.

    A colour of less than MIN_SHARE is left out, unless it is the most frequent. No pixels have no colours.

    >>> main_colours(np.array([[250, 10, 10]] * 3 + [[0, 0, 120]], dtype=np.uint8))
    ('red', 'blue')
    """
    if not len(pixels):
        return ()
    steps = pixels.astype(np.int32) >> 3
    cells = (steps[:, 0] * _STEPS + steps[:, 1]) * _STEPS + steps[:, 2]
    counts = np.bincount(_names_of_cells()[cells], minlength=len(NAMES))
    ranked = np.argsort(-counts, kind="stable")[:at_most]
    least = min(MIN_SHARE * len(pixels), counts[ranked[0]])
    return tuple(NAMES[rank] for rank in ranked if counts[rank] and counts[rank] >= least)


@cache
def _names_of_cells() -> NDArray[np.uint8]:
    """Return the index of the name of each of the 32 x 32 x 32 cells of sRGB, by the example nearest to its middle."""
    middles = (np.indices((_STEPS,) * 3).reshape(3, -1).T * 8 + 3.5).astype(np.float64)
    examples = np.array([_parsed(code) for codes in EXAMPLES.values() for code in codes], dtype=np.float64)
    owners = np.repeat(np.arange(len(NAMES)), [len(codes) for codes in EXAMPLES.values()])
    middles, examples = _in_oklab(middles), _in_oklab(examples)
    distances = ((middles[:, None, :] - examples[None, :, :]) ** 2).sum(axis=2)
    nearest: NDArray[np.uint8] = owners[distances.argmin(axis=1)].astype(np.uint8)
    return nearest


def _parsed(code: str) -> tuple[int, int, int]:
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def _in_oklab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sRGB colours (n x 3, 0 to 255) in Oklab (B. Ottosson, 2020), where distance is about what eyes see."""
    share = rgb / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [[0.4122214708, 0.2119034982, 0.0883024619], [0.5363325363, 0.6806995451, 0.2817188376],
         [0.0514459929, 0.1073969566, 0.6299787005]]
    )  # fmt: skip
    lab: NDArray[np.float64] = np.cbrt(cones) @ np.array(
        [[0.2104542553, 1.9779984951, 0.0259040371], [0.7936177850, -2.4285922050, 0.7827717662],
         [-0.0040720468, 0.4505937099, -0.8086757660]]
    )  # fmt: skip
    return lab
