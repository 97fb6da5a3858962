"""Spool: a bounded queue of bytes between a producer and a slower consumer. A little is in memory, the rest in an
unnamed file that goes with the process. All spools of an application share one limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import SpooledTemporaryFile

IN_MEMORY = 2**20
CHUNK = 2**18
MOST_EACH = 64 * 2**20
MOST_IN_ALL = 256 * 2**20


class SpoolSpace:
    """The bytes that all spools of an application may still take. Belongs to the loop's thread."""

    def __init__(self, size: int = MOST_IN_ALL) -> None:
        self.free = size
        self._changed = asyncio.Event()

    def release(self, size: int) -> None:
        """Give bytes back, and wake every producer that waits for room."""
        self.free += size
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def changed(self) -> None:
        """Return after the next `release`."""
        await self._changed.wait()


class Spool:
    """Bytes in the order of `put`. One task puts, one takes, both on the loop; the task that created it closes it.

    The file is a ring: it never grows beyond `most`, however slow the consumer.
    """

    def __init__(
        self, directory: Path, space: SpoolSpace, *, most: int = MOST_EACH, in_memory: int = IN_MEMORY
    ) -> None:
        self._file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(in_memory, dir=str(directory))  # noqa: SIM115 - closed by `close`
        self._space = space
        self._most = most
        self._size = 0
        """Bytes of the file, which this spool has of the shared space."""
        self._written = 0
        self._taken = 0
        self._more = asyncio.Event()
        self._ended = False

    async def put(self, data: bytes) -> None:
        """Add bytes; wait while there is no room. Raise OSError if the disk is full."""
        rest = memoryview(data)
        while rest:
            count = min(len(rest), self._room())
            if count == 0:
                await self._space.changed()
                continue
            self._write(rest[:count])
            rest = rest[count:]
            self._more.set()

    def end(self) -> None:
        """Mark the end: no more bytes follow."""
        self._ended = True
        self._more.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield all bytes as they arrive, until the end."""
        while True:
            if self._taken < self._written:
                chunk = self._read()
                if self._taken == self._written:
                    self._truncate()
                else:
                    self._space.release(0)
                yield chunk
            elif self._ended:
                return
            else:
                self._more.clear()
                await self._more.wait()

    def close(self) -> None:
        """Drop the bytes that were not taken."""
        self._file.close()
        self._space.release(self._size)
        self._size = 0

    def _room(self) -> int:
        """Return the number of bytes that can be written now in one piece."""
        at = self._written % self._most
        unused = self._most - (self._written - self._taken)
        return min(unused, self._most - at, max(0, self._size - at) + self._space.free)

    def _write(self, data: memoryview) -> None:
        at = self._written % self._most
        self._file.seek(at)
        self._file.write(data)
        self._written += len(data)
        grown = max(0, at + len(data) - self._size)
        self._size += grown
        self._space.free -= grown

    def _read(self) -> bytes:
        at = self._taken % self._most
        self._file.seek(at)
        chunk = self._file.read(min(CHUNK, self._written - self._taken, self._most - at))
        self._taken += len(chunk)
        return chunk

    def _truncate(self) -> None:
        """Start again at the beginning of the file: all bytes were taken."""
        self._file.seek(0)
        self._file.truncate()
        self._written = self._taken = 0
        self._space.release(self._size)
        self._size = 0
