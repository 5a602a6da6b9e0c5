"""Charts as inline SVG: bars, histograms and lines, in the page's own colours, without a library."""

from collections.abc import Sequence
from dataclasses import dataclass

from udfs.report.html import Html, join, tag
from udfs.report.numbers import count, round_up, short


@dataclass(frozen=True)
class Series:
    """Values under one name; ``style`` is the number of its colour, 1 or more."""

    name: str
    values: Sequence[float]
    style: int = 1


@dataclass(frozen=True)
class Tick:
    """A label on an axis; ``place`` is 0 at its start and 1 at its end."""

    place: float
    label: str


@dataclass(frozen=True)
class _Frame:
    """Where a chart draws: the area inside the axes, in units of its view box."""

    width: float
    height: float
    left: float = 42
    right: float = 16
    top: float = 10
    bottom: float = 40

    @property
    def inner_width(self) -> float:
        return self.width - self.left - self.right

    @property
    def inner_height(self) -> float:
        return self.height - self.top - self.bottom

    def x(self, place: float) -> float:
        return self.left + place * self.inner_width

    def y(self, place: float) -> float:
        return self.top + (1 - place) * self.inner_height


def bar(part: float, most: float, *, style: int = 1) -> Html:
    """Return a horizontal bar, ``part`` of ``most`` long, that fills its table cell; the number stands beside it."""
    width = 100 * part / most if most else 0
    # A few rows among millions must not look like none.
    shown = max(width, 0.4) if part else 0
    rect = tag("rect", width=float(shown), height=10, class_=f"s{style}")
    return tag("svg", rect, class_="bar", viewBox="0 0 100 10", preserveAspectRatio="none", aria_hidden="true")


def histogram(series: Sequence[Series], *, ticks: Sequence[Tick], x_title: str, names: Sequence[str]) -> Html:
    """Return bars side by side, the series stacked in order; ``names`` says what each bar stands for, for the pointer.

    Bars of different height are equally wide: what the axis shows between two ticks is the caller's scale.
    """
    frame = _Frame(360, 190)
    totals = [sum(values) for values in zip(*(one.values for one in series), strict=True)]
    top = round_up(max(totals, default=0))
    bars = join(_stack(frame, series, at, len(totals), top, names[at]) for at in range(len(totals)))
    label = f"{x_title}: " + "; ".join(f"{one.name} {count(sum(one.values))}" for one in series)
    return _svg(frame, label, _y_axis(frame, top), bars, _x_axis(frame, ticks, x_title))


def _stack(frame: _Frame, series: Sequence[Series], at: int, places: int, top: float, name: str) -> Html:
    parts, below = [], 0.0
    for one in series:
        value = one.values[at]
        height = value / top * frame.inner_height
        x, y = frame.x(at / places) + 0.5, frame.y(below / top) - height
        wide = max(frame.inner_width / places - 1, 1)
        if value:
            parts.append(tag("rect", x=float(x), y=float(y), width=wide, height=float(height), class_=f"s{one.style}"))
        below += value
    said = "; ".join(f"{one.name} {count(one.values[at])}" for one in series)
    return tag("g", tag("title", f"{name}: {said}"), *parts)


def lines(series: Sequence[Series], *, x_title: str, y_title: str) -> Html:
    """Return one line a series over 1, 2, 3, ...; the y axis starts at 0, so that slopes do not exaggerate."""
    frame = _Frame(520, 280, left=46, right=16)
    longest = max((len(one.values) for one in series), default=0)
    top = round_up(max((value for one in series for value in one.values), default=0))
    drawn = join(_line(frame, one, longest, top) for one in series)
    step = max(1, round(longest / 6))
    at = sorted({1, longest, *range(step, longest - step // 2, step)}) if longest else []
    ticks = [Tick(_along(place - 1, longest), count(place)) for place in at]
    label = f"{y_title} by {x_title}: " + "; ".join(
        f"{one.name} from {one.values[0]:.3g} to {one.values[-1]:.3g}" for one in series if one.values
    )
    return _svg(frame, label, _y_axis(frame, top), drawn, _x_axis(frame, ticks, x_title))


def _line(frame: _Frame, one: Series, longest: int, top: float) -> Html:
    points = [(frame.x(_along(at, longest)), frame.y(value / top)) for at, value in enumerate(one.values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = join(
        tag("circle", tag("title", f"{one.name}, {at}: {value:.4g}"), cx=x, cy=y, r=3, class_=f"s{one.style}")
        for at, ((x, y), value) in enumerate(zip(points, one.values, strict=True), start=1)
    )
    return tag("g", tag("polyline", points=path, class_=f"line l{one.style}"), dots)


def _along(at: int, length: int) -> float:
    return at / (length - 1) if length > 1 else 0.5


def legend(series: Sequence[Series]) -> Html:
    """Return the names of the series beside their colours."""
    marks = (
        tag(
            "li",
            tag(
                "svg",
                tag("rect", width=12, height=12, rx=2, class_=f"s{one.style}"),
                viewBox="0 0 12 12",
                aria_hidden="true",
            ),
            one.name,
        )
        for one in series
    )
    return tag("ul", *marks, class_="legend")


def _svg(frame: _Frame, label: str, *content: Html) -> Html:
    box = f"0 0 {frame.width:g} {frame.height:g}"
    return tag("svg", *content, class_="chart", viewBox=box, role="img", aria_label=label)


def _y_axis(frame: _Frame, top: float) -> Html:
    parts = []
    for place in (0.0, 0.5, 1.0):
        y = frame.y(place)
        parts.append(tag("line", x1=frame.left, x2=frame.x(1), y1=y, y2=y, class_="grid"))
        parts.append(tag("text", short(place * top), x=frame.left - 6, y=y + 4, text_anchor="end"))
    return join(parts)


def _x_axis(frame: _Frame, ticks: Sequence[Tick], title: str) -> Html:
    bottom = frame.y(0)
    labels = [tag("text", one.label, x=frame.x(one.place), y=bottom + 15, text_anchor="middle") for one in ticks]
    middle = tag("text", title, x=frame.x(0.5), y=bottom + 33, text_anchor="middle", class_="title")
    return join([*labels, middle])
