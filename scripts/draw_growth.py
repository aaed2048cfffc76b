#!/usr/bin/env python3
"""Draw docs/growth.svg from the tables in docs/performance.md under "How it grows". Run scripts/draw_growth.py after changing one.

Both axes are logarithmic, so that what is linear rises as the dashed lines do. A test draws the picture again and compares. Nothing
but the standard library is needed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "growth.svg"
SECTION = "## How it grows"

PLOT_WIDTH, PLOT_HEIGHT = 330, 250
LEFT_MARGIN, TOP, LEGEND_WIDTH, PLOT_GAP, ROW_GAP = 56, 48, 160, 30, 72
SVG = "http://www.w3.org/2000/svg"
INK = "#1f2933"
MUTED = "#52606d"
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#17becf", "#7f7f7f", "#ff7f0e", "#bcbd22", "#000000")
_CELL = re.compile(r"([\d.e-]+) s, (\d+) MB")


class Growth(NamedTuple):
    """One table: what grows, its sizes, and the seconds of each row by size."""

    title: str
    sizes: list[int]
    rows: dict[str, list[tuple[int, float]]]


def read_tables(page: str) -> list[Growth]:
    """Read the tables of the section; a cell that holds no seconds was not measured."""
    _, _, section = page.partition(SECTION)
    found: list[Growth] = []
    for line in section.partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or set(line) <= set("|-"):
            continue
        sizes = [int(cell.replace(",", "")) for cell in cells[1:-1] if cell.replace(",", "").isdigit()]
        if len(sizes) == len(cells) - 2:
            found.append(Growth(cells[0], sizes, {}))
            continue
        seconds = [
            (size, float(match[1])) for size, cell in zip(found[-1].sizes, cells[1:], strict=False) if (match := _CELL.match(cell))
        ]
        found[-1].rows[cells[0]] = seconds
    return found


def draw(page: str) -> str:
    """Draw all tables, two in a line."""
    tables = read_tables(page)
    step_x, step_y = LEFT_MARGIN + PLOT_WIDTH + LEGEND_WIDTH + PLOT_GAP, PLOT_HEIGHT + ROW_GAP
    width, height = 2 * step_x, TOP + step_y * ((len(tables) + 1) // 2)
    lines = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif" role="img">',
        "<title>How processor time grows: linear at most</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, table in enumerate(tables):
        lines += _plot(table, LEFT_MARGIN + number % 2 * step_x, TOP + number // 2 * step_y)
    return "\n".join([*lines, "</svg>", ""])


def _plot(table: Growth, left: int, top: int) -> Iterator[str]:
    values = [seconds for row in table.rows.values() for _, seconds in row]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(table.sizes[0]), math.log10(table.sizes[-1])

    def x(size: float) -> float:
        return left + PLOT_WIDTH * (math.log10(size) - first) / (last - first)

    def y(seconds: float) -> float:
        return top + PLOT_HEIGHT * (high - math.log10(seconds)) / (high - low)

    yield _text(left, top - 14, f"{table.title}: seconds", weight="bold")
    yield f'<rect x="{left}" y="{top}" width="{PLOT_WIDTH}" height="{PLOT_HEIGHT}" fill="none" stroke="#9aa5b1"/>'
    for size in table.sizes:
        yield _text(x(size), top + PLOT_HEIGHT + 18, f"{size:,}", fill=MUTED, size=11, anchor="middle")
    for power in range(low, high + 1):
        yield f'<path d="M{left} {y(10**power):.1f}h{PLOT_WIDTH}" stroke="#e4e7eb"/>'
        yield _text(left - 6, y(10**power) + 4, f"{10.0**power:g}", fill=MUTED, size=11, anchor="end")
        # A line of slope 1 from here to the upper or the right edge.
        rise = min(last - first, high - power)
        if rise > 0:
            end_x, end_y = x(10 ** (first + rise)), y(10.0 ** (power + rise))
            yield f'<path d="M{left} {y(10**power):.1f}L{end_x:.1f} {end_y:.1f}" stroke="#cbd2d9" stroke-dasharray="4 3"/>'
    for place, (name, row) in enumerate(table.rows.items()):
        colour = COLOURS[place % len(COLOURS)]
        points = " ".join(f"{x(size):.1f},{y(seconds):.1f}" for size, seconds in row)
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        yield from (f'<circle cx="{x(size):.1f}" cy="{y(seconds):.1f}" r="3" fill="{colour}"/>' for size, seconds in row)
        at = top + 14 + 20 * place
        yield f'<path d="M{left + PLOT_WIDTH + 10} {at - 4}h16" stroke="{colour}" stroke-width="2"/>'
        yield _text(left + PLOT_WIDTH + 32, at, name, size=12)


def _text(x: float, y: float, text: str, *, fill: str = INK, size: int = 14, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(PAGE.read_text("utf-8")), "utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: drawn")
