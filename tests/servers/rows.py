"""What the servers are asked about: photographs with their captions, and rows that no server can answer."""

import io
import json
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import skimage
from PIL import Image

from demo.photographs import CAPTIONS, fetch
from lakehouse.limits import Limits
from tests.chat import PNG, ask, request
from tests.servers.running import Running
from udfs.models import Reply, Request
from udfs.reasons import REASONS

if TYPE_CHECKING:
    from lakehouse.lake import Lake

Replies = dict[str, Reply]
"""Reply by alt-text."""


@cache
def photographs() -> tuple[Request, ...]:
    """Return the photographs in scikit-image's wheel, as the engine asks about them."""
    folder = Path(skimage.__file__).with_name("data")
    return tuple(_shown(folder / name, caption) for name, caption in CAPTIONS.items() if (folder / name).exists())


def undecodable() -> Request:
    """Return a request whose image begins as a PNG does, and is none."""
    return replace(request("a broken picture", image=PNG + b"no chunk of a PNG at all"), width=96, height=80)


def overlong(tokens: int) -> Request:
    """Return a request that has more than so many ``tokens``: a rare sign takes three, and 1,000 go into a prompt."""
    assert tokens < 3_000
    return replace(photographs()[0], alt_text="\u1200\u4dff" * 600, request_key="overlong")


def replies_to(server: Running, requests: Iterable[Request], *, in_flight: int = 8, **given: Any) -> Replies:
    """Return what came of each request to ``server``; of ``given``, what is no part of a desk stands in the URI."""
    desk = {name: given.pop(name) for name in ("prompt", "task") if name in given}
    replies = ask(server.uri(**given), requests, limits=Limits(in_flight=in_flight), **desk)
    return {name: reply for name, (_, reply) in replies.items()}


def per_second(server: Running, *, in_flight: int, count: int, **given: Any) -> tuple[float, int]:
    """Return the requests a second of ``count`` about different texts, and how many ``server`` ended, whole or cut."""
    turns = (photographs() * (count // len(photographs()) + 1))[:count]
    asked = [replace(one, alt_text=f"{one.alt_text}, {number}") for number, one in enumerate(turns)]
    began = time.monotonic()
    replies = replies_to(server, asked, in_flight=in_flight, **given)
    rate = count / (time.monotonic() - began)
    assert_typed(replies)
    return rate, len(replies)


def assert_typed(replies: Replies) -> None:
    """Fail unless each reply is an answer or has a listed reason, with what the server sent and what it counted."""
    for name, reply in replies.items():
        assert (reply.answer is None) == (reply.reason in REASONS), (name, reply)
        assert reply.raw, (name, reply)
        assert reply.reason in (None, "cut_answer"), (name, reply)
        assert (reply.input_tokens or 0) > 0, (name, reply)
        assert (reply.output_tokens or 0) > 0, (name, reply)


def _shown(path: Path, caption: str) -> Request:
    content = path.read_bytes()
    width, height = Image.open(io.BytesIO(content)).size
    return replace(request(caption, image=content), width=width, height=height)


def selected_photographs(lake: "Lake", folder: Path, *, count: int) -> None:
    """Take ``count`` photographs into ``lake`` by way of ``folder``, as far as the table that is asked about."""
    from jobs import dedup_pairs, ingest_pairs, measure_pairs, select_pairs

    lines = (fetch(folder) / "metadata.jsonl").read_text().splitlines()
    for line in lines[count:]:
        (folder / json.loads(line)["file_name"]).unlink()
    (folder / "metadata.jsonl").write_text("\n".join(lines[:count]) + "\n")
    ingest_pairs.JOB.run(lake, ingest_pairs.Config(lake.root, str(folder)))
    measure_pairs.JOB.run(lake, measure_pairs.Config(lake.root))
    dedup_pairs.JOB.run(lake, dedup_pairs.Config(lake.root))
    select_pairs.JOB.run(lake, select_pairs.Config(lake.root, filter="none"))
