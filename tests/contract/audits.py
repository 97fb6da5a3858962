"""A registry with a history of every kind, to audit as it is or with one thing changed."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.contract.server import Server, command, event
from tests.contract.texts import TEXT, digest, put

CROWD = 270
"""Parties that make one tile of the tree full and another not."""
QUOTED = "宁德时代与成都市签约"
AT = TEXT.index(QUOTED)
ERASED_TEXT = "A text that was erased. Nobody can read it."


@dataclass
class Story:
    """A data directory that no server uses, with a log signed to its end, and the positions of its events."""

    data: Path
    vkey: str
    head: int
    reader: str
    agreement: int
    signed: int
    corrected: int
    redacted: int
    redaction: int
    text: int
    checkpoint_of_crowd: str

    def subject(self, position: int) -> str:
        """The subject of an event."""
        return str(self.entry(position)["subject"])

    def entry(self, position: int) -> dict[str, Any]:
        """The log entry of an event."""
        ((state,),) = rows(self.data, "SELECT state FROM events WHERE position = ?", position)
        found: dict[str, Any] = json.loads(state)
        return found

    def copied(self, to: Path) -> Path:
        """Return a copy of the directory, to be changed."""
        return Path(shutil.copytree(self.data, to))


def record_story(data: Path) -> Story:
    """Return the story, recorded by a server that is then stopped."""
    with Server(data, "--first-key") as server:
        reader, admin = server.make_key("reader", "read"), server.make_key("root", "admin")
        crowd = [
            event("party.registered", f"parties/p-{n:03}", name=f"Party {n}", kind="company") for n in range(CROWD)
        ]
        server.imported(crowd)
        wait_for_checkpoint(server)
        kept = server.client.get("/log/checkpoint").text
        documents = {
            "documents/report": TEXT,
            "documents/gone": ERASED_TEXT,
            "documents/unread": "Nobody has put this.",
        }
        server.take(
            *(event("document.registered", each, title=each, sha256=digest(text)) for each, text in documents.items())
        )
        evidence = [{"document": "documents/report", "start": AT, "end": AT + len(QUOTED), "exact": QUOTED}]
        agreement, signed, *_ = server.take(
            event(
                "agreement.adopted",
                "agreements/a",
                "2020-01-02",
                title="An agreement",
                kind="treaty",
                evidence=[*evidence, {"document": "documents/unread", "exact": "put this"}],
            ),
            event(
                "agreement.signed",
                "agreements/a",
                "2020-02-03",
                parties=[{"party": "parties/p-000"}, {"party": "parties/p-001"}],
                evidence=evidence,
            ),
            event("agreement.commitment-made", "agreements/a", commitment="c", kind="research", title="A commitment"),
            event("platform.launched", "platforms/p", "2021", name="A platform"),
            event("platform.member-joined", "platforms/p", "2022-03", party="parties/p-002"),
            event("lab.founded", "labs/l", "2021?", name="A lab", founders=["parties/p-003"]),
        )
        text = stored(server, "documents/report", TEXT)
        stored(server, "documents/gone", ERASED_TEXT)
        secret = server.took(event("party.registered", "parties/secret", name="Zwyzzerdd", kind="person"))
        corrected = server.took(event("party.renamed", "parties/p-004", "2020", name="Other"))
        server.take(
            event("event.corrected", "parties/p-004", event=corrected, reason="late", occurred="2021"),
            event("evidence.added", "agreements/a", event=signed, evidence=evidence),
            event(
                "event.disputed",
                "agreements/a",
                event=signed,
                claims=[{"pointer": "/occurred", "value": "2020-03"}],
                evidence=evidence,
            ),
            event("party.merged", "parties/p-005", into="parties/p-006"),
            event("event.retracted", "platforms/p", event=signed + 3, reason="it was another"),
        )
        (redaction,) = [
            _as_admin(server, admin, "event.redacted", "parties/secret", event=secret, reason="asked for it")
        ]
        erased = server.client.delete("/v1/documents/gone/text", headers={"Authorization": f"Bearer {admin}"})
        assert erased.status_code == 200, erased.text
        server.took(event("party.registered", "parties/last", name="The last", kind="company"))
        wait_for_checkpoint(server)
        head, vkey = server.head(), server.client.get("/log/vkey").text.strip()
    return Story(data, vkey, head, reader, agreement, signed, corrected, secret, redaction, text, kept)


def stored(server: Server, document: str, text: str) -> int:
    """Put a text; return the position of its event."""
    answer = put(server, document, text)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["position"])


def wait_for_checkpoint(server: Server) -> None:
    """Return once every event is signed."""
    deadline = time.monotonic() + 20
    while int(server.client.get("/log/checkpoint").text.split("\n")[1]) < server.head():
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.05)


def _as_admin(server: Server, key: str, type_: str, subject: str, **data: Any) -> int:
    (ready,) = server.whole([event(type_, subject, **data)])
    answer = server.send(ready, key=key)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["position"])


def rows(data: Path, sql: str, *values: object, file: str = "log.sqlite") -> list[tuple[Any, ...]]:
    """Query a database of a data directory."""
    db = sqlite3.connect(data / file)
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def tamper(data: Path, *statements: str | tuple[Any, ...], file: str = "log.sqlite") -> None:
    """Change a database of a data directory behind the registry's back."""
    db = sqlite3.connect(data / file)
    try:
        for statement in statements:
            sql, *values = (statement,) if isinstance(statement, str) else statement
            assert db.execute(sql, values).rowcount, f"it changes nothing: {sql}"
        db.commit()
    finally:
        db.close()


def entry_with(data: Path, position: int, **changes: object) -> bytes:
    """Return a log entry with other values, in canonical form."""
    ((state,),) = rows(data, "SELECT state FROM events WHERE position = ?", position)
    return json.dumps(json.loads(state) | changes, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


@dataclass
class AuditResult:
    """The report of `registry audit --json`."""

    status: int
    report: dict[str, Any]

    @property
    def first(self) -> tuple[int | None, str | None, str | None]:
        """The first finding: position, subject, field."""
        assert self.report.get("findings"), self.report
        finding = self.report["findings"][0]
        return finding["position"], finding["subject"], finding["field"]

    def says(self, check: str) -> str:
        """Return the verdict of a check."""
        return str(next(each["verdict"] for each in self.report["checks"] if each["name"] == check))

    @property
    def failed(self) -> set[str]:
        """The checks that fail."""
        return {each["name"] for each in self.report["checks"] if each["verdict"] == "fail"}


def run_audit(*arguments: str | Path) -> AuditResult:
    """Run the command."""
    done: subprocess.CompletedProcess[bytes] = command("audit", *arguments, "--json")
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    report = json.loads(done.stdout)
    assert report["status"] == done.returncode, done
    return AuditResult(done.returncode, report)


def assert_passes(*arguments: str | Path) -> AuditResult:
    """Run the command; it must pass."""
    found = run_audit(*arguments)
    assert found.status == 0, found.report
    return found


def assert_fails(place: Sequence[object], *arguments: str | Path) -> AuditResult:
    """Run the command; it must fail first at this position, subject and field."""
    found = run_audit(*arguments)
    assert (found.status, found.report["verdict"]) == (1, "fail"), found.report
    assert found.first == tuple(place), found.report["findings"][:3]
    return found
