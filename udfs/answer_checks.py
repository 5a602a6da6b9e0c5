"""What is checked and mended in a text that a model wrote, whatever it was asked for."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from udfs.alt_text import only_visible

MAX_ANSWER_CHARS: Final = 64 * 1024
"""An answer this long was cut by the ledger, and is no description of one image."""

MAX_DETAIL_CHARS: Final = 200

_SPACES = re.compile(r"\s+")
_UNSAFE = re.compile(
    r"https?://|\bwww\.\w|</?[a-zA-Z!][^<>]{0,200}>|!?\[[^\[\]]{0,200}\]\(|\b[\w.+-]{1,64}@[\w-]{1,63}\.[a-z]",
    re.IGNORECASE,
)
# At the start alone: a caption may quote such words from a poster. The verbs tell "I cannot see" from song titles.
_REFUSAL = re.compile(
    r"(?:(?:unfortunately|sorry|apologies|i apologi[sz]e)\b[,.!]? *(?:but )?)?"
    r"(?:i(?:'m| am) (?:very |so |really )?sorry(?:[,.!]| but\b| i\b)|as an? (?:ai|artificial|large|language)\b|"
    r"i(?: cannot| can't| can not| could not| couldn't| won't| will not|(?: am|'m) (?:unable|not able) to) "
    r"(?:\w+ly )?(?:help|assist|describe|see|view|provide|identify|process|determine|comply|create|generate|write|"
    r"fulfil|answer|access|caption)|"
    r"(?:there is|there's) no (?:image|picture)|no (?:image|picture) (?:was|is|has been) |"
    r"(?:please )?(?:provide|upload|share) (?:the|an|a|your) (?:image|picture))",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
_LONGEST_UNIT = 12
_LOOPS_FROM = {1: 4, 2: 4}
"""Times that so many words stand in a row before it is a loop; three times for more words."""
_RUN_WORDS = 4
_MIN_RUNS = 16
_MAX_REPEATED = 0.3
"""Share of runs of four words that came before, from which a text goes in circles; in written English it is near 0."""
_STUTTER = re.compile(r"([^\W\d_]{1,8}?)\1{9}")
_ECHO_WORDS = 8


class Rejected(Exception):
    """A text that cannot be used; never leaves the module that reads an answer."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = only_visible(detail)[:MAX_DETAIL_CHARS]


@dataclass
class Repairs:
    """The names of the repairs made so far, in order, each once."""

    names: dict[str, None] = field(default_factory=dict)

    def apply(self, name: str, mend: Callable[[str], str], text: str) -> str:
        """Return ``mend(text)``, with ``name`` on record if that changed something."""
        mended = mend(text)
        if mended != text:
            self.names[name] = None
        return mended


def decoded(answers: pa.Array | pa.ChunkedArray) -> Iterator[str | None]:
    """Yield the answers as text: one that is not UTF-8 must not fail the whole batch."""
    for answer in answers.cast(pa.large_binary()).to_pylist():
        yield None if answer is None else answer.decode(errors="replace")


def why_unusable(answers: pa.RecordBatch, read: pa.RecordBatch) -> dict[str, pa.Array]:
    """Return ``reason`` and ``detail`` of each of ``answers``, null where what was ``read`` of it can be used.

    Where the model failed there is no answer to read: its own reason stands. ``said`` is what the model said, where
    there is a reason.
    """
    why = {name: pc.coalesce(answers[name], read[name]) for name in ("reason", "detail")}
    return {**why, "said": pc.if_else(pc.is_valid(why["reason"]), answers["said"], None)}


def check_answer(answer: str | None) -> str:
    """Return ``answer``; raise Rejected if it is missing, blank, or as long as what the ledger cuts."""
    if answer is None or not only_visible(answer[:MAX_ANSWER_CHARS]).strip():
        raise Rejected("empty_answer", "the answer is missing or blank")
    if len(answer) >= MAX_ANSWER_CHARS:
        raise Rejected("text_too_long", f"the answer has {len(answer)} characters, expected under {MAX_ANSWER_CHARS}")
    return answer


def single_spaced(text: str) -> str:
    """Return ``text`` as one line without white space at its ends."""
    return _SPACES.sub(" ", text).strip()


def check_safe(text: str) -> None:
    """Raise Rejected if ``text`` holds an address, HTML or a Markdown link."""
    if found := _UNSAFE.search(text):
        raise Rejected("unsafe_text", f"a text holds {found.group()!r}")


def check_prose(name: str, text: str, *, max_chars: int, prompt: str = "") -> None:
    """Raise Rejected if ``text`` is too long, refuses, goes in circles, or repeats the ``prompt`` that asked for it.

    ``name`` says which text it is, for the detail.
    """
    if len(text) > max_chars:
        raise Rejected("text_too_long", f"{name} has {len(text)} characters, expected at most {max_chars}")
    if refusal := refusal_in(text):
        raise Rejected("refused", f"{name} begins with {refusal!r}")
    if loop := loop_in(text):
        raise Rejected("repetition_loop", f"{name} says over and over {loop!r}")
    if echo := echo_in(text, prompt):
        raise Rejected("prompt_echo", f"{name} repeats the prompt: {echo!r}")


def refusal_in(text: str) -> str | None:
    """Return the words with which ``text`` refuses to answer; None if it does not.

    >>> refusal_in("I'm sorry, but I can't help with that.")
    "I'm sorry,"
    >>> refusal_in("A card that says I'm sorry, with a duck on it.") is None
    True
    """
    found = _REFUSAL.match(text.replace("\u2019", "'"))
    return found.group().strip() if found else None


def loop_in(text: str) -> str | None:
    """Return what ``text`` says over and over: a few words in a row, runs of words again and again; None if nothing.

    >>> loop_in("A duck on a lake on a lake on a lake")
    'on a lake'
    >>> loop_in("A man, a woman and a dog on a boat on a lake") is None
    True
    """
    words = _WORD.findall(text.lower())
    if (loop := _in_a_row(words) or _in_circles(words)) is not None:
        return loop
    stutter = _STUTTER.search(text.lower())
    return stutter[1] if stutter else None


def echo_in(text: str, prompt: str) -> str | None:
    """Return eight words in a row that ``text`` shares with ``prompt``; None if there are none."""
    if not prompt:
        return None
    known = _runs_of(prompt)
    return next((" ".join(run) for run in _runs(_WORD.findall(text.lower()), _ECHO_WORDS) if run in known), None)


def _in_a_row(words: list[str]) -> str | None:
    for length in range(1, min(_LONGEST_UNIT, len(words) // 3) + 1):
        same = 0
        for place in range(length, len(words)):
            same = same + 1 if words[place] == words[place - length] else 0
            if same == length * (_LOOPS_FROM.get(length, 3) - 1):
                return " ".join(words[place - length + 1 : place + 1])
    return None


def _in_circles(words: list[str]) -> str | None:
    counts = Counter(_runs(words, _RUN_WORDS))
    total = counts.total()
    if total < _MIN_RUNS or total - len(counts) < _MAX_REPEATED * total:
        return None
    return " ".join(counts.most_common(1)[0][0])


def _runs(words: list[str], length: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[place : place + length]) for place in range(len(words) - length + 1))


@functools.lru_cache(maxsize=8)
def _runs_of(prompt: str) -> frozenset[tuple[str, ...]]:
    return frozenset(_runs(_WORD.findall(prompt.lower()), _ECHO_WORDS))
