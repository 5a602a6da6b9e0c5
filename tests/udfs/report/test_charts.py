"""Charts: every value has its mark, and marks stay inside the frame."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tests.udfs.report.parsed import parsed
from udfs.report.bins import LENGTHS, SIGNALS, Bins, counts_of, median_bin
from udfs.report.charts import Series, Tick, bar, histogram, lines
from udfs.report.numbers import round_up

_COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30)


def _rects(svg: str) -> list[dict[str, float]]:
    return [
        {key: float(attributes[key] or 0) for key in ("x", "y", "width", "height")}
        for name, attributes in parsed(svg).tags
        if name == "rect"
    ]


@given(_COUNTS)
def test_a_histogram_has_a_bar_for_every_count_that_is_not_zero(counts: list[int]) -> None:
    drawn = histogram([Series("kept", counts)], ticks=[Tick(0, "0")], x_title="px", names=[""] * len(counts))
    assert len(_rects(drawn)) == sum(count > 0 for count in counts)


@given(_COUNTS)
def test_stacked_bars_stay_inside_the_frame(counts: list[int]) -> None:
    series = [Series("kept", counts), Series("not kept", counts[::-1], 2)]
    for rect in _rects(histogram(series, ticks=[], x_title="px", names=[""] * len(counts))):
        assert rect["y"] >= 9.9
        assert rect["y"] + rect["height"] <= 150.1
        assert rect["x"] + rect["width"] <= 345


def test_a_bar_of_few_among_many_can_be_seen() -> None:
    assert _widths(bar(1, 10**9)) == [0.4]
    assert _widths(bar(0, 10**9)) == [0]


def _widths(svg: str) -> list[float]:
    return [float(attributes["width"] or 0) for name, attributes in parsed(svg).tags if name == "rect"]


def test_a_line_has_a_point_for_every_value() -> None:
    tags = parsed(lines([Series("a", [3, 2, 1]), Series("b", [2])], x_title="epoch", y_title="loss")).tags
    assert sum(name == "circle" for name, _ in tags) == 4


def test_a_chart_without_values_is_still_a_chart() -> None:
    assert "<svg" in lines([Series("a", [])], x_title="epoch", y_title="loss")


@given(st.floats(1e-6, 1e12))
def test_an_axis_ends_at_or_above_the_largest_value(number: float) -> None:
    assert number * (1 - 1e-6) <= round_up(number) <= 2 * number * (1 + 1e-6)


def test_every_histogram_has_its_ticks_on_the_axis() -> None:
    for bins in (*SIGNALS, *LENGTHS):
        places = [tick.place for tick in bins.axis()]
        assert all(-0.05 <= place <= 1.05 for place in places), bins.name
        assert all(one < other for one, other in pairwise(places))


def test_bins_of_whole_numbers_do_not_overlap() -> None:
    sides = Bins("side", "", "width", 4, 13, 18, (), unit="px", scale="log2", whole=True)
    assert sides.bin_names()[:3] == ["16 to 22 px", "23 to 31 px", "32 to 45 px"]
    assert sides.bin_names()[-1] == "5,793 px or more"


@given(st.lists(st.integers(0, 1000), max_size=20))
def test_counts_come_back_at_their_places(counts: list[int]) -> None:
    rows = [(at, count) for at, count in enumerate(counts, start=1) if count]
    assert counts_of(rows[::-1], len(counts)) == counts


def test_the_median_is_in_the_bin_that_reaches_half() -> None:
    assert median_bin([2, 2, 4]) == 1
    assert median_bin([1, 2, 4]) == 2
