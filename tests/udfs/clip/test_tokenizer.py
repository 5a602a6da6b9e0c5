"""The tokenizer that is trained on a corpus."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from udfs.clip.tokenizer import token_ids, train_tokenizer

CORPUS = ["a red kite over the beach", "a blue kite", "the flag of Haiti", "two red apples", "a kite"] * 3
TOKENIZER = train_tokenizer(CORPUS, vocab_size=320, max_tokens=12)
ROOMY = train_tokenizer(CORPUS, vocab_size=280, max_tokens=64)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=0x17F, categories=("L", "Nd")), min_size=1, max_size=6))
def test_a_short_text_comes_back_in_lower_case(text: str) -> None:
    back = ROOMY.decode(ROOMY(text)["input_ids"], skip_special_tokens=True).strip()
    assert back == unicodedata.normalize("NFKC", text).lower()


def test_the_end_has_the_highest_id() -> None:
    assert TOKENIZER.eos_token_id == len(TOKENIZER) - 1
    assert TOKENIZER.eos_token_id != 2


def test_a_text_stands_between_start_and_end() -> None:
    ids = TOKENIZER("a kite")["input_ids"]
    assert (ids[0], ids[-1]) == (TOKENIZER.bos_token_id, TOKENIZER.eos_token_id)


def test_a_long_text_is_cut_before_its_end_token() -> None:
    (ids,) = token_ids(TOKENIZER, ["the red kite " * 50]).tolist()
    assert len(ids) == 12
    assert ids[-1] == TOKENIZER.eos_token_id


def test_a_shorter_text_is_padded_after_its_end() -> None:
    longer, shorter = token_ids(TOKENIZER, ["a red kite over the beach", "a kite"]).tolist()
    end = shorter.index(TOKENIZER.eos_token_id)
    assert len(longer) == len(shorter)
    assert set(shorter[end + 1 :]) == {TOKENIZER.pad_token_id}


def test_an_empty_text_is_start_with_end() -> None:
    assert token_ids(TOKENIZER, [""]).tolist() == [[TOKENIZER.bos_token_id, TOKENIZER.eos_token_id]]


def test_the_folder_gives_the_same_tokens(tmp_path: Path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert token_ids(again, CORPUS).equal(token_ids(TOKENIZER, CORPUS))
    assert again.model_max_length == 12


def test_the_same_corpus_gives_the_same_tokenizer() -> None:
    again = train_tokenizer(iter(CORPUS), vocab_size=320, max_tokens=12)
    assert again.get_vocab() == TOKENIZER.get_vocab()


def test_a_vocabulary_without_room_for_the_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 259"):
        train_tokenizer(CORPUS, vocab_size=100)
