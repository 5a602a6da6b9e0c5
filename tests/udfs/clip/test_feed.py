"""What a training takes of a row."""

import pytest

from lakehouse.errors import StreamError
from udfs.clip.feed import Feed


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"crop": "centre"}, r"unknown crop 'centre': expected one of 'random', 'center', 'random_resized'"),
        ({"long_texts": "cut:3"}, r"unknown policy for long texts 'cut:3': expected whole, first:2, span:3 or drop:77"),
    ],
)
def test_what_cannot_be_taken_is_told_before_anything_is_read(flags: dict[str, str], message: str) -> None:
    with pytest.raises(StreamError, match=message):
        Feed(**flags)  # type: ignore[arg-type]
