"""A file of requests for a batch: one line each, on disk, never whole in memory."""

import tempfile
from typing import Final

URL: Final = "/v1/chat/completions"
"""Where each line is to be sent, as the Batch API names it."""


def line_of(key: str, body: bytes) -> bytes:
    """Return the line that has ``body`` answered under ``key``."""
    return b'{"custom_id":"%s","method":"POST","url":"%s","body":%s}\n' % (key.encode(), URL.encode(), body)


class RequestFile:
    """Lines in a temporary file, at most ``most_lines`` with ``most_bytes`` in all; ``close`` removes it."""

    def __init__(self, *, most_bytes: int, most_lines: int) -> None:
        self._most_bytes, self._most_lines = most_bytes, most_lines
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 # it is closed with the batch's creation
        self._bytes = self._lines = 0

    def has_room(self, line: bytes) -> bool:
        """Say whether ``line`` fits."""
        return self._bytes + len(line) <= self._most_bytes and self._lines < self._most_lines

    def add(self, line: bytes) -> None:
        """Write ``line`` at the end."""
        self.file.write(line)
        self._bytes += len(line)
        self._lines += 1

    def close(self) -> None:
        """Remove the file."""
        self.file.close()
