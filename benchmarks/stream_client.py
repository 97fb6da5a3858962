"""One client that reads a long answer as fast as it comes, and checks only its length and its end."""

from __future__ import annotations

import socket
from time import perf_counter, process_time

from benchmarks.bulk import Done
from benchmarks.connection import HOST

_AT_ONCE = 2**20
_END = b"0\r\n\r\n"


def read_lines(port: int, path: str, events: int | None = None, *, at_least: int = 1) -> Done:
    """Read an answer of lines, sent in chunks, repeatedly until it has at least `at_least` events. Count lines, or
    assume `events`, if the answer has other content, or if counting would be part of the measurement.

    Raises RuntimeError if the answer is no success or incomplete.
    """
    count = 0
    began, cpu = perf_counter(), process_time()
    while count < at_least:
        lines = _read(port, path, counts=events is None)
        count += lines if events is None else events
    return Done(count, perf_counter() - began, process_time() - cpu)


def _read(port: int, path: str, *, counts: bool) -> int:
    buffer = bytearray(_AT_ONCE)
    lines, tail, head = 0, b"", b""
    with socket.create_connection((HOST, port)) as connection:
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAccept: application/x-ndjson\r\nConnection: close\r\n\r\n".encode()
        )
        while size := connection.recv_into(buffer):
            if not head:
                head = bytes(buffer[:size])
            if counts:  # every line ends in a line feed; carriage returns occur only at the ends of chunks and headers
                lines += buffer.count(b"\n", 0, size) - buffer.count(b"\r", 0, size)
            tail = (tail + bytes(buffer[max(0, size - len(_END)) : size]))[-len(_END) :]
    if not head.startswith(b"HTTP/1.1 200 ") or tail != _END:
        raise RuntimeError(f"{path} was not answered whole: {head[:300]!r}")
    return lines
