"""Refuses what a stream cannot give, with what would be right."""

from typing import TYPE_CHECKING, get_args

from lakehouse.errors import MissingPart, StreamError
from lakehouse.outcome import not_installed
from lakehouse.stream.batch import TagForm
from lakehouse.stream.choice import is_text
from lakehouse.stream.delta import Snapshot
from lakehouse.stream.plan import Plan
from lakehouse.stream.releases import Release

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
    """Raise if one of the numbers is given and not from 1."""
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise StreamError(f"bad {name}={number}: expected a whole number from 1")


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
