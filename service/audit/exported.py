"""A directory that `registry export --tiles` wrote, audited offline: a static log with the events, and the digests of
the views, beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from domain.facts import Event
from domain.notes import Tile
from projections.store import fold
from service.audit.checkpoints import CannotAudit, read_signed
from service.audit.growth import Kept, tiles_of
from service.audit.plain import Batches, Wanted, batches
from service.audit.rows import Row, answered
from service.audit.source import StoredViews, Unreadable
from service.audit.texts import ReadText
from service.tilefiles import CHECKPOINT, DIGESTS, EVENTS, TEXTS, VKEY

_AT_ONCE = 1000


class Exported:
    """An exported log."""

    def __init__(self, path: Path) -> None:
        """Raises CannotAudit, also where the export was not finished."""
        self.target = str(path)
        self.origin: str | None = None
        self.has_files = False
        self._path = path
        try:
            self.signed = read_signed((path / CHECKPOINT).read_bytes(), str(path / CHECKPOINT))
            self.head = self.signed.checkpoint.size
            said = orjson.loads((path / DIGESTS).read_bytes())
            self._fold = said["fold"]
            self._digests = _Digests(
                int(said["position"]), {str(view): str(of) for view, of in said["digests"].items()}
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise CannotAudit(f"{path} holds no export that was finished: registry export --tiles {path}") from None
        if self._digests.position != self.head:
            raise CannotAudit(f"{path} holds an export that was broken off: registry export --tiles {path}")

    def key(self) -> tuple[str, str]:
        path = self._path / VKEY
        try:
            return path.read_text(), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise CannotAudit(f"{path}: {error}; or give the log's verifier key with --vkey") from None

    def rows(self) -> Iterator[list[Row]]:
        position = 0
        try:
            with (self._path / EVENTS).open("rb") as file:
                lines = islice(file, self.head)  # what follows is of an export that was broken off
                while some := list(islice(lines, _AT_ONCE)):
                    try:
                        rows = [answered(line) for line in some]
                    except ValueError as error:
                        raise Unreadable(f"{EVENTS} cannot be read after line {position}: {error}") from None
                    yield rows
                    position += len(rows)
        except OSError as error:
            raise CannotAudit(f"{self._path / EVENTS}: {error.strerror}") from None

    def batches(self, wanted: Wanted) -> Batches:
        return batches(self.rows(), wanted)

    def damages(self) -> Mapping[str, Sequence[str]]:
        return {}

    def later(self) -> Mapping[int, int]:
        return {}

    def kept(self) -> Kept:
        for tile in tiles_of(self.head):
            for width in _partials(self._path, tile):
                if width < tile.width:
                    narrower = Tile(tile.level, tile.number, width)
                    yield narrower, self._tile(narrower)
            yield tile, self._tile(tile)

    def reading(self) -> ReadText | str:
        texts = self._path / TEXTS
        if not texts.is_dir():
            return "not among what was exported (export --texts)"

        def read(event: Event) -> bytes | None:
            digest = str(event.plain.get("sha256"))
            try:
                return (texts / digest).read_bytes() if digest.isalnum() else None
            except OSError:
                return None

        return read

    def views(self) -> StoredViews | str:
        if self._fold != fold():
            return f"the digests in {DIGESTS} are of views that another version of the registry folded"
        return self._digests

    def recalled(self, position: int, row: Row | None) -> Mapping[str, Any] | None:
        del position, row
        return None

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _tile(self, tile: Tile) -> bytes | None:
        try:
            return (self._path / tile.path).read_bytes()
        except OSError:
            return None


class _Digests:
    """The digests of the views as of the position of the export."""

    def __init__(self, position: int, digests: Mapping[str, str]) -> None:
        self.position = position
        self._digests = digests
        self.path: Path | None = None
        self.any_position = False

    def digests(self, as_of: int, views: Sequence[str]) -> Mapping[str, str]:
        assert as_of == self.position
        return {view: self._digests[view] for view in views if view in self._digests}

    def lines(self, view: str, as_of: int) -> Iterator[bytes] | None:
        del view, as_of
        return None

    def rows(self, table: str, as_of: int) -> Iterator[dict[str, Any]]:
        del table, as_of
        return iter(())

    def stored(self, table: str) -> Iterator[list[tuple[Any, ...]]] | None:
        del table
        return None

    def is_passing(self) -> str | None:
        return None


def _partials(directory: Path, tile: Tile) -> list[int]:
    """The widths of the partial tiles that an exported log has of a tile's number, ascending."""
    folder = (directory / Tile(tile.level, tile.number, 1).path).parent
    try:
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isascii() and path.name.isdecimal())
    except OSError:
        return []
