"""Files beside what is cited from them: which documents each is the text of, by its bytes alone; the text put in; and
what became of every passage. A registry is worked with in its data directory, or at its address, alike."""

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
from service.commands.document_texts import MAX_TEXT, storing
from service.commands.write_queue import Overloaded
from service.commands.writer import Unavailable
from service.data_directory import LOG, VIEWS
from service.event_log import LogError
from service.lock import InUse
from service.logging import LogWriter, make_logger
from service.metrics import Metrics
from service.settings import Settings
from service.store import OtherOrigin, Store, fix_origin, open_store
from service.transfers import reason
from service.transparency.checkpoint import Unfit, refuse_unfit_offline
from service.transparency.signing import CannotSign

ACTOR = "evidence"
AT_ONCE = 1000
_SHOWN = 20

Json = dict[str, Any]


class CannotCheck(Exception):
    """The registry could not be asked at all, or broke off. One line that says why."""


class NotTaken(Exception):
    """The registry did not take a text. One line that says why."""


class Registry(Protocol):
    """A registry that texts are put into."""

    async def documents(self, digests: Collection[str]) -> list[Json]:
        """The states of the documents whose registered SHA-256 is one of these. Raises CannotCheck."""

    async def put(self, subject: str, raw: bytes) -> None:
        """Has it keep a document's text. Raises NotTaken, CannotCheck."""

    async def passages(self, subject: str) -> tuple[list[Json], Json]:
        """Every passage of a document, and how much of it is used. Raises CannotCheck."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What became of the passages of one document. `failed` have a `difference`: what the text says instead."""

    subject: str
    title: Any
    counts: Mapping[str, int]
    failed: Sequence[Json]
    used: Json


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: the documents it is the text of (none: it belongs to none), or why it was not taken."""

    path: Path
    documents: Sequence[Checked] = ()
    refusal: str | None = None

    @property
    def is_fine(self) -> bool:
        """Whether it belongs to a document and every passage that can be checked stands."""
        return bool(self.documents) and not any(document.failed for document in self.documents)


async def checked(registry: Registry, paths: Sequence[Path]) -> AsyncIterator[Outcome]:
    """Puts the files in and has every passage checked, one file after the other. Raises CannotCheck, OSError."""
    digests = {path: await asyncio.to_thread(_digest, path) for path in paths}
    known = await registry.documents({digest for digest in digests.values() if digest is not None})
    for path, digest in digests.items():
        found = []
        try:
            for document in known:
                if document["sha256"] == digest:
                    raw = await asyncio.to_thread(path.read_bytes)
                    await registry.put(document["subject"], raw)
                    items, used = await registry.passages(document["subject"])
                    found.append(_checked(document, items, used, raw.decode()))
        except NotTaken as error:
            yield Outcome(path, found, str(error))
        else:
            yield Outcome(path, found)


def difference(passage: Mapping[str, Any], text: str) -> Json:
    """Where a passage that failed parts from the text: the code point, and with what characters both go on."""
    start, end, exact = (passage.get(name) for name in ("start", "end", "exact"))
    if exact is None:
        return {"at": len(text), "text": "", "quoted": None}
    place, count = agreeing(exact, text, start, end)
    at = place + count
    until = at + _SHOWN if end is None else min(end, at + _SHOWN)
    return {"at": at, "text": text[at:until], "quoted": exact[count : count + _SHOWN]}


def _checked(document: Json, items: Sequence[Json], used: Json, text: str) -> Checked:
    counts = {str(status): sum(item["status"] == status for item in items) for status in Status}
    failed = [{**item, "difference": difference(item, text)} for item in items if item["status"] == Status.FAILED]
    return Checked(document["subject"], document.get("title"), counts, failed, used)


def _digest(path: Path) -> str | None:
    """The SHA-256 of a file; None of one that is longer than any text. Raises OSError."""
    return sha256(path.read_bytes()).hexdigest() if path.stat().st_size <= MAX_TEXT else None


# in a data directory


@asynccontextmanager
async def here(settings: Settings) -> AsyncIterator[Registry]:
    """The registry in a data directory that nobody serves. Raises CannotCheck."""
    if not (settings.data / LOG).exists():
        raise CannotCheck(f"there is no log in {settings.data}; --data names the directory")
    try:
        with closing(LogWriter()) as writer:
            async with open_store(settings.data, logger=make_logger(writer), metrics=Metrics()) as store:
                fix_origin(store.log, settings.origin)
                refuse_unfit_offline(settings.data, store.log.meta("origin"))
                reader = Reader(settings.data / VIEWS)
                try:
                    yield _Here(store, reader)
                finally:
                    reader.close()
    except InUse as error:
        raise CannotCheck(f"{error}: give its address with --url, and a key with --key") from None
    except (CannotSign, LogError, OtherOrigin, Unfit) as error:
        raise CannotCheck(str(error)) from None


class _Here:
    """On one thread, as nobody else asks."""

    def __init__(self, store: Store, reader: Reader) -> None:
        self._store = store
        self._reader = reader
        self._origin = store.log.meta("origin") or ""

    async def documents(self, digests: Collection[str]) -> list[Json]:
        question = TimeSlice(self._reader.head(), None)
        found, after = [], None
        while True:
            page = self._reader.page("documents", question, {}, sort=None, limit=AT_ONCE, after=after)
            found += [item for item in page.items if item.get("sha256") in digests]
            if (after := page.after) is None:
                return found

    async def put(self, subject: str, raw: bytes) -> None:
        try:
            await self._store.writer.post(storing(self._origin, subject, raw, ACTOR))
        except (Malformed, Refused) as error:
            raise NotTaken(str(error)) from None
        except (Overloaded, Unavailable) as error:
            raise CannotCheck(str(error)) from None
        await self._store.writer.publish()

    async def passages(self, subject: str) -> tuple[list[Json], Json]:
        question = TimeSlice(self._reader.head(), None)
        items: list[Json] = []
        after = None
        while True:
            page = self._reader.passages(subject, question, status=None, limit=AT_ONCE, after=after)
            items += page.items
            if (after := page.after) is None:
                return items, dict(page.beside["used"])


# at an address


@asynccontextmanager
async def there(url: str, key: str | None) -> AsyncIterator[Registry]:
    """The registry that is served at an address. Raises CannotCheck."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
    try:
        async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
            yield _There(session, url.rstrip("/"))
    except aiohttp.InvalidURL:
        raise CannotCheck(f"{url!r} is no address; http://127.0.0.1:8080 is") from None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CannotCheck(f"{url}: {str(error) or type(error).__name__}") from None


class _There:
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
                said = reason(self._url, answer.status, await answer.read())
                raise CannotCheck(said) if answer.status in (401, 403) else NotTaken(said)

    async def passages(self, subject: str) -> tuple[list[Json], Json]:
        items: list[Json] = []
        used: Json = {}
        async for page in self._pages(f"/v1/{subject}/passages?on=any"):
            items += page["items"]
            used = page["used"]
        return items, used

    async def _pages(self, address: str) -> AsyncIterator[Json]:
        following: str | None = f"{address}&limit={AT_ONCE}"
        while following is not None:
            async with self._session.get(f"{self._url}{following}", headers={"Accept": "application/json"}) as answer:
                body = await answer.read()
                if answer.status != 200:
                    raise CannotCheck(reason(self._url, answer.status, body))
            try:
                page: Json = orjson.loads(body)
                following = page["next"]
            except (ValueError, KeyError, TypeError):
                raise CannotCheck(f"{self._url} answered {answer.url}, and not as a registry would") from None
            yield page
