#!/usr/bin/env python3
"""Draw docs/layers.svg from the layers contracts in pyproject.toml. Run it after changing one: scripts/draw_layers.py.

The upper stack is the package, the lower one the inside of `vault`. A test draws the picture
again and compares. Nothing but the standard library is needed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "layers.svg"

PURPOSES = {
    "cli": "commands and what they print; fakes for tests",
    "app": "from words to caps; names grids and backends",
    "gateway": "a grid over HTTP; backups that run by themselves",
    "backup": "the operations; they see protocols only",
    "vault": "the grids: caps for content, content for caps",
    "backends": "named bytes, and one wrapper for each concern",
    "webapi": "requests to a Tahoe-LAFS node",
    "source": "the file system, what was stored when, processes",
    "interfaces": "the protocols, and nothing else",
    "dag": "directories, entries, metadata, as canonical bytes",
    "caps": "cap values, and text to cap and back",
    "crypto": "the only importer of ciphers",
    "local_files": "files of this machine, replaced as a whole",
    "errors": "what everybody may import",
    "mounts": "what kind of file system a folder lies on",
}
"""What a layer of the package is for, by the first of its names."""

VAULT_PURPOSES = {
    "vault": "the grid itself",
    "repair": "bring back what is damaged",
    "mirror": "a copy of a vault; storing new objects",
    "check": "find damage; delete what is not in use",
    "components": "the parts of an open vault",
    "marking": "what hangs from what, and which copies of it are right",
    "reading": "objects and files, verified",
    "access": "who gets in; which pack; what this client knows",
    "mutable": "what may change; where objects are kept",
    "format": "which bytes; what need not wait over a line",
}
"""What a layer inside the vault is for, by the first of its names."""

FILLS = {
    "cli": "#e8eef7",
    "app": "#e8eef7",
    "gateway": "#e8eef7",
    "backup": "#fdf1d8",
    "vault": "#dff0e3",
    "backends": "#dff0e3",
    "webapi": "#dff0e3",
    "source": "#f3e6f5",
}
PLAIN_FILL = "#f2f2f2"

ROW_HEIGHT = 34
ROW_STEP = 44
HEADING_HEIGHT = 46
BOX_GAP = 6
TOP = 58
LEFT_MARGIN = 112
BOXES_WIDTH = 500
PURPOSE_WIDTH = 340
SVG = "http://www.w3.org/2000/svg"
INK = "#1f2933"
MUTED = "#52606d"


class Layer(NamedTuple):
    """One line of a contract: packages that do not know each other."""

    names: tuple[str, ...]
    planned: frozenset[str]

    @property
    def key(self) -> str:
        """The first package, by which purposes and colours are found."""
        return self.names[0]

    @classmethod
    def of(cls, line: str, container: str) -> Layer:
        """Parse a line; a package in parentheses need not exist, and is planned where it does not."""
        names = tuple(word.strip(" ()") for word in re.split(r"[|:]", line))
        folder = ROOT.joinpath("src", *container.split("."))
        return cls(names, frozenset(name for name in names if not list(folder.glob(name)) + list(folder.glob(f"{name}.py"))))


def read_layers(project: dict[str, Any], container: str) -> list[Layer]:
    """Return the layers inside a package, the top one first; none where no contract speaks of it."""
    for contract in project["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers" and container in contract.get("containers", []):
            return [Layer.of(line, container) for line in contract["layers"]]
    return []


def draw(project: dict[str, Any]) -> str:
    """Return the picture as SVG text.

    Raises:
        KeyError: A layer has no line among the purposes.
    """
    outer, inner = read_layers(project, "tallac"), read_layers(project, "tallac.vault")
    inner_top = TOP + len(outer) * ROW_STEP + HEADING_HEIGHT
    width = LEFT_MARGIN + BOXES_WIDTH + PURPOSE_WIDTH
    height = inner_top + len(inner) * ROW_STEP
    lines = [
        f'<svg xmlns="{SVG}" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="sans-serif" role="img">',
        "<title>The layers of Tallac: imports go down only</title>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">',
        f'<path d="M0 0 8 4 0 8z" fill="{MUTED}"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(LEFT_MARGIN, TOP - 32, "tallac: imports go down only", weight="bold"),
        _text(LEFT_MARGIN, TOP - 14, "packages side by side do not know each other; a dashed one is planned", fill=MUTED, size=12),
        *_stack(outer, TOP, FILLS, PURPOSES),
        *_arrows(outer),
        _text(LEFT_MARGIN, inner_top - 14, "inside tallac.vault, by the same rule", weight="bold"),
        *_stack(inner, inner_top, dict.fromkeys(VAULT_PURPOSES, FILLS["vault"]), VAULT_PURPOSES),
    ]
    return "\n".join([*lines, "</svg>", ""])


def _stack(layers: Sequence[Layer], top: int, fills: dict[str, str], purposes: dict[str, str]) -> Iterator[str]:
    for number, layer in enumerate(layers):
        y = top + number * ROW_STEP
        # Boxes are as wide as their names ask for, and fill the line together.
        weights = [len(name) + 4 for name in layer.names]
        free = BOXES_WIDTH - BOX_GAP * (len(weights) - 1)
        x = float(LEFT_MARGIN)
        for name, weight in zip(layer.names, weights, strict=True):
            box = free * weight / sum(weights)
            fill = "#ffffff" if name in layer.planned else fills.get(layer.key, PLAIN_FILL)
            dashes = ' stroke-dasharray="4 3"' if name in layer.planned else ""
            yield (
                f'<rect x="{x:.1f}" y="{y}" width="{box:.1f}" height="{ROW_HEIGHT}" rx="4" fill="{fill}" stroke="#9aa5b1"{dashes}/>'
            )
            yield _text(x + box / 2, y + 22, name, anchor="middle")
            x += box + BOX_GAP
        yield _text(LEFT_MARGIN + BOXES_WIDTH + 14, y + 22, purposes[layer.key], fill=MUTED, size=13)


def _arrows(layers: Sequence[Layer]) -> Iterator[str]:
    """Draw the two seams on the left: who sees only protocols, and who implements them."""
    rows = {name: number for number, layer in enumerate(layers) for name in layer.names}
    protocols = TOP + rows["interfaces"] * ROW_STEP + ROW_HEIGHT // 2
    for name, x, label in (("backup", 34, "see protocols only"), ("vault", 78, "implement them")):
        start = TOP + rows[name] * ROW_STEP + ROW_HEIGHT // 2
        yield (
            f'<path d="M{LEFT_MARGIN - 4} {start}H{x}V{protocols + (6 if name == "backup" else -6)}H{LEFT_MARGIN - 4}" '
            f'fill="none" stroke="{MUTED}" stroke-width="1.5" marker-end="url(#head)"/>'
        )
        middle = (start + protocols) // 2
        yield (
            f'<text x="{x - 6}" y="{middle}" fill="{MUTED}" font-size="12" text-anchor="middle" '
            f'transform="rotate(-90 {x - 6} {middle})">{label}</text>'
        )


def _text(x: float, y: float, text: str, *, fill: str = INK, size: int = 14, weight: str = "normal", anchor: str = "start") -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" fill="{fill}" font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
    )


if __name__ == "__main__":
    with (ROOT / "pyproject.toml").open("rb") as file:
        PICTURE.write_text(draw(tomllib.load(file)), "utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: drawn")
