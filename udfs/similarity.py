"""Compare images with their texts: Arrow in, a score for each kind of text out."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa

from udfs.audit import KINDS
from udfs.models.scorers import Scorer, load_scorer
from udfs.words import one_text

_CHUNK: Final = 256


def similarity_schema(kinds: Sequence[str] = KINDS) -> pa.Schema:
    """Return the columns of ``similarities``: one row a pair; a kind of text that the pair has not is null."""
    return pa.schema({"sample_id": pa.string(), **{kind: pa.float64() for kind in kinds}})


def similarities(
    batches: Iterable[pa.RecordBatch], uri: str, *, kinds: Sequence[str] = KINDS
) -> Iterator[pa.RecordBatch]:
    """Yield the scores of each pair by the scorer at ``uri``; a pair whose image cannot be read has no row."""
    scorer = None
    for batch in batches:
        scorer = scorer or load_scorer(uri)  # once a task, and only where there is something to score
        for start in range(0, batch.num_rows, _CHUNK):
            yield scored(batch.slice(start, _CHUNK), scorer, kinds=kinds)


def scored(batch: pa.RecordBatch, scorer: Scorer, *, kinds: Sequence[str] = KINDS) -> pa.RecordBatch:
    """Return the scores of the pairs in ``batch``, which has ``sample_id``, ``image`` and a column a kind of text."""
    rows = batch.to_pylist()
    texts = [_texts(row, kinds) for row in rows]
    found = scorer.score([row["image"] for row in rows], [list(own.values()) for own in texts])
    made = [
        {"sample_id": row["sample_id"], **dict(zip(own, values, strict=True))}
        for row, own, values in zip(rows, texts, found, strict=True)
        if values is not None
    ]
    return pa.RecordBatch.from_pylist(made, schema=similarity_schema(kinds))


def _texts(row: dict[str, Any], kinds: Sequence[str]) -> dict[str, str]:
    texts = {kind: one_text(row[kind]) for kind in kinds if row[kind] is not None}
    return {kind: text for kind, text in texts.items() if text.strip()}
