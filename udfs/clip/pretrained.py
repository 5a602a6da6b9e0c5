"""What transformers reads in a model's folder: local files alone, safetensors alone, and no code of theirs."""

from typing import Any, Final

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from lakehouse.errors import BadInput, MissingPart
from udfs.clip.families import FAMILIES
from udfs.clip.folder import Folder

_FROM_FILES: Final[dict[str, Any]] = {"local_files_only": True, "trust_remote_code": False}
_LEGACY_EOS: Final = 2
"""Configurations of CLIP older than transformers 4.32 say so, and mean the highest id of a text."""


def read_config(folder: Folder) -> Any:
    """Return the configuration in a folder. Raises BadInput."""
    config = _loaded(folder, "configuration", FAMILIES[folder.architecture].config)
    if folder.architecture == "siglip" and not config.vision_config.vision_use_head:
        raise BadInput(f"the SigLIP in {str(folder.path)!r} pools no image features: expected vision_use_head")
    return config


def read_tokenizer_in(folder: Folder) -> PreTrainedTokenizerFast:
    """Return the tokenizer in a folder, which cuts texts at the length that the model can read.

    Raises:
        BadInput: it cannot be read, or does not belong to the model
        MissingPart: it is in sentencepiece's own format alone, and that package is not installed
    """
    tokenizer = _tokenizer(folder)
    config = read_config(folder).text_config
    _check_tokenizer(folder, tokenizer, config)
    tokenizer.model_max_length = min(tokenizer.model_max_length, config.max_position_embeddings)
    return tokenizer


def read_weights(folder: Folder, tokenizer: PreTrainedTokenizerFast) -> Any:
    """Return the model in a folder, in float32. Raises BadInput for weights that are damaged or not all there."""
    family = FAMILIES[folder.architecture]
    config = read_config(folder)
    if family.is_sigmoid:
        # It is padded by the tokenizer's token, which its authors' own configurations do not name.
        config.text_config.pad_token_id = tokenizer.pad_token_id
    model, told = _loaded(
        folder,
        "weights",
        family.model,
        config=config,
        use_safetensors=True,
        dtype=torch.float32,
        output_loading_info=True,
    )
    missing = sorted(told["missing_keys"])
    if missing:
        raise BadInput(f"{len(missing)} weights are missing in {str(folder.path)!r}, such as {missing[0]}")
    return model


def _tokenizer(folder: Folder) -> PreTrainedTokenizerFast:
    try:
        tokenizer: PreTrainedTokenizerFast = _loaded(folder, "tokenizer", AutoTokenizer)
    except ImportError as error:
        # SigLIP's class wants sentencepiece, and what it reads is in tokenizer.json too.
        if not (folder.path / "tokenizer.json").exists():
            raise MissingPart(
                f"the tokenizer in {str(folder.path)!r} needs sentencepiece: pip install sentencepiece, or save it as "
                "tokenizer.json"
            ) from error
        tokenizer = _loaded(folder, "tokenizer", PreTrainedTokenizerFast)
    return tokenizer


def _check_tokenizer(folder: Folder, tokenizer: PreTrainedTokenizerFast, config: Any) -> None:
    where = f"the tokenizer in {str(folder.path)!r}"
    if tokenizer.pad_token_id is None or tokenizer.padding_side != "right":
        raise BadInput(f"{where} does not pad after the end: expected a padding token and padding_side right")
    if len(tokenizer) > config.vocab_size:
        raise BadInput(f"{where} has {len(tokenizer)} tokens, and the model {config.vocab_size}: expected a pair")
    ends = (_LEGACY_EOS, tokenizer.eos_token_id)
    if folder.architecture == "clip" and config.eos_token_id not in ends:
        raise BadInput(f"{where} ends texts by token {ends[1]}, and the model reads token {config.eos_token_id}")


def _loaded(folder: Folder, what: str, auto: Any, **options: Any) -> Any:
    try:
        return auto.from_pretrained(str(folder.path), **_FROM_FILES, **options)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = lines[0] if lines else type(error).__name__
        raise BadInput(f"cannot read the {what} in {str(folder.path)!r}: {said}") from error
