"""A sample of the prompts that people type, from a text file of any size."""

import hashlib
import heapq
from collections.abc import Iterator
from typing import Final

from lakehouse.errors import BadInput

MOST_PROMPTS: Final = 2000
"""Prompts that are kept: what is done with them grows with the square."""

_LONGEST: Final = 10_000
"""Characters of a line: what is longer is no prompt, and a file without line ends must not fill the memory."""


def read_user_prompts(path: str) -> tuple[str, ...]:
    """Return at most ``MOST_PROMPTS`` of the prompts in the file at ``path``, one a line, always the same of one file.

    Blank lines are left out; what was typed often stands there often. Raises BadInput where there is no such file,
    where it is no text, and where it holds fewer than two prompts.
    """
    try:
        drawn = heapq.nsmallest(MOST_PROMPTS, enumerate(_lines(path)), key=_draw)
    except OSError as error:
        raise BadInput(f"cannot read the prompts in {path!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"cannot read the prompts in {path!r}: expected UTF-8 text, one prompt a line") from error
    if len(drawn) < 2:
        raise BadInput(f"too few prompts in {path!r}: expected at least two lines of text")
    return tuple(prompt for _, prompt in drawn)


def _draw(line: tuple[int, str]) -> bytes:
    # A random few: a file may be sorted, and its first lines all of one kind.
    return hashlib.sha256(f"{line[0]} {line[1]}".encode()).digest()


def _lines(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8") as file:
        while line := file.readline(_LONGEST + 1):
            if len(line) > _LONGEST and not line.endswith("\n"):
                raise BadInput(f"a line of {path!r} has more than {_LONGEST:,} characters: expected one prompt a line")
            if prompt := line.strip():
                yield prompt
