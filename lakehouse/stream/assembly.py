"""Turns rows into batches: decodes them with several threads straight into the batch, a few batches ahead."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch

from lakehouse.stream.batch import Batch, PixelPool, Pixels, TagForm
from lakehouse.stream.chunk import Chunk
from lakehouse.stream.crew import Crew
from lakehouse.stream.decode import decode_view
from lakehouse.stream.faults import NO_TEXT, UNDECODABLE_IMAGE, Fault, Quota
from lakehouse.stream.tag_tensors import tags_as

Row = tuple[Chunk, int]
"""A chunk, and a place in its lists."""

_ROWS_A_JOB = 16


@dataclass
class Assembled:
    """A batch with what is to be counted of it; ``batch`` is None where no row of it could be read."""

    batch: Batch | None
    repeated: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    texts: Counter[int] = field(default_factory=Counter)
    negatives: Counter[int] = field(default_factory=Counter)


@dataclass(frozen=True)
class _Begun:
    rows: Sequence[Row]
    pixels: Pixels
    jobs: Sequence[Future[list[str | None]]]


class Assembler:
    """Decodes and puts together.

    Where a row cannot be read its place is closed up, or, with ``is_filled``, taken by another row of the batch:
    processes whose batches differ in length would wait for each other for ever.
    """

    def __init__(
        self,
        crew: Crew,
        pool: PixelPool,
        quota: Quota,
        *,
        ahead: int,
        is_filled: bool,
        tags: TagForm = "lists",
        tag_count: int = 0,
    ) -> None:
        self._crew = crew
        self._pool = pool
        self._quota = quota
        self._ahead = ahead
        self._is_filled = is_filled
        self._tags: TagForm = tags
        self._tag_count = tag_count
        self._spare: tuple[Row, Pixels] | None = None

    def batches(self, rows: Iterable[Sequence[Row]]) -> Iterator[Assembled]:
        """Yield a batch for each sequence of rows, in order."""
        begun: list[_Begun] = []
        for batch in rows:
            begun.append(self._begin(batch))
            if len(begun) > self._ahead:
                yield self._finish(begun.pop(0))
        for batch_begun in begun:
            yield self._finish(batch_begun)

    def _begin(self, rows: Sequence[Row]) -> _Begun:
        pixels = self._pool.take()[: len(rows)]
        jobs = [
            self._crew.submit(_decode, rows[start : start + _ROWS_A_JOB], pixels[start : start + _ROWS_A_JOB])
            for start in range(0, len(rows), _ROWS_A_JOB)
        ]
        return _Begun(rows, pixels, jobs)

    def _finish(self, begun: _Begun) -> Assembled:
        complaints = [complaint for job in begun.jobs for complaint in self._crew.result(job)]
        if not any(complaints) and all(chunk.has_all_texts for chunk, _ in begun.rows):
            return self._whole(begun)
        faults = [_fault(row, complaint) for row, complaint in zip(begun.rows, complaints, strict=True)]
        skipped = Counter(fault.reason for fault in faults if fault)
        for fault in filter(None, faults):
            self._quota.spend(fault, 1)
        good = [place for place, fault in enumerate(faults) if fault is None]
        rows, pixels = self._closed_or_filled(begun, good) if skipped else (begun.rows, begun.pixels)
        if not rows:
            return Assembled(None, skipped=skipped)
        self._keep_spare(rows, pixels)
        return self._assembled(rows, pixels, repeated=len(rows) - len(good), skipped=skipped)

    def _whole(self, begun: _Begun) -> Assembled:
        self._keep_spare(begun.rows, begun.pixels)
        return self._assembled(begun.rows, begun.pixels, repeated=0, skipped=Counter())

    def _keep_spare(self, rows: Sequence[Row], pixels: Pixels) -> None:
        if self._is_filled:
            self._spare = rows[0], pixels[0].copy()

    def _closed_or_filled(self, begun: _Begun, good: Sequence[int]) -> tuple[Sequence[Row], Pixels]:
        if not self._is_filled:
            return [begun.rows[place] for place in good], begun.pixels[good]
        rows = list(begun.rows)
        bad = sorted(set(range(len(rows))) - set(good))
        if not good and self._spare is None:
            raise self._quota.nothing_readable()
        for number, place in enumerate(bad):
            if good:
                source = good[number % len(good)]
                rows[place], begun.pixels[place] = rows[source], begun.pixels[source]
            elif self._spare:
                rows[place], begun.pixels[place] = self._spare
        return rows, begun.pixels

    def _assembled(self, rows: Sequence[Row], pixels: Pixels, *, repeated: int, skipped: Counter[str]) -> Assembled:
        tags = [chunk.tag_ids[index] for chunk, index in rows]
        return Assembled(
            Batch(
                # A view: rows stay (height, width, channel) in memory, which is what channels_last means.
                image=torch.from_numpy(pixels).permute(0, 3, 1, 2),
                text=[chunk.texts.text[index] or "" for chunk, index in rows],
                negative_text=[chunk.negatives.text[index] for chunk, index in rows],
                tag_ids=tags,
                sample_id=[chunk.sample_ids[index] for chunk, index in rows],
                tags=tags_as(self._tags, tags, self._tag_count),
            ),
            repeated=repeated,
            skipped=skipped,
            texts=Counter(chunk.texts.column[index] for chunk, index in rows),
            negatives=Counter(chunk.negatives.column[index] for chunk, index in rows),
        )


def _decode(rows: Sequence[Row], places: Pixels) -> list[str | None]:
    """Decode rows into their places; return for each what was wrong, None where nothing was."""
    complaints: list[str | None] = []
    for (chunk, index), place in zip(rows, places, strict=True):
        if chunk.fault:
            complaints.append(chunk.fault.detail)
        else:
            complaints.append(decode_view(chunk.images[index], place, chunk.views[index]))
    return complaints


def _fault(row: Row, complaint: str | None) -> Fault | None:
    chunk, index = row
    if chunk.fault:
        return chunk.fault
    if complaint is not None:
        return Fault(UNDECODABLE_IMAGE, complaint, chunk.file, chunk.row_group, (chunk.sample_ids[index],))
    if chunk.texts.text[index] is None:
        detail = "the row has none of the texts that the mix asks for"
        return Fault(NO_TEXT, detail, chunk.file, chunk.row_group, (chunk.sample_ids[index],))
    return None
