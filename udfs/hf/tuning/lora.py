"""Adapters of low rank in place of all weights, by peft: an optional part."""

from typing import Any

from lakehouse.errors import MissingPart
from lakehouse.outcome import not_installed


def require_peft() -> Any:
    """Return peft; raise MissingPart if it is not installed."""
    try:
        import peft
    except ModuleNotFoundError as error:
        raise MissingPart(f"cannot tune adapters (--lora-rank): {not_installed(error.name or 'peft')}") from error
    return peft


def with_adapters(model: Any, *, rank: int, seed: int, leave: Any) -> Any:
    """Return ``model`` with an adapter on every linear layer but the last one, and those inside ``leave``.

    Adapters alone are trained, in float32. Their output is scaled by 2, as is usual (alpha is twice the rank).
    """
    import torch

    peft = require_peft()
    inside = set(leave.modules()) if leave is not None else set()
    left = [name for name, part in model.named_modules() if part in inside and isinstance(part, torch.nn.Linear)]
    config = peft.LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", exclude_modules=left or None, task_type="CAUSAL_LM"
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return peft.get_peft_model(model, config)
