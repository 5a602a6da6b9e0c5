"""The stream of batches that a trainer iterates over."""

import os
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from lakehouse.errors import StreamError
from lakehouse.stream.augment import Crop, CropName, crop_of
from lakehouse.stream.batch import Batch, PixelPool, TagForm
from lakehouse.stream.checks import (
    check_form,
    check_kinds,
    check_positive,
    check_rows,
    check_state,
    is_cuda,
    need_parts,
    text_columns,
)
from lakehouse.stream.chunk import Recipe
from lakehouse.stream.counters import Counters
from lakehouse.stream.crew import Crew, processors
from lakehouse.stream.delta import open_snapshot
from lakehouse.stream.faults import MAX_SKIPPED, Fault, Quota
from lakehouse.stream.long_texts import LongTexts, Whole
from lakehouse.stream.mix import Mix
from lakehouse.stream.order import Order, lanes_for
from lakehouse.stream.plan import make_plan
from lakehouse.stream.predicate import is_split, parse_predicate
from lakehouse.stream.releases import read_release, table_location
from lakehouse.stream.world import World

if TYPE_CHECKING:
    import torch

    from lakehouse.stream.assembly import Assembled, Row
    from lakehouse.stream.chunk import Chunk

_BATCHES_AHEAD = 3
_MOST_THREADS = 16
_MOST_READERS = 4


class CaptionStream:
    """Batches of a pinned release: every row once an epoch, the same order for the same seed, in any world.

    Iterating gives the current epoch from the current position to its end, and then moves on to the next epoch:

        while stream.epoch < epochs:
            for batch in stream: ...

    A loop that was left goes on after the last batch that it was given. Order, choice of text and crop depend on seed
    and epoch alone, not on threads or on the world.

    Args:
        lake: folder or URL of the lake
        release: name of a line in ``gold.releases``
        batch_size: rows a batch on this process
        image_size: side of the square images, pixels
        mix, negatives: weights of text columns; None takes the release's own. ``Mix()`` means no negatives
        split: rows of this split alone
        seed: of order, choice of text and crop; None takes the release's own
        world: which process this is; ``World.detect()`` asks torchrun or SLURM
        threads: that decode; None takes one a processor, 16 at most
        crop: ``random`` is a square anywhere, by hash of the row, ``center`` one in the middle, ``random_resized`` a
            window of varying size and shape (``lakehouse.stream.augment``, where each can be given bounds of its own)
        flip: mirror half of the images, drawn anew in every epoch, but none of which a chosen text says left or right
        long_texts: what is taken of the chosen text: ``Whole()``, ``FirstSentences(2)``, ``SentenceSpan(3)`` or
            ``DropLong(77)`` (``lakehouse.stream.long_texts``)
        tags: ``padded`` or ``multi_hot`` gives ``batch.tags`` too, as a tensor
        device: move images and the tensor of tags there, one batch ahead; to a GPU of CUDA from pinned memory, beside
            the computation. None leaves them where they are
        shuffle: False gives the table's own order, for evaluation on one process
        drop_last: leave out the last batch if it is not full; otherwise it is shorter, and equal on all processes, so
            that fewer rows than there are processes may still be left over
        lanes: see ``lakehouse.stream.order``; None takes what suits the table. Part of the order
        max_skipped: rows a process may skip in an epoch because they cannot be read, before it raises
        patience_s: seconds to wait for a read before it counts as dead
        storage_options: of an object store, as the deltalake package takes them

    Raises:
        StreamError: what is asked for is not there or contradicts the release
        MissingPart: torch, OpenCV or petastorm is not installed
    """

    def __init__(
        self,
        lake: str | os.PathLike[str],
        *,
        release: str,
        batch_size: int,
        image_size: int,
        mix: Mapping[str, float] | None = None,
        negatives: Mapping[str, float] | None = None,
        split: str = "train",
        seed: int | None = None,
        world: World = World(),  # noqa: B008 # frozen
        threads: int | None = None,
        crop: CropName | Crop = "random",
        flip: bool = False,
        long_texts: LongTexts = Whole(),  # noqa: B008 # frozen
        tags: TagForm = "lists",
        device: "torch.device | str | None" = None,
        shuffle: bool = True,
        drop_last: bool = True,
        lanes: int | None = None,
        max_skipped: int = MAX_SKIPPED,
        patience_s: float = 120.0,
        storage_options: Mapping[str, str] | None = None,
    ) -> None:
        need_parts()
        check_positive(batch_size=batch_size, image_size=image_size, threads=threads, lanes=lanes)
        check_form(tags)
        check_kinds(world=world, long_texts=long_texts)
        self.release = read_release(os.fspath(lake), release, storage_options)
        self.mix = self.release.mix if mix is None else Mix.of(mix)
        self.negatives = self.release.negatives if negatives is None else Mix.of(negatives)
        self.seed = self.release.seed if seed is None else seed
        self.split = split
        self.world = world
        self.batch_size = batch_size
        self.image_size = image_size
        self.counters = Counters()
        self._threads = threads or min(_MOST_THREADS, processors())
        self._crop, self._is_flipped, self._long_texts = crop_of(crop), flip, long_texts
        self._tags, self._device = tags, device
        self._is_shuffled, self._drops_last = shuffle, drop_last
        self._max_skipped, self._patience_s = max_skipped, patience_s
        snapshot = open_snapshot(
            table_location(os.fspath(lake), self.release.table_name), self.release.table_version, storage_options
        )
        self.text_columns = text_columns(snapshot)
        self._check_mixes()
        self._plan = make_plan(
            snapshot, parse_predicate(self.release.predicate) & is_split(split), threads=self._threads
        )
        check_rows(self._plan, self.release, split)
        self.lanes = lanes or (lanes_for(len(self._plan.groups)) if shuffle else 1)
        self._pool = PixelPool(
            shape=(batch_size, image_size, image_size, 3), most=_BATCHES_AHEAD + 4, is_pinned=is_cuda(device)
        )
        self._epoch, self._position = 0, 0
        self._faults: dict[Fault, None] = {}
        self._quota = self._new_quota()
        self._turn = 0
        self._check_length()

    @property
    def epoch(self) -> int:
        """The epoch that iterating gives next, or is in."""
        return self._epoch

    @property
    def rows(self) -> int:
        """Rows of an epoch, for the whole world."""
        return int(self._plan.rows.sum())

    @property
    def faults(self) -> Sequence[Fault]:
        """What could not be read so far, each thing once however many epochs met it."""
        return tuple(self._faults)

    def __len__(self) -> int:
        """Batches of a whole epoch, the same for every process."""
        return self._batches_from(0)

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of an epoch."""
        self._epoch, self._position = epoch, 0
        self._quota = self._new_quota()
        self._turn += 1

    def state_dict(self) -> dict[str, Any]:
        """Return where the stream is: after the last batch that was handed out, on all processes alike.

        Any process's state serves every process of a later world, of whatever size.
        """
        return {**self._identity(), "epoch": self._epoch, "position": self._position}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go to where ``state`` was taken. Raise if it is of another release, split, seed or order.

        Size of the world, batch size, mix, crop and image size may be others.
        """
        check_state(state, self._identity())
        self.set_epoch(state["epoch"])
        self._position = state["position"]

    def __iter__(self) -> Iterator[Batch]:
        self._turn += 1
        return self._batches(self._turn)

    def _batches(self, turn: int) -> Iterator[Batch]:
        from lakehouse.stream.assembly import Assembler
        from lakehouse.stream.carrier import Work, reading

        order = self._order()
        start, count = self._position, self._batches_from(self._position)
        stop = self._end(start, count)
        work = Work(self._plan, order, self._recipe())
        segments = order.segments(self.world, start, stop)
        crew = Crew(self._threads, name="decoder", patience_s=self._patience_s)
        assembler = Assembler(
            crew,
            self._pool,
            self._quota,
            ahead=_BATCHES_AHEAD,
            is_filled=self.world.size > 1,
            tags=self._tags,
            tag_count=self.release.tag_count,
        )
        readers = min(_MOST_READERS, self._threads)
        try:
            with reading(work, segments, threads=readers, patience_s=self._patience_s) as chunks:
                rows = self._rows(order, chunks, start, stop)
                asked = monotonic()
                for number, assembled in enumerate(self._moved(assembler.batches(rows)), start=1):
                    if turn != self._turn:
                        raise StreamError("this loop over the stream has ended: another one or a new epoch has begun")
                    self._position = self._end(start, number)
                    self._count(assembled)
                    if assembled.batch is not None:
                        self.counters.wait_seconds += monotonic() - asked
                        yield assembled.batch
                        asked = monotonic()
        finally:
            crew.close()
        if turn == self._turn:
            self.counters.tail += self.rows - self._position
            self.counters.left_out += sum(rows for _, rows in self._plan.unreadable)
            self.set_epoch(self._epoch + 1)

    def _moved(self, assembled: Iterator["Assembled"]) -> Iterator["Assembled"]:
        if self._device is None:
            return assembled
        import torch

        from lakehouse.stream.device import DeviceCopier

        return DeviceCopier(torch.device(self._device)).ahead(assembled)

    def _rows(self, order: Order, chunks: Iterator["Chunk"], start: int, stop: int) -> Iterator[list["Row"]]:
        """Yield the rows of each batch of this process."""
        current: dict[int, Chunk] = {}
        step = self.batch_size * self.world.size
        for begin in range(start, stop, step):
            batch: list[Row] = []
            for position in order.positions(self.world, begin, (min(stop, begin + step) - begin) // self.world.size):
                place, lane = divmod(position, order.lanes)
                chunk = current.get(lane)
                if chunk is None or place >= chunk.segment.end:
                    chunk = current[lane] = next(chunks)
                batch.append((chunk, place - chunk.segment.first))
            yield batch

    def _order(self) -> Order:
        return Order(self._plan.rows, self.lanes, self.seed, self._epoch, self._is_shuffled)

    def _recipe(self) -> Recipe:
        return Recipe(self.mix, self.negatives, self.seed, self._epoch, self._crop, self._is_flipped, self._long_texts)

    def _batches_from(self, position: int) -> int:
        full, rest = divmod(self.rows - position, self.batch_size * self.world.size)
        return full + (not self._drops_last and rest >= self.world.size)

    def _end(self, start: int, batches: int) -> int:
        """Return the position after some batches from ``start`` on: a short last batch is equal on all processes."""
        whole = self.rows - (self.rows - start) % self.world.size
        return min(start + batches * self.batch_size * self.world.size, whole)

    def _count(self, assembled: "Assembled") -> None:
        counters = self.counters
        counters.batches += assembled.batch is not None
        counters.rows += len(assembled.batch) if assembled.batch else 0
        counters.repeated += assembled.repeated
        counters.skipped.update(assembled.skipped)
        for counter, mix, counted in (
            (counters.texts, self.mix, assembled.texts),
            (counters.negatives, self.negatives, assembled.negatives),
        ):
            names = list(mix)
            counter.update({names[column]: count for column, count in counted.items() if column >= 0})

    def _new_quota(self) -> Quota:
        quota = Quota(self._max_skipped, self._faults)
        for fault, rows in self._plan.unreadable:
            quota.spend(fault, rows)
        return quota

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a place in the epoch to mean the same."""
        return {
            "release": self.release.release,
            "table_version": self.release.table_version,
            "digest": self.release.digest,
            "split": self.split,
            "rows": self.rows,
            "seed": self.seed,
            "shuffle": self._is_shuffled,
            "lanes": self.lanes,
        }

    def _check_mixes(self) -> None:
        if not self.mix:
            raise StreamError("the mix is empty: expected at least one text column")
        self.mix.check(self.text_columns)
        self.negatives.check(self.text_columns)

    def _check_length(self) -> None:
        if not self.rows:
            raise StreamError(
                f"release {self.release.release!r} has no rows of split {self.split!r}: expected 'train' or 'held_out'"
            )
        if not len(self):
            raise StreamError(
                f"release {self.release.release!r} has {self.rows} rows of split {self.split!r}: fewer than one batch "
                f"of {self.batch_size} on {self.world.size} processes"
            )
