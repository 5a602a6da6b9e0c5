"""The columns of a source in Spark's types."""

from typing import Final

from pyspark.sql.pandas.types import from_arrow_schema
from pyspark.sql.types import StructType

from lakehouse.sources.source_row import ARROW_ROW

SOURCE_ROW: Final[StructType] = from_arrow_schema(ARROW_ROW)
"""A row of any source: names within the source, image, texts, and the reason if there is no pair."""
