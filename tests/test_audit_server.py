"""An audit by address trusts no answer of the server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from service.audit.checkpoints import CannotAudit
from service.audit.client import MOST_BYTES
from service.audit.report import Report
from service.audit.run import AuditOptions, audit
from service.audit.targets import open_source
from service.settings import Settings
from service.transparency.static_export import TileLog
from service.transparency.static_files import MOST_BUNDLE_BYTES
from tests.contract.audits import Story, record_story

Answer = tuple[int, bytes]
CUT_OFF = -200
"""The status of what is answered and does not come to its end."""
Lie = Callable[[str, bytes], bytes | Answer]
"""What is answered at a path instead of the truth."""


@pytest.fixture(scope="module")
def story(tmp_path_factory) -> Story:
    return record_story(tmp_path_factory.mktemp("story") / "data")


@pytest.fixture(scope="module")
def exported(story, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("exported")
    with closing(TileLog(Settings(data=story.data), out)) as log:
        log.write(lambda _: None, texts=False)
    return out


class Handler(BaseHTTPRequestHandler):
    """Answers as a registry would, from an export, and lies where a test wants it."""

    protocol_version = "HTTP/1.1"
    exported: Path
    lie: Lie

    def do_GET(self) -> None:
        status, body = 200, self.truth()
        if body is None:
            status, body = 404, b"{}"
        told = type(self).lie(self.path, body)
        status, body = told if isinstance(told, tuple) else (status, told)
        self.close_connection = status == CUT_OFF
        self.send_response(200 if self.close_connection else status)
        self.send_header("Content-Length", str(len(body) + 100 * self.close_connection))
        self.end_headers()
        self.wfile.write(body)

    def truth(self) -> bytes | None:
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        lines = (self.exported / "events.ndjson").read_bytes().splitlines(keepends=True)
        match address.path:
            case "/log/vkey":
                return (self.exported / "vkey").read_bytes()
            case "/v1/events" if "limit" in query:
                return json.dumps({"items": [], "next": None, "position": len(lines)}).encode()
            case "/v1/events" if "after" in query:
                return b""
            case "/v1/events":
                return b"".join(lines[: int(query["until"][0])])
            case "/v1/digests":
                found = json.loads((self.exported / "digests.json").read_bytes())
                as_of = int(query["as_of"][0])
                if (
                    as_of < found["position"]
                ):  # it has no earlier digests, and the audit requests none: see `RANDOM_POSITIONS`
                    return None
                return json.dumps({"position": as_of, "digests": found["digests"]}).encode()
            case path if path.startswith("/log/"):
                file = self.exported / path.removeprefix("/log/")
                return file.read_bytes() if file.is_file() else None
        return None

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def run_audit(exported, monkeypatch) -> Callable[[Lie], Report]:
    monkeypatch.setattr("service.audit.compare.RANDOM_POSITIONS", 0)

    def run_audit(lie: Lie) -> Report:
        with serving(exported, lie) as address, closing(open_source(address)) as source:
            return audit(source, AuditOptions(), lambda _: None)

    return run_audit


@contextmanager
def serving(exported: Path, lie: Lie) -> Iterator[str]:
    handler = type("Lying", (Handler,), {"exported": exported, "lie": staticmethod(lie)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def at(start: str, change: Callable[[bytes], bytes | Answer]) -> Lie:
    """Return a lie for paths with this prefix; all other answers are true."""
    return lambda path, body: change(body) if path.startswith(start) else body


def of_lines(change: Callable[[list[bytes]], list[bytes]]) -> Lie:
    """Return a lie about the events."""
    return at("/v1/events?until", lambda body: b"".join(change(body.splitlines(keepends=True))))


def first(report: Report) -> tuple[str, int | None, str | None, str | None]:
    """Return the first finding."""
    check, finding = report.findings[0]
    return check.name, finding.position, finding.subject, finding.field


def flipped(body: bytes, index: int) -> bytes:
    return body[:index] + bytes([body[index] ^ 1]) + body[index + 1 :]


def test_honest_server_passes(run_audit):
    report = run_audit(lambda _, body: body)
    assert report.verdict.status == 0
    assert report.check("texts").result == "skipped"


def test_changed_tile_of_hashes_is_named(story, run_audit):
    report = run_audit(at("/log/tile/0/000", lambda body: flipped(body, 32 * 9)))
    assert first(report) == ("tiles", 10, story.subject(10), "tile/0/000, hash 9")
    report = run_audit(at("/log/tile/0/000", lambda body: body[:-1]))
    assert first(report)[0] == "tiles"
    report = run_audit(at("/log/tile/1/", lambda body: flipped(body, 0)))
    assert first(report)[3] == "tile/1/000.p/1, hash 0"


def test_changed_entry_in_a_tile_is_named(story, run_audit):
    lie = at("/log/tile/entries/001", lambda body: body.replace(b'"2020-02-03"', b'"2020-02-04"'))
    assert first(run_audit(lie)) == ("tiles", story.signed, "agreements/a", "occurred")
    for lie in (at("/log/tile/entries/001", lambda body: body[:-1]), at("/log/tile/entries/001", lambda _: (404, b""))):
        report = run_audit(lie)
        assert first(report)[:2] == ("tiles", 257)


@pytest.mark.parametrize(
    ("change", "check", "field"),
    [
        (lambda lines: [*lines[:99], *lines[100:]], "order", "position"),
        (lambda lines: [*lines[:99], lines[99], *lines[99:]], "order", "position"),
        (lambda lines: lines[:99], "order", "position"),
        (lambda lines: [*lines[:99], lines[99].replace(b'"name":"Party 99"', b'"name":"Party 98"'), *lines[100:]], "data", "data"),
        (lambda lines: [*lines[:99], lines[99].replace(b'"actor":"first"', b'"actor":"other"'), *lines[100:]], "entries", "actor"),
        (lambda lines: [*lines[:99], lines[99].replace(b'"specversion":"1.0"', b'"specversion":"2.0"', 1), *lines[100:]], "entries", "specversion"),
        (lambda lines: [*lines[:99], b'{"more":1,' + lines[99][1:], *lines[100:]], "entries", "more"),
        (lambda lines: [*lines[:99], b"[1]\n", *lines[100:]], "order", "position"),
        (lambda lines: [*lines[:99], b"{}\n", *lines[100:]], "order", "position"),
        (lambda lines: [*lines[:99], b'{"subject":["x"],"version":{},"position":100}\n', *lines[100:]], "entries", "version"),
        (lambda lines: [*lines[:99], b'{"position":1e9999,"recorded":7}\n', *lines[100:]], "order", "position"),
        (lambda lines: [*lines[:99], b"\n", *lines[100:]], "order", "position"),
        (lambda lines: [*lines[:99], lines[99].replace(b'"name":"Party 99"', b'"name":' + b"[" * 500 + b"]" * 500), *lines[100:]], "data", "data"),
    ],
)  # fmt: skip
def test_changed_events_are_named(run_audit, change, check, field):
    report = run_audit(of_lines(change))
    assert report.verdict.status == 1
    assert (check, field) in {(each.name, finding.field) for each, finding in report.findings}
    position = first(report)[1]
    assert position in (None, 1, 100, 101)  # of what is no event at all, only where reading ended


def test_events_beyond_the_reported_head_are_checked(story, run_audit):
    report = run_audit(of_lines(lambda lines: [*lines, lines[-1]]))
    assert first(report)[:2] == ("order", story.head)


def test_fewer_events_than_signed_are_detected(story, run_audit):
    lie = at("/v1/events?limit", lambda _: json.dumps({"position": 5}).encode())
    assert first(run_audit(lie)) == ("root", 6, None, "position")


def test_wrong_digests_are_detected(run_audit):
    lie = at("/v1/digests", lambda body: body.replace(b'"labs": "sha256:', b'"labs": "sha256:0'))
    assert first(run_audit(lie)) == ("views", None, None, "view labs")
    for lie in (at("/v1/digests", lambda _: b"nonsense"), at("/v1/digests", lambda _: b'{"digests":[]}')):
        assert {check.name for check, _ in run_audit(lie).findings} == {"views"}


def test_faults_are_reported_even_if_the_server_then_stops(story, run_audit, monkeypatch):
    monkeypatch.setattr("service.audit.client._CHUNK", 4096)

    def lie(path: str, body: bytes) -> bytes | Answer:
        if path.startswith("/v1/digests"):
            return 503, b"{}"
        return body.replace(b'"2020-02-03"', b'"2020-02-04"') if path.startswith("/log/tile/entries/001") else body

    report = run_audit(lie)
    assert first(report) == ("tiles", story.signed, "agreements/a", "occurred")
    lines = at("/v1/events?until", lambda body: (CUT_OFF, body.replace(b'"name":"Party 9"', b'"name":"Party 8"')))
    report = run_audit(lines)
    assert first(report) == ("data", 10, story.subject(10), "data")
    assert report.check("root").result == "inconclusive"
    assert any("stopped early" in note for note in report.notes)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/log/checkpoint", (503, b'{"title":"Not ready"}')),
        ("/log/checkpoint", (302, b"")),
        ("/log/checkpoint", b"<html>"),
        ("/log/vkey", b"<html>"),
        ("/v1/events?limit", b"[]"),
        ("/v1/events?limit", b'{"position":"x"}'),
        ("/v1/events?until", (401, b"{}")),
        ("/v1/events?until", (CUT_OFF, b"")),
        ("/log/tile", (500, b"")),
        ("/log/tile", (CUT_OFF, b"")),
        ("/v1/digests", (503, b"{}")),
    ],
)
def test_unanswered_requests_are_inconclusive(run_audit, path, answer):
    with pytest.raises(CannotAudit, match=r"^http://127\.0\.0\.1:"):
        run_audit(at(path, lambda _: answer))


@pytest.mark.parametrize("path", ["/log/checkpoint", "/log/vkey", "/log/tile", "/v1/events?limit", "/v1/digests"])
def test_endless_answers_are_read_up_to_a_limit(run_audit, path):
    endless = b" " * (MOST_BUNDLE_BYTES + 1)
    with pytest.raises(CannotAudit, match=r"more than \d+ bytes"):
        run_audit(lambda path_, body: endless if path_.startswith(path) else body)


def test_endless_line_of_events_is_read_up_to_a_limit(run_audit):
    with pytest.raises(CannotAudit, match=r"more than \d+ bytes"):
        run_audit(lambda path_, body: b" " * (2 * MOST_BYTES) if path_.startswith("/v1/events?until") else body)


def test_endless_events_are_read_up_to_a_limit(story, run_audit):
    report = run_audit(of_lines(lambda lines: lines + lines[-1:] * 50_000))
    assert first(report)[:2] == ("order", story.head)
