"""Write a teacher's answers as chat data: images into a folder, lines beside it, nothing of it held in memory."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Final

from udfs._decode_child import sniff
from udfs.hf.tuning.chats import Chat, canonical_answer, write_line
from udfs.prompts import Prompt, fill, split_prompt

TRAIN: Final = "train.jsonl"
HELD_OUT: Final = "held_out.jsonl"
"""Names of the files of lines."""

_SUFFIXES: Final = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "gif": ".gif"}


def write_images(images: Iterable[tuple[str, bytes]], folder: Path) -> int:
    """Write each image, as it is, to ``images/ID.SUFFIX`` in ``folder``; return how many are of no known format.

    One that is there already is left alone: its id is a hash of it.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    unknown = 0
    for image_id, data in images:
        suffix = _SUFFIXES.get(sniff(data) or "")
        if suffix is None:
            unknown += 1
        elif not (file := folder / "images" / f"{image_id}{suffix}").exists():
            part = file.with_suffix(".part")
            part.write_bytes(data)
            os.replace(part, file)
    return unknown


def write_chats(
    rows: Iterable[Mapping[str, Any]], folder: Path, prompt: Prompt, *, held_out: Collection[str]
) -> dict[str, int]:
    """Write a line for each of ``rows`` whose image was written, and return how many came into which file.

    A row has the columns of a sample, its ``request_key`` and the four texts; ``held_out`` are ids of images.
    """
    counts: Counter[str] = Counter({"train": 0, "held_out": 0, "without_image": 0})
    with ExitStack() as stack:
        files = {name: stack.enter_context(_whole(folder / name)) for name in (TRAIN, HELD_OUT)}
        for row in rows:
            image = image_of(folder, row["image_id"])
            if image is None:
                counts["without_image"] += 1
                continue
            name = HELD_OUT if row["image_id"] in held_out else TRAIN
            line = write_line(_chat(row, prompt, image), sample_id=row["sample_id"], request_key=row["request_key"])
            files[name].write(line)
            counts[name.removesuffix(".jsonl")] += 1
    return dict(counts)


def image_of(folder: Path, image_id: str) -> str | None:
    """Return the path of the image from ``folder``; None where it was not written."""
    names = (f"images/{image_id}{suffix}" for suffix in _SUFFIXES.values())
    return next((name for name in names if (folder / name).exists()), None)


def _chat(row: Mapping[str, Any], prompt: Prompt, image: str) -> Chat:
    instructions, own = split_prompt(prompt.text)
    told = {"sample_id": row["sample_id"], "alt_text": row["alt_text"], "web_tags": row["web_tags"]}
    return Chat(instructions=instructions, own=fill(own, **told), image=image, answer=canonical_answer(row))


@contextmanager
def _whole(file: Path) -> Iterator[IO[str]]:
    """Open ``file`` for writing under a name of its own until the block has ended well."""
    part = file.with_suffix(".part")
    with part.open("w", encoding="utf-8") as handle:
        yield handle
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(part, file)
