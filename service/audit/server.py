"""A served registry as the source of an audit: its events, tiles, texts and digests, over HTTP."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from hashlib import sha256
from operator import itemgetter
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
from service.audit.history import about_of
from service.audit.source import DigestsOnly, StoredViews, Unreadable
from service.audit.summary import Batches, Wanted, batches
from service.audit.tree import StoredTiles, tiles_of
from service.header_names import FOLD
from service.transparency.static_files import MOST_BUNDLE_BYTES

FETCHING = 4
"""Concurrent requests for tiles."""
MOST_RECALLS = 5
"""Requests for histories that name a change."""
MOST_LATER = 1_000_000
"""Redactions during the audit that are read."""
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
        """The fingerprint of the code that folded its views, if an answer had it."""
        self._pool = ThreadPoolExecutor(FETCHING, thread_name_prefix="audit")
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        # The checkpoint comes first, so that every later answer covers it.
        path = "/log/checkpoint"
        try:
            self.signed = read_signed(self._get(path, MOST_NOTE_BYTES), f"{self.target}{path}")
        except NoCheckpoint as error:  # the address is probably not that of a registry
            raise CannotAudit(str(error)) from None
        path = "/v1/events?limit=1"
        try:
            self.head = int(orjson.loads(self._get(path))["position"])
        except (ValueError, KeyError, TypeError):
            raise CannotAudit(f"{self.target}{path} does not have the log's head: it is not a registry") from None

    def key(self) -> tuple[str, str]:
        return self._get("/log/vkey", MOST_NOTE_BYTES).decode("utf-8", "replace"), f"{self.target}/log/vkey"

    def rows(self) -> Iterator[list[Row]]:
        if self.head:
            yield from self._rows(f"/v1/events?until={self.head}", self.head)

    def batches(self, wanted: Wanted) -> Batches:
        return batches(self.rows(), wanted)

    def damages(self) -> Mapping[str, Sequence[str]]:
        return {}

    def later_redactions(self) -> Mapping[int, int]:
        found: dict[int, int] = {}
        for rows in self._rows(f"/v1/events?after={self.head}&type=event.redacted", MOST_LATER):
            for row in rows:
                if row.type == "event.redacted" and (about := about_of(row.data)) is not None:
                    found[about] = row.position
        return found

    def tiles(self) -> StoredTiles:
        waiting: deque[tuple[Tile, Future[bytes | None]]] = deque()
        for tile in tiles_of(self.signed.checkpoint.size):
            waiting.append((tile, self._pool.submit(self._tile, tile)))
            if len(waiting) == _AHEAD:
                first, fetched = waiting.popleft()
                yield first, fetched.result()
        for first, fetched in waiting:
            yield first, fetched.result()

    def text_reader(self) -> ReadText | str:
        if self._key is None:
            return "available only with an API key (--key)"

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

    def recall(self, position: int, row: Row | None) -> Mapping[str, Any] | None:
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
        """Return the digests of views as of a position. Raises Unreadable, CannotAudit."""
        wanted = "".join(f"&view={view}" for view in views)
        try:
            content, self.fold = self._client.get_with_header(f"/v1/digests?as_of={as_of}{wanted}", FOLD)
            found = orjson.loads(content)["digests"]
            return {str(view): str(digest) for view, digest in found.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unreadable("the answer at /v1/digests has no digests") from None
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
        """Yield the events of a streamed answer, at most one more than `most`: that one shows that there are too many.

        Raises Unreadable.
        """
        count = 0
        try:
            for lines in self._client.lines(path):
                for first in range(0, len(lines), _AT_ONCE):
                    try:
                        rows = [answered(line) for line in lines[first : first + _AT_ONCE]]
                    except ValueError as error:
                        raise Unreadable(
                            f"one of the lines after line {count} of the events is not an event: {error}"
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
    """Return an event of a history that has the `earlier` items. It has data only if the log's entry commits to it."""
    found = {
        name: item.get(name) for name in ("version", "type", "source", "id", "time", "occurred", "recorded", "actor")
    }
    evidence = [
        {name: value for name, value in passage.items() if name != "status"} for passage in item.get("evidence", ())
    ]
    data = _posted(CATALOGUE[row.type].data, {**item["data"], **({"evidence": evidence} if evidence else {})})
    given, kind, about = data, row.type, item
    while kind == "event.corrected" and "data" in given:  # the data of a correction has the type of the corrected event
        about = earlier[about["data"]["event"]]
        kind = about["type"]
        inner = _posted(CATALOGUE[kind].data, given["data"])
        given["data"], given = inner, inner
    committed = orjson.loads(row.entry).get("data_sha256")
    if sha256(row.salt + orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest() == committed:
        found["data"] = data
    return found


def _posted(shape: type[Record], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data as it was posted: fields that are declared as references hold the subject alone."""
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
    """Apply `change` to an object, or to each object of a list. Return any other value unchanged."""
    if isinstance(value, list):
        return [_each(change, part) for part in value]
    return change(value) if isinstance(value, dict) and value else value


class _Digests(DigestsOnly):
    """The digests of a server's views."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.position = server.head
        self.any_position = True

    def digests(self, as_of: int, views: Sequence[str]) -> Mapping[str, str]:
        return self._server.digests(as_of, views)

    def reason_to_repeat(self) -> str | None:
        if self._server.fold not in (None, fold()):
            return "the server is another version of the registry than this command, and its views differ"
        return "data was erased during the audit: audit it again" if self._server.later_redactions() else None
