"""Evidence check: stores files as the texts of documents, and reports every quotation that fails in them.

A file belongs to the documents that are registered with its SHA-256. The registry is a data directory or a server; both
are used through the same interface.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import orjson

from domain.errors import Refused
from domain.quotation import Status, agreeing
from projections.engine.query_types import TimeSlice
from projections.reader import Reader
from service.commands.cloudevents import Malformed
from service.commands.document_texts import storage_batch
from service.commands.write_queue import Overloaded
from service.commands.writer import Unavailable
from service.data_directory import LOG, VIEWS
from service.event_log import LogError
from service.limits import MOST_TEXT_BYTES
from service.lock import InUse
from service.logging import LogWriter, make_logger
from service.metrics import Metrics
from service.settings import Settings
from service.store import OtherOrigin, Store, fix_origin, open_store
from service.transfers import failure_reason
from service.transparency.checkpoint import NotContinued, check_continues_offline
from service.transparency.signing import CannotSign

ACTOR = "evidence"
PAGE = 1000
_SHOWN = 20

Json = dict[str, Any]


class CannotCheck(Exception):
    """The registry cannot be used, or failed during the check. The text is one line that says why."""


class TextRefused(Exception):
    """The registry refused a text. The text of this error is one line that says why."""


class Registry(Protocol):
    """A registry that stores the texts."""

    async def documents(self, digests: Collection[str]) -> list[Json]:
        """Return the states of documents whose registered SHA-256 is one of these. Raises CannotCheck."""

    async def put(self, subject: str, raw: bytes) -> None:
        """Store a document's text. Raises TextRefused, CannotCheck."""

    async def passages(self, subject: str) -> tuple[list[Json], Json]:
        """Return every passage of a document, and how much of its text is quoted. Raises CannotCheck."""


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """The passages of one document by status. Each in `failed` has a `difference` from the text."""

    subject: str
    title: Any
    counts: Mapping[str, int]
    failed: Sequence[Json]
    used: Json


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one file: the documents that it is the text of, or why it was refused."""

    path: Path
    documents: Sequence[CheckedDocument] = ()
    refusal: str | None = None

    @property
    def is_fine(self) -> bool:
        """Whether the file belongs to a document and no passage failed."""
        return bool(self.documents) and not any(document.failed for document in self.documents)


async def check_files(registry: Registry, paths: Sequence[Path]) -> AsyncIterator[Outcome]:
    """Store the files and check every passage, one file after the other. Raises CannotCheck, OSError."""
    digests = {path: await asyncio.to_thread(_digest, path) for path in paths}
    known = await registry.documents({digest for digest in digests.values() if digest is not None})
    for path, digest in digests.items():
        found = []
        try:
            for document in known:
                if document.get("sha256") == digest:
                    raw = await asyncio.to_thread(path.read_bytes)
                    await registry.put(document["subject"], raw)
                    items, used = await registry.passages(document["subject"])
                    found.append(_checked(document, items, used, raw.decode()))
        except TextRefused as error:
            yield Outcome(path, found, str(error))
        else:
            yield Outcome(path, found)


def difference(passage: Mapping[str, Any], text: str) -> Json:
    """Return where a failed passage differs from the text: the code point, and the next characters of both."""
    start, end, exact = (passage.get(name) for name in ("start", "end", "exact"))
    if exact is None:
        return {"at": len(text), "text": "", "quoted": None}
    place, count = agreeing(exact, text, start, end)
    at = place + count
    until = at + _SHOWN if end is None else min(end, at + _SHOWN)
    return {"at": at, "text": text[at:until], "quoted": exact[count : count + _SHOWN]}


def _checked(document: Json, items: Sequence[Json], used: Json, text: str) -> CheckedDocument:
    counts = {str(status): sum(item["status"] == status for item in items) for status in Status}
    failed = [{**item, "difference": difference(item, text)} for item in items if item["status"] == Status.FAILED]
    return CheckedDocument(document["subject"], document.get("title"), counts, failed, used)


def _digest(path: Path) -> str | None:
    """Return the SHA-256 of a file; None if it is longer than any text may be. Raises OSError."""
    return sha256(path.read_bytes()).hexdigest() if path.stat().st_size <= MOST_TEXT_BYTES else None


@asynccontextmanager
async def local_registry(settings: Settings) -> AsyncIterator[Registry]:
    """Yield the registry in a data directory that no server uses. Raises CannotCheck."""
    if not (settings.data / LOG).exists():
        raise CannotCheck(f"there is no log in {settings.data}; --data names the directory")
    try:
        with closing(LogWriter()) as writer:
            async with open_store(settings.data, logger=make_logger(writer), metrics=Metrics()) as store:
                fix_origin(store.log, settings.origin)
                check_continues_offline(settings.data, store.log.meta("origin"))
                reader = Reader(settings.data / VIEWS)
                try:
                    yield _LocalRegistry(store, reader)
                finally:
                    reader.close()
    except InUse as error:
        raise CannotCheck(f"{error}: give its address with --url, and a key with --key") from None
    except (CannotSign, LogError, OtherOrigin, NotContinued) as error:
        raise CannotCheck(str(error)) from None


class _LocalRegistry:
    """The registry in a data directory. It is used on one thread, as there are no other users."""

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store = store
        self._reader = reader
        self._origin = store.log.meta("origin") or ""

    async def documents(self, digests: Collection[str]) -> list[Json]:
        question = TimeSlice(self._reader.head(), None)
        found, after = [], None
        while True:
            page = self._reader.page("documents", question, {}, sort=None, limit=PAGE, after=after)
            found += [item for item in page.items if item.get("sha256") in digests]
            if (after := page.after) is None:
                return found

    async def put(self, subject: str, raw: bytes) -> None:
        try:
            await self._store.writer.post(storage_batch(self._origin, subject, raw, ACTOR))
        except (Malformed, Refused) as error:
            raise TextRefused(str(error)) from None
        except (Overloaded, Unavailable) as error:
            raise CannotCheck(str(error)) from None
        await self._store.writer.publish()

    async def passages(self, subject: str) -> tuple[list[Json], Json]:
        question = TimeSlice(self._reader.head(), None)
        items: list[Json] = []
        after = None
        while True:
            page = self._reader.passages(subject, question, status=None, limit=PAGE, after=after)
            items += page.items
            if (after := page.after) is None:
                return items, dict(page.extra["used"])


@asynccontextmanager
async def remote_registry(url: str, key: str | None) -> AsyncIterator[Registry]:
    """Yield the registry that is served at an address. Raises CannotCheck."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    try:
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            yield _RemoteRegistry(session, url.rstrip("/"))
    except aiohttp.InvalidURL:
        raise CannotCheck(f"{url!r} is not an address such as http://127.0.0.1:8080") from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CannotCheck(f"{url}: {str(error) or type(error).__name__}") from None


class _RemoteRegistry:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def documents(self, digests: Collection[str]) -> list[Json]:
        return [
            item
            async for page in self._pages("/v1/documents?on=any")
            for item in page["items"]
            if item.get("sha256") in digests
        ]

    async def put(self, subject: str, raw: bytes) -> None:
        headers = {"Content-Type": "text/plain; charset=utf-8"}
        async with self._session.put(f"{self._url}/v1/{subject}/text", data=BytesIO(raw), headers=headers) as answer:
            if answer.status not in (200, 201):
                text = failure_reason(self._url, answer.status, await answer.read())
                raise CannotCheck(text) if answer.status in (401, 403) else TextRefused(text)

    async def passages(self, subject: str) -> tuple[list[Json], Json]:
        items: list[Json] = []
        used: Json = {}
        async for page in self._pages(f"/v1/{subject}/passages?on=any"):
            items += page["items"]
            used = page["used"]
        return items, used

    async def _pages(self, address: str) -> AsyncIterator[Json]:
        next_page: str | None = f"{address}&limit={PAGE}"
        while next_page is not None:
            async with self._session.get(f"{self._url}{next_page}", headers={"Accept": "application/json"}) as answer:
                body = await answer.read()
                if answer.status != 200:
                    raise CannotCheck(failure_reason(self._url, answer.status, body))
            try:
                page: Json = orjson.loads(body)
                next_page = page["next"]
            except (ValueError, KeyError, TypeError):
                raise CannotCheck(f"{answer.url} did not answer as a registry does") from None
            yield page
