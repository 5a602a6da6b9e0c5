"""A model inside the tasks answers into the ledger as any other does, and its answers are asked for once."""

import hashlib
import io
from pathlib import Path

import pytest

from benchmarks.llava import write_llava
from jobs.asking import Asking
from jobs.describe_images import JOB, Config
from lakehouse.errors import BadInput
from lakehouse.lake import Lake
from schemas.silver import RESPONSES, SAMPLES
from tests.jobs.pictures import picture
from udfs.prompts import read_prompt
from udfs.tasks import DESCRIBE

SAMPLE_COUNT = 5


def _write_samples(lake: Lake) -> None:
    rows = []
    for number in range(SAMPLE_COUNT):
        buffer = io.BytesIO()
        picture(number).save(buffer, "PNG")
        name = hashlib.sha256(buffer.getvalue()).hexdigest()
        rows.append((name, name, bytearray(buffer.getvalue()), f"a bird, {number}", ["bird"], ["red"], 96, 80))
    columns = "sample_id STRING, image_id STRING, image BINARY, alt_text STRING, web_tags ARRAY<STRING>, "
    columns += "colours ARRAY<STRING>, width INT, height INT"
    lake.append(SAMPLES, lake.spark.createDataFrame(rows, columns))


def _asking(lake: Lake, model: str, **flags: float) -> Asking:
    config = Config(lake=lake.root, model=model, **flags)  # type: ignore[arg-type]
    return Asking(lake, config, DESCRIBE, read_prompt(config.prompt))


@pytest.mark.spark
@pytest.mark.slow
def test_a_model_inside_the_tasks_is_asked_once(lake: Lake, tmp_path: Path) -> None:
    _write_samples(lake)
    uri = f"hf://{write_llava(tmp_path / 'llava')}?max_new_tokens=16&dtype=float32"
    with pytest.raises(BadInput, match="--gpus needs a cluster: on one machine each task takes the next GPU"):
        _asking(lake, uri, gpus=1.0).ask_about_new(JOB.name)
    _asking(lake, uri, tasks=1).ask_about_new(JOB.name)
    answers = lake.read(RESPONSES).collect()
    assert len({answer.sample_id for answer in answers}) == len(answers) == SAMPLE_COUNT
    assert all(answer.input_tokens and answer.output_tokens for answer in answers)
    assert {answer.model.partition("?")[0] for answer in answers} == {"hf://llava"}
    assert _asking(lake, f"{uri}&batch_size=2&device=cpu").plan()["requests_to_send"] == 0
    write_llava(tmp_path / "llava", seed=1)
    assert _asking(lake, uri).plan()["requests_to_send"] == SAMPLE_COUNT
