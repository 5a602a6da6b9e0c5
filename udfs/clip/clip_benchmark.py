"""A data set in the layout that LAION's CLIP_benchmark reads as ``wds/NAME``: WebDataset tars and a few text files.

As its ``build_wds_dataset`` has it: ``test/nshards.txt`` and ``test/0.tar``, 1.tar, ...; members ``s0000000.jpg`` with
``.txt``, one caption a line, or ``.cls``, the place of the class in ``classnames.txt``; ``dataset_type.txt``.
"""

import io
import os
import tarfile
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from lakehouse.files import write_whole

SHARD: Final = 10_000
"""Images a tar, as its own converter has it."""


def write_retrieval(folder: Path, rows: Iterable[tuple[bytes, Sequence[str]]]) -> int:
    """Write JPEGs with their captions, at least one each, into ``folder``; return how many."""
    # A caption is a line: whatever would end one is a blank.
    pairs = ((image, {"txt": "\n".join(" ".join(text.split()) for text in captions)}) for image, captions in rows)
    return _write(folder, "retrieval", pairs)


def write_classification(
    folder: Path, rows: Iterable[tuple[bytes, int]], *, classes: Sequence[str], templates: Sequence[str]
) -> int:
    """Write JPEGs with their classes, places in ``classes``, into ``folder``; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "classnames.txt", "".join(f"{' '.join(name.split())}\n" for name in classes))
    lines = [template.replace("{}", "{c}") for template in templates]
    write_whole(folder / "zeroshot_classification_templates.txt", "".join(f"{line}\n" for line in lines))
    return _write(folder, "classification", ((image, {"cls": str(label)}) for image, label in rows))


def _write(folder: Path, kind: str, rows: Iterable[tuple[bytes, dict[str, str]]]) -> int:
    split = folder / "test"
    split.mkdir(parents=True, exist_ok=True)
    rest, written, shards = iter(rows), 0, 0
    while shard := list(islice(rest, SHARD)):
        _write_tar(split / f"{shards}.tar", shard, first=written)
        written, shards = written + len(shard), shards + 1
    write_whole(folder / "dataset_type.txt", f"{kind}\n")
    # Last: without it nobody reads the rest.
    write_whole(split / "nshards.txt", f"{shards}\n")
    return written


def _write_tar(file: Path, rows: Iterable[tuple[bytes, dict[str, str]]], *, first: int) -> None:
    part = file.with_name(f".{file.name}.part")
    with tarfile.open(part, "w") as tar:
        for number, (image, texts) in enumerate(rows, start=first):
            members = {"jpg": image} | {suffix: text.encode() for suffix, text in texts.items()}
            for suffix, data in members.items():
                # Neither time nor owner: the same rows are the same bytes.
                info = tarfile.TarInfo(f"s{number:07d}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    os.replace(part, file)
