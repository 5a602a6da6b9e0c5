"""Models of transformers that run in this process: ``hf://FOLDER`` and ``hf://ID?revision=COMMIT``."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import chain

from lakehouse.limits import Spend
from udfs.hf.settings import HfSettings
from udfs.hf.weights import check_weights, require_transformers, revision_of
from udfs.models import Desk, Reply, Request
from udfs.tasks import Task


class HfDescriber:
    """Asks a model in this process, on the GPU that the task was assigned or on the CPU, in batches."""

    has_price = True

    def __init__(self, settings: HfSettings) -> None:
        self.settings = settings
        self.identity = settings.identity
        self.needs_image = settings.images

    @cached_property
    def revision(self) -> str:
        """The commit, or a hash of the folder's contents; raise BadInput if there is no such folder."""
        return revision_of(self.settings)

    @property
    def most_tasks(self) -> int | None:
        """One a GPU: each task loads the model."""
        require_transformers()
        from udfs.devices import gpu_count

        return gpu_count(self.settings.device) or None

    def most(self, requests: int, own_bytes: int, task: Task, prompt: str) -> Spend:
        """Return nothing: what runs on one's own machines sends no bill, and no budget counts it."""
        return Spend()

    def check(self) -> None:
        """Raise BadInput, ModelFailed or MissingPart for a folder that holds no model of this kind."""
        check_weights(self.settings)

    def describe(self, requests: Iterable[Request], desk: Desk) -> Iterator[tuple[Request, Reply]]:
        """Yield each request with its reply, a batch after the other; second questions come later."""
        waiting = iter(requests)
        first = next(waiting, None)
        if first is not None:  # a task without rows must not load gigabytes
            yield from self._replies(chain((first,), waiting), desk)

    def _replies(self, requests: Iterator[Request], desk: Desk) -> Iterator[tuple[Request, Reply]]:
        require_transformers()
        from udfs.hf.asking import Asker
        from udfs.hf.engine import engine_for, leave_gpu

        try:
            yield from Asker(engine_for(self.settings), self.settings, desk).replies(requests)
        finally:
            leave_gpu()
