"""Verdicts on image bytes that others made: decoded by Pillow in a child process that can be killed.

No decoder is safe on hostile bytes, so it runs where it can do no harm: in a process with limits of time, memory and
pixels, without files and without the parent's environment. A verdict depends on the image alone, not on what the child
decoded before: a failure that an earlier image could have caused is tried again in a fresh child.
"""

import importlib.util
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Self

from lakehouse.errors import MissingPart
from lakehouse.outcome import not_installed
from udfs._decode_child import LENGTH, OUT_OF_MEMORY, sniff

_START_SECONDS = 60.0
_WALL_PER_CPU_SECOND = 4  # a busy machine gives a child a quarter of a core; a stopped child is still killed
_CHUNK = 1 << 20
_LONGEST_ANSWER = 1 << 16  # a decoder that was taken over may say anything
_CHILD_VARIABLES = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LANG")


@dataclass(frozen=True)
class Limits:
    """What one image may cost. Time is CPU time; the clock on the wall allows four times as much.

    50 million pixels is what imgproxy allows; decoding one takes 80 MB (GIF) to 800 MB (WebP) and up to 2 s.
    """

    seconds: float = 5.0
    memory_mb: int = 1024
    pixels: int = 50_000_000


@dataclass(frozen=True)
class Verdict:
    """What an image is, or why it is refused: ``reason`` is one of udfs.reasons, None for a good image.

    ``format`` is jpeg, png, webp or gif by the bytes; width and height are before any rotation that EXIF asks for.
    A refused image has as much of the three as was found out; ``detail`` is the decoder's own message, for people.
    """

    format: str | None = None
    width: int | None = None
    height: int | None = None
    reason: str | None = None
    detail: str | None = None


class ImageChecker:
    """Checks one image at a time in one long-lived child, started when needed. Not for several threads at once.

    >>> with ImageChecker() as checker:
    ...     checker.check(b"not pixels").reason
    'not_an_image'
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def child_pid(self) -> int | None:
        """Process id of the decoder, or None while there is none."""
        return self._child.process.pid if self._child else None

    def close(self) -> None:
        """End the child. The next check would start another."""
        if self._child:
            self._child.kill()
            self._child = None

    def check(self, data: bytes) -> Verdict:
        """Return the verdict on ``data``. Never raises for an image, whatever its bytes.

        Raises MissingPart if no decoder can be started, as without Pillow.
        """
        if not data:
            return Verdict(reason="empty_image", detail="zero bytes")
        if sniff(data) is None:
            return Verdict(reason="not_an_image", detail="no signature of JPEG, PNG, WebP or GIF")
        has_decoded = self._child is not None and self._child.answered > 0
        verdict = self._ask(data)
        # Only a fresh child's death speaks against this image: a used one may die of what it decoded before.
        is_suspect = verdict.reason in ("decode_crash", "decode_memory")
        return self._ask(data) if has_decoded and is_suspect else verdict

    def _ask(self, data: bytes) -> Verdict:
        child = self._child = self._child or _Child(self._limits)
        try:
            return Verdict(**child.ask(data, self._limits.seconds * _WALL_PER_CPU_SECOND))
        except TimeoutError:
            self.close()
            return self._refused(data, "decode_timeout", "no answer in time")
        except EOFError:
            status = child.exit_status()
            self.close()
            return self._refused(data, *_cause_of_death(status))

    def _refused(self, data: bytes, reason: str, detail: str) -> Verdict:
        return Verdict(format=sniff(data), reason=reason, detail=detail)


def _cause_of_death(status: int | None) -> tuple[str, str]:
    """Return reason and detail for a child that ended with ``status``, or that fell silent and lives on (None)."""
    if status is None:
        return "decode_crash", "the decoder broke off the conversation"
    if status == OUT_OF_MEMORY:
        return "decode_memory", "out of memory"
    if status == -signal.SIGPROF:
        return "decode_timeout", "out of CPU time"
    return "decode_crash", f"signal {-status}" if status < 0 else f"exit status {status}"


class _Child:
    """One decoder process and the pipes to it. Every wait has an end."""

    def __init__(self, limits: Limits) -> None:
        self.answered = 0
        self.process = _start(limits)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._requests, self._answers = self.process.stdin.fileno(), self.process.stdout.fileno()
        os.set_blocking(self._requests, False)
        self._await_start()

    def _await_start(self) -> None:
        try:
            self._receive(time.monotonic() + _START_SECONDS)
        except (EOFError, TimeoutError) as error:
            self.kill()
            reason = f"cannot start the image decoder with {sys.executable!r}: expected Python with pillow"
            raise MissingPart(reason) from error

    def ask(self, data: bytes, seconds: float) -> dict[str, Any]:
        """Return the child's answer. Raises EOFError if it died, TimeoutError if it did not answer in time."""
        deadline = time.monotonic() + seconds
        self._send(LENGTH.pack(len(data)), deadline)
        self._send(data, deadline)
        answer = self._receive(deadline)
        self.answered += 1
        return answer

    def exit_status(self) -> int | None:
        """Return how the process ended; None if it has not, a second after it closed its pipe or talked nonsense."""
        try:
            return self.process.wait(timeout=1)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """End the process and close the pipes."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()

    def _send(self, data: bytes, deadline: float) -> None:
        rest = memoryview(data)
        while rest:
            _wait(self._requests, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._requests, rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as error:
                raise EOFError from error

    def _receive(self, deadline: float) -> dict[str, Any]:
        size = LENGTH.unpack(self._read(LENGTH.size, deadline))[0]
        if size > _LONGEST_ANSWER:
            raise EOFError
        try:
            return dict(json.loads(self._read(size, deadline)))
        except ValueError as error:
            raise EOFError from error

    def _read(self, size: int, deadline: float) -> bytes:
        found = b""
        while len(found) < size:
            _wait(self._answers, select.POLLIN, deadline)
            piece = os.read(self._answers, size - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found


def _wait(descriptor: int, event: int, deadline: float) -> None:
    """Return when ``descriptor`` is ready or closed. Raises TimeoutError at the deadline."""
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise TimeoutError


def _start(limits: Limits) -> subprocess.Popen[bytes]:
    # The source goes along as text: with --py-files the package is a zip, which no fresh interpreter would find.
    source = pkgutil.get_data("udfs", "_decode_child.py")
    if source is None or importlib.util.find_spec("PIL") is None:
        raise MissingPart(f"cannot check images: {not_installed('PIL')}")
    arguments = [str(limits.pixels), str(limits.memory_mb << 20), str(limits.seconds)]
    return subprocess.Popen(  # noqa: S603 - the program is our own interpreter on our own source
        [sys.executable, "-P", "-c", source.decode(), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        # A decoder that hostile bytes take over must find no secrets.
        env={name: os.environ[name] for name in _CHILD_VARIABLES if name in os.environ},
    )
