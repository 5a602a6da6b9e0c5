"""vLLM on the CPU: images, a schema that is held to, and errors in words."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.llava import Sizes, write_llava
from lakehouse.errors import ModelFailed
from tests.servers.conftest import Measured
from tests.servers.rows import assert_typed, overlong, photographs, replies_to, undecodable
from tests.servers.running import Running, environment, running
from udfs.answers import read_object
from udfs.descriptions import parse_answer
from udfs.models import load
from udfs.prompts import read_prompt
from udfs.reasons import REASONS
from udfs.tasks import DESCRIBE

NAME = "llava"
CONTEXT = 1024
SIZES = Sizes(side=56, image_width=128, image_heads=4, width=256, inner_width=512, heads=8)
"""Its attention on the CPU wants heads of 32 or more."""

FIELDS = ["long_positive", "short_positive", "long_negative", "short_negative"]
SHORT = {"max_tokens": 16}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = environment("vllm", gigabytes=7)
    model = write_llava(tmp_path_factory.mktemp("model") / NAME, SIZES)

    def command(port: int) -> list[str | Path]:
        where = ["--host", "127.0.0.1", "--port", str(port), "--served-model-name", NAME]
        # Weights of its own making: it looks for them under names that transformers gave them earlier.
        how = ["--load-format", "dummy", "--dtype", "float32", "--enforce-eager", "--max-model-len", str(CONTEXT)]
        return [folder / "bin" / "python", "-m", "vllm.entrypoints.openai.api_server", "--model", model, *where, *how]

    with running(folder, command, model=NAME, VLLM_CPU_KVCACHE_SPACE="1", VLLM_NO_USAGE_STATS="1") as made:
        yield made


def bounded(schema: Any, most: int = 12) -> Any:
    """Return ``schema`` with texts of a few letters: noise does not come to an end by itself."""
    if schema.get("type") == "string":
        return schema | {"maxLength": most}
    if schema.get("type") == "array":
        return schema | {"items": bounded(schema["items"], most), "minItems": 1, "maxItems": 3}
    return schema | {"properties": {name: bounded(field, most) for name, field in schema["properties"].items()}}


def test_it_is_found_good(server: Running) -> None:
    load(server.uri()).check()
    assert_typed(replies_to(server, photographs()[:1], max_tokens=32, structured="off"))


def test_a_mistyped_model_is_refused_with_the_one_there_is(server: Running) -> None:
    with pytest.raises(ModelFailed, match="has no model 'llawa': did you mean 'llava'"):
        load(server.uri().replace("=llava", "=llawa")).check()


def test_another_model_ends_the_run_after_one_request(server: Running) -> None:
    with pytest.raises(ModelFailed, match=r"no such model or address \(404\): The model `other` does not exist"):
        replies_to(replace(server, model="other"), photographs())


def test_every_photograph_ends_as_an_answer_or_with_a_reason(server: Running) -> None:
    replies = replies_to(server, photographs(), **SHORT)
    assert len(replies) == len(photographs())
    assert_typed(replies)


def test_the_schema_is_held_to(server: Running) -> None:
    assert DESCRIBE.schema is not None
    # No second question: noise quoted back is longer than the context.
    task = replace(DESCRIBE, schema=bounded(DESCRIBE.schema), complaint=lambda answer: None)
    replies = replies_to(server, photographs(), task=task, temperature=1, max_tokens=400)
    assert_typed(replies)
    answers = [reply.answer for reply in replies.values() if reply.answer]
    assert len(answers) > 2  # the others write white space, which the grammar allows, until they are cut
    # Its grammar lets control characters stand in texts, which strict JSON does not: they are mended.
    assert all(list(read_object(answer, expected=FIELDS)[0]) == FIELDS for answer in answers)
    # What stands in the texts is noise: that is found out too.
    assert {parse_answer(answer).reason for answer in answers} <= {None, *REASONS}


def test_an_image_that_it_cannot_decode_is_one_bad_request(server: Running) -> None:
    replies = replies_to(server, [undecodable(), *photographs()[:4]], **SHORT)
    broken = replies.pop("a broken picture")
    assert (broken.status, broken.reason, broken.attempts) == ("failed", "bad_request", 1)
    assert_typed(replies)


def test_a_prompt_over_the_context_is_one_bad_request(server: Running) -> None:
    replies = replies_to(server, [overlong(CONTEXT), *photographs()[1:4]], **SHORT)
    (long,) = (replies.pop(name) for name in list(replies) if not name.isascii())
    assert (long.status, long.reason) == ("failed", "bad_request")
    assert str(CONTEXT) in (long.detail or "")
    assert_typed(replies)


def test_instructions_over_its_context_end_the_run_before_all_rows_are_lost(server: Running) -> None:
    assert len(photographs()) > 16
    with pytest.raises(ModelFailed, match=r"the server answers no request; .* last of 16: 400: .*context length"):
        replies_to(server, photographs(), prompt=read_prompt("hqclip_teacher").text)


def test_it_ends_every_request_however_many_are_in_flight(server: Running, measured: Measured) -> None:
    assert measured.add("vLLM", server, counts=(16, 64), max_tokens=32) == [16, 64]
