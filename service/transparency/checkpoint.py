"""The log's checkpoints: signed whenever the log has grown, kept in a file apart from the databases, then published.

It must never sign what does not continue the last checkpoint it signed. A log that went back (an older backup) or has
another history is left unsigned, readiness turns red, and nothing more is recorded, until somebody has mended it. The
order of the durable steps stands in `Publisher._publish`.
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
"""A log that grows gets a checkpoint at once, then no more than one in this time. A failure is tried again after it."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that can be asked for: its note, with the cosignatures there are, and what it says."""

    note: Note
    checkpoint: Checkpoint

    @property
    def size(self) -> int:
        """How many events it covers."""
        return self.checkpoint.size


class Unfit(Exception):
    """The log does not continue what was signed. The argument says what happened and what to do."""


def read_kept(data: Path, origin: str | None) -> Published | None:
    """The last signed checkpoint of a data directory; None where nothing was signed yet. Nothing is verified.

    Raises CannotSign for what is no checkpoint, or one of another log; OSError.
    """
    path = data / data_directory.CHECKPOINT
    try:
        note = parse_note(path.read_bytes().decode())
        checkpoint = parse_checkpoint(note.text)
    except FileNotFoundError:
        return None
    except (NoteError, UnicodeDecodeError) as error:
        raise CannotSign(f"{path} is no checkpoint ({error}): bring back the last one this log signed") from None
    if checkpoint.origin != origin:
        raise CannotSign(
            f"{path} is of the log {checkpoint.origin!r}, and this log is {origin!r}: bring the two together that"
            " belong together"
        )
    return Published(note, checkpoint)


def refuse_unfit(kept: Checkpoint, head: int, roots: Callable[[int], bytes]) -> None:
    """Raises Unfit unless a log of `head` events continues the checkpoint; `roots` gives its root at a size."""
    if kept.size > head:
        raise Unfit(
            f"the log went back: {kept.size} events were signed, and it holds {head}. It was brought back from an older"
            " backup, or events were lost. Stop the registry and bring back a log that holds all of them; if they are"
            " gone for good, begin another log (another data directory and origin) with the events that are left:"
            " registry export log --data OLD -o log.ndjson, then registry import log.ndjson --data NEW"
        )
    found = roots(kept.size)
    if found != kept.root:
        raise Unfit(
            f"the log forked: its first {kept.size} events have the root {found.hex()}, and {kept.root.hex()} was"
            " signed for them. Its history was rewritten, or its stored tree changed. Stop the registry, and run"
            " registry rebuild; if the same is said again, bring back the log that the file checkpoint was signed for"
        )


def refuse_unfit_offline(data: Path, origin: str | None) -> None:
    """The same for a data directory that is not served and whose views are caught up. Raises CannotSign too."""
    kept = read_kept(data, origin)
    if kept is not None:
        with closing(Reader(data / data_directory.VIEWS)) as reader:
            refuse_unfit(kept.checkpoint, reader.head(), lambda size: root(size, reader.hashes))


class Publisher:
    """Signs, keeps and publishes. Made and used on the loop's thread."""

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
        """`data` is the directory that checkpoints are kept in."""
        self._signer = signer
        self._data = data
        self._readers = readers
        self._head = head
        self._writer = writer
        self._ready = ready
        self._logger = logger
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._keeping = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._fault: str | None = None
        self.published: Published | None = None
        """What is promised: the newest checkpoint. Tiles and proofs go no further."""
        self.covered = LogPosition()
        """Moves with the size that is published, and wakes whoever waits for it."""

    @property
    def verifier(self) -> Verifier:
        """The public half of the key."""
        return self._signer.verifier

    @property
    def refusal(self) -> str | None:
        """Why nothing is signed, and nothing recorded, until somebody has mended it and started again; if so."""
        return self._writer.refusal

    async def start(self, kept: Published | None) -> None:
        """Publishes what was kept, then what is new, and goes on doing so. Raises nothing: `refusal` tells."""
        if kept is not None:
            self._show(kept)
        await self._attempt()
        self._task = asyncio.create_task(self._run(), name="checkpoints")

    async def stop(self) -> None:
        """Signs what was recorded since, if it can be, and then nothing more. What is being kept is kept."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self.refusal is None and self.covered.position != self._head.position:
            await self._attempt()
        self._thread.shutdown()

    async def cosigned(self, text: str, signatures: Sequence[Signature]) -> None:
        """Adds cosignatures, which were verified, to the checkpoint of this text, if it is still the newest."""
        async with self._keeping:
            current = self.published
            if current is None or current.note.text != text:
                return
            fresh = {(each.name, each.key_id) for each in signatures}
            others = tuple(each for each in current.note.signatures if (each.name, each.key_id) not in fresh)
            cosigned = Published(Note(text, (*others, *signatures)), current.checkpoint)
            with suppress(OSError):  # the checkpoint itself is kept already
                await self._threaded(lambda: self._keep(cosigned))
            self._show(cosigned)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while self.refusal is None:
            due = loop.time() + PERIOD_SECONDS
            if self._fault is None:
                while self.covered.position == self._head.position:
                    await self._head.moved(at_once=False)
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._attempt()

    async def _attempt(self) -> None:
        """Publishes a checkpoint of the head; whatever comes between is logged and shown, and never raised."""
        try:
            await self._publish(self._head.position)
        except Unfit as unfit:
            self._let_go()
            self._writer.refusal = str(unfit)
            self._ready.block(str(unfit))
            self._logger.error("nothing is signed or recorded any more", reason=str(unfit))
        except Exception as error:
            fault = f"no checkpoint can be published: {error}"
            if fault != self._fault:
                self._let_go()
                self._fault = fault
                self._ready.block(fault)
                self._logger.exception("no checkpoint can be published", events=self._head.position)
        else:
            self._let_go()

    def _let_go(self) -> None:
        if self._fault is not None:
            self._ready.unblock(self._fault)
            self._fault = None

    async def _publish(self, size: int) -> None:
        """One checkpoint of the first `size` events, which are recorded and folded.

        The order is the promise: what anybody was shown is never forgotten, and nothing is signed that contradicts it.

        1. What was promised is looked up: what is published, and the file, which may be ahead of it where a crash or a
           failure came between steps 4 and 5. The log must continue both; else Unfit, and nothing is signed again.
        2. The root of the tree at `size`. Fails: nothing happened.
        3. The signature, in memory. A crash from here to within step 4 leaves a checkpoint that nobody saw, of a log
           that the next one continues as well.
        4. The file is replaced, durably. Fails: nothing is published; it is tried again from step 1, also where the
           file was replaced after all, as that may not last.
        5. It is published.
        """
        promised = await self._threaded(self._promised)

        def continued(reader: Reader) -> bytes:
            for each in promised:
                refuse_unfit(each.checkpoint, size, lambda at: root(at, reader.hashes))
            return root(size, reader.hashes)

        found = await self._readers.ask(continued)
        if promised and promised[-1].size == size:
            signed = promised[-1]
        else:
            checkpoint = Checkpoint(self.verifier.name, size, found)
            signed = Published(self._signer.sign(checkpoint.text), checkpoint)
        if self.published is not None and self.published.note.text == signed.note.text:
            return
        async with self._keeping:
            await self._threaded(lambda: self._keep(signed))
            self._show(signed)

    def _promised(self) -> list[Published]:
        """Every checkpoint that must be continued, the newest last. Raises Unfit where one is not by our key."""
        kept = read_kept(self._data, self.verifier.name)
        if kept is not None and not is_signed(kept.note, self.verifier):
            raise Unfit(
                f"the file {self._data / data_directory.CHECKPOINT} was not signed by this log's key,"
                f" {self.verifier.text}. Stop"
                " the registry and bring back the key that signed it; to go on with a new one, move that file away, and"
                " tell everybody who holds the old key"
            )
        shown = self.published
        if kept is None or shown is None or kept.note.text == shown.note.text:
            return [each for each in (shown, kept) if each is not None][-1:]
        return sorted((shown, kept), key=lambda each: each.size)

    def _keep(self, signed: Published) -> None:
        data_directory.replace(
            self._data / data_directory.CHECKPOINT, signed.note.signed.encode(), data_directory.FILE_MODE
        )

    def _show(self, signed: Published) -> None:
        self.published = signed
        self.covered.advance(signed.size)

    async def _threaded(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


PUBLISHER: web.AppKey[Publisher] = web.AppKey("publisher", Publisher)


async def publishing(app: web.Application) -> AsyncIterator[None]:
    """Publishes checkpoints while the application runs. Starting raises CannotSign, OSError."""
    settings = app[SETTINGS]
    origin = app[LOGS].here.meta("origin")
    assert origin is not None
    kept = read_kept(settings.data, origin)
    signer = _signer(settings.data / data_directory.SIGNING_KEY, settings.signing_key, origin, kept)
    app[PUBLISHER] = publisher = Publisher(
        signer, settings.data, app[READERS], app[HEAD], app[WRITER], ready=app[READY], logger=app[LOGGER]
    )
    await publisher.start(kept)
    yield
    await app[WRITER].stop()  # what is queued still belongs under the last checkpoint
    await publisher.stop()


def _signer(own: Path, given: Path | None, origin: str, kept: Published | None) -> Signer:
    """The key that is given, else the log's own, which is made where nothing was signed yet."""
    path = given or own
    try:
        return read_key(path, origin)
    except FileNotFoundError:
        if given is not None:
            raise CannotSign(f"there is no key in {given}: name the file that holds the log's signing key") from None
    if kept is not None:
        raise CannotSign(
            f"{own} is gone, and it signed the checkpoint beside it: bring it back from a backup, or name it with"
            " --signing-key"
        )
    return make_key(own, origin)
