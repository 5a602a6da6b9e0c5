"""What a model is told, as text: by the chat template of its processor, or plainly where it has none."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from udfs.prompts import second_question


@dataclass(frozen=True, kw_only=True)
class Told:
    """One question to the model: instructions, the image, and what is the sample's own."""

    instructions: str
    own: str
    image: Image.Image | None
    """None where the model is shown none."""
    unusable: tuple[str, str] | None = None
    """An answer that could not be used, with what was wrong with it: the model is asked again."""


class Wording:
    """Puts questions into the words of one ``processor``."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor
        self._has_template = bool(getattr(processor, "chat_template", None))
        self._image = getattr(processor, "image_token", None) or ""
        self._special = _pattern(special_tokens(processor))

    def text(self, told: Told) -> str:
        """Return the prompt that the processor takes, with a place for the image."""
        if not self._has_template:
            return self._plain(told)
        return str(self._processor.apply_chat_template(self._chat(told), add_generation_prompt=True, tokenize=False))

    def answer(self, told: Told, answer: str) -> str:
        """Return ``answer`` as a conversation has it behind ``text(told)``: what a model learns to write there."""
        harmless = self.harmless(answer)
        if not self._has_template:
            return harmless
        said = {"role": "assistant", "content": [_part(harmless)]}
        whole = str(self._processor.apply_chat_template([*self._chat(told), said], tokenize=False))
        asked = self.text(told)
        # Some templates write more before an answer that is to come than before one that is there.
        return whole[len(asked) :].rstrip() if whole.startswith(asked) else harmless

    def harmless(self, text: str) -> str:
        """Return ``text`` with every special token broken up: one in an alt-text would end a turn or ask for an image.

        A token is broken by a blank behind its first character.
        """
        return self._special.sub(lambda token: f"{token[0][0]} {token[0][1:]}", text)

    def _chat(self, told: Told) -> list[dict[str, Any]]:
        image = [{"type": "image"}] if told.image is not None else []
        texts = [_part(self.harmless(text)) for text in (told.instructions, told.own) if text]
        content = [*texts[:-1], *image, *texts[-1:]]
        turns = [{"role": "user", "content": content}]
        if told.unusable is not None:
            answer, complaint = (self.harmless(text) for text in told.unusable)
            turns += [
                {"role": "assistant", "content": [_part(answer)]},
                {"role": "user", "content": [_part(second_question(complaint))]},
            ]
        return turns

    def _plain(self, told: Told) -> str:
        image = self._image if told.image is not None else ""
        again = (told.unusable[0], second_question(told.unusable[1])) if told.unusable else ()
        texts = [self.harmless(text) for text in (told.instructions, told.own, *again) if text]
        return "\n".join([image, *texts] if image else texts)


def special_tokens(processor: Any) -> frozenset[str]:
    """Return the texts that the tokenizer of ``processor`` reads as one token each, with a meaning of its own."""
    tokenizer = processor.tokenizer
    added = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    own = {getattr(processor, name, None) for name in ("image_token", "video_token", "audio_token")}
    return frozenset(token for token in added | {*tokenizer.all_special_tokens} | own if token and len(token) > 1)


def _pattern(tokens: frozenset[str]) -> re.Pattern[str]:
    # The longest first: one may begin with another. What is empty matches nowhere.
    return re.compile("|".join(re.escape(token) for token in sorted(tokens, key=len, reverse=True)) or r"(?!)")


def _part(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def images_of(batch: Sequence[Told]) -> list[list[Image.Image]] | None:
    """Return the images as a processor takes them, a list for each row; None where rows have none."""
    images = [[told.image] for told in batch if told.image is not None]
    return images or None
