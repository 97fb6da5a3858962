"""The command `registry` as a user runs it: in its own process, with its own directory and port."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

REGISTRY = Path(sys.executable).with_name("registry")
START_SECONDS = 30


def environment(data: Path | None = None, **more: str) -> dict[str, str]:
    """Return the environment with these settings only."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("REGISTRY_", "PYTHON"))}
    return plain | ({"REGISTRY_DATA": str(data)} if data else {}) | more


def run(
    *arguments: object,
    data: Path | None = None,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    within: Sequence[object] = (),
    file_bytes: int | None = None,
    **env: str,
):
    """Run a command until it exits: `within` another one, and with no file larger than `file_bytes`, as on a full disk."""

    def limit() -> None:
        assert file_bytes is not None
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))

    return subprocess.run(
        [*map(str, within), REGISTRY, *map(str, arguments)],
        preexec_fn=None if file_bytes is None else limit,
        env=environment(data, **env),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        cwd=cwd,
        timeout=60,
        check=False,
    )


def done(*arguments: object, **more) -> bytes:
    """Run a command that must succeed; return its output."""
    ended = run(*arguments, **more)
    assert ended.returncode == 0, ended.stderr.decode()
    return ended.stdout


def refused(*arguments: object, code: int, **more) -> str:
    """Run a command that must fail with this code and one line; return that line."""
    ended = run(*arguments, **more)
    said = ended.stderr.decode()
    assert (ended.returncode, ended.stdout) == (code, b""), said
    assert said.startswith("registry: "), said
    assert said.count("\n") == 1, said
    return said


@contextmanager
def read_only(data: Path):
    """Return a command in which the directory is not writable."""
    if os.geteuid():
        data.chmod(0o500)
        try:
            yield ()
        finally:
            data.chmod(0o700)
        return
    mounted = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    within = ("unshare", "--mount", "sh", "-c", mounted, data)
    if shutil.which("unshare") is None or subprocess.run([*map(str, within), "true"], check=False).returncode:
        pytest.skip("the superuser can write everywhere, and cannot mount here")
    yield within


@dataclass
class Server:
    """A server in a process of its own."""

    process: subprocess.Popen
    url: str
    said: str
    data: Path

    def get(self, path: str, **headers: str):
        return call(f"{self.url}{path}", headers=headers)

    def json(self, path: str):
        status, body = self.get(path)
        assert status == 200, body
        return orjson.loads(body)

    def stop(self, how: int = signal.SIGTERM) -> float:
        """Send SIGTERM; return the seconds until it exits."""
        began = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(timeout=15)
        return time.monotonic() - began


def call(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """Send a request with a client that is neither aiohttp nor curl."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    asked = urllib.request.Request(url, data=body, headers=headers or {})
    try:
        with opener.open(asked, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read()


@contextmanager
def serving(data: Path, *arguments: object, cwd: Path | None = None, **env: str):
    """Yield a ready server on a free port; kill it at the end if it still runs."""
    process = subprocess.Popen(
        [REGISTRY, "serve", "--port", "0", *map(str, arguments)],
        env=environment(data, **env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=(log := (data.parent / f"{data.name}.log").open("ab")),
        cwd=cwd,
        start_new_session=True,
    )
    try:
        said = _until_ready(process, Path(log.name))
        yield Server(process, re.findall(r"http://\S+:\d+", said)[0], said, data)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
        log.close()


def _until_ready(process: subprocess.Popen, log: Path) -> str:
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    said, deadline = b"", time.monotonic() + START_SECONDS
    while b"/docs" not in said:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        said += process.stdout.read() or b""
        time.sleep(0.02)
    time.sleep(0.05)
    return (said + (process.stdout.read() or b"")).decode()
