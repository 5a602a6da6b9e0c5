"""A batch of pairs becomes a batch of signals, row for row."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pytest
from PIL import Image

from schemas.silver import SIGNALS
from tests.hostile_images import cases, encoded, photo
from udfs.measure import MEASURE_SCHEMA, measure
from udfs.reasons import REASONS

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
ARROW_TO_SQL = {
    pa.string(): "STRING",
    pa.int32(): "INT",
    pa.int64(): "BIGINT",
    pa.float32(): "FLOAT",
    pa.bool_(): "BOOLEAN",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP",
    pa.list_(pa.string()): "ARRAY<STRING>",
    pa.list_(pa.int32()): "ARRAY<INT>",
}


class AlwaysGerman:
    def identify(self, texts: Sequence[str]) -> list[tuple[str, float]]:
        return [("de", 0.5)] * len(texts)


def pairs(*images: bytes | None, text: str | None = "a red square", metadata: str | None = None) -> pa.RecordBatch:
    count = len(images)
    return pa.record_batch(
        {
            "sample_id": [f"sample-{row}" for row in range(count)],
            "image_id": [f"image-{row}" for row in range(count)],
            "ingested_at": pa.array([NOW] * count, pa.timestamp("us", tz="UTC")),
            "image": pa.array(images, pa.binary()),
            "alt_text": pa.array([text] * count, pa.string()),
            "metadata": pa.array([metadata] * count, pa.string()),
        }
    )


RED = encoded(Image.new("RGB", (30, 20), "red"), "PNG")


def test_the_columns_are_those_of_the_table() -> None:
    declared = {column.name: column.type for column in SIGNALS.columns if column.name != "run_id"}
    found = {field.name: ARROW_TO_SQL[field.type] for field in MEASURE_SCHEMA}
    assert list(found.items()) == [*declared.items(), ("reason", "STRING"), ("detail", "STRING")]


def test_a_good_pair_has_every_column() -> None:
    batch = measure(pairs(RED, metadata='{"tags": ["Square", "red"]}'))
    assert batch.schema == MEASURE_SCHEMA
    row = batch.to_pylist()[0]
    assert [name for name, value in row.items() if value is None] == ["reason", "detail"]
    assert (row["sample_id"], row["image_id"], row["ingested_at"]) == ("sample-0", "image-0", NOW)
    assert (row["words"], row["language"], row["colours"], row["mean_rgb"]) == (3, "en", ["red"], [255, 0, 0])
    assert row["web_tags"] == ["square", "red"]


def test_an_unreadable_image_costs_only_its_row() -> None:
    rows = measure(pairs(RED, RED[:50], None, b"", b"text", RED)).to_pylist()
    reasons = [None, "truncated_image", "empty_image", "empty_image", "not_an_image", None]
    assert [row["reason"] for row in rows] == reasons
    assert [row["phash"] is None for row in rows] == [reason is not None for reason in reasons]
    assert [row["sample_id"] for row in rows] == [f"sample-{row}" for row in range(6)]
    assert {row["words"] for row in rows} == {3}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_hostile_images_never_fail_the_batch() -> None:
    batch = pairs(*[case.data for case in cases() if "too_many_pixels" not in case.reasons])
    reasons = measure(batch)["reason"].to_pylist()
    assert len(reasons) == batch.num_rows
    assert set(reasons) - {None} <= set(REASONS)


def test_a_missing_text_is_measured_as_empty() -> None:
    row = measure(pairs(RED, text=None)).to_pylist()[0]
    assert (row["words"], row["language"], row["language_score"]) == (0, "und", 0)


def test_another_identifier_can_be_given() -> None:
    assert measure(pairs(RED), AlwaysGerman())["language"].to_pylist() == ["de"]


def test_no_rows_give_no_rows() -> None:
    assert measure(pairs()).num_rows == 0


def test_the_same_batch_gives_the_same_signals() -> None:
    batch = pairs(encoded(photo(300, 200), "JPEG"), RED)
    assert measure(batch).equals(measure(batch))
