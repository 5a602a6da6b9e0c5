"""A server with OpenAI's Batch API, through the official client: files up, batches, files down."""

import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final, Self, TypeVar

from lakehouse.errors import MissingPart, ModelFailed
from udfs.batch.request_file import URL
from udfs.batch.settings import BatchSettings
from udfs.chat.reply import judge
from udfs.chat.transport import MAX_REPLY
from udfs.chat.verdicts import Busy, Hopeless

if TYPE_CHECKING:
    from openai.types import Batch

_TRIES: Final = 10
"""Times that a call is made to a server that does not answer: with the pauses between them, some five minutes."""
_LISTED_WITHIN: Final = 10.0
"""Seconds after which a batch that was created is surely listed."""

_LOOKED_AT: Final = 100
_AT_WORK: Final = {"validating", "in_progress", "finalizing", "cancelling"}

T = TypeVar("T")


class BatchServer:
    """The Batch API at the settings' endpoint. Every call raises ModelFailed where the server refuses it or is gone."""

    def __init__(self, settings: BatchSettings, *, tries: int = _TRIES) -> None:
        try:
            import httpx2
            import openai
        except ModuleNotFoundError as error:
            raise MissingPart("no package openai: install it with pip install 'multigrain[batch]'") from error
        self.url = settings.chat.endpoints[0]
        self._longest, self._tries = settings.poll, tries
        self._refused, self._unanswered = openai.APIStatusError, (openai.APIError, httpx2.TransportError)
        self._client = openai.OpenAI(
            api_key=settings.chat.key() or "none",
            base_url=self.url,
            max_retries=0,
            timeout=httpx2.Timeout(300, connect=10),
            # A redirect would carry the images elsewhere.
            http_client=openai.DefaultHttpxClient(follow_redirects=False, trust_env=False),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def check(self) -> None:
        """Raise ModelFailed if there is no Batch API."""
        self._call(lambda: next(self._batches(limit=1), None))

    def upload(self, file: IO[bytes]) -> str:
        """Return the id of a copy of ``file`` at the server."""

        def send() -> str:
            file.seek(0)
            return _id(self._client.files.create(file=("requests.jsonl", file), purpose="batch"))

        return self._call(send)

    def create(self, file: str, submission: str, *, unlike: str = "") -> str:
        """Return the id of the batch that was made of ``file``: one, also where the answer to its making is lost.

        ``unlike`` is the id of one that was made for ``submission`` before, of which nothing was begun.
        """
        began, tries = time.time(), 0

        def make() -> str:
            nonlocal tries
            tries += 1
            made = self.find(submission, since=began) if tries > 1 else None
            if made not in (None, unlike):
                return str(made)
            return _id(
                self._client.batches.create(
                    input_file_id=file, endpoint=URL, completion_window="24h", metadata={"submission": submission}
                )
            )

        return self._call(make)

    def find(self, submission: str, *, since: float) -> str | None:
        """Return the id of the batch that was made for ``submission``, noted at ``since``; None if there is none."""
        time.sleep(max(0.0, since + min(self._longest, _LISTED_WITHIN) - time.time()))

        def look() -> str | None:
            for batch in self._batches():
                if (batch.metadata or {}).get("submission") == submission:
                    return batch.id
                if batch.created_at < since - _CLOCKS_DIFFER:
                    break
            return None

        return self._call(look)

    def _batches(self, *, limit: int = 100) -> "Iterator[Batch]":
        """Yield all batches, the newest first, page after page of ``limit``."""
        page = self._client.batches.list(limit=limit)
        if not isinstance(page.data, list):
            raise ValueError("no list of batches")
        yield from page

    def batch(self, number: str) -> "Batch | None":
        """Return what has become of a batch; None where the server knows nothing of it any more."""

        def look() -> "Batch":
            found = self._client.batches.retrieve(number)
            _id(found)
            return found

        return self._call(lambda: self._unless_gone(look))

    def is_at_work(self) -> bool:
        """Say whether any batch of the account is under way, whoever has submitted it, among the newest hundred."""
        newest = self._call(lambda: list(itertools.islice(self._batches(), _LOOKED_AT)))
        return any(batch.status in _AT_WORK for batch in newest)

    def cancel(self, number: str) -> None:
        """Have the server begin nothing more of a batch; one that is at its end is left as it is."""
        try:
            self._client.batches.cancel(number)
        except (self._refused, *self._unanswered):
            return  # what became of it is seen at the next look

    def delete(self, file: str) -> None:
        """Have the server let go of a file; one that stays does no harm."""
        with suppress(self._refused, *self._unanswered, ValueError):
            self._client.with_options(timeout=30).files.delete(file)

    def lines(self, file: str | None) -> Iterator[bytes]:
        """Yield the lines of a file at the server, longer ones cut at MAX_REPLY; none where there is no such file."""
        if file is None:
            return
        with tempfile.TemporaryFile() as copy:
            self._call(lambda: self._unless_gone(lambda: self._download(file, copy)))
            copy.seek(0)
            while line := copy.readline(MAX_REPLY):
                yield line

    def _download(self, file: str, copy: IO[bytes]) -> None:
        copy.seek(0)
        copy.truncate()
        with self._client.files.with_streaming_response.content(file) as reply:
            for part in reply.iter_bytes():
                copy.write(part)

    def _unless_gone(self, call: Callable[[], T]) -> T | None:
        try:
            return call()
        except self._refused as error:
            if error.status_code == 404:
                return None
            raise

    def _call(self, call: Callable[[], T]) -> T:
        """Return what ``call`` does; make it again, after growing pauses, while the server is busy or out of reach."""
        for attempt in range(self._tries):
            try:
                return call()
            except self._refused as error:
                wait, said = self._read(error.status_code, error.response.headers, error.response.content)
            except self._unanswered as error:
                wait, said = None, f"no answer: {error}"
            except (AttributeError, ValueError):
                # The client takes what it is sent, a proxy's page for one, for what it has asked for.
                wait, said = None, "no answer that the Batch API knows"
            if attempt + 1 < self._tries:
                time.sleep(min(self._longest, 2.0**attempt) if wait is None else wait)
        raise ModelFailed(f"{self.url}: {said}")

    def _read(self, status: int, headers: Mapping[str, str], body: bytes) -> tuple[float | None, str]:
        verdict = judge(status, headers, body)
        if isinstance(verdict, Busy):
            return verdict.wait, verdict.detail
        said = verdict.message if isinstance(verdict, Hopeless) else getattr(verdict, "detail", "")
        raise ModelFailed(f"{self.url}: {said}")


_CLOCKS_DIFFER: Final = 3600.0
"""Seconds that the clocks of two machines are apart at most."""


def _id(made: object) -> str:
    number = getattr(made, "id", None)
    if not isinstance(number, str):
        raise ValueError("no id")
    return number


def met_full_queue(batch: "Batch | None") -> bool:
    """Say whether nothing of the batch was begun, as more tokens would have waited than the account may have."""
    errors = (batch.errors and batch.errors.data) or [] if batch is not None else []
    return batch is not None and batch.status == "failed" and any(one.code == "token_limit_exceeded" for one in errors)
