"""A byte-level BPE tokenizer trained on a corpus, in the format that transformers reads."""

from collections.abc import Iterable, Sequence
from typing import Final

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

PAD: Final = "<|pad|>"
BOS: Final = "<|startoftext|>"
EOS: Final = "<|endoftext|>"

_BYTES: Final = 256


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = 4000, max_tokens: int = 32) -> PreTrainedTokenizerFast:
    """Return a tokenizer trained on ``texts``: lower case, every byte in its alphabet, so that no text is unknown.

    A text becomes start, at most ``max_tokens`` - 2 tokens, end. The end has the highest id of all: transformers' CLIP
    takes a text's feature at the first end token, or, where a configuration says ``eos_token_id=2``, at the highest
    id; here both are one place. ``vocab_size`` counts the three special tokens; a small corpus may give fewer.
    """
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(texts, _trainer(vocab_size))
    bpe.add_special_tokens([PAD, BOS, EOS])
    ids = [(token, bpe.token_to_id(token)) for token in (BOS, EOS)]
    bpe.post_processor = processors.TemplateProcessing(single=f"{BOS} $A {EOS}", special_tokens=ids)
    return read_tokenizer(bpe.to_str(), max_tokens=max_tokens)


def read_tokenizer(text: str, *, max_tokens: int, masks_padding: bool = True) -> PreTrainedTokenizerFast:
    """Return the tokenizer that ``write_tokenizer`` has written.

    ``masks_padding`` says whether transformers' processors hand out a mask: SigLIP sees its padding.
    """
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(text),
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=max_tokens,
        padding_side="right",
        truncation_side="right",
        model_input_names=["input_ids", "attention_mask"] if masks_padding else ["input_ids"],
    )


def write_tokenizer(tokenizer: PreTrainedTokenizerFast) -> str:
    """Return ``tokenizer``, which ``train_tokenizer`` has made, as text."""
    text: str = tokenizer.backend_tokenizer.to_str()
    return text


def token_ids(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> torch.Tensor:
    """Return int64 (texts, tokens of the longest): padded after the end, cut at the tokenizer's length."""
    encoded = tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
    ids: torch.Tensor = encoded["input_ids"]
    return ids


def _trainer(vocab_size: int) -> trainers.BpeTrainer:
    if vocab_size < _BYTES + 3:
        raise ValueError(
            f"vocab_size is {vocab_size}: expected at least {_BYTES + 3}, all bytes and three special tokens"
        )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trainers.BpeTrainer(
        vocab_size=vocab_size - 3, min_frequency=2, initial_alphabet=alphabet, show_progress=False
    )
