"""The order of an epoch, as a pure function of seed and epoch that does not know how many processes train.

All rows of the epoch, row groups shuffled and rows shuffled within them, form one sequence. It is cut into lanes of
equal length, and the canonical order deals them out in turn: position p is row p // lanes of lane p % lanes. A process
takes the positions that equal its rank modulo the world's size. So a place in the epoch is one number, whatever the
world; where the size divides the lanes, a process reads lanes of its own and nothing twice.
"""

from dataclasses import dataclass, field
from functools import cached_property
from math import gcd

import numpy as np
import numpy.typing as npt

from lakehouse.stream.hashing import shuffled
from lakehouse.stream.world import World

MOST_LANES = 48
"""Lanes of a table with many row groups. Divisible by 2, 3, 4, 6, 8, 12, 16, 24 and 48."""

_GROUPS_IN_A_LANE = 8
_SHUFFLE_GROUPS, _SHUFFLE_ROWS = 1, 2

Numbers = npt.NDArray[np.int64]


def lanes_for(groups: int) -> int:
    """Return the default count of lanes for a table of ``groups`` row groups: at least eight row groups in a lane.

    A row group that lies across the end of a lane is read for both: with eight, an eighth is read twice at most.
    """
    fitting = [lanes for lanes in range(1, MOST_LANES + 1) if MOST_LANES % lanes == 0]
    return max(lanes for lanes in fitting if lanes == 1 or lanes * _GROUPS_IN_A_LANE <= groups)


@dataclass(frozen=True)
class Segment:
    """Neighbouring rows of a lane that lie in one row group.

    Attributes:
        group: position of the row group in the plan
        lane: the lane
        first: place in the lane of its first row
        start, stop: which of the group's shuffled rows it has
        needed: first position that the process takes from it
    """

    group: int
    lane: int
    first: int
    start: int
    stop: int
    needed: int

    @property
    def end(self) -> int:
        """The place in the lane after its last row."""
        return self.first + self.stop - self.start


@dataclass(frozen=True, eq=False)
class Order:
    """The order of one epoch over row groups with ``rows`` selected rows each."""

    rows: Numbers = field(repr=False)
    lanes: int
    seed: int
    epoch: int
    is_shuffled: bool = True

    @cached_property
    def total(self) -> int:
        """Rows of the epoch."""
        return int(self.rows.sum())

    def rows_of(self, segment: Segment) -> Numbers:
        """Return which of its group's selected rows the segment has, in order."""
        count = int(self.rows[segment.group])
        if not self.is_shuffled:
            return np.arange(segment.start, segment.stop)
        order = shuffled(count, self.seed, self.epoch, _SHUFFLE_ROWS, segment.group)
        return order[segment.start : segment.stop]

    def positions(self, world: World, start: int, count: int) -> range:
        """Return the first ``count`` positions from ``start`` on that belong to the process."""
        first = start + (world.rank - start) % world.size
        return range(first, first + count * world.size, world.size)

    def segments(self, world: World, start: int, stop: int) -> list[Segment]:
        """Return what the process must read for positions from ``start`` up to ``stop``, first needed first."""
        found = [segment for lane in range(self.lanes) for segment in self._lane(lane, world, start, stop)]
        return sorted(found, key=lambda segment: segment.needed)

    @cached_property
    def _groups(self) -> Numbers:
        count = len(self.rows)
        groups = shuffled(count, self.seed, self.epoch, _SHUFFLE_GROUPS) if self.is_shuffled else np.arange(count)
        return groups[self.rows[groups] > 0]

    @cached_property
    def _bounds(self) -> Numbers:
        """Where each group, in the shuffled order, begins in the one sequence; then its end."""
        return np.concatenate(([0], np.cumsum(self.rows[self._groups]))).astype(np.int64)

    def _lane(self, lane: int, world: World, start: int, stop: int) -> list[Segment]:
        place, stride = self._first_place(lane, world)
        if place is None:
            return []
        short, longer = divmod(self.total, self.lanes)
        begin = lane * short + min(lane, longer)
        end = begin + short + (lane < longer)
        earliest = max(0, -((lane - start) // self.lanes))
        nearby = range(
            int(np.searchsorted(self._bounds, begin, side="right")) - 1,
            int(np.searchsorted(self._bounds, end, side="left")),
        )
        segments = []
        for index in nearby:
            low, high = max(begin, int(self._bounds[index])), min(end, int(self._bounds[index + 1]))
            wanted = max(low - begin, earliest)
            wanted += (place - wanted) % stride
            needed = wanted * self.lanes + lane
            if wanted < high - begin and needed < stop:
                offset = int(self._bounds[index])
                group = int(self._groups[index])
                segments.append(Segment(group, lane, low - begin, low - offset, high - offset, needed))
        return segments

    def _first_place(self, lane: int, world: World) -> tuple[int | None, int]:
        """Return the process's first place in the lane, None if the lane is not its own, and the step to the next."""
        stride = world.size // gcd(world.size, self.lanes)
        places = (place for place in range(stride) if (place * self.lanes + lane) % world.size == world.rank)
        return next(places, None), stride
