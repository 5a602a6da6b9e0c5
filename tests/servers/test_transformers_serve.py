"""`transformers serve`: images, no schema, one request at a time, no list of models where it has downloaded none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.llava import write_llava
from lakehouse.errors import ModelFailed
from tests.servers.conftest import Measured
from tests.servers.rows import assert_typed, photographs, replies_to, undecodable
from tests.servers.running import Running, beside_project, environment, running
from udfs.models import load

SHORT = {"max_tokens": 16}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = beside_project(environment("transformers", gigabytes=0.1))
    model = write_llava(tmp_path_factory.mktemp("model") / "llava")

    def command(port: int) -> list[str | Path]:
        where = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
        return [folder / "bin" / "python", "-c", _MAIN, "serve", model, *where]

    with running(folder, command, model=str(model)) as made:
        yield made


_MAIN = "from transformers.cli.transformers import main; main()"


def test_it_is_found_good(server: Running) -> None:
    load(server.uri()).check()
    assert_typed(replies_to(server, photographs()[:1], max_tokens=32, structured="off"))


def test_another_model_is_refused_with_the_one_there_is(server: Running) -> None:
    with pytest.raises(ModelFailed, match=rf"no such model or address \(400\): .*pinned to '{server.model}'"):
        replies_to(server, photographs(), model="another")


def test_every_photograph_ends_as_an_answer_or_with_a_reason(server: Running) -> None:
    replies = replies_to(server, photographs(), **SHORT)
    assert len(replies) == len(photographs())
    assert_typed(replies)


def test_what_is_shown_matters(server: Running) -> None:
    shown, unseen = (replies_to(server, photographs()[:1], images=images, **SHORT) for images in ("on", "off"))
    (one,), (other,) = shown.values(), unseen.values()
    assert (one.input_tokens or 0) > (other.input_tokens or 0) > 0


def test_an_image_that_it_cannot_decode_stops_no_other(server: Running) -> None:
    """It answers 500, as it does when it breaks: the row counts as missed, and is asked again by the next run."""
    replies = replies_to(server, [undecodable(), *photographs()[:4]], **SHORT)
    broken = replies.pop("a broken picture")
    assert (broken.status, broken.reason) == ("missed", "server_error")
    assert broken.raw
    assert_typed(replies)


def test_it_ends_every_request_however_many_are_in_flight(server: Running, measured: Measured) -> None:
    assert measured.add("transformers serve", server, counts=(8, 16), **SHORT) == [8, 16]
