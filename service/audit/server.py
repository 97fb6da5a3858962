"""A registry that is served, audited over HTTP: its events, tiles, texts and digests, and nothing it says of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from hashlib import sha256
from operator import itemgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from domain.catalogue import CATALOGUE
from domain.corrections import Event
from domain.payload import Record
from domain.tlog_formats import Tile
from projections.engine.database import fold
from service.audit.checkpoints import MOST_NOTE_BYTES, CannotAudit, NoCheckpoint, read_signed
from service.audit.client import MOST_BYTES, Client, Refused
from service.audit.document_texts import ReadText
from service.audit.event_rows import Row, answered
from service.audit.history import speaks_of
from service.audit.source import StoredViews, Unreadable
from service.audit.summary import Batches, Wanted, batches
from service.audit.tree import ResponseCache, tiles_of
from service.header_names import FOLD
from service.transparency.static_files import MOST_BUNDLE_BYTES

FETCHING = 4
"""Tiles that are asked for at a time."""
MOST_RECALLS = 5
"""Histories that are asked for, to name what was changed."""
MOST_LATER = 1_000_000
"""Redactions that are read of those recorded during the audit."""
_AHEAD = 4 * FETCHING
_AT_ONCE = 1000


class Server:
    """A registry at an address."""

    def __init__(self, url: str, key: str | None) -> None:
        """Raises CannotAudit."""
        self.target = url
        self.origin: str | None = None
        self.has_files = False
        self._client = Client(url, key)
        self._key = key
        self._recalls = 0
        self.fold: str | None = None
        """The fingerprint of the code that folded its views, where it tells."""
        self._pool = ThreadPoolExecutor(FETCHING, thread_name_prefix="audit")
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        # First what is promised, so that everything that is asked for later covers it.
        path = "/log/checkpoint"
        try:
            self.signed = read_signed(self._get(path, MOST_NOTE_BYTES), f"{self.target}{path}")
        except NoCheckpoint as error:  # it is more likely no registry at all
            raise CannotAudit(str(error)) from None
        path = "/v1/events?limit=1"
        try:
            self.head = int(orjson.loads(self._get(path))["position"])
        except (ValueError, KeyError, TypeError):
            raise CannotAudit(f"{self.target}{path} does not tell the log's head, as a registry would") from None

    def key(self) -> tuple[str, str]:
        return self._get("/log/vkey", MOST_NOTE_BYTES).decode("utf-8", "replace"), f"{self.target}/log/vkey"

    def rows(self) -> Iterator[list[Row]]:
        if self.head:
            yield from self._rows(f"/v1/events?until={self.head}", self.head)

    def batches(self, wanted: Wanted) -> Batches:
        return batches(self.rows(), wanted)

    def damages(self) -> Mapping[str, Sequence[str]]:
        return {}

    def later(self) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for rows in self._rows(f"/v1/events?after={self.head}&type=event.redacted", MOST_LATER):
            for row in rows:
                if row.type == "event.redacted" and (about := speaks_of(row.data)) is not None:
                    found[about] = row.position
        return found

    def kept(self) -> ResponseCache:
        waiting: deque[tuple[Tile, Future[bytes | None]]] = deque()
        for tile in tiles_of(self.signed.checkpoint.size):
            waiting.append((tile, self._pool.submit(self._tile, tile)))
            if len(waiting) == _AHEAD:
                first, fetched = waiting.popleft()
                yield first, fetched.result()
        for first, fetched in waiting:
            yield first, fetched.result()

    def reading(self) -> ReadText | str:
        if self._key is None:
            return "given only to those with a key (--key)"

        def read(event: Event) -> bytes | None:
            try:
                return self._client.get(f"/v1/{quote(event.subject)}/text?as_of={event.position}")
            except Refused as refused:
                if refused.status == 404:
                    return None
                raise CannotAudit(str(refused)) from None

        return read

    def views(self) -> StoredViews | str:
        return _Digests(self)

    def recalled(self, position: int, row: Row | None) -> Mapping[str, Any] | None:
        if row is None or not isinstance(row.subject, str) or self._recalls == MOST_RECALLS:
            return None
        self._recalls += 1
        path: str | None = f"/v1/{quote(row.subject)}/history?as_of={position}&on=any&limit={_AT_ONCE}"
        earlier: dict[int, Mapping[str, Any]] = {}
        with suppress(CannotAudit, ValueError, KeyError, TypeError, AttributeError):
            while path:
                page = orjson.loads(self._get(path))
                for item in page["items"]:
                    if item["position"] == position:
                        return _recalled(item, row, earlier)
                    earlier[item["position"]] = item
                path = page["next"]
        return None

    def finish(self) -> None:
        pass

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def digests(self, as_of: int, views: Sequence[str]) -> Mapping[str, str]:
        """The digests of views as of a position, as they are answered."""
        wanted = "".join(f"&view={view}" for view in views)
        try:
            content, self.fold = self._client.ask(f"/v1/digests?as_of={as_of}{wanted}", FOLD)
            found = orjson.loads(content)["digests"]
            return {str(view): str(digest) for view, digest in found.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unreadable("the answer at /v1/digests holds no digests") from None
        except Refused as refused:
            raise CannotAudit(str(refused)) from None

    def _tile(self, tile: Tile) -> bytes | None:
        try:
            return self._client.get(f"/log/{tile.path}", MOST_BUNDLE_BYTES)
        except Refused as refused:
            if refused.status == 404:
                return None
            raise CannotAudit(str(refused)) from None

    def _rows(self, path: str, most: int) -> Iterator[list[Row]]:
        """The events of a streamed answer, which is read no further than one event beyond so many: that one tells that
        there are too many. Raises Unreadable.
        """
        count = 0
        try:
            for lines in self._client.lines(path):
                for first in range(0, len(lines), _AT_ONCE):
                    try:
                        rows = [answered(line) for line in lines[first : first + _AT_ONCE]]
                    except ValueError as error:
                        raise Unreadable(
                            f"one of the lines after line {count} of the events is none: {error}"
                        ) from None
                    yield rows[: most + 1 - count]
                    count += len(rows)
                    if count > most:
                        return
        except Refused as refused:
            raise CannotAudit(str(refused)) from None

    def _get(self, path: str, most: int = MOST_BYTES) -> bytes:
        try:
            return self._client.get(path, most)
        except Refused as refused:
            raise CannotAudit(str(refused)) from None


def _recalled(item: Mapping[str, Any], row: Row, earlier: Mapping[int, Mapping[str, Any]]) -> Mapping[str, Any]:
    """An event as a history tells it, after the `earlier` items of the history.

    Its data is there where it can be shown to be what the log's entry commits to.
    """
    kept = {
        name: item.get(name) for name in ("version", "type", "source", "id", "time", "occurred", "recorded", "actor")
    }
    evidence = [
        {name: value for name, value in passage.items() if name != "status"} for passage in item.get("evidence", ())
    ]
    data = _posted(CATALOGUE[row.type].data, {**item["data"], **({"evidence": evidence} if evidence else {})})
    given, kind, about = data, row.type, item
    while kind == "event.corrected" and "data" in given:  # what a correction gives is of the type corrected
        about = earlier[about["data"]["event"]]
        kind = about["type"]
        inner = _posted(CATALOGUE[kind].data, given["data"])
        given["data"], given = inner, inner
    committed = orjson.loads(row.entry).get("data_sha256")
    if sha256(row.salt + orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest() == committed:
        kept["data"] = data
    return kept


def _posted(shape: type[Record], data: Mapping[str, Any]) -> dict[str, Any]:
    """Data as it was posted: references, which the declared types of the fields tell, as they are written."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        inner = shape.INNER.get(name)
        if name in shape.REFERENCES:
            found[name] = _each(itemgetter("subject"), value)
        elif inner is not None:
            found[name] = _each(partial(_posted, inner), value)
        else:
            found[name] = value
    return found


def _each(change: Callable[[Any], Any], value: Any) -> Any:
    """An object changed, or each of a list of them; anything else as it is."""
    if isinstance(value, list):
        return [_each(change, part) for part in value]
    return change(value) if isinstance(value, dict) and value else value


class _Digests:
    """The views that a server answers from, of which it tells no more than digests."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.position = server.head
        self.path: Path | None = None
        self.any_position = True

    def digests(self, as_of: int, views: Sequence[str]) -> Mapping[str, str]:
        return self._server.digests(as_of, views)

    def lines(self, view: str, as_of: int) -> Iterator[bytes] | None:
        del view, as_of
        return None

    def rows(self, table: str, as_of: int) -> Iterator[dict[str, Any]]:
        del table, as_of
        return iter(())

    def stored(self, table: str) -> Iterator[list[tuple[Any, ...]]] | None:
        del table
        return None

    def values(self, table: str) -> Iterator[tuple[Any, ...]]:
        del table
        return iter(())

    def broken_indexes(self) -> Sequence[str]:
        return ()

    def is_passing(self) -> str | None:
        if self._server.fold not in (None, fold()):
            return "the server is another version of the registry than this command, and its views are others"
        return "something was erased during the audit: audit it again" if self._server.later() else None
