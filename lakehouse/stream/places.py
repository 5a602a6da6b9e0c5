"""A stream as one row of batches without an end: batch ``n`` lies in epoch ``n // len(stream)``, in any world.

Trainers that others wrote count steps and epochs of their own; here a count becomes a place in the stream.
"""

from collections.abc import Iterator

from lakehouse.stream.batch import Batch
from lakehouse.stream.caption_stream import CaptionStream


def place_of(stream: CaptionStream) -> int:
    """Return how many batches lie before the one that the stream gives next."""
    state = stream.state_dict()
    return stream.epoch * len(stream) - -int(state["position"]) // _step(stream)


def go_to(stream: CaptionStream, batch: int) -> None:
    """Have the stream give batch ``batch`` next: nothing before it is read."""
    epoch, before = divmod(batch, len(stream))
    stream.load_state_dict({**stream.state_dict(), "epoch": epoch, "position": before * _step(stream)})


def batches(stream: CaptionStream, first: int, count: int) -> Iterator[Batch]:
    """Yield batches ``first`` to ``first + count - 1``, through as many epochs of the stream as it takes.

    There are fewer where not one row of a batch could be read, which a process alone leaves out.
    """
    go_to(stream, first)
    stop = first + count
    while place_of(stream) < stop:
        for batch in stream:
            yield batch
            # An epoch that ends here is asked once more: only then does it count what its tail left out.
            if place_of(stream) == stop and stop % len(stream):
                return


def _step(stream: CaptionStream) -> int:
    return stream.batch_size * stream.world.size
