"""The machine under the measuring: its cores, processes started on one of them and ended by their id, what they take.
Only Linux tells all of it; elsewhere the answer is None and the rest goes on."""

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
"""What a server prints once it listens."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core serves and which makes load; None where no process can be bound to one."""

    server: int | None
    load: int | None

    @property
    def is_shared(self) -> bool:
        """Whether there is but one, so that load and server are in each other's way."""
        return self.server is not None and self.server == self.load


def cores() -> Cores:
    """Two of the cores this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(None, None)
    usable = sorted(os.sched_getaffinity(0))
    return Cores(usable[0], usable[1 % len(usable)])


def allow_files() -> None:
    """Lets this process, and whatever it starts from now on, open as many files as thousands of connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def pin(core: int | None) -> None:
    """Binds this process, and whatever it starts from now on, to one core."""
    if core is not None:
        os.sched_setaffinity(0, {core})


def unpin(cores: Cores) -> None:
    """Binds this process, and whatever it starts from now on, to both cores and no others."""
    if cores.server is not None and cores.load is not None:
        os.sched_setaffinity(0, {cores.server, cores.load})


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves on a port of loopback."""

    port: int
    pid: int

    def cpu(self) -> float | None:
        """Seconds of processor time it has taken, with processes that it started and that have ended."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> tuple[int, int] | None:
        """Bytes of memory it holds now, and the most it ever held."""
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
    """Starts a server that prints its address; ends it with SIGTERM, and if that does not help, for good.

    What it says on standard error goes to a file in the folder. Raises RuntimeError where it does not start.
    """
    mine = os.sched_getaffinity(0) if core is not None else None
    said = folder / "stderr"
    with said.open("wb") as errors:
        pin(core)
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for whoever measures, who then ends this
            )
        finally:
            if mine is not None:
                os.sched_setaffinity(0, mine)
    try:
        yield Server(_port(process, said, address), process.pid)
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
    """Seconds of processor time that all processes together have taken on a core."""
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


def _port(process: subprocess.Popen[bytes], said: Path, address: re.Pattern[bytes]) -> int:
    assert process.stdout is not None
    deadline, printed = monotonic() + START_SECONDS, b""
    while select.select([process.stdout], [], [], max(deadline - monotonic(), 0))[0]:
        chunk = os.read(process.stdout.fileno(), 2**16)
        if not chunk:
            break
        printed += chunk
        if found := address.search(printed):
            return int(found[1])
    raise RuntimeError(f"{process.args!r} did not start: {said.read_text(errors='replace')[-2000:]}")
