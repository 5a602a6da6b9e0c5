"""What is drawn for an image."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import StreamError
from lakehouse.stream.augment import RandomResizedCrop, View, mirrored, views
from lakehouse.stream.batch import Pixels
from lakehouse.stream.decode import decode_view
from lakehouse.stream.hashing import mixed

KEYS = mixed(np.arange(4000, dtype=np.uint64))


def ramp(height: int, width: int) -> Pixels:
    """Return a JPEG whose red grows to the right and whose green grows downwards, from 0 to 250."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = np.linspace(0, 250, width)[None, :]
    image[..., 1] = np.linspace(0, 250, height)[:, None]
    return np.asarray(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1])


def shown(encoded: Pixels, view: View, side: int = 32) -> Pixels:
    place = np.zeros((side, side, 3), np.uint8)
    assert decode_view(encoded, place, view) is None
    return place


@pytest.mark.parametrize(("area", "aspect"), [(1.0, 1.0), (0.25, 1.0), (0.5, 4 / 3), (0.5, 3 / 4)])
def test_a_resized_window_has_its_share_of_the_image(area: float, aspect: float) -> None:
    place = shown(ramp(240, 240), View(0.5, 0.5, area=area, aspect=aspect)).astype(int)
    width = (place[16, -1, 0] - place[16, 0, 0]) / 250
    height = (place[-1, 16, 1] - place[0, 16, 1]) / 250
    assert abs(width - (area * aspect) ** 0.5) < 0.06
    assert abs(height - (area / aspect) ** 0.5) < 0.06


@given(
    st.integers(1, 60), st.integers(1, 60), st.floats(0.001, 1), st.floats(0.1, 10), st.floats(0, 1, exclude_max=True)
)
def test_every_window_fits_every_image(height: int, width: int, area: float, aspect: float, at: float) -> None:
    view = View(at, at, area=area, aspect=aspect)
    assert shown(ramp(height, width), view, side=8).shape == (8, 8, 3)


def test_the_bounds_of_a_window_hold() -> None:
    crop = RandomResizedCrop(scale=(0.3, 0.6), ratio=(0.5, 2))
    drawn = crop.windows(KEYS)
    assert ((drawn[:, 2] >= 0.3) & (drawn[:, 2] < 0.6) & (drawn[:, 3] >= 0.5) & (drawn[:, 3] < 2)).all()
    assert abs(np.log(drawn[:, 3]).mean()) < 0.05


@pytest.mark.parametrize("bounds", [{"scale": (0, 1)}, {"scale": (0.9, 0.2)}, {"ratio": (2, 1)}, {"scale": (0.5, 2)}])
def test_impossible_bounds_are_refused(bounds: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(StreamError, match=r"expected 0 < scale <= 1 and 0 < ratio"):
        RandomResizedCrop(**bounds)


def test_a_mirrored_view_is_the_other_way_round() -> None:
    picture = ramp(40, 40)
    assert np.array_equal(shown(picture, View(0.2, 0.7, True)), shown(picture, View(0.2, 0.7))[:, ::-1])


def test_about_half_of_the_rows_are_mirrored() -> None:
    drawn = mirrored(KEYS, ["a kite"] * len(KEYS))
    assert abs(sum(drawn) / len(KEYS) - 0.5) < 3 * 0.5 / len(KEYS) ** 0.5


@pytest.mark.parametrize(
    "text",
    [
        "A kite on the left.",
        "RIGHT of it",
        "the leftmost kite",
        "a right-hand glove",
        "arrow_left.png",
        "a lefthanded man",
        "Right2Left",
    ],
)
def test_a_side_in_a_text_keeps_the_image_as_it_is(text: str) -> None:
    assert not any(mirrored(KEYS, [text] * len(KEYS)))
    assert not any(mirrored(KEYS, ["a kite"] * len(KEYS), [text] * len(KEYS)))


def test_a_word_that_only_holds_a_side_is_none() -> None:
    texts = ["bright cleft copyright upright"] * len(KEYS)
    assert mirrored(KEYS, texts) == mirrored(KEYS, [None] * len(KEYS))


def test_a_view_belongs_to_the_row() -> None:
    crop = RandomResizedCrop()
    assert views(crop, KEYS[5:7], [False, True])[0] == views(crop, KEYS, [False] * len(KEYS))[5]
