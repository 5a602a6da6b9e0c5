"""Chats as tensors: what the student is asked is made just as when it captions, and only its answer is to be learnt."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.nn.utils.rnn import pad_sequence

from udfs.hf.engine import Engine
from udfs.hf.messages import Told
from udfs.hf.tuning.chat_file import ChatFile
from udfs.images import UnreadableImage, smaller_rgb

NOT_LEARNT: Final = -100
"""Label of a token without a loss."""


@dataclass(frozen=True)
class Batch:
    """Questions with their answers, each a row."""

    inputs: Mapping[str, torch.Tensor]
    """What the model takes, padded on the right."""
    labels: torch.Tensor
    """The tokens of the answers in their places; NOT_LEARNT elsewhere."""

    @property
    def tokens(self) -> int:
        """How many tokens are to be learnt."""
        return int((self.labels != NOT_LEARNT).sum())


@dataclass(frozen=True)
class _Row:
    place: int
    told: Told
    answer: Sequence[int]


class Batches:
    """Makes batches of the chats of one file; what cannot be read is left out from then on, with its reason."""

    def __init__(self, chats: ChatFile, engine: Engine, *, max_pixels: int, max_tokens: int) -> None:
        self._chats, self._engine = chats, engine
        self._max_pixels, self._max_tokens = max_pixels, max_tokens
        self.left_out: dict[int, str] = {}

    def batch(self, places: Sequence[int]) -> Batch | None:
        """Return the chats at ``places`` as tensors in main memory; None where none of them can be used."""
        rows = [row for place in places if place not in self.left_out and (row := self._row(place)) is not None]
        while rows:
            asked = self._asked(rows)
            if asked is not None and not self._leave_out_long(rows, asked["attention_mask"]):
                return joined(asked, [row.answer for row in rows], pad=self._engine.pad)
            rows = [row for row in rows if row.place not in self.left_out]
        return None

    def _leave_out_long(self, rows: Sequence[_Row], mask: torch.Tensor) -> list[int]:
        """Leave out, and return, the places of the rows that have too many tokens."""
        lengths = [asks + len(row.answer) for row, asks in zip(rows, mask.sum(dim=1).tolist(), strict=True)]
        long = [row.place for row, length in zip(rows, lengths, strict=True) if length > self._max_tokens]
        self.left_out.update(dict.fromkeys(long, "too_many_tokens"))
        return long

    def _row(self, place: int) -> _Row | None:
        chat = self._chats.chat(place)
        try:
            image = smaller_rgb(self._chats.image(chat), max_pixels=self._max_pixels)
        except UnreadableImage as error:
            self.left_out[place] = error.reason
            return None
        except OSError:
            self.left_out[place] = "missing_image"
            return None
        told = Told(instructions=chat.instructions, own=chat.own, image=image)
        return _Row(place, told, self._engine.answer_ids(told, chat.answer))

    def _asked(self, rows: Sequence[_Row]) -> Any:
        """Return the questions as the student is asked them; None where they cannot be, and whose fault it is noted."""
        try:
            return self._engine.encode([row.told for row in rows])
        except Exception:  # a processor's errors are of any class
            if len(rows) == 1:
                self.left_out[rows[0].place] = "model_error"
                return None
        return self._blame(rows)

    def _blame(self, rows: Sequence[_Row]) -> None:
        good = [row for row in rows if self._asked([row]) is not None]
        if len(good) == len(rows):  # each can be asked alone, and all cannot together
            self.left_out.update(dict.fromkeys((row.place for row in rows), "model_error"))


def joined(asked: Mapping[str, torch.Tensor], answers: Sequence[Sequence[int]], *, pad: int) -> Batch:
    """Return what is ``asked``, padded on any side, with each answer behind its question.

    The tokens of a question are those that the model sees when it is asked: the answer is joined to them, not to their
    text, which a tokenizer might cut elsewhere.
    """
    mask = asked["attention_mask"].bool()
    inputs = dict(asked)
    for name, values in asked.items():
        if values.shape[:2] == mask.shape:  # one value a token
            rows = [own[there] for own, there in zip(values, mask, strict=True)]
            more = [_more(own, answer, name) for own, answer in zip(rows, answers, strict=True)]
            fill = pad if name == "input_ids" else 0
            inputs[name] = pad_sequence(more, batch_first=True, padding_value=fill)
    asks = mask.sum(dim=1).tolist()
    labels = [torch.tensor([NOT_LEARNT] * count + list(answer)) for count, answer in zip(asks, answers, strict=True)]
    return Batch(inputs, pad_sequence(labels, batch_first=True, padding_value=NOT_LEARNT))


def _more(values: torch.Tensor, answer: Sequence[int], name: str) -> torch.Tensor:
    """Return the values of a question's tokens, then the answer's: of all but the ids, what holds for text holds on."""
    if name == "input_ids":
        return torch.cat([values, torch.tensor(answer, dtype=values.dtype)])
    return torch.cat([values, values[-1:].expand(len(answer), *values.shape[1:])])
