"""A stream as the training set of transformers' ``Trainer``, of one process or of several.

    data = TrainerDataset(stream, tokenizer)
    trainer = Trainer(
        model,
        TrainingArguments("out", num_train_epochs=10, **data.arguments),
        train_dataset=data,
        data_collator=data.collate,
        callbacks=[data.resume],
    )
    trainer.train(resume_from_checkpoint=None)

The ``Trainer`` takes rows and makes batches, and accelerate deals the rows of one data set out to all processes. Our
batches are made already, and each process reads its own. So the rows that are handed over are references into a batch,
with blanks where accelerate looks for the rows of other processes, and ``collate`` gives the batch as it was. A batch
that comes together in another way is an error: no row is doubled or lost in silence.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils.data import IterableDataset, get_worker_info

from lakehouse.clip_colours import CLIP_MEAN, CLIP_STD
from lakehouse.errors import MissingPart, StreamError
from lakehouse.outcome import not_installed
from lakehouse.stream.batch import Batch
from lakehouse.stream.caption_stream import CaptionStream
from lakehouse.stream.pixels import Scaling
from lakehouse.stream.places import batches

try:
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise MissingPart(not_installed(error.name or "transformers")) from error

Row = tuple[Batch | None, int] | None
"""A batch, None for one that a resumed training has had, with a place in it; or None for a blank."""


class TrainerDataset(IterableDataset[Row]):
    """The rows of a stream, in an order that accelerate deals out right.

    Args:
        stream: of this process, made with ``world=World.detect()`` where there are several
        tokenizer: of transformers, called with ``padding``, ``truncation`` and ``return_tensors``
        padding: ``longest``, or ``max_length`` for models such as SigLIP that were trained so
        mean, std: of the model's images, from 0 to 1; CLIP's own where nothing is said
    """

    def __init__(
        self,
        stream: CaptionStream,
        tokenizer: Callable[..., Mapping[str, torch.Tensor]],
        *,
        padding: str = "longest",
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
    ) -> None:
        self.stream = stream
        self.resume = Resume(self)
        self._tokenizer, self._padding, self._scaling = tokenizer, padding, Scaling.of(mean, std)
        self._epoch = 0
        self._had = 0

    @property
    def arguments(self) -> dict[str, Any]:
        """What must stand in ``TrainingArguments`` for the rows to arrive as they were sent."""
        return {
            "per_device_train_batch_size": self.stream.batch_size,
            "accelerator_config": {"dispatch_batches": False, "split_batches": False},
            "dataloader_num_workers": 0,
        }

    def set_epoch(self, epoch: int) -> None:
        """Begin with this epoch: the ``Trainer`` says which."""
        self._epoch = epoch

    def skip(self, count: int) -> None:
        """Leave out what the next loop begins with: so many batches of this process that a resumed training has had.

        They are blanks, which the ``Trainer`` drops as it does batches that were read for nothing.
        """
        self._had = count

    def __len__(self) -> int:
        """Rows and blanks of an epoch, of all processes."""
        return len(self.stream) * self.stream.batch_size * self.stream.world.size

    def __iter__(self) -> Iterator[Row]:
        self._check()
        had, self._had = self._had, 0
        for _ in range(had):
            yield from self._dealt(None, self.stream.batch_size)
        left = len(self.stream) - had
        for batch in batches(self.stream, self._epoch * len(self.stream) + had, left):
            yield from self._dealt(batch, len(batch))

    def collate(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Return the batch that ``rows`` are of, as a model of transformers takes it to compute its own loss."""
        real = [row for row in rows if row is not None]
        batch = real[0][0] if real else None
        if not real or any(other is not batch for other, _ in real):
            raise self._misdealt()
        if batch is None:
            return {}
        if [place for _, place in real] != list(range(len(batch))):
            raise self._misdealt()
        tokens = self._tokenizer(batch.text, padding=self._padding, truncation=True, return_tensors="pt")
        return {"pixel_values": self._scaling(batch.image, "cpu"), **tokens, "return_loss": True}

    def _dealt(self, batch: Batch | None, count: int) -> Iterator[Row]:
        """Yield one batch of every process: blanks for those of others, and for what a short batch lacks."""
        world, size = self.stream.world, self.stream.batch_size
        for rank in range(world.size):
            own = count if rank == world.rank else 0
            yield from ((batch, place) for place in range(own))
            yield from (None for _ in range(size - own))

    def _check(self) -> None:
        if get_worker_info() is not None:
            raise StreamError("a stream reads with threads of its own: expected dataloader_num_workers=0")
        is_world = torch.distributed.is_available() and torch.distributed.is_initialized()
        size = torch.distributed.get_world_size() if is_world else 1
        if size != self.stream.world.size:
            raise StreamError(
                f"{size} processes train, and the stream is of a world of {self.stream.world.size}: "
                "make it with world=World.detect()"
            )

    def _misdealt(self) -> StreamError:
        return StreamError(
            "the rows arrived otherwise than they were sent: expected TrainingArguments(..., **data.arguments), "
            f"which are {self.arguments}"
        )


class Resume(TrainerCallback):  # type: ignore[misc] # transformers has no types
    """Tells the data set what a resumed training has had, so that it need not be read again only to be dropped."""

    def __init__(self, data: TrainerDataset) -> None:
        self._data = data

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take the place in the epoch from the step that the training is at."""
        if state.global_step and not args.ignore_data_skip:
            had = batches_had(len(self._data.stream), state.global_step, accumulated=args.gradient_accumulation_steps)
            self._data.skip(had)


def batches_had(epoch: int, step: int, *, accumulated: int) -> int:
    """Return how many batches of its epoch a training has had at ``step``, where ``accumulated`` make one update.

    An epoch of ``epoch`` batches ends with an update of those that are left, as in transformers' ``Trainer``.

    >>> batches_had(33, 20, accumulated=2)  # 17 updates an epoch, the last of one batch
    6
    """
    updates = max(1, -(-epoch // accumulated))
    return step % updates * accumulated
