"""Refuses what a stream cannot give, with what would be right."""

import math
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, get_args

from lakehouse.errors import MissingPart, StreamError
from lakehouse.outcome import not_installed
from lakehouse.stream.batch import TagForm
from lakehouse.stream.choice import is_text
from lakehouse.stream.delta import Snapshot
from lakehouse.stream.long_texts import LongTexts
from lakehouse.stream.plan import Plan
from lakehouse.stream.releases import Release
from lakehouse.stream.world import World

if TYPE_CHECKING:
    import torch

_KEYS = ("sample_id", "image_id", "request_key", "recap_request_keys", "run_id")
NOT_TEXTS = (*_KEYS, "image_policy", "vocabulary", "split")
"""Columns of strings that are no texts about the image."""


def text_columns(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the columns that a mix may name."""
    return tuple(field.name for field in snapshot.schema if field.name not in NOT_TEXTS and is_text(field.type))


def check_rows(plan: Plan, release: Release, split: str) -> None:
    """Raise if the table has other rows than the release was made of."""
    promised, found = release.rows_of(split), int(plan.rows.sum())
    if promised not in (None, found) and not plan.unreadable:
        raise StreamError(
            f"release {release.release!r} promises {promised} rows of split {split!r}, and version "
            f"{plan.snapshot.version} of {plan.snapshot.table} has {found}: it is not the table that was released"
        )


def check_positive(**numbers: int | None) -> None:
    """Raise if one of the numbers is given and no whole number from 1."""
    for name, number in numbers.items():
        if number is not None and (not isinstance(number, Integral) or number < 1):
            raise StreamError(f"bad {name}={number!r}: expected a whole number from 1")


def check_kinds(*, world: World, long_texts: LongTexts) -> None:
    """Raise where something else is given in place of an object of the stream's own."""
    if not isinstance(world, World):
        raise StreamError(f"bad world={world!r}: expected World(rank, size) or World.detect()")
    if not hasattr(long_texts, "part"):
        raise StreamError(f"bad long_texts={long_texts!r}: expected a policy of lakehouse.stream.long_texts")


def check_state(state: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
    """Raise if ``state`` was not taken from a stream of this ``identity``, or is no place in its epochs."""
    if not isinstance(state, Mapping):
        raise StreamError(f"cannot resume: {state!r} is not what state_dict() gives")
    for key, value in identity.items():
        if state.get(key) != value:
            raise StreamError(f"cannot resume: the state has {key}={state.get(key)!r}, this stream {value!r}")
    for key, most in (("epoch", math.inf), ("position", identity["rows"])):
        place = state.get(key)
        if not isinstance(place, int) or not 0 <= place <= most:
            raise StreamError(f"cannot resume: the state has {key}={place!r}, which is no place in the stream")


def check_form(tags: str) -> None:
    """Raise if there is no such form of tags."""
    if tags not in get_args(TagForm):
        raise StreamError(f"unknown form of tags {tags!r}: expected one of {', '.join(map(repr, get_args(TagForm)))}")


def is_cuda(device: "torch.device | str | None") -> bool:
    """Return whether batches go to a GPU of CUDA; raise where there is none."""
    import torch

    if device is None or torch.device(device).type != "cuda":
        return False
    if not torch.cuda.is_available():
        raise StreamError(f"no device {str(device)!r}: torch sees no GPU; expected None or 'cpu'")
    return True


def need_parts() -> None:
    """Load what reading needs, so that a part that is missing is named at once."""
    try:
        import cv2  # noqa: F401
        import simplejpeg  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingPart(not_installed(error.name or "torch")) from error
    from lakehouse.stream import bridge

    bridge.activate()
