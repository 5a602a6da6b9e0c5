"""What a stream has handed out, for a trainer to log."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Counters:
    """Counts of this process, over all epochs since the stream was made.

    Attributes:
        batches, rows: handed out
        repeated: rows that took the place of unreadable ones, among ``rows``
        skipped: rows in whose turn nothing could be read, by reason
        tail: rows at the ends of epochs that filled no batch on all processes; counted for the whole world
        left_out: rows of files and row groups that are too damaged to be in an epoch; for the whole world
        texts: rows by the text column that the mix chose
        negatives: rows by the column of their negative text; rows without one are missing
        wait_seconds: how long the trainer waited for batches, the first of each epoch included
    """

    batches: int = 0
    rows: int = 0
    repeated: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    tail: int = 0
    left_out: int = 0
    texts: Counter[str] = field(default_factory=Counter)
    negatives: Counter[str] = field(default_factory=Counter)
    wait_seconds: float = 0.0

    @property
    def realised_mix(self) -> dict[str, float]:
        """The share of each text column among the rows handed out."""
        total = self.texts.total()
        return {column: count / total for column, count in self.texts.items()}
