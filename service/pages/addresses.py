"""Addresses of pages: each keeps the two times and the language that the reader chose."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

KEPT = ("on", "as_of", "lang")
"""The parameters that stay while a reader moves from page to page."""


@dataclass(frozen=True, slots=True)
class Address:
    """A page's path and query. Every address made from it keeps `KEPT`."""

    path: str
    query: tuple[tuple[str, str], ...]

    def kept(self) -> dict[str, str]:
        """Return the parameters that every link of the page repeats."""
        return {name: value for name, value in self.query if name in KEPT and value}

    @property
    def language(self) -> str | None:
        """The language that the address names."""
        return self.kept().get("lang")

    def own(self) -> list[tuple[str, str]]:
        """Return the other parameters, which belong to this page."""
        return [(name, value) for name, value in self.query if name not in KEPT and value]

    def to(self, path: str, **query: object) -> str:
        """Return the address of another page, with these parameters beside those that are kept; None drops one."""
        merged = {**self.kept(), **query}
        return _joined(path, [(name, str(value)) for name, value in merged.items() if value is not None])

    def subject(self, subject: str) -> str:
        """Return the address of a subject's page."""
        return self.to(f"/{subject}")

    def changed(self, **query: object) -> str:
        """Return the address of this page with other values of some parameters; None drops one."""
        rest = [(name, value) for name, value in self.query if name not in query and value]
        return _joined(self.path, [*rest, *((name, str(value)) for name, value in query.items() if value is not None)])

    def api(self, path: str | None = None, **query: object) -> str:
        """Return the address under `/v1` that answers the same question; `path` is that of a page."""
        given = dict(self.query) if path is None else self.kept()
        merged = {name: value for name, value in {**given, **query}.items() if name != "lang" and value is not None}
        return _joined(
            "/v1" + (self.path if path is None else path), [(name, str(each)) for name, each in merged.items()]
        )


def _joined(path: str, query: list[tuple[str, str]]) -> str:
    escaped = quote(path, safe="/%")
    return f"{escaped}?{urlencode(query)}" if query else escaped


def whole_number(text: str | None, default: int) -> int:
    """Return the whole number that a parameter gives; the default where it gives none, or one of 16 digits or more."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else default
