"""The lines of captions files, as the executors read them."""

from pathlib import Path

import pyarrow as pa

from lakehouse.sources.caption_lines import _read_files
from lakehouse.sources.columns import Columns
from lakehouse.sources.source_row import Limits
from tests.lakehouse.sources.made import put


def test_long_lines_come_in_bounded_batches(tmp_path: Path) -> None:
    line = b'{"file_name": "1.png", "text": "' + b"x" * 1_000_000 + b'"}\n'
    put(tmp_path, **{"metadata.jsonl": line * 40})
    files = pa.RecordBatch.from_pydict({"name": ["metadata.jsonl"]})
    batches = list(_read_files(iter([files]), root=str(tmp_path), columns=Columns(), limits=Limits()))
    assert [batch.num_rows for batch in batches] == [16, 16, 8]
