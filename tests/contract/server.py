"""A registry in a process of its own, and helpers to speak with it over HTTP.

Nothing of the project is imported here: a test sees what a client sees.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx

COMMAND = Path(sys.executable).with_name("registry")
SEEDS = Path(__file__).parents[2] / "seeds"
SEEDED = sum(len(path.read_text().splitlines()) for path in SEEDS.glob("*.ndjson"))
"""How many events the seeds are."""
SHA = "0" * 64
TODAY = "2026-06-01"  # a day that tests ask about where any late one will do
SOURCE = "https://contract.example/tests"

CLOUDEVENT = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
NDJSON = "application/x-ndjson"
PROBLEM = "application/problem+json"

Event = dict[str, Any]


def environment() -> dict[str, str]:
    """Return the environment of this process without variables that change the registry."""
    return {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_")}


def command(
    *arguments: str | Path, stdin: bytes | None = None, seconds: float = 60, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run `registry` until it exits."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=seconds,
        env={**environment(), **(env or {})},
        check=False,
    )


def event(type_: str, subject: str, occurred: str | None = None, /, **data: Any) -> Event:
    """Return a CloudEvent without `id` and `source`, which posting adds. Names that Python reserves end in `_`."""
    made: Event = {"specversion": "1.0", "type": type_, "subject": subject}
    if occurred is not None:
        made["occurred"] = occurred
    made["data"] = {name.removesuffix("_"): value for name, value in data.items()}
    return made


class Server:
    """A running server; `client` speaks to it without a key, `post` and similar methods with the first key."""

    def __init__(self, data: Path, *options: str, env: Mapping[str, str] | None = None, port: int = 0) -> None:
        self.data = data
        self.options = options
        self.env = {**environment(), **(env or {})}
        self.port = port
        self.key = ""
        self.output = ""
        self._made = 0
        self._prefix = f"{time.time_ns():x}"
        self.start()

    def start(self) -> None:
        """Start, and return once the server has printed its address and is ready."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self.process = subprocess.Popen(
            [COMMAND, "serve", "--data", str(self.data), "--port", str(self.port), *self.options],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=self.env,
        )
        assert self.process.stdout is not None
        seen = ""
        for line in self.process.stdout:
            seen += line.decode()
            if found := re.search(r"http://[0-9.]+:(\d+)", seen):
                self.address = found[0]
                self.port = int(found[1])
                break
        else:
            status = self.process.wait(15)
            raise AssertionError(f"it did not start, and ended with {status}: {seen} {self.errors()}")
        os.set_blocking(self.process.stdout.fileno(), False)
        self.client = httpx.Client(base_url=self.address, timeout=60, trust_env=False)
        deadline = time.monotonic() + 30
        while self.client.get("/readyz").status_code != 200:
            assert time.monotonic() < deadline, "it did not get ready in half a minute"
            time.sleep(0.02)
        time.sleep(0.02)
        seen += (self.process.stdout.read() or b"").decode()
        self.output = seen
        if found := re.search(r"rk_\S+", seen.replace("'", " ")):
            self.key = found[0]

    def errors(self) -> str:
        """Return its standard error."""
        self._errors.seek(0)
        return self._errors.read().decode()

    def kill(self) -> None:
        """Kill it, which is as near to a power cut as a process gets."""
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def stop(self) -> int:
        """Send SIGTERM; return the exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self._ended()

    def _ended(self) -> int:
        try:
            status = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait(15)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.client.close()
        return status

    def close(self) -> None:
        """Stop it if it runs, and remove its files."""
        self.stop()
        self._errors.close()

    def restart(self) -> None:
        """Start it again with the same data and port."""
        self._errors.close()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Posting

    def new(self, prefix: str = "n") -> str:
        """Return an unused slug or id."""
        self._made += 1
        return f"{prefix}-{self._prefix}-{self._made}"

    def whole(self, events: Iterable[Event]) -> list[Event]:
        """Return the events with `id` and `source` added where they are missing."""
        return [{"source": SOURCE, "id": self.new("e"), **given} for given in events]

    @property
    def authorization(self) -> dict[str, str]:
        """Return the headers with the posting key."""
        return {"Authorization": f"Bearer {self.key}"}

    def send(
        self,
        content: Any,
        content_type: str = CLOUDEVENT,
        *,
        validate: bool = False,
        key: str | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Post any bytes. Names of headers have `_` for `-`."""
        body = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        sent = {
            "Content-Type": content_type,
            "Authorization": f"Bearer {self.key if key is None else key}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        query = {"validate": "only"} if validate else {}
        return self.client.post("/v1/events", content=body, headers=sent, params=query)

    def post(self, *events: Event, validate: bool = False, **headers: str) -> httpx.Response:
        """Post one event as it is, several as a batch."""
        ready = self.whole(events)
        if len(ready) == 1:
            return self.send(ready[0], CLOUDEVENT, validate=validate, **headers)
        return self.send(ready, BATCH, validate=validate, **headers)

    def take(self, *events: Event) -> list[int]:
        """Post events as one batch, which must be accepted; return their positions."""
        answer = self.send(self.whole(events), BATCH)
        assert answer.status_code == 201, answer.text
        return [receipt["position"] for receipt in answer.json()]

    def took(self, *events: Event) -> int:
        """Post events as one batch, which must be accepted; return the last position."""
        return self.take(*events)[-1]

    def refused(self, *events: Event, status: int) -> dict[str, Any]:
        """Post events as one batch (one alone as it is), which must be refused with this status and change nothing."""
        before = self.head()
        answer = self.post(*events)
        assert answer.status_code == status, (answer.status_code, answer.text, events)
        problem = is_problem(answer, status)
        assert self.head() == before
        return problem

    def import_(self, events: Iterable[Event], *, validate: bool = False) -> list[dict[str, Any]]:
        """Import events; return the result of each line."""
        lines = b"".join(json.dumps(given, ensure_ascii=False).encode() + b"\n" for given in self.whole(events))
        answer = self.send(lines, NDJSON, validate=validate)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].split(";")[0] == NDJSON
        return [json.loads(line) for line in answer.text.splitlines()]

    def imported(self, events: Sequence[Event]) -> list[dict[str, Any]]:
        """Import events, which must all be accepted; return the receipts."""
        results = self.import_(events)
        assert len(results) == len(events)
        bad = [result for result in results if "leaf" not in result]
        assert not bad, bad[:3]
        return results

    def party(self, name: str | Mapping[str, str] = "A party", /, **data: Any) -> str:
        """Register a party; return its subject."""
        subject = f"parties/{self.new('p')}"
        self.take(event("party.registered", subject, name=name, kind=data.pop("kind", "company"), **data))
        return subject

    def parties(self, count: int) -> list[str]:
        """Register parties; return their subjects, in ascending order."""
        subjects = sorted(f"parties/{self.new('p')}" for _ in range(count))
        self.take(*(event("party.registered", subject, name="A party", kind="company") for subject in subjects))
        return subjects

    # Asking

    def get(self, path: str, /, *, headers: Mapping[str, str] | None = None, **query: Any) -> httpx.Response:
        """Send a GET. Parameters that Python reserves end in `_`."""
        named = {name.removesuffix("_"): value for name, value in query.items() if value is not None}
        address = httpx.URL(path)
        return self.client.get(address.copy_merge_params(named) if named else address, headers=headers)

    def json(self, path: str, /, **query: Any) -> Any:
        """Send a GET that must be answered 200; return the JSON."""
        answer = self.get(path, **query)
        assert answer.status_code == 200, (answer.status_code, path, query, answer.text)
        return answer.json()

    def state(self, subject: str, /, **query: Any) -> dict[str, Any]:
        """The state of a subject."""
        found: dict[str, Any] = self.json(f"/v1/{subject}", **query)
        return found

    def items(self, path: str, /, **query: Any) -> list[dict[str, Any]]:
        """Return all items of a list, over all its pages."""
        return [item for page in self.pages(path, **query) for item in page["items"]]

    def pages(self, path: str, /, **query: Any) -> Iterator[dict[str, Any]]:
        """Yield the pages of a list."""
        page = self.json(path, **{"limit": 1000, **query})
        yield page
        while page["next"]:
            page = self.json(page["next"])
            yield page

    def head(self) -> int:
        """The position of the last event."""
        return int(self.client.get("/healthz").headers["Registry-Position"])

    def make_key(self, name: str, *scopes: str) -> str:
        """Create a key with the command line, as an operator does."""
        wanted = [part for scope in scopes for part in ("--scope", scope)]
        done = command("keys", "create", name, *wanted, "--data", self.data)
        assert done.returncode == 0, done
        return done.stdout.decode().strip()


@contextlib.contextmanager
def served(*options: str, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Return an empty server with these options."""
    with tempfile.TemporaryDirectory(prefix="registry-contract-") as directory:
        server = Server(Path(directory) / "data", "--first-key", *options, env=env)
        try:
            yield server
        finally:
            server.close()


def is_problem(answer: httpx.Response, *statuses: int) -> dict[str, Any]:
    """Check that an answer is a problem (RFC 9457) with valid `type` and `errors`; return it."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:500], statuses)
    assert answer.headers["Content-Type"].split(";")[0] == PROBLEM, answer.headers
    problem: dict[str, Any] = answer.json()
    assert_problem(problem, answer.status_code)
    return problem


def assert_problem(problem: Mapping[str, Any], status: int) -> None:
    """Check the members that every problem has."""
    assert problem["status"] == status, problem
    for member in ("type", "title", "detail"):
        assert isinstance(problem[member], str), problem
        assert problem[member], problem
    for error in problem.get("errors", []):
        assert re.fullmatch(r"(/([^~/]|~[01])*)*", error["pointer"]), problem
        assert error["detail"], problem


def pointers(problem: Mapping[str, Any]) -> set[str]:
    """Return the pointers of a problem's errors."""
    return {error["pointer"] for error in problem.get("errors", [])}
