"""A queue of bytes between one who makes them and one who takes them more slowly: small in memory, the rest on disk, in
a file without a name that is gone when the process is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import SpooledTemporaryFile

IN_MEMORY = 2**20
CHUNK = 2**18


class Spool:
    """Bytes in the order they were put. One task puts, one takes, both on the loop; whoever made it closes it."""

    def __init__(self, directory: Path, in_memory: int = IN_MEMORY) -> None:
        self._file: SpooledTemporaryFile[bytes] = SpooledTemporaryFile(in_memory, dir=str(directory))  # noqa: SIM115 - closed by `close`
        self._written = 0
        self._taken = 0
        self._more = asyncio.Event()
        self._ended = False

    def put(self, data: bytes) -> None:
        """Adds bytes; never waits for who takes them. Raises OSError where the disk is full."""
        self._file.seek(self._written)
        self._file.write(data)
        self._written += len(data)
        self._more.set()

    def end(self) -> None:
        """Nothing more will be put."""
        self._ended = True
        self._more.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """All that is put, as it comes, until the end."""
        while True:
            if self._taken < self._written:
                self._file.seek(self._taken)
                chunk = self._file.read(CHUNK)
                self._taken += len(chunk)
                if self._taken == self._written:  # all is taken: the file starts over instead of growing
                    self._file.seek(0)
                    self._file.truncate()
                    self._written = self._taken = 0
                yield chunk
            elif self._ended:
                return
            else:
                self._more.clear()
                await self._more.wait()

    def close(self) -> None:
        self._file.close()
