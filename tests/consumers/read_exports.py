"""Prints what webdataset and datasets find in exports, after a training step on each: TARS PARQUET CACHE."""

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
import webdataset
from PIL import Image

from tests.udfs.clip.tiny import TINY
from udfs.clip.model import small_clip
from udfs.clip.tokenizer import train_tokenizer

BATCH = 32


def main(tars: Path, parquet: Path, cache: str) -> None:
    shards = sorted(map(str, tars.glob("*.tar")))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("pil"))
    by_files = datasets.load_dataset("parquet", data_files=str(parquet / "*.parquet"), split="train", cache_dir=cache)
    by_folder = datasets.load_dataset(str(parquet), split="train", cache_dir=cache)
    streamed = datasets.load_dataset(str(parquet), split="train", streaming=True)
    first = samples[0]
    told = {
        "keys": [sample["__key__"] for sample in samples],
        "members": sorted(set(first) - {"__key__", "__url__", "__local_path__"}),
        "json": first["json"],
        "txt": first["txt"],
        "size": first["jpg"].size,
        "rows": [len(by_files), len(by_folder), sum(1 for _ in streamed)],
        "ids": sorted(by_files["sample_id"]),
        "features": {name: repr(feature) for name, feature in by_files.features.items()},
        "first": {name: value for name, value in by_files[0].items() if name != "image"},
        "image": [type(by_files[0]["image"]).__name__, by_files[0]["image"].size],
        "tars_loss": _step(
            [sample["jpg"] for sample in samples[:BATCH]], [sample["txt"] for sample in samples[:BATCH]]
        ),
        "parquet_loss": _step(by_files[:BATCH]["image"], by_files[:BATCH]["caption"]),
    }
    print(json.dumps(told))


def _step(images: Iterable[Image.Image], texts: Sequence[str]) -> list[float]:
    """Return the loss of a tiny CLIP before the first and the last of five steps on these pairs."""
    tokenizer = train_tokenizer(texts, vocab_size=300, max_tokens=TINY.max_tokens)
    model: Any = small_clip(tokenizer, TINY).clip
    sized = [np.asarray(image.resize((TINY.image_size, TINY.image_size))) for image in images]
    pixels = torch.from_numpy(np.stack(sized)).permute(0, 3, 1, 2).float() / 255
    tokens = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    losses = []
    for _ in range(5):
        loss = model(pixel_values=pixels, **tokens, return_loss=True).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return [losses[0], losses[-1]]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
