"""What is promised of counting tokens; the ids are those of OpenAI's CLIP."""

import pytest

from lakehouse.errors import BadInput
from udfs.tokens import CLIP_LIMIT, count_tokens


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 2),
        ("cat", 3),
        ("A Photo  of\na CAT", 7),
        ("it's 2024!", 9),
        ("duck " * 75, CLIP_LIMIT),
        ("duck " * 76, CLIP_LIMIT + 1),
    ],
)
def test_tokens_are_those_of_clip_with_start_or_end_counted(text: str, tokens: int) -> None:
    assert count_tokens("clip", [text]) == [tokens]


def test_a_missing_text_has_no_tokens() -> None:
    assert count_tokens("clip", ["cat", None]) == [3, None]


def test_an_unknown_tokenizer_names_those_there_are() -> None:
    with pytest.raises(BadInput, match="unknown tokenizer 'bytes': expected one of clip"):
        count_tokens("bytes", ["cat"])
