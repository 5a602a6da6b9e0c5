"""What could not be read, and how much of it a stream puts up with."""

from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa

from lakehouse.errors import StreamError

CORRUPT_FILE = "corrupt_file"
CORRUPT_ROW_GROUP = "corrupt_row_group"
UNDECODABLE_IMAGE = "undecodable_image"
NO_TEXT = "no_text"

MAX_SKIPPED = 1000
"""Rows that may be skipped, unless asked otherwise, before it is an error."""


@dataclass(frozen=True)
class Fault:
    """Rows that were skipped, and why.

    Attributes:
        reason: one of the names above
        detail: what the reader or the decoder said
        file: path of the Parquet file
        row_group: position of the row group in the file; None where the whole file is unreadable
        sample_ids: the rows, where their ids could still be read
    """

    reason: str
    detail: str
    file: str
    row_group: int | None = None
    sample_ids: tuple[str, ...] = ()


@dataclass
class Quota:
    """Counts the rows skipped in an epoch by reason, and raises when there are more than ``most``.

    ``faults`` says what was wrong, each thing once, in the order in which it was met.
    """

    most: int
    faults: dict[Fault, None] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)

    def spend(self, fault: Fault, rows: int) -> None:
        """Count ``rows`` rows as skipped because of ``fault``."""
        self.skipped[fault.reason] += rows
        self.faults.setdefault(fault)
        if self.skipped.total() > self.most:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.skipped.items())
            raise StreamError(
                f"skipped {self.skipped.total()} rows, more than max_skipped={self.most}: {reasons}; "
                f"the last in {fault.file!r}, row group {fault.row_group}: {fault.detail}"
            )

    def nothing_readable(self) -> StreamError:
        """Return the error for a batch without one readable row, before there was a row to stand in."""
        last = next(reversed(self.faults))
        return StreamError(f"not one row of a batch could be read; the last in {last.file!r}: {last.detail}")


def is_corruption(error: Exception) -> bool:
    """Return whether ``error``, raised by a read, speaks of the bytes and not of the machine or the network.

    pyarrow reports a failed checksum as an OSError without a number; the system's own errors carry one.
    """
    if isinstance(error, MemoryError):
        return False
    if isinstance(error, OSError):
        return error.errno is None
    return isinstance(error, pa.ArrowException | ValueError)
