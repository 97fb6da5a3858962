"""The machine of the run: its cores, processes bound to one of them and ended by their id, and their use of resources.
Only Linux shows all of it; elsewhere a value is None."""

from __future__ import annotations

import os
import re
import resource
import select
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

START_SECONDS = 60.0
STOP_SECONDS = 15.0
MOST_FILES = 8_192
ADDRESS = re.compile(rb"http://127\.0\.0\.1:(\d+)\s")
"""The address that a server prints once it listens."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server and the core of the load; None if a process cannot be bound to a core."""

    server: int | None
    load: int | None

    @property
    def is_shared(self) -> bool:
        """Whether there is only one core, so that load and server slow each other down."""
        return self.server is not None and self.server == self.load


def cores() -> Cores:
    """Return two of the cores this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1 % len(usable)])


def allow_files() -> None:
    """Let this process and its later children open as many files as thousands of connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def pin(core: int | None) -> None:
    """Bind this process and its later children to one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def unpin(cores: Cores) -> None:
    """Bind this process and its later children to both cores."""
    if cores.server is not None and cores.load is not None:
        os.sched_setaffinity(0, {cores.server, cores.load})


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves on a port of loopback."""

    port: int
    pid: int

    def cpu(self) -> float | None:
        """Seconds of processor time it has used, with those of its ended children."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> tuple[int, int] | None:
        """Bytes of memory it has now, and the most it ever had."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return None
        now, most = (re.search(rf"{name}:\s*(\d+) kB", status) for name in ("VmRSS", "VmHWM"))
        return None if now is None or most is None else (int(now[1]) * 1024, int(most[1]) * 1024)


@contextmanager
def serving(
    command: Sequence[str], core: int | None, folder: Path, address: re.Pattern[bytes] = ADDRESS
) -> Iterator[Server]:
    """Start a server that prints its address; end it with SIGTERM, and with SIGKILL if necessary.

    Its standard error goes to a file in the folder. Raises RuntimeError if it does not start.
    """
    mine = os.sched_getaffinity(0) if core is not None else None
    stderr = folder / "stderr"
    with stderr.open("wb") as errors:
        pin(core)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the benchmarks, which then end this process
            )
        finally:
            if mine is not None:
                os.sched_setaffinity(0, mine)
    try:
        yield Server(_port(process, stderr, address), process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def busy(core: int | None) -> float | None:
    """Return the seconds of processor time that all processes together have used on a core."""
    if core is None:
        return None
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, ticks)
            return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")
    return None


def _port(process: subprocess.Popen[bytes], stderr: Path, address: re.Pattern[bytes]) -> int:
    assert process.stdout is not None
    deadline, printed = monotonic() + START_SECONDS, b""
    while select.select([process.stdout], [], [], max(deadline - monotonic(), 0))[0]:
        chunk = os.read(process.stdout.fileno(), 2**16)
        if not chunk:
            break
        printed += chunk
        if found := address.search(printed):
            return int(found[1])
    raise RuntimeError(f"{process.args!r} did not start: {stderr.read_text(errors='replace')[-2000:]}")
