"""Pictures as SVG text, drawn without a browser: rows of dots, and lines with their intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

INK, FAINT, GRID = "#1f2933", "#6b7785", "#e3e7ec"
OURS, THEIRS, REAL = "#0b6e99", "#c2642d", "#8a94a0"
LINES = ("#0b6e99", "#c2642d", "#7a9a2e", "#8c5fa8", "#b8902a", "#4f5d6b")
WIDTH, LINE, TOP = 200.0, 22.0, 46.0


@dataclass(frozen=True)
class Panel:
    """One figure of all systems.

    title: with the direction that is better. values: one list of dots for each line. mark: a dashed line at this value.
    log: logarithmic axis.
    """

    title: str
    values: Sequence[Sequence[float]]
    mark: float | None = None
    log: bool = False


def dots(title: str, lines: Sequence[str], colours: Sequence[str], panels: Sequence[Panel]) -> tuple[list[str], float]:
    """A row of panels that share their lines: (SVG elements, height)."""
    left = 12 + 6.4 * max((len(line) for line in lines), default=0)
    height = TOP + LINE * len(lines) + 34
    out = [_text(0, 16, title, size=15, weight=600)]
    for place, line in enumerate(lines):
        out.append(_text(left - 10, TOP + LINE * (place + 0.5) + 4, line, anchor="end", fill=colours[place]))
    for number, panel in enumerate(panels):
        out += _panel(panel, left + number * (WIDTH + 24), colours)
    return out, height


def _panel(panel: Panel, x: float, colours: Sequence[str]) -> list[str]:
    known = [value for values in panel.values for value in values] + ([] if panel.mark is None else [panel.mark])
    if not known:
        return []
    scale = _Scale.of(known, panel.log)
    bottom = TOP + LINE * len(panel.values)
    out = [_text(x, TOP - 10, panel.title, size=12, weight=600)]
    for tick in scale.ticks():
        at = x + WIDTH * scale.place(tick)
        out.append(_stroke(at, TOP, at, bottom, GRID))
        out.append(
            _text(at, bottom + 15, f"{tick:g}" if tick < 1e4 else f"{tick:,.0f}", anchor="middle", fill=FAINT, size=10)
        )
    if panel.mark is not None:
        at = x + WIDTH * scale.place(panel.mark)
        out.append(_stroke(at, TOP, at, bottom, INK, dash=True))
    for place, values in enumerate(panel.values):
        y = TOP + LINE * (place + 0.5)
        ends = [x + WIDTH * scale.place(value) for value in values]
        if len(ends) > 1:
            out.append(_stroke(min(ends), y, max(ends), y, colours[place], width=2))
        out += [f'<circle cx="{at:.1f}" cy="{y:.1f}" r="4" fill="{colours[place]}" fill-opacity=".8"/>' for at in ends]
    return out


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    log: bool

    @classmethod
    def of(cls, values: Sequence[float], log: bool) -> _Scale:
        if log:
            floor = min((value for value in values if value > 0), default=1.0)
            lowest, highest = math.log10(floor), math.log10(max(*values, floor))
        else:
            lowest, highest = min(values), max(values)
        room = 0.06 * (highest - lowest) or abs(highest) * 0.1 or 1.0
        return cls(lowest - room, highest + room, log)

    def place(self, value: float) -> float:
        at = math.log10(max(value, 1e-300)) if self.log else value
        return min(max((at - self.low) / (self.high - self.low), 0.0), 1.0)

    def ticks(self, most: int = 5) -> list[float]:
        if self.log:
            powers = range(math.floor(self.low), math.floor(self.high) + 1)
            finer = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
            shown = [tick for tick in finer if self.low <= math.log10(tick) <= self.high]
            return shown if len(shown) <= most else [tick for tick in shown if math.log10(tick) % 1 == 0]
        raw = (self.high - self.low) / most
        unit = 10 ** math.floor(math.log10(raw))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= raw)
        first = math.ceil(self.low / step)
        return [round((first + i) * step, 10) for i in range(most + 1) if (first + i) * step <= self.high]


@dataclass(frozen=True)
class Curve:
    """A line with its interval. points: (value, low, high) at each place of the horizontal axis."""

    name: str
    colour: str
    points: Sequence[tuple[float, float, float]]


def curves(
    title: str, axis: str, places: Sequence[str], lines: Sequence[Curve], zero: bool = True
) -> tuple[list[str], float]:
    """Values against places (evenly spaced), the lines side by side at each: (SVG elements, height).

    zero: whether the values are changes, with signs, whose axis holds 0
    """
    width, tall, left, top = 560.0, 260.0, 60.0, TOP
    known = [value for line in lines for point in line.points for value in point]
    scale = _Scale.of(known + [0.0] * (zero or not known), log=False)

    def level(value: float) -> float:
        return top + tall * (1 - scale.place(value))

    out = [_text(0, 16, title, size=15, weight=600), _text(left, 34, axis, size=11, fill=FAINT)]
    for tick in scale.ticks():
        out.append(_stroke(left, level(tick), left + width, level(tick), INK if tick == 0 else GRID))
        out.append(
            _text(
                left - 8,
                level(tick) + 4,
                f"{tick:+g}" if tick and zero else f"{tick:g}",
                anchor="end",
                fill=FAINT,
                size=10,
            )
        )
    step = width / len(places)
    for number, place in enumerate(places):
        out.append(_text(left + step * (number + 0.5), top + tall + 18, place, anchor="middle", fill=FAINT, size=11))
    for index, line in enumerate(lines):
        colour = line.colour
        shift = (index - (len(lines) - 1) / 2) * min(9.0, 0.6 * step / len(lines))
        at = [left + step * (number + 0.5) + shift for number in range(len(places))]
        path = " ".join(f"{x:.1f},{level(point[0]):.1f}" for x, point in zip(at, line.points, strict=True))
        out.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{2.4 if index == 0 else 1.2}"/>'
        )
        for x, (value, low, high) in zip(at, line.points, strict=True):
            out.append(_stroke(x, level(low), x, level(high), colour, width=1.6))
            out.append(f'<circle cx="{x:.1f}" cy="{level(value):.1f}" r="3.6" fill="{colour}"/>')
        key = top + 18 * index + 8
        out.append(_stroke(left + width + 16, key, left + width + 40, key, colour, width=3))
        out.append(_text(left + width + 48, key + 4, line.name, size=12))
    return out, top + tall + 44


def page(parts: Sequence[tuple[list[str], float]], width: float) -> str:
    """Parts below each other as one SVG file on white."""
    out, y = [], 20.0
    for elements, height in parts:
        out.append(f'<g transform="translate(20 {y:.0f})">' + "\n".join(elements) + "</g>")
        y += height + 14
    size = f'viewBox="0 0 {width:.0f} {y:.0f}" width="{width:.0f}" height="{y:.0f}"'
    style = 'font-family="system-ui, sans-serif" font-variant-numeric="tabular-nums"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}><rect width="100%" height="100%" fill="#ffffff"/>\n'
        + "\n".join(out)
        + "\n</svg>\n"
    )


def panel_width(panels: int, lines: Sequence[str]) -> float:
    """Width of a page with rows of so many panels."""
    return 20 + 12 + 6.4 * max((len(line) for line in lines), default=0) + panels * (WIDTH + 24) + 20


def _text(x: float, y: float, text: str, **style: str | float) -> str:
    names = {"size": "font-size", "weight": "font-weight", "anchor": "text-anchor", "fill": "fill"}
    given: Mapping[str, str | float] = {"size": 12, "fill": INK, **style}
    marks = " ".join(f'{names[key]}="{value}"' for key, value in given.items())
    return f'<text x="{x:.1f}" y="{y:.1f}" {marks}>{escape(text)}</text>'


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0, dash: bool = False) -> str:
    dashes = ' stroke-dasharray="4 3"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width:g}"{dashes}/>'
    )
