"""Work shared among processes: each does its share by itself, and hands over what it found, part by part. A process
that dies makes all of it fail; none outlives the one that started it.

They are forked: whoever shares its work has no thread but one, and no database open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from multiprocessing import get_context
from multiprocessing.connection import Connection

_POLL_SECONDS = 0.5

Share = Callable[[], Iterable[Iterable[bytes]]]
"""The parts of what a share amounts to, in order, and the pieces of each, none of which is empty."""


class SharerFailed(Exception):
    """A process ended before its share was done; it said on standard error why."""


def shared(shares: Sequence[Share], parts: int, waiting: Callable[[], None]) -> Iterator[bytes]:
    """The first part of every share, in their order, then the second, and so on: each share has as many as `parts`.

    `waiting` is called now and again while nothing comes. Raises SharerFailed.
    """
    context = get_context("fork")
    with ExitStack() as stack:
        sharers: list[Connection] = []
        for share in shares:
            receiving, sending = context.Pipe(duplex=False)
            sharers.append(stack.enter_context(closing(receiving)))
            with closing(sending):
                process = context.Process(target=_work, args=(share, sending, sharers), daemon=True)
                process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
        for _ in range(parts):
            for sharer in sharers:
                while piece := _received(sharer, waiting):
                    yield piece


def _received(sharer: Connection, waiting: Callable[[], None]) -> bytes:
    while not sharer.poll(_POLL_SECONDS):
        waiting()
    try:
        return sharer.recv_bytes()
    except (EOFError, OSError):  # the latter in the middle of a piece
        raise SharerFailed("a process that shared the work ended before it was done") from None


def _work(share: Share, sending: Connection, inherited: Iterable[Connection]) -> None:
    for receiving in inherited:  # else nobody would hear that the process that reads them is gone
        receiving.close()
    for part in share():
        for piece in part:
            sending.send_bytes(piece)
        sending.send_bytes(b"")
