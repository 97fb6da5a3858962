"""An exported directory as the source of an audit: the static log, events and digests that `registry export --tiles`
wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from domain.corrections import Event
from domain.tlog_formats import Tile
from projections.engine.database import fold
from service.audit.checkpoints import MOST_NOTE_BYTES, CannotAudit, read_file, read_signed
from service.audit.document_texts import ReadText
from service.audit.event_rows import Row, answered
from service.audit.source import DigestsOnly, StoredViews, Unreadable
from service.audit.summary import Batches, Wanted, batches
from service.audit.tree import StoredTiles, tiles_of
from service.limits import MOST_TEXT_BYTES
from service.transparency.static_files import CHECKPOINT, DIGESTS, EVENTS, MOST_BUNDLE_BYTES, TEXTS, VKEY, text_path

MOST_LINE_BYTES = 2**24
_AT_ONCE = 1000


class Exported:
    """An exported log, as the source of an audit."""

    def __init__(self, path: Path) -> None:
        """Raises CannotAudit, also if the export is not complete."""
        self.target = str(path)
        self.origin: str | None = None
        self.has_files = False
        self._path = path
        try:
            self.signed = read_signed(read_file(path / CHECKPOINT, MOST_NOTE_BYTES), str(path / CHECKPOINT))
            self.head = self.signed.checkpoint.size
            document = orjson.loads(read_file(path / DIGESTS, MOST_NOTE_BYTES))
            self._fold = document["fold"]
            self._digests = _Digests(
                int(document["position"]), {str(view): str(of) for view, of in document["digests"].items()}
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise CannotAudit(f"{path} holds no export that was finished: registry export --tiles {path}") from None
        if self._digests.position != self.head:
            raise CannotAudit(f"{path} holds an export that was broken off: registry export --tiles {path}")

    def key(self) -> tuple[str, str]:
        path = self._path / VKEY
        try:
            return read_file(path, MOST_NOTE_BYTES).decode(), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise CannotAudit(f"{path}: {error}; or give the log's verifier key with --vkey") from None

    def rows(self) -> Iterator[list[Row]]:
        position = 0
        try:
            with (self._path / EVENTS).open("rb") as file:
                lines = islice(_lines(file), self.head)  # later lines are of an export that did not end
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

    def later_redactions(self) -> Mapping[int, int]:
        return {}

    def tiles(self) -> StoredTiles:
        for tile in tiles_of(self.head):
            for width in _partials(self._path, tile):
                if width < tile.width:
                    narrower = Tile(tile.level, tile.number, width)
                    yield narrower, self._tile(narrower)
            yield tile, self._tile(tile)

    def text_reader(self) -> ReadText | str:
        if not (self._path / TEXTS).is_dir():
            return "not exported (export --texts)"

        def read(event: Event) -> bytes | None:
            path = text_path(self._path, event.plain.get("sha256"))
            try:
                return None if path is None else read_file(path, MOST_TEXT_BYTES)
            except OSError:
                return None

        return read

    def views(self) -> StoredViews | str:
        if self._fold != fold():
            return f"the digests in {DIGESTS} are of views that another version of the registry folded"
        return self._digests

    def recall(self, position: int, row: Row | None) -> Mapping[str, Any] | None:
        del position, row
        return None

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _tile(self, tile: Tile) -> bytes | None:
        try:
            return read_file(self._path / tile.path, MOST_BUNDLE_BYTES)
        except OSError:
            return None


class _Digests(DigestsOnly):
    """The digests of the views as of the position of the export."""

    def __init__(self, position: int, digests: Mapping[str, str]) -> None:
        self.position = position
        self._digests = digests
        self.any_position = False

    def digests(self, as_of: int, views: Sequence[str]) -> Mapping[str, str]:
        assert as_of == self.position
        return {view: self._digests[view] for view in views if view in self._digests}

    def reason_to_repeat(self) -> str | None:
        return None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file. Raises Unreadable for a line that is too long for an event."""
    while line := file.readline(MOST_LINE_BYTES + 1):
        if len(line) > MOST_LINE_BYTES:
            raise Unreadable(f"a line of {EVENTS} has more than {MOST_LINE_BYTES} bytes")
        yield line


def _partials(directory: Path, tile: Tile) -> list[int]:
    """Return the widths of the partial tiles with a tile's number, ascending."""
    folder = (directory / Tile(tile.level, tile.number, 1).path).parent
    try:
        return sorted(int(path.name) for path in folder.iterdir() if path.name.isascii() and path.name.isdecimal())
    except OSError:
        return []
