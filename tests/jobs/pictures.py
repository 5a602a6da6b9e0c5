"""Small real images that no two of which look alike, with texts: a folder as Hugging Face's ImageFolder lays it out."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

THINGS = ("kite", "boat", "tree", "house", "apple", "horse", "clock", "drum", "lamp", "shoe", "fish", "star")
PLACES = ("beach", "forest", "city", "field", "river", "mountain")


def write_pairs(folder: Path, *, count: int, start: int = 0, extra: tuple[dict[str, Any], ...] = ()) -> Path:
    """Write ``count`` images, numbered from ``start``, with their lines of ``metadata.jsonl``, then ``extra`` lines."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [line_of(number) for number in range(start, start + count)]
    for number, line in zip(range(start, start + count), lines, strict=True):
        picture(number).save(folder / line["file_name"])
    with (folder / "metadata.jsonl").open("a") as file:
        file.writelines(json.dumps(line) + "\n" for line in (*lines, *extra))
    return folder


def line_of(number: int) -> dict[str, Any]:
    """Return what the folder says of image ``number``; every text is another."""
    thing, place = THINGS[number % len(THINGS)], PLACES[number // len(THINGS) % len(PLACES)]
    title = f"A {thing} number {number} at the {place}"
    return {"file_name": f"{number:04}.png", "title": title, "tags": [thing, place, "drawing"], "licence": "CC0"}


def picture(number: int) -> Image.Image:
    """Return coarse noise, 96 x 80: the perceptual hashes of two are far apart."""
    noise = np.random.default_rng(number).integers(0, 256, (10, 12, 3), np.uint8)
    return Image.fromarray(noise).resize((96, 80), Image.Resampling.BICUBIC)
