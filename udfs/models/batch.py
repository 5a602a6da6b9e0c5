"""Models asked by batch: ``openai+batch://MODEL`` and ``openai+batch+http://HOST:PORT/v1?model=MODEL``."""

from collections.abc import Iterable, Iterator

from lakehouse.blocking_seat import BlockingSeat
from lakehouse.limits import Spend
from udfs.batch.asker import Asker
from udfs.batch.server import BatchServer
from udfs.batch.settings import BatchSettings
from udfs.chat.check import check_server
from udfs.chat.costs import most_of_first
from udfs.models import Desk, Reply, Request
from udfs.tasks import Task


class BatchDescriber:
    """Hands its requests in by the file, and waits for the answers; each is asked once, unreadable or not."""

    most_tasks = None

    def __init__(self, settings: BatchSettings) -> None:
        self.settings = settings
        # The chat model's own: it is the same model, and an answer of the one is not paid again by way of the other.
        self.identity = settings.chat.identity
        self.revision = settings.chat.revision
        self.needs_image = settings.chat.images

    @property
    def has_price(self) -> bool:
        """Whether the price is known or was given."""
        return self.settings.chat.price is not None

    def most(self, requests: int, own_bytes: int, task: Task, prompt: str) -> Spend:
        """Return the most that the requests can come to."""
        return most_of_first(self.settings.chat, requests, own_bytes, task, prompt)

    def check(self) -> None:
        """Raise ModelFailed, within seconds, if there is no server, model or Batch API, or the key is refused."""
        check_server(self.settings.chat)
        with BatchServer(self.settings, tries=1) as server:
            server.check()

    def describe(self, requests: Iterable[Request], desk: Desk) -> Iterator[tuple[Request, Reply]]:
        """Yield each request with its reply, batch by batch: hours may lie between two."""
        assert desk.limits is not None
        with BatchServer(self.settings) as server, BlockingSeat(desk.limits) as seat:
            yield from Asker(self.settings, desk, server, seat).ask(requests)
