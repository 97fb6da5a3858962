"""Witnesses: requests cosignatures of each checkpoint in the background (C2SP tlog-witness, add-checkpoint).

A cosignature is verified and added to the checkpoint. Nothing waits for a witness: it may be slow, wrong or gone. A
failed request is repeated later, for the newest checkpoint only.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from collections.abc import AsyncIterator

import aiohttp
from aiohttp import web

from domain.merkle import prove_consistency
from domain.tlog_formats import Note, NoteError, Signature, parse_signatures
from service.app_keys import LOGGER, SETTINGS
from service.logging import Logger
from service.settings import Witness
from service.transparency.checkpoint import PUBLISHER, Published, Publisher
from service.transparency.signing import is_cosigned
from service.views.readers import READERS, Readers

ANSWER_SECONDS = 10.0
MAX_WAIT_SECONDS = 60.0
MAX_BYTES = 2**16
_SIZE = re.compile(r"(0|[1-9][0-9]{0,18})\n?", re.ASCII)


class NotCosigned(Exception):
    """A witness gave no cosignature. The text says why."""


class WitnessClient:
    """Requests cosignatures from one witness, one checkpoint after another."""

    def __init__(
        self, witness: Witness, publisher: Publisher, readers: Readers, session: aiohttp.ClientSession, logger: Logger
    ) -> None:
        self._witness = witness
        self._publisher = publisher
        self._readers = readers
        self._session = session
        self._logger = logger
        self._size = 0  # of the last checkpoint it cosigned, as far as this process knows

    async def run(self) -> None:
        """Request cosignatures until cancelled. The wait after a failure doubles each time."""
        done, wait = None, 0.0
        while True:
            newest = self._publisher.published
            if newest is None or newest.note.text == done or self._publisher.refusal is not None:
                await self._publisher.covered.moved()
                continue
            try:
                cosignatures = await self._request(newest)
                await self._publisher.add_cosignatures(newest.note.text, cosignatures)
                done, wait = newest.note.text, 0.0
            except Exception as error:  # noqa: BLE001 - any failure of another server is retried
                wait = min(MAX_WAIT_SECONDS, 2 * wait or 1.0)
                self._logger.warning(
                    "a witness did not cosign",
                    witness=self._witness.verifier.name,
                    size=newest.size,
                    reason=str(error) or type(error).__name__,
                )
                await asyncio.sleep(wait)

    async def _request(self, newest: Published) -> list[Signature]:
        """Return its cosignatures of a checkpoint. Raises NotCosigned, NoteError, and errors of the network."""
        for _ in range(2):  # its first answer may say which size it has seen
            old = self._size
            if old > newest.size:
                self._size = 0  # the witness then answers with the size that it has
                raise NotCosigned(f"it has seen {old} events of this log, more than are published: were events lost?")
            status, answer = await self._post(newest, old)
            if status == 200:
                found = [each for each in parse_signatures(answer) if self._is_valid(newest, each)]
                if not found:
                    raise NotCosigned("its answer has no cosignature by its key")
                self._size = newest.size
                return found
            size = _SIZE.fullmatch(answer)
            if status != 409 or size is None:
                raise NotCosigned(f"it answered {status}: {answer.strip()[:200]}")
            self._size = int(size[1])
        raise NotCosigned(f"it has seen {self._size} events, and refuses the proof from there")

    async def _post(self, newest: Published, old: int) -> tuple[int, str]:
        path = await self._readers.ask(lambda reader: prove_consistency(old, newest.size, reader.hashes))
        proof = "".join(f"{b64encode(each).decode()}\n" for each in path)
        own = Note(newest.note.text, newest.note.by(self._publisher.verifier))
        async with self._session.post(
            f"{self._witness.url}/add-checkpoint", data=f"old {old}\n{proof}\n{own.signed}", allow_redirects=False
        ) as response:
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > MAX_BYTES:
                    raise NotCosigned(f"its answer is longer than {MAX_BYTES} bytes")
        try:
            return response.status, content.decode()
        except UnicodeDecodeError:
            raise NoteError("its answer is not UTF-8") from None

    def _is_valid(self, newest: Published, signature: Signature) -> bool:
        return is_cosigned(newest.note.text, signature, self._witness.verifier)


async def witnessing(app: web.Application) -> AsyncIterator[None]:
    """Request cosignatures from the witnesses of the settings while the application runs."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        tasks = [
            asyncio.create_task(
                WitnessClient(witness, app[PUBLISHER], app[READERS], session, app[LOGGER]).run(), name="witness"
            )
            for witness in app[SETTINGS].witnesses
        ]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
