"""Trains a tiny CLIPModel by transformers' Trainer, and writes down which rows every process gave it.

Run by the consumers' Python, alone or by torchrun: LAKE OUT STEPS [CHECKPOINT]. Where FORGOTTEN is in the environment,
what the data set asks of the Trainer is not said to it; ACCUMULATED is how many batches make an update.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainingArguments

from lakehouse.stream import CaptionStream, World
from lakehouse.stream.hf_trainer import TrainerDataset
from tests.udfs.clip.tiny import TINY
from udfs.clip.model import small_clip
from udfs.clip.tokenizer import read_tokenizer, train_tokenizer, write_tokenizer

BATCH = 8


class Recorded(TrainerDataset):
    """Remembers the rows of every batch that was asked for."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.given: list[list[str]] = []

    def collate(self, rows: Any) -> dict[str, Any]:
        made = super().collate(rows)
        if made:
            self.given.append([batch.sample_id[place] for batch, place in filter(None, rows)])
        return made


def main(lake: str, out: Path, steps: int, checkpoint: str | None = None) -> None:
    world = World.detect()
    trained = train_tokenizer([f"alt {n} long {n}" for n in range(300)], vocab_size=300, max_tokens=TINY.max_tokens)
    tokenizer = read_tokenizer(write_tokenizer(trained), max_tokens=TINY.max_tokens)
    stream = CaptionStream(lake, release="demo", batch_size=BATCH, image_size=TINY.image_size, world=world, threads=1)
    data = Recorded(stream, tokenizer)
    arguments = TrainingArguments(
        str(out),
        use_cpu=True,
        ddp_backend="gloo" if world.size > 1 else None,
        max_steps=steps,
        gradient_accumulation_steps=int(os.environ.get("ACCUMULATED", "1")),
        save_steps=3,
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        **({} if "FORGOTTEN" in os.environ else data.arguments),
    )
    trainer = Trainer(
        small_clip(tokenizer, TINY, seed=0).clip,
        arguments,
        train_dataset=data,
        data_collator=data.collate,
        callbacks=[data.resume],
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    told = {
        "rows": data.given,
        "read": stream.counters.rows,
        "losses": [line["loss"] for line in trainer.state.log_history if "loss" in line],
        "epochs": trainer.state.epoch,
        "batches": len(stream),
    }
    (out / f"rank-{world.rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
