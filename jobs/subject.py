"""What evaluate_clip measures: a checkpoint, and the held-out pairs of a release as it sees them."""

import heapq
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakehouse.errors import BadInput
from lakehouse.stream import CaptionStream, Mix
from lakehouse.stream.faults import MAX_SKIPPED, UNDECODABLE_IMAGE, Fault, Quota
from lakehouse.stream.releases import Release, read_release, table_location
from lakehouse.stream.texts import read_texts
from udfs.clip.folder import weights_digest
from udfs.images import UnreadableImage

if TYPE_CHECKING:
    from torch import Tensor

    from udfs.clip.encoder import Encoder

QUERY: Final = "web_text"
"""What images are searched by if nothing else is asked: the web's own words, alt-text and tags; nothing generated."""

OWN_LOOK: Final = "own_look"
"""Ends the name of held-out rows whose images a model sees by its own processor, not by the stream's centre crop."""


@dataclass(frozen=True)
class HeldOut:
    """Rows of a release that no training saw, what the model sees in their images, place by place, and rows unread."""

    rows: list[dict[str, Any]]
    features: "Tensor"
    unread: int


@dataclass
class Subject:
    """The checkpoint in ``folder``, with at most ``max_pairs`` held-out pairs of ``release``, "" for none.

    ``columns`` are the columns of the release that the suites read, beside the ids and QUERY.
    """

    root: str
    folder: Path
    release: str
    columns: Sequence[str]
    max_pairs: int
    batch_size: int

    @cached_property
    def encoder(self) -> "Encoder":
        """The model, loaded once, on a GPU where there is one."""
        from udfs.clip.quiet import be_quiet

        be_quiet()
        from udfs.clip.encoder import Encoder, on_device
        from udfs.clip.model import load_clip

        model, tokenizer = load_clip(self.folder)
        return Encoder(on_device(model), tokenizer, self.batch_size)

    @cached_property
    def line(self) -> Release:
        """The release."""
        return read_release(self.root, self.release)

    @property
    def is_of_the_stream(self) -> bool:
        """Say whether ``train_clip`` trained it, on the stream's crops: a training.json is beside its weights."""
        return (self.folder / "training.json").exists()

    def dataset(self, suite: str, *more: str) -> str:
        """Return the name of a suite of held-out rows in ``gold.evaluations``; seen otherwise they are another."""
        view = () if self.is_of_the_stream else (OWN_LOOK,)
        return "/".join([self.release, "held_out", suite, str(self.max_pairs), *more, *view])

    @cached_property
    def held_out(self) -> HeldOut:
        """The first pairs by image_id, which is a hash; those whose image cannot be read are left out."""
        import torch

        side, unread = self.encoder.side, Quota(MAX_SKIPPED)
        columns = tuple(dict.fromkeys(("sample_id", "image_id", QUERY, *self.columns)))
        texts = self._columns(columns, unread)
        rows = heapq.nsmallest(self.max_pairs, texts, key=lambda row: (row["image_id"], row["sample_id"]))
        if not rows:
            raise BadInput(f"release {self.release!r} holds nothing out: publish_gold --held-out 0.1 makes it so")
        places = {row["sample_id"]: place for place, row in enumerate(rows)}
        images = torch.empty(len(rows), 3, side, side, dtype=torch.uint8)
        seen = set()
        for name, pixels in self._streamed(places) if self.is_of_the_stream else self._squares(places):
            images[places[name]] = pixels
            seen.add(name)
        readable = [place for place, row in enumerate(rows) if row["sample_id"] in seen]
        features = self.encoder.images(torch.split(images[readable], self.batch_size))
        return HeldOut([rows[place] for place in readable], features, unread.skipped.total())

    def _streamed(self, wanted: Container[str]) -> Iterator[tuple[str, "Tensor"]]:
        """Yield what the stream shows in the middle of the images of ``wanted`` rows, with their ids."""
        for batch in self._stream(self.encoder.side):
            for index, name in enumerate(batch.sample_id):
                if name in wanted:
                    yield name, batch.image[index]

    def _squares(self, wanted: Container[str]) -> Iterator[tuple[str, "Tensor"]]:
        """Yield the images of ``wanted`` rows as the model's own processor has them, with their ids."""
        from udfs.clip.pixels import square

        unread = Quota(MAX_SKIPPED)
        for name, jpeg in self._images(wanted, unread):
            try:
                yield name, square(jpeg, self.encoder.model.look)
            except UnreadableImage as error:
                table = table_location(self.root, self.line.table_name)
                unread.spend(Fault(UNDECODABLE_IMAGE, str(error), table, sample_ids=(name,)), 1)

    def _stream(self, side: int) -> CaptionStream:
        return CaptionStream(
            self.root,
            release=self.release,
            split="held_out",
            batch_size=self.batch_size,
            image_size=side,
            mix=Mix({QUERY: 1}),
            negatives=Mix(),
            crop="center",
            shuffle=False,
            drop_last=False,
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, of the weights, which is a scorer's revision too."""
        return weights_digest(self.folder)

    def jpegs(self) -> list[bytes]:
        """Return the images of the held-out rows as they lie in the release, in order."""
        wanted = {row["sample_id"]: place for place, row in enumerate(self.held_out.rows)}
        found = [b""] * len(wanted)
        for name, jpeg in self._images(wanted, Quota(MAX_SKIPPED)):
            found[wanted[name]] = jpeg
        return found

    def _images(self, wanted: Container[str], unread: Quota) -> Iterator[tuple[str, bytes]]:
        rows = self._columns(("sample_id", "image"), unread)
        return ((row["sample_id"], row["image"]) for row in rows if row["sample_id"] in wanted)

    def _columns(self, columns: Sequence[str], unread: Quota) -> Iterator[dict[str, Any]]:
        most = self.line.held_out_rows
        return read_texts(self.root, self.line, columns=columns, split="held_out", most=most, quota=unread)
