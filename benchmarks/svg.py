"""A small SVG writer for charts: shapes and text in a few named colours, which follow the reader's light or dark
scheme."""

from __future__ import annotations

from typing import Literal
from xml.sax.saxutils import escape

Anchor = Literal["start", "middle", "end"]
Style = Literal["ink", "soft", "rule", "good", "bad", "mark"]

_COLOURS = {  # name: in light, in dark
    "ground": ("#ffffff", "#0d1117"),
    "ink": ("#1f2328", "#e6edf3"),
    "soft": ("#59636e", "#9198a1"),
    "rule": ("#d1d9e0", "#3d444d"),
    "good": ("#1a7f37", "#3fb950"),
    "bad": ("#bc4c00", "#f0883e"),
    "mark": ("#0969da", "#4493f8"),
}
_FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"


class Drawing:
    """A picture of a size in pixels, described by a title and a sentence for people who cannot see it."""

    def __init__(self, width: float, height: float, title: str, said: str) -> None:
        self._size = f"{width:g} {height:g}"
        self._width, self._height = width, height
        self._opening = f"<title>{escape(title)}</title><desc>{escape(said)}</desc>"
        self._parts: list[str] = []

    def text(
        self, x: float, y: float, words: str, style: Style = "ink", anchor: Anchor = "start", size: float = 13
    ) -> None:
        """Add text with its baseline at `y`."""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{style}" text-anchor="{anchor}" font-size="{size:g}">'
            f"{escape(words)}</text>"
        )

    def bar(self, x: float, y: float, width: float, height: float, style: Style) -> None:
        """Add a filled rectangle."""
        size = f'width="{max(width, 0.5):.1f}" height="{height:.1f}"'
        self._parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" {size} rx="2" class="{style}"/>')

    def line(self, x: float, y: float, to_x: float, to_y: float, style: Style, *, width: float = 1) -> None:
        """Add a line from one point to another."""
        ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
        self._parts.append(f'<line {ends} class="{style}" stroke-width="{width:g}"/>')

    def dot(self, x: float, y: float, radius: float, style: Style, *, is_hollow: bool = False) -> None:
        """Add a disc, or a ring."""
        hollow = " hollow" if is_hollow else ""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{style}{hollow}"/>')

    def render(self) -> str:
        """Return the picture as an SVG document."""
        light, dark = (
            " ".join(f"--{name}: {colours[number]};" for name, colours in _COLOURS.items()) for number in (0, 1)
        )
        fills = " ".join(f".{name} {{ fill: var(--{name}); }}" for name in _COLOURS)
        strokes = " ".join(f"line.{name}, circle.{name} {{ stroke: var(--{name}); }}" for name in _COLOURS)
        style = (
            f":root {{ {light} }} @media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }} {fills} {strokes}"
            " circle.hollow { fill: var(--ground); stroke-width: 2; }"
        )
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._size}" width="{self._width:g}"'
            f' height="{self._height:g}" role="img" font-family="{_FONT}">{self._opening}<style>{style}</style>'
            f'<rect width="100%" height="100%" class="ground"/>\n' + "\n".join(self._parts) + "\n</svg>\n"
        )
