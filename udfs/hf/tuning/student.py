"""The model that is tuned: which one a name means, whether it can learn, and how it is loaded and written."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakehouse.errors import BadInput, ModelFailed
from udfs.hf.settings import HfSettings, read_settings
from udfs.hf.tuning.recipe import Recipe
from udfs.hf.weights import check_weights, read_config, read_model, read_processor, require_transformers, revision_of

if TYPE_CHECKING:
    import torch

    from udfs.hf.engine import Engine


def read_student(name: str) -> HfSettings:
    """Return what ``name`` means: a folder, or the id of a model on the hub with ``?revision=COMMIT``; hf:// may lead.

    >>> read_student("hf:///models/llava?dtype=float32").model
    '/models/llava'
    """
    return read_settings(name.removeprefix("hf://"))


def settings_of(student: HfSettings) -> dict[str, Any]:
    """Return what of ``student`` can change the tuned weights, by name."""
    named = {name: getattr(student, name) for name in ("dtype", "max_pixels")}
    return {"student": student.identity.partition("?")[0], "student_revision": revision_of(student), **named}


def check_student(student: HfSettings, recipe: Recipe) -> None:
    """Raise BadInput, ModelFailed or MissingPart, in one line, for what cannot be tuned here."""
    if not student.images or student.dtype == "float16":
        raise BadInput(f"cannot tune {student.model!r} with images=off or dtype=float16: expected images, and bfloat16")
    check_weights(student)
    if getattr(read_config(student), "is_encoder_decoder", False):
        raise ModelFailed(f"{student.model!r} has an encoder for its text: expected a model that goes on from a prompt")
    processor = read_processor(student)
    if not getattr(processor, "chat_template", None):
        raise ModelFailed(f"{student.model!r} has no chat template: without one, a question has no end")
    if processor.tokenizer.eos_token_id is None:
        raise ModelFailed(f"the tokenizer of {student.model!r} has no token that ends an answer")
    if recipe.lora_rank:
        from udfs.hf.tuning.lora import require_peft

        require_peft()


@dataclass(frozen=True)
class Student:
    """A model with its processor, on one device."""

    engine: "Engine"
    base: Any
    """The model as it was loaded."""
    model: Any
    """What is trained: the model itself, or the model with its adapters."""
    arithmetic: "torch.dtype"
    """Of matrix products."""

    @property
    def trained(self) -> Mapping[str, "torch.nn.Parameter"]:
        """The weights that are trained, by name."""
        return {name: weights for name, weights in self.model.named_parameters() if weights.requires_grad}


def load_student(student: HfSettings, recipe: Recipe) -> Student:
    """Return the model with those weights open that ``recipe`` trains.

    Weights that are trained are held in float32, whatever the arithmetic: bfloat16 has not three digits, and the steps
    of a small learning rate are lost in it. Raises ModelFailed where it does not fit.
    """
    require_transformers()
    import torch

    from udfs.devices import pick_device
    from udfs.hf.engine import Engine

    device = pick_device(student.device)
    arithmetic = _arithmetic(student.dtype, device)
    try:
        model = read_model(student, arithmetic if recipe.lora_rank else torch.float32).to(device)
    except torch.OutOfMemoryError as error:
        raise ModelFailed(f"{student.model!r} does not fit into the memory of {device}: try --lora-rank 16") from error
    engine = Engine(read_processor(student), model)
    if not recipe.train_vision and (encoder := image_encoder(model)) is not None:
        encoder.requires_grad_(False)
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    return Student(engine, model, _opened(model, recipe), arithmetic)


def image_encoder(model: Any) -> Any:
    """Return the part of ``model`` that reads images; None where it cannot be told from the rest."""
    found = model.get_encoder(modality="image")
    return None if found is model or found is model.base_model else found


def save_student(folder: Path, student: HfSettings, tuned: Student) -> None:
    """Write ``folder`` as ``save_pretrained`` does, adapters merged, in the numbers that the student came in."""
    import torch

    model = tuned.model
    if model is not tuned.base:
        model = model.merge_and_unload()
    config = read_config(student)
    dtype = getattr(config, "dtype", None) or getattr(config.get_text_config(), "dtype", None) or torch.float32
    model.to(dtype).save_pretrained(folder)
    # Read anew: the engine has set this one's padding for its own use.
    read_processor(student).save_pretrained(folder)


def _opened(model: Any, recipe: Recipe) -> Any:
    if not recipe.lora_rank:
        return model
    from udfs.hf.tuning.lora import with_adapters

    encoder = None if recipe.train_vision else image_encoder(model)
    return with_adapters(model, rank=recipe.lora_rank, seed=recipe.seed, leave=encoder)


def _arithmetic(asked: str, device: str) -> "torch.dtype":
    import torch

    from udfs.devices import has_bfloat16

    if asked != "auto":
        dtype: torch.dtype = getattr(torch, asked)
        return dtype
    return torch.bfloat16 if device.startswith("cuda") and has_bfloat16(device) else torch.float32
