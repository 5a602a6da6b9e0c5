"""A sample of the prompts that people type, from a text file of any size."""

import hashlib
import heapq
from collections.abc import Iterator
from typing import Final

from lakehouse.errors import BadInput

MOST: Final = 2000
"""Prompts that are kept: what is done with them grows with the square."""

_LONGEST: Final = 10_000
"""Characters of a line: what is longer is no prompt, and a file without line ends must not fill the memory."""


def read_user_prompts(path: str) -> tuple[str, ...]:
    """Return at most ``MOST`` of the prompts in the file at ``path``, one a line, always the same ones.

    Blank lines are left out. Raises BadInput where there is no such file, where it is no text, and where it holds
    fewer than two prompts.
    """
    try:
        # By hash, a random few: a file may be sorted, and its first lines all of one kind.
        prompts = heapq.nsmallest(MOST, _lines(path), key=lambda line: hashlib.sha256(line.encode()).digest())
    except OSError as error:
        raise BadInput(f"cannot read the prompts in {path!r}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"cannot read the prompts in {path!r}: expected UTF-8 text, one prompt a line") from error
    if len(prompts) < 2:
        raise BadInput(f"too few prompts in {path!r}: expected at least two lines of text")
    return tuple(prompts)


def _lines(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8") as file:
        while line := file.readline(_LONGEST):
            if not line.endswith("\n") and len(line) == _LONGEST:
                raise BadInput(f"a line of {path!r} has more than {_LONGEST:,} characters: expected one prompt a line")
            if prompt := line.strip():
                yield prompt
