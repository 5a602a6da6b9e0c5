"""Figures of a suite as people read them on a console."""

from collections.abc import Iterator, Sequence

from udfs.audit import Metric


def lines_of(dataset: str, metrics: Sequence[Metric]) -> Iterator[str]:
    """Yield ``metrics`` in words, a line each, below a line that names the ``dataset``."""
    yield f"{dataset}:"
    wide = max((len(one.metric) for one in metrics), default=0)
    for one in metrics:
        bounds = "" if one.low is None or one.high is None else f"  {100 * one.low:5.1f} to {100 * one.high:5.1f}"
        yield f"  {one.metric:<{wide}}  {100 * one.value:5.1f} %{bounds}  of {one.n:,}"
