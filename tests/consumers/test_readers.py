"""webdataset and datasets read the same rows out of exports, and a model trains on both."""

from pathlib import Path
from typing import Any

import pytest

from tests.consumers.running import told
from tests.lakehouse.stream.lakes import Lake


@pytest.fixture(scope="module")
def found(python: Path, exports: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return told(python, "read_exports.py", exports["webdataset"], exports["parquet"], tmp_path_factory.mktemp("cache"))


def test_webdataset_finds_every_row_once(found: dict[str, Any], lake: Lake) -> None:
    assert sorted(found["keys"]) == lake.train_ids


def test_webdataset_finds_an_image_with_its_texts(found: dict[str, Any]) -> None:
    assert (found["members"], found["size"]) == (["jpg", "json", "txt"], [48, 40])
    described = found["json"]
    assert found["txt"] == described["caption"] in (described["alt_text"], described["long_positive"])
    assert described["key"][:32] == described["uid"]
    assert described["short_positive"] == ", ".join(described["lists"]["short_positive"])


def test_datasets_finds_every_row_once(found: dict[str, Any], lake: Lake) -> None:
    assert found["rows"] == [270, 270, 270]
    assert found["ids"] == lake.train_ids


def test_datasets_takes_the_columns_for_what_they_are(found: dict[str, Any]) -> None:
    features = found["features"]
    assert features["image"].startswith("Image(")
    assert features["long_positive"] == "Value('string')"
    assert (features["short_positive"], features["tag_ids"]) == ("List(Value('string'))", "List(Value('int32'))")
    assert found["image"] == ["JpegImageFile", [48, 40]]


def test_a_model_learns_from_either(found: dict[str, Any]) -> None:
    for before, after in (found["tars_loss"], found["parquet_loss"]):
        assert after < before
