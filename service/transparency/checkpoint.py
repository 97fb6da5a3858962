"""Checkpoints of the log: signed as the log grows, stored in a file apart from the databases, then published.

A checkpoint is never signed unless it continues the last one. If the log went back (an older backup) or has another
history, nothing is signed or recorded until an operator has repaired it, and the service is not ready. The order of the
durable steps is in `Publisher._publish`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aiohttp import web

from domain.merkle import root
from domain.tlog_formats import Checkpoint, Note, NoteError, Signature, Verifier, parse_checkpoint, parse_note
from projections.reader import Reader
from service import data_directory
from service.app_keys import HEAD, LOGGER, LOGS, READY, SETTINGS, WRITER
from service.commands.writer import Writer
from service.logging import Logger
from service.metrics import Readiness
from service.transparency.signing import CannotSign, Signer, is_signed, make_key, read_key
from service.views.follower import LogPosition
from service.views.readers import READERS, Readers

PERIOD_SECONDS = 1.0
"""The shortest time between two checkpoints, and the time until a failed one is tried again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint and its note, with the cosignatures it has so far."""

    note: Note
    checkpoint: Checkpoint

    @property
    def size(self) -> int:
        """The number of events it covers."""
        return self.checkpoint.size


class NotContinued(Exception):
    """The log does not continue a signed checkpoint. The text says what happened and what to do."""


def read_checkpoint(data: Path, origin: str | None) -> Published | None:
    """Return the last signed checkpoint of a data directory; None if there is none yet. Its signature is not verified.

    Raises CannotSign if the file is not a checkpoint of this log, and OSError.
    """
    path = data / data_directory.CHECKPOINT
    try:
        note = parse_note(path.read_bytes().decode())
        checkpoint = parse_checkpoint(note.text)
    except FileNotFoundError:
        return None
    except (NoteError, UnicodeDecodeError) as error:
        raise CannotSign(f"{path} is not a checkpoint ({error}): restore the last one that this log signed") from None
    if checkpoint.origin != origin:
        raise CannotSign(
            f"{path} is of the log {checkpoint.origin!r}, and this log is {origin!r}: restore this log's checkpoint"
        )
    return Published(note, checkpoint)


def check_continues(signed: Checkpoint, head: int, roots: Callable[[int], bytes]) -> None:
    """Raise NotContinued unless a log of `head` events continues the checkpoint; `roots` returns its root at a size."""
    if signed.size > head:
        raise NotContinued(
            f"the log went back: {signed.size} events were signed, and it holds {head}. It was restored from an older"
            " backup, or events were lost. Stop the registry and restore a log that holds all of them; if they are"
            " lost for ever, begin another log (another data directory and origin) with the remaining events:"
            " registry export log --data OLD -o log.ndjson, then registry import log.ndjson --data NEW"
        )
    found = roots(signed.size)
    if found != signed.root:
        raise NotContinued(
            f"the log forked: its first {signed.size} events have the root {found.hex()}, and {signed.root.hex()} was"
            " signed for them. Its history was rewritten, or its stored tree changed. Stop the registry, and run"
            " registry rebuild; if this error comes again, restore the log that the file checkpoint was signed for"
        )


def check_continues_offline(data: Path, origin: str | None) -> None:
    """Do the same for a data directory that no server uses and whose views are caught up. Raises CannotSign too."""
    stored = read_checkpoint(data, origin)
    if stored is not None:
        with closing(Reader(data / data_directory.VIEWS)) as reader:
            check_continues(stored.checkpoint, reader.head(), lambda size: root(size, reader.hashes))


class Publisher:
    """Signs, stores and publishes checkpoints. Belongs to the event loop's thread."""

    def __init__(
        self,
        signer: Signer,
        data: Path,
        readers: Readers,
        head: LogPosition,
        writer: Writer,
        *,
        ready: Readiness,
        logger: Logger,
    ) -> None:
        """`data` is the directory of the checkpoint's file."""
        self._signer = signer
        self._data = data
        self._readers = readers
        self._head = head
        self._writer = writer
        self._ready = ready
        self._logger = logger
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._store_lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._fault: str | None = None
        self.published: Published | None = None
        """The newest checkpoint. Tiles and proofs cover no more than it."""
        self.covered = LogPosition()
        """The size of the published checkpoint."""

    @property
    def verifier(self) -> Verifier:
        """The public half of the key."""
        return self._signer.verifier

    @property
    def refusal(self) -> str | None:
        """Why nothing is signed or recorded until the next start; None if all is well."""
        return self._writer.refusal

    async def start(self, stored: Published | None) -> None:
        """Publish the stored checkpoint, then new ones until `stop`. Raises nothing; see `refusal`."""
        if stored is not None:
            self._set_published(stored)
        await self._attempt()
        self._task = asyncio.create_task(self._run(), name="checkpoints")

    async def stop(self) -> None:
        """Sign a last checkpoint if events were recorded since, then stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.refusal is None and self.covered.position != self._head.position:
            await self._attempt()
        self._thread.shutdown()

    async def add_cosignatures(self, text: str, signatures: Sequence[Signature]) -> None:
        """Add verified cosignatures to the checkpoint of this text, if it is still the newest."""
        async with self._store_lock:
            current = self.published
            if current is None or current.note.text != text:
                return
            fresh = {(each.name, each.key_id) for each in signatures}
            others = tuple(each for each in current.note.signatures if (each.name, each.key_id) not in fresh)
            cosigned = Published(Note(text, (*others, *signatures)), current.checkpoint)
            with suppress(OSError):  # the checkpoint itself is stored already
                await self._threaded(lambda: self._store(cosigned))
            self._set_published(cosigned)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self.refusal is None:
            due = loop.time() + PERIOD_SECONDS
            if self._fault is None:
                while self.covered.position == self._head.position:
                    await self._head.moved(is_urgent=False)
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._attempt()

    async def _attempt(self) -> None:
        """Publish a checkpoint of the head. A failure is logged and shown by readiness, and never raised."""
        try:
            await self._publish(self._head.position)
        except NotContinued as error:
            self._clear_fault()
            self._writer.refusal = str(error)
            self._ready.block(str(error))
            self._logger.error("signing and recording stopped", reason=str(error))
        except Exception as error:
            fault = f"no checkpoint can be published: {error}"
            if fault != self._fault:
                self._clear_fault()
                self._fault = fault
                self._ready.block(fault)
                self._logger.exception("no checkpoint can be published", events=self._head.position)
        else:
            self._clear_fault()

    def _clear_fault(self) -> None:
        if self._fault is not None:
            self._ready.unblock(self._fault)
            self._fault = None

    async def _publish(self, size: int) -> None:
        """Publish a checkpoint of the first `size` events, which are recorded and folded.

        The order guarantees that a published checkpoint is never lost, and that no signature contradicts one.

        1. Read the earlier checkpoints: the published one, and the one in the file, which is newer if a crash or a
           failure came between steps 4 and 5. The log must continue both; otherwise NotContinued, and signing stops.
        2. Compute the root of the tree at `size`. If this fails, nothing has changed.
        3. Sign, in memory. A crash from here to within step 4 leaves an unpublished checkpoint, of a log that the next
           checkpoint continues as well.
        4. Replace the file durably. If this fails, nothing is published, and the next attempt starts from step 1, even
           if the file was replaced, as it may not last.
        5. Publish.
        """
        earlier = await self._threaded(self._earlier)

        def continued_root(reader: Reader) -> bytes:
            for each in earlier:
                check_continues(each.checkpoint, size, lambda at: root(at, reader.hashes))
            return root(size, reader.hashes)

        found = await self._readers.ask(continued_root)
        if earlier and earlier[-1].size == size:
            signed = earlier[-1]
        else:
            checkpoint = Checkpoint(self.verifier.name, size, found)
            signed = Published(self._signer.sign(checkpoint.text), checkpoint)
        if self.published is not None and self.published.note.text == signed.note.text:
            return
        async with self._store_lock:
            await self._threaded(lambda: self._store(signed))
            self._set_published(signed)

    def _earlier(self) -> list[Published]:
        """Return the checkpoints to continue, the newest last. Raises NotContinued if another key signed one."""
        stored = read_checkpoint(self._data, self.verifier.name)
        if stored is not None and not is_signed(stored.note, self.verifier):
            raise NotContinued(
                f"the file {self._data / data_directory.CHECKPOINT} was not signed by this log's key,"
                f" {self.verifier.text}. Stop the registry and restore the key that signed it. To go on with a new key,"
                " move that file away, and give the new verifier key to everyone who has the old one"
            )
        published = self.published
        if stored is None or published is None or stored.note.text == published.note.text:
            return [each for each in (published, stored) if each is not None][-1:]
        return sorted((published, stored), key=lambda each: each.size)

    def _store(self, signed: Published) -> None:
        data_directory.replace(
            self._data / data_directory.CHECKPOINT, signed.note.signed.encode(), data_directory.FILE_MODE
        )

    def _set_published(self, signed: Published) -> None:
        self.published = signed
        self.covered.advance(signed.size)

    async def _threaded(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


PUBLISHER: web.AppKey[Publisher] = web.AppKey("publisher", Publisher)


async def publishing(app: web.Application) -> AsyncIterator[None]:
    """Publish checkpoints while the application runs. The start raises CannotSign, OSError."""
    settings = app[SETTINGS]
    origin = app[LOGS].here.origin()
    stored = read_checkpoint(settings.data, origin)
    signer = _signer(settings.data / data_directory.SIGNING_KEY, settings.signing_key, origin, stored)
    app[PUBLISHER] = publisher = Publisher(
        signer, settings.data, app[READERS], app[HEAD], app[WRITER], ready=app[READY], logger=app[LOGGER]
    )
    await publisher.start(stored)
    yield
    await app[WRITER].stop()  # the last checkpoint covers the queued events too
    await publisher.stop()


def _signer(own: Path, given: Path | None, origin: str, stored: Published | None) -> Signer:
    """Return the given key, else the log's own, which is created if nothing was signed yet."""
    path = given or own
    try:
        return read_key(path, origin)
    except FileNotFoundError:
        if given is not None:
            raise CannotSign(f"there is no key in {given}: name the file that holds the log's signing key") from None
    if stored is not None:
        raise CannotSign(
            f"{own} is gone, and it signed the checkpoint beside it: restore it from a backup, or name it with"
            " --signing-key"
        )
    return make_key(own, origin)
