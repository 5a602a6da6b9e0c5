"""What is measured of descriptions once they are read: columns to filter by, never a reason to turn one away."""

from functools import cache
from typing import Final

import pyarrow as pa

from udfs.language import FastText
from udfs.tokens import count_tokens

MEASURES_SCHEMA: Final = pa.schema(
    {
        "long_positive_tokens": pa.int32(),
        "long_negative_tokens": pa.int32(),
        "language": pa.string(),
        "language_score": pa.float64(),
    }
)
"""Columns of ``measure_texts``: where there is no text, tokens are null, and the language is ``und``."""

_fast_text = cache(FastText)


def measure_texts(texts: pa.RecordBatch) -> dict[str, pa.Array]:
    """Return CLIP's tokens of both long texts, and the language of the positive one, for each row of ``texts``."""
    long_texts = {name: texts[name].to_pylist() for name in ("long_positive", "long_negative")}
    tokens = {f"{name}_tokens": count_tokens("clip", own) for name, own in long_texts.items()}
    languages = _fast_text().identify([text or "" for text in long_texts["long_positive"]])
    said = {"language": [one for one, _ in languages], "language_score": [score for _, score in languages]}
    return {name: pa.array(values, MEASURES_SCHEMA.field(name).type) for name, values in {**tokens, **said}.items()}
