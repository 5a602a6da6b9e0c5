"""What is promised of a file of prompts: the same few of any many, and one line where it is no such file."""

from pathlib import Path

import pytest

from lakehouse.errors import BadInput
from udfs.user_prompts import MOST_PROMPTS, read_user_prompts


def test_a_random_few_are_drawn_of_many_always_the_same(tmp_path: Path) -> None:
    lines = [f"a photo of {number} ducks" for number in range(MOST_PROMPTS + 500)]
    (tmp_path / "file").write_text("\n\n".join(f" {line} " for line in lines))
    first = read_user_prompts(str(tmp_path / "file"))
    assert first == read_user_prompts(str(tmp_path / "file"))
    assert len(set(first)) == MOST_PROMPTS
    assert set(first) < set(lines)
    assert not set(first) <= set(lines[:MOST_PROMPTS])


def test_what_was_typed_often_is_drawn_often(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a duck\n" * 3000 + "a swan\n" * 1000)
    drawn = read_user_prompts(str(tmp_path / "file"))
    assert 0.7 < drawn.count("a duck") / len(drawn) < 0.8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"one prompt\n\n \n", "too few prompts in .*: expected at least two lines"),
        (b"\xff\xfe\x00", "expected UTF-8 text, one prompt a line"),
        (b"x" * 20_000, "a line of .* has more than 10,000 characters"),
    ],
)
def test_what_is_no_file_of_prompts_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(BadInput, match=message):
        read_user_prompts(str(tmp_path / "file"))


def test_a_folder_is_no_file_of_prompts(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cannot read the prompts in .*: Is a directory"):
        read_user_prompts(str(tmp_path))
