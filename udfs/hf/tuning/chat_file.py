"""A file of chats with the images beside it: read line by line, from wherever a line stands."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lakehouse.errors import BadInput
from udfs.hf.tuning.chats import BadLine, Chat, read_line

_MOST_BYTES = 1 << 20
"""Longest line that is read: no prompt and answer come near it."""


@dataclass(frozen=True)
class ChatFile:
    """The chats of one file that can be used; only where they stand is held in memory."""

    path: Path
    starts: tuple[int, ...]
    """Where each chat's line begins, in bytes."""
    digest: str
    """SHA-256, in hex, of the file."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Lines that cannot be used, by reason."""

    def __len__(self) -> int:
        return len(self.starts)

    def chat(self, place: int) -> Chat:
        """Return the chat at ``place``."""
        with self.path.open("rb") as file:
            file.seek(self.starts[place])
            return read_line(file.readline())

    def image(self, chat: Chat) -> bytes:
        """Return the bytes of the image of ``chat``."""
        return (self.path.parent / chat.image).read_bytes()


def open_chats(path: Path) -> ChatFile:
    """Return the chats in ``path``, with every line read once; raise BadInput where there is no such file.

    Images are looked for, and not read: one that cannot be decoded shows when it is its turn.
    """
    starts, left_out, whole = [], Counter[str](), hashlib.sha256()
    begin = 0
    try:
        with path.open("rb") as file:
            for line in file:
                whole.update(line)
                reason = _fault(path.parent, line)
                if reason is None:
                    starts.append(begin)
                else:
                    left_out[reason] += 1
                begin += len(line)
    except OSError as error:
        raise BadInput(f"cannot read {str(path)!r}: {error.strerror}") from None
    return ChatFile(path, tuple(starts), whole.hexdigest(), left_out)


def _fault(folder: Path, line: bytes) -> str | None:
    if len(line) > _MOST_BYTES:
        return "bad_line"
    try:
        image = folder / read_line(line).image
        is_inside = image.resolve().is_relative_to(folder.resolve())
        return None if is_inside and image.is_file() else "missing_image"
    except (BadLine, OSError, ValueError):  # a name with a zero byte, or one too long
        return "bad_line"
