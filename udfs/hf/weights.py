"""A model's files: which revision they are, and whether they can answer anything."""

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from lakehouse.errors import BadInput, MissingPart, ModelFailed
from lakehouse.outcome import not_installed
from udfs.hf.settings import HfSettings

Stamp = tuple[tuple[str, int, int], ...]
"""Name, bytes and time of change (ns) of each file, by name."""

_SUFFIXES: Final = {".json", ".jinja", ".model", ".safetensors", ".txt"}
"""Of the files that can change an answer: configuration, tokenizer, chat template, weights."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_DIGITS: Final = 16


def revision_of(settings: HfSettings) -> str:
    """Return the commit of a model on the hub, or a hash of what a folder holds: trained on, it is another revision.

    Raises BadInput where there is no such folder, where its contents are not the revision that the URI asks for, and
    for an id without a commit.
    """
    if not settings.is_folder:
        return _commit(settings)
    found = _digest(settings.model, stamp_of(settings))
    if settings.revision not in ("", found):
        raise BadInput(f"{settings.model!r} is revision {found}, and {settings.revision!r} is asked for")
    return found


def stamp_of(settings: HfSettings) -> Stamp:
    """Return the stamp of a folder's files, empty for a model on the hub; raise BadInput if there is no folder."""
    if not settings.is_folder:
        return ()
    folder = Path(settings.model)
    if not folder.is_dir():
        raise BadInput(f"no folder {settings.model!r} on this machine")
    files = sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())
    return tuple((file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def origin(settings: HfSettings) -> dict[str, Any]:
    """Return what every ``from_pretrained`` is given: nothing but these weights, no code of theirs, no pickles."""
    place = {"local_files_only": True} if settings.is_folder else {"revision": _commit(settings)}
    return {"pretrained_model_name_or_path": settings.model, "trust_remote_code": False, **place}


def check_weights(settings: HfSettings) -> None:
    """Raise BadInput or ModelFailed, in one line, for what is no image-text-to-text model that can be loaded here."""
    revision_of(settings)
    if settings.is_folder:
        _check_files(Path(settings.model))
    _check_class(settings)
    read_processor(settings)


def read_config(settings: HfSettings) -> Any:
    """Return the configuration of a model. Raises ModelFailed."""
    return _loaded(settings, "configuration", require_transformers().AutoConfig)


def read_processor(settings: HfSettings) -> Any:
    """Return the processor of a model: tokenizer and, where images are shown, image processor. Raises ModelFailed."""
    auto = require_transformers().AutoProcessor
    processor = _loaded(settings, "processor", auto)
    wanted = ("tokenizer", "image_processor") if settings.images else ("tokenizer",)
    lacking = [part.replace("_", " ") for part in wanted if getattr(processor, part, None) is None]
    if lacking:
        raise ModelFailed(f"{settings.model!r} has no {' and no '.join(lacking)}: expected a processor of both")
    return processor


def read_model(settings: HfSettings, dtype: Any) -> Any:
    """Return the model, its weights read from safetensors and nothing else. Raises ModelFailed."""
    auto = require_transformers().AutoModelForImageTextToText
    return _loaded(settings, "model", auto, use_safetensors=True, dtype=dtype)


def _commit(settings: HfSettings) -> str:
    if not _COMMIT.fullmatch(settings.revision):
        raise BadInput(
            f"no folder {settings.model!r}, and for a model on the hub the commit is missing: "
            f"expected hf://{settings.model}?revision= with its 40 hex digits"
        )
    return settings.revision


@lru_cache(maxsize=8)
def _digest(folder: str, stamp: Stamp) -> str:
    whole = hashlib.sha256()
    for name, _, _ in stamp:
        with (Path(folder) / name).open("rb") as file:
            whole.update(f"{name}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()[:_DIGITS]


def _check_files(folder: Path) -> None:
    try:
        config = json.loads((folder / "config.json").read_text())
    except FileNotFoundError:
        raise BadInput(f"no config.json in {str(folder)!r}: expected what save_pretrained writes") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {str(folder / 'config.json')!r}: {error}") from None
    if not isinstance(config, dict) or "model_type" not in config:
        raise BadInput(f"{str(folder / 'config.json')!r} names no model_type: expected what save_pretrained writes")
    if not any(folder.glob("*.safetensors")):
        raise BadInput(f"no safetensors in {str(folder)!r}: weights in other formats can run code, and are not read")


def _check_class(settings: HfSettings) -> None:
    config = read_config(settings)
    if type(config) not in require_transformers().MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise ModelFailed(f"{settings.model!r} is a model of type {config.model_type}, which is not image-text-to-text")


def _loaded(settings: HfSettings, what: str, auto: Any, **options: Any) -> Any:
    try:
        return auto.from_pretrained(**origin(settings), **options)
    except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        said = lines[0] if lines else type(error).__name__
        raise ModelFailed(f"cannot read the {what} of {settings.model!r}: {said}") from error


def require_transformers() -> Any:
    """Return transformers, silent but for errors; raise MissingPart if it, or PyTorch, is not installed."""
    try:
        import torch  # noqa: F401 # transformers imports without it, and fails late
        import transformers

        from udfs.clip.quiet import be_quiet
    except ModuleNotFoundError as error:
        raise MissingPart(f"cannot run hf:// models: {not_installed(error.name or 'transformers')}") from error
    be_quiet()
    return transformers
