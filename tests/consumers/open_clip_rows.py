"""Prints what open_clip's trainer would get on each of two processes: LAKE ROWS-AN-EPOCH.

Of each batch the numbers in its texts, which are those of the rows, and how far the images are from what the model's
own transform makes of the rows' colours.
"""

import argparse
import json
import sys
from typing import Any

import open_clip
import torch
from open_clip_train.data import get_data as theirs
from PIL import Image

from lakehouse.stream.open_clip import Config, get_data
from tests.lakehouse.stream.lakes import colour

SIDE, BATCH, WORKERS = 32, 8, 1


def main(lake: str, rows: int) -> None:
    model = open_clip.create_model_and_transforms("ViT-S-32-alt", force_image_size=SIDE)
    tokenizer = open_clip.get_tokenizer("ViT-S-32-alt")
    told: dict[str, Any] = {"rows": [], "off": 0.0}
    for rank in range(2):
        args = argparse.Namespace(
            train_data="lake", val_data=None, imagenet_val=None, imagenet_v2=None, dataset_type="auto", device="cpu",
            rank=rank, world_size=2, batch_size=BATCH, workers=WORKERS, train_num_samples=rows,
        )  # fmt: skip
        data = get_data(theirs, Config(lake, "demo"))(args, model[1:], epoch=0, tokenizer=tokenizer)["train"]
        epochs = []
        for epoch in (1, 0, 2):
            data.set_epoch(epoch)
            batches = list(data.dataloader)
            epochs.append([_numbers(tokens, tokenizer) for _, tokens in batches])
            told["off"] = max(
                told["off"], *(_off(image, _numbers(tokens, tokenizer), model[2]) for image, tokens in batches)
            )
        told["rows"].append(epochs)
        told["batches"], told["samples"] = data.dataloader.num_batches, data.dataloader.num_samples
        told["shape"], told["tokens"] = list(batches[0][0].shape), list(batches[0][1].shape)
    print(json.dumps(told))


def _numbers(tokens: torch.Tensor, tokenizer: Any) -> list[int]:
    return [int("".join(filter(str.isdigit, tokenizer.decode(row.tolist())))) for row in tokens]


def _off(images: torch.Tensor, numbers: list[int], preprocess: Any) -> float:
    wanted = torch.stack([preprocess(Image.new("RGB", (SIDE, SIDE), colour(number))) for number in numbers])
    return float((images - wanted).abs().max())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
