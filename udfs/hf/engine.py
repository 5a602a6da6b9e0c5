"""A model in this process: questions in, what it writes out; loaded once, kept until another is asked for."""

import copy
import gc
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from lakehouse.errors import ModelFailed
from udfs.devices import free_cached_memory, pick_device, pick_dtype
from udfs.hf.messages import Told, Wording, images_of
from udfs.hf.settings import HfSettings
from udfs.hf.weights import Stamp, read_model, read_processor, stamp_of


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a model wrote in reply to one question."""

    text: str
    input_tokens: int
    """Of the question, the image's among them."""
    output_tokens: int
    """The one that ends the answer among them."""
    is_cut: bool
    """Whether it met the limit of tokens before its end."""


class Engine:
    """A processor and a model, on one device. ``encode`` may be called while ``write`` runs in another thread."""

    def __init__(self, processor: Any, model: Any) -> None:
        self._processor, self._model = processor, model
        self.wording = Wording(processor)
        tokenizer = processor.tokenizer
        # Answers begin where questions end: the padding has to stand on the other side.
        tokenizer.padding_side = "left"
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        # A tokenizer that encodes in one thread cannot decode in another.
        self._decoder = copy.deepcopy(tokenizer)
        self._encoding = threading.Lock()
        self._ends = _ends(model, tokenizer)

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        device: torch.device = self._model.device
        return device

    @property
    def pad(self) -> int:
        """The token that fills up the shorter rows of a batch."""
        token: int = self._processor.tokenizer.pad_token_id
        return token

    def encode(self, batch: Sequence[Told]) -> Any:
        """Return the tensors that ``write`` takes, still in main memory."""
        with self._encoding:
            texts = [self.wording.text(told) for told in batch]
            # Where the template has written the token that begins a text, the tokenizer must not write another.
            first = self._processor.tokenizer.bos_token
            begins = not (first and texts[0].startswith(first))
            images = images_of(batch)
            return self._processor(
                text=texts,
                **({"images": images} if images else {}),
                padding=True,
                return_tensors="pt",
                add_special_tokens=begins,
            )

    def answer_ids(self, told: Told, answer: str) -> list[int]:
        """Return the tokens that the model would have written to say ``answer``, the one that ends it included."""
        tokenizer = self._processor.tokenizer
        with self._encoding:
            ids: list[int] = tokenizer(self.wording.answer(told, answer), add_special_tokens=False)["input_ids"]
        end = next((place for place, token in enumerate(ids) if token in self._ends), None)
        if end is not None:
            return ids[: end + 1]
        return [*ids, tokenizer.eos_token_id if tokenizer.eos_token_id in self._ends else min(self._ends)]

    @torch.inference_mode()
    def write(self, inputs: Any, *, max_new_tokens: int) -> list[Written]:
        """Return what the model writes, the likeliest token each time, in the order of the rows of ``inputs``."""
        inputs = inputs.to(self.device, dtype=self._model.dtype)
        written = self._model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            pad_token_id=self._processor.tokenizer.pad_token_id,
        )
        asked = inputs["attention_mask"].sum(dim=1).tolist()
        answers = _without_question(written, inputs["input_ids"]).tolist()
        return [self._read(ids, count, max_new_tokens) for ids, count in zip(answers, asked, strict=True)]

    def _read(self, ids: list[int], asked: int, limit: int) -> Written:
        length = next((place + 1 for place, token in enumerate(ids) if token in self._ends), len(ids))
        is_cut = length >= limit and ids[length - 1] not in self._ends
        text = self._decoder.decode(ids[:length], skip_special_tokens=True).strip()
        return Written(text=text, input_tokens=asked, output_tokens=length, is_cut=is_cut)


def _without_question(written: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Return the new tokens of each row; models with an encoder, and a few others, return nothing else."""
    length = asked.shape[1]
    repeats = written.shape[1] >= length and torch.equal(written[:, :length], asked)
    return written[:, length:] if repeats else written


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = tokenizer.eos_token_id
    return frozenset(ends if isinstance(ends, list) else [] if ends is None else [ends])


_Key = tuple[str, str, Stamp, bool, str, torch.dtype]
_kept: dict[_Key, Engine] = {}
"""The one model of this process. Spark uses a process again for another task, which may have another GPU."""


def engine_for(settings: HfSettings) -> Engine:
    """Return the model on the device of this task: the one that this process has, or else loaded now.

    Raises ModelFailed where it cannot be loaded, and BadInput where there is no such folder on this machine.
    """
    device = pick_device(settings.device)
    return engine_on(device, settings)


def engine_on(device: str, settings: HfSettings) -> Engine:
    """Return the model on ``device``; what this process had loaded before of another kind is let go of first."""
    dtype = pick_dtype(settings.dtype, device)
    key = (settings.model, settings.revision, stamp_of(settings), settings.images, device, dtype)
    if key not in _kept:
        _let_go()
        _kept[key] = _load(settings, device, dtype)
    return _kept[key]


def leave_gpu() -> None:
    """Let go of a model on a GPU: Spark keeps processes that have nothing to do, and may give the GPU to another."""
    if any(device.startswith("cuda") for *_, device, _ in _kept):
        _let_go()


def _let_go() -> None:
    # What stays on a GPU that this process no longer has would be missing to the process that has it now.
    _kept.clear()
    gc.collect()
    free_cached_memory()


def _load(settings: HfSettings, device: str, dtype: torch.dtype) -> Engine:
    processor = read_processor(settings)
    try:
        model = read_model(settings, dtype).to(device).eval()
    except torch.OutOfMemoryError as error:
        raise ModelFailed(f"{settings.model!r} does not fit into the memory of {device}") from error
    return Engine(processor, model)
