"""A line of chat data: a question with one image, and its answer, as chat templates and SFT tools take them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

TEXTS: Final = ("long_positive", "short_positive", "long_negative", "short_negative")
"""The fields of an answer, in order."""


class BadLine(ValueError):
    """A line that is no question with one image and an answer; the text says what it is instead."""


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A question with one image, and the answer that is to be learnt."""

    instructions: str
    """What stands before the image; may be empty."""
    own: str
    """What stands behind it; may be empty."""
    image: str
    """Path of the image, from the folder of the file of chats."""
    answer: str


def canonical_answer(texts: Mapping[str, Any]) -> str:
    """Return the four ``texts`` as the one JSON object that a student should answer with.

    >>> row = {"long_positive": "A kite.", "short_positive": ["kite"], "long_negative": "A cat.", "short_negative": []}
    >>> canonical_answer({**row, "sample_id": "7"})
    '{"long_positive": "A kite.", "short_positive": ["kite"], "long_negative": "A cat.", "short_negative": []}'
    """
    return json.dumps({name: texts[name] for name in TEXTS}, ensure_ascii=False)


def write_line(chat: Chat, **ids: str) -> str:
    """Return ``chat`` as a line of JSON, with ``ids`` that say where it came from."""
    parts = [_text(chat.instructions), {"type": "image", "image": chat.image}, _text(chat.own)]
    content = [part for part in parts if part.get("text") != ""]
    # The answer as a list of parts too: templates of some models pass over a plain text, and Arrow takes one type.
    turns = [{"role": "user", "content": content}, {"role": "assistant", "content": [_text(chat.answer)]}]
    return json.dumps({"messages": turns, **ids}, ensure_ascii=False) + "\n"


def read_line(line: bytes) -> Chat:
    """Return the chat in ``line``; raise BadLine.

    >>> read_line(write_line(Chat(instructions="Look.", own="And?", image="a.png", answer="A cat."))).answer
    'A cat.'
    """
    try:
        return _chat(json.loads(line))
    except BadLine:
        raise
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise BadLine(f"expected messages of a user and an assistant: {type(error).__name__}") from None


def _chat(fields: Mapping[str, Any]) -> Chat:
    turns = fields["messages"]
    if [turn["role"] for turn in turns] != ["user", "assistant"]:
        raise BadLine("expected one question and one answer")
    asked, said = (_parts(turn["content"]) for turn in turns)
    images = [place for place, part in enumerate(asked) if part["type"] == "image"]
    if len(images) != 1 or any(part["type"] != "text" for part in said):
        raise BadLine("expected one image, and text alone in the answer")
    before, behind = _joined(asked[: images[0]]), _joined(asked[images[0] + 1 :])
    answer = _joined(said)
    if not answer.strip():
        raise BadLine("expected an answer that says something")
    return Chat(instructions=before, own=behind, image=_path(asked[images[0]]["image"]), answer=answer)


def _parts(content: Any) -> Sequence[Mapping[str, Any]]:
    return [_text(content)] if isinstance(content, str) else list(content)


def _joined(parts: Sequence[Mapping[str, Any]]) -> str:
    if any(part["type"] != "text" for part in parts):
        raise BadLine("expected texts and one image")
    text = "\n".join(part["text"] for part in parts)
    text.encode()  # a lone surrogate is no text that a tokenizer takes
    return text


def _path(path: str) -> str:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "://" in path or not pure.parts:
        raise BadLine(f"expected an image inside the folder, not {path[:80]!r}")
    return path


def _text(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}
