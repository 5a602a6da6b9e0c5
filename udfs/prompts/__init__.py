"""Prompts: files with a hash, read also out of a zip, and filled for one sample."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Final

from lakehouse.errors import BadInput
from udfs.alt_text import clean_for_prompt

VARIABLES: Final = ("alt_text", "fence", "statement", "web_tags")
"""What a prompt may ask for, in braces."""

IMAGE: Final = "{image}"
"""Where the image stands in a prompt: what is before it is the same for every sample."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FENCE_DIGITS = 16
_MAX_BYTES = 256 * 1024
_MAX_STATEMENT_CHARS = 3000


@dataclass(frozen=True)
class Prompt:
    """A prompt file: its name without ``.md``, its text with placeholders, and the SHA-256 of the file, in hex."""

    name: str
    text: str
    sha256: str


def prompt_names() -> tuple[str, ...]:
    """Return the names of the prompts there are, in alphabetical order."""
    files = (entry.name for entry in resources.files(__name__).iterdir())
    return tuple(sorted(name.removesuffix(".md") for name in files if name.endswith(".md")))


def read_prompt(name: str) -> Prompt:
    """Return the prompt called ``name``, or the one in the file ``name`` where that ends in ``.md``.

    Raises BadInput if there is none, if it is no text, or if it asks for an unknown variable.
    """
    content = _own_file(name) if name.endswith(".md") else _ours(name)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadInput(f"prompt {name!r} is not UTF-8: {error}") from None
    if not text.strip():
        raise BadInput(f"prompt {name!r} is empty")
    check_prompt(name, text)
    return Prompt(name=Path(name).name.removesuffix(".md"), text=text, sha256=hashlib.sha256(content).hexdigest())


def _ours(name: str) -> bytes:
    if name not in prompt_names():
        known = ", ".join(prompt_names())
        raise BadInput(f"no prompt {name!r}: expected one of {known}, or a file of your own that ends in .md")
    return resources.files(__name__).joinpath(f"{name}.md").read_bytes()


def _own_file(name: str) -> bytes:
    file = Path(name)
    if not file.is_file():
        raise BadInput(f"no prompt file {name!r}")
    if file.stat().st_size > _MAX_BYTES:
        raise BadInput(f"prompt file {name!r} has {file.stat().st_size:,} bytes, expected at most {_MAX_BYTES:,}")
    return file.read_bytes()


def check_prompt(name: str, text: str) -> None:
    """Raise BadInput if the prompt ``text``, called ``name``, asks for what nothing fills, or for two images."""
    unknown = sorted(set(_PLACEHOLDER.findall(text)) - {*VARIABLES, "image"})
    if unknown:
        raise BadInput(f"prompt {name!r} asks for {', '.join(unknown)}: expected only image, {', '.join(VARIABLES)}")
    instructions, separator, own = text.partition(IMAGE)
    if IMAGE in own:
        raise BadInput(f"prompt {name!r} has {IMAGE} twice: expected it once")
    if separator and _PLACEHOLDER.search(instructions):
        raise BadInput(f"prompt {name!r} speaks of a sample before {IMAGE}: expected that behind it")


def split_prompt(text: str) -> tuple[str, str]:
    """Return what stands before the image, the same for every sample, and what behind it; all is behind where none is.

    >>> split_prompt("Describe it.{image}Said of it: {alt_text}")
    ('Describe it.', 'Said of it: {alt_text}')
    """
    instructions, separator, own = text.partition(IMAGE)
    return (instructions.strip(), own.strip()) if separator else ("", text.strip())


def fill(
    text: str, *, sample_id: str, alt_text: str, web_tags: Sequence[str] = (), statement: str | None = None
) -> str:
    """Return the prompt ``text`` for one sample; the web's words, and a ``statement``, stand in it as a line of JSON.

    The fence is made of the sample's id. That is a hash of the alt-text, so that no alt-text can hold the fence around
    itself, and the same sample always gets the same prompt.

    >>> fill("<{fence}> {alt_text}", sample_id="0123456789abcdef01", alt_text='say "hi"')
    '<data-0123456789abcdef> "say \\\\"hi\\\\""'
    """
    values = {
        "alt_text": _quoted(clean_for_prompt(alt_text)),
        "fence": f"data-{sample_id[:_FENCE_DIGITS]}",
        "statement": _quoted(clean_for_prompt(statement or "", max_chars=_MAX_STATEMENT_CHARS)),
        "web_tags": _quoted([clean_for_prompt(tag, max_chars=60) for tag in web_tags[:50]]),
    }
    # In one pass: a placeholder inside an alt-text is text.
    return _PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), text)


def second_question(complaint: str) -> str:
    """Return what a model is told whose answer could not be used: ``complaint`` says what was wrong with it."""
    return (
        f"That answer cannot be used: {complaint}. Answer again, in the form that was asked for and with nothing else."
    )


def _quoted(value: str | list[str]) -> str:
    return json.dumps(value, ensure_ascii=False)
