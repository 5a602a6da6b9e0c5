"""Write small files whole or not at all."""

import os
from pathlib import Path


def write_whole(file: Path, text: str) -> None:
    """Write ``text`` to ``file`` so that a reader, or a run after a kill, finds the old text or the new one, whole."""
    part = file.with_name(f".{file.name}.part")
    with part.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(part, file)
