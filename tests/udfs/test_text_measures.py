"""What is measured of long texts."""

import pyarrow as pa

from udfs.text_measures import MEASURES_SCHEMA, measure_texts


def test_tokens_and_language_stand_beside_each_text() -> None:
    positives = ["The image shows a duck on a lake.", "Das Bild zeigt eine Ente auf einem See.", None]
    batch = pa.RecordBatch.from_pydict({"long_positive": positives, "long_negative": ["A photo of a cat", "", None]})
    found = pa.RecordBatch.from_pydict(measure_texts(batch), schema=MEASURES_SCHEMA).to_pylist()
    assert [row["language"] for row in found] == ["en", "de", "und"]
    assert [row["long_positive_tokens"] for row in found][0::2] == [11, None]
    assert [row["long_negative_tokens"] for row in found] == [7, 2, None]
    assert found[0]["language_score"] > 0.5 > found[2]["language_score"] == 0
