"""Redacted data is absent from every file and answer, and everything else stays as it was (section 6)."""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.server import BATCH, NDJSON, Server, command, event

SECRET = "Zwyzzerdd Qofliphant"
KIND = "party.registered"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", "--first-key") as server:
        yield server


@pytest.fixture
def admin(server: Server) -> str:
    made = command("keys", "create", "root", "--scope", "admin", "--data", server.data)
    assert made.returncode == 0, made.stderr
    return made.stdout.decode().strip()


def redaction(subject: str, position: int) -> dict:
    return event("event.redacted", subject, event=position, reason="a person asked for it")


def redact(server: Server, admin: str, subject: str, position: int) -> int:
    (ready,) = server.whole([redaction(subject, position)])
    answer = server.send(ready, key=admin)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["position"])


def files_with(server: Server, *needles: str) -> list[str]:
    """Return the files of the data directory that contain any of these."""
    contents = [(path.name, path.read_bytes()) for path in sorted(server.data.rglob("*")) if path.is_file()]
    return [
        f"{name}: {needle}"
        for name, content in contents
        for needle in needles
        if needle.encode() in content or needle.lower().encode() in content
    ]


def test_redacted_data_is_absent_from_files_and_answers(server, admin):
    subject, other = f"parties/{server.new('p')}", server.party("Another")
    (position,) = server.take(event(KIND, subject, "2001", name=SECRET, kind="person", note=f"{SECRET} said so"))
    recorded = server.json(f"/v1/events/{position}")
    for _ in range(30):
        server.party("Someone else")
    assert files_with(server, "Zwyzzerdd")
    assert [item["subject"] for item in server.items("/v1/search", q="zwyzzerdd")] == [subject]
    by = redact(server, admin, subject, position)
    assert files_with(server, *SECRET.split(), recorded["salt"]) == []
    kept = server.json(f"/v1/events/{position}")
    assert kept["redacted"] == by
    assert "data" not in kept
    assert "salt" not in kept
    assert kept["entry"] == recorded["entry"]
    (first, *_) = server.items(f"/v1/{subject}/history")
    assert (first["position"], first["data"], first["redacted"]) == (position, {}, by)
    for as_of in (position, by - 1, by):
        answer = server.get(f"/v1/{subject}", as_of=as_of, evidence="full")
        assert answer.status_code == 200
        assert "Zwyz" not in answer.text
    assert server.items("/v1/search", q="zwyzzerdd") == []
    assert server.json("/v1/parties/resolve", name=SECRET)["items"] == []
    for path in (f"/v1/{subject}/history", "/v1/timeline", "/v1/parties", "/v1/events", f"/v1/{other}/history"):
        answer = server.get(path, limit=1000)
        assert answer.status_code == 200
        assert "Zwyz" not in answer.text
    stream = server.get("/v1/events", headers={"Accept": NDJSON})
    assert "Zwyz" not in stream.text
    assert len(stream.text.splitlines()) == server.head()


def test_redaction_leaves_entry_and_leaf(server, admin):
    subject = f"parties/{server.new('p')}"
    answer = server.post(event(KIND, subject, name=SECRET, kind="person"))
    receipt = answer.json()
    redact(server, admin, subject, receipt["position"])
    entry = server.json(f"/v1/events/{receipt['position']}")["entry"].encode()
    assert base64.b64encode(hashlib.sha256(b"\x00" + entry).digest()).decode() == receipt["leaf"]


def test_repeat_of_a_redacted_event_gets_the_first_receipt_whatever_its_data(server, admin):
    subject = f"parties/{server.new('p')}"
    (given,) = server.whole([event(KIND, subject, name=SECRET, kind="person")])
    first = server.send(given)
    redact(server, admin, subject, first.json()["position"])
    for data in (given["data"], {"name": "Other", "kind": "company"}):
        again = server.send({**given, "data": data})
        assert (again.status_code, again.content) == (200, first.content)
    assert server.send({**given, "occurred": "1999"}).status_code == 409


def test_a_redaction_survives_a_kill_and_a_restart(server, admin):
    subject = f"parties/{server.new('p')}"
    (position,) = server.take(event(KIND, subject, name=SECRET, kind="person"))
    redact(server, admin, subject, position)
    for end in (server.kill, server.stop):
        end()
        assert files_with(server, *SECRET.split()) == []
        server.restart()
        assert server.json(f"/v1/{subject}")["position"] > position
        assert server.items("/v1/search", q="zwyzzerdd") == []


def test_only_a_key_with_scope_admin_redacts(server, admin):
    subject = server.party(SECRET)
    (position,) = [item["position"] for item in server.items(f"/v1/{subject}/history")]
    assert server.refused(redaction(subject, position), status=403)["title"]
    batch = server.whole([redaction(subject, position), redaction(subject, position)])
    assert server.send(batch, BATCH).status_code == 403
    (line,) = server.import_([redaction(subject, position)])
    assert line["status"] == 403
    assert server.state(subject)["name"] == SECRET


def test_an_import_and_a_batch_may_redact(server, admin):
    subjects = server.parties(3)
    history = [server.items(f"/v1/{subject}/history")[0]["position"] for subject in subjects]
    batch = server.whole([redaction(subjects[0], history[0]), redaction(subjects[1], history[1])])
    assert server.send(batch, BATCH, key=admin).status_code == 201
    (line,) = server.whole([redaction(subjects[2], history[2])])
    answer = server.send(json.dumps(line).encode(), NDJSON, key=admin)
    assert "leaf" in json.loads(answer.text)
    for subject in subjects:
        assert "name" not in server.state(subject)


@pytest.mark.parametrize("validate", [True, False])
def test_redaction_of_other_events_is_refused(server, admin, validate):
    subject, other = server.parties(2)
    position = server.items(f"/v1/{subject}/history")[0]["position"]

    def status(given: dict) -> int:
        return server.send(server.whole([given])[0], key=admin, validate=validate).status_code

    assert status(redaction(subject, server.head() + 5)) == 422
    assert status(redaction(other, position)) == 422
    by = redact(server, admin, subject, position)
    assert status(redaction(subject, position)) == 409
    assert status(event("event.retracted", subject, event=by, reason="no")) == 422


def test_validate_only_of_a_redaction_erases_nothing(server, admin):
    subject = server.party(SECRET)
    position = server.items(f"/v1/{subject}/history")[0]["position"]
    (given,) = server.whole([redaction(subject, position)])
    assert server.send(given, key=admin, validate=True).status_code == 201
    assert server.state(subject)["name"] == SECRET
    assert server.json(f"/v1/events/{position}")["data"]["name"] == SECRET


def test_a_redacted_correction_leaves_what_it_corrected_without_data(server, admin):
    subject = f"parties/{server.new('p')}"
    (position,) = server.take(event(KIND, subject, "2001", name="Plain", kind="person", jurisdiction="CN"))
    correction = server.took(
        event("event.corrected", subject, event=position, reason=SECRET, data={"name": SECRET, "kind": "person"})
    )
    redact(server, admin, subject, correction)
    state = server.state(subject)
    assert "name" not in state
    assert "jurisdiction" not in state
    assert files_with(server, *SECRET.split()) == []
    assert server.state(subject, as_of=position)["name"] == "Plain"
    server.take(
        event("event.corrected", subject, event=position, reason="anew", data={"name": "Known", "kind": "person"})
    )
    assert server.state(subject)["name"] == "Known"


def test_a_redacted_retraction_still_retracts(server, admin):
    subject = server.party("Kept")
    added = server.took(event("party.name-added", subject, name="Dropped"))
    retraction = server.took(event("event.retracted", subject, event=added, reason=SECRET))
    redact(server, admin, subject, retraction)
    assert "Dropped" not in str(server.state(subject))
    assert files_with(server, *SECRET.split()) == []


def test_subject_remains_after_its_creating_event_is_redacted(server, admin):
    one, two = server.parties(2)
    subject = f"agreements/{server.new('a')}"
    (position,) = server.take(
        event(
            "agreement.signed",
            subject,
            "2001-02-03",
            title=SECRET,
            kind="contract",
            parties=[{"party": one}, {"party": two}],
        )
    )
    server.take(event("agreement.signed", subject, "2002-01-01", parties=[{"party": server.party()}]))
    redact(server, admin, subject, position)
    state = server.state(subject)
    assert (state["status"], len(state["parties"])) == ("signed", 1)
    assert [item["subject"] for item in server.items("/v1/agreements", signed_to="2001-12-31")] == [subject]
    assert server.items("/v1/memberships", party=one) == []


def test_redacted_subject_accepts_further_events(server, admin):
    subject = server.party(SECRET)
    position = server.items(f"/v1/{subject}/history")[0]["position"]
    redact(server, admin, subject, position)
    server.take(event("party.renamed", subject, "2005-01-01", name="Anew"))
    assert server.state(subject)["name"] == "Anew"
    assert [item["subject"] for item in server.items("/v1/search", q="anew")] == [subject]
    assert server.refused(event(KIND, subject, name="Twice", kind="person"), status=409)


def test_after_a_crash_views_with_erased_data_are_not_served(server, admin):
    subject = server.party(SECRET)
    position = server.items(f"/v1/{subject}/history")[0]["position"]
    server.stop()
    old = (server.data / "views.sqlite").read_bytes()
    server.restart()
    redact(server, admin, subject, position)
    server.stop()
    (server.data / "views.sqlite").write_bytes(old)  # as if it had been killed before they were folded anew
    server.restart()
    assert "name" not in server.state(subject)
    server.stop()
    assert files_with(server, *SECRET.split()) == []
    with sqlite3.connect(server.data / "log.sqlite") as db:
        assert db.execute("SELECT data, salt FROM events WHERE position = ?", (position,)).fetchone() == (None, None)
    db.close()


@pytest.mark.parametrize("form", ["text/csv", NDJSON, "application/json"])
def test_etag_from_before_a_redaction_does_not_match_after_it(server, admin, form):
    subject = server.party(SECRET)
    position = server.items(f"/v1/{subject}/history")[0]["position"]
    address, asked = f"/v1/parties?as_of={position}", {"Accept": form}
    before = server.get(address, headers=asked)
    assert SECRET in before.text
    unchanged = {**asked, "If-None-Match": before.headers["ETag"]}
    assert server.get(address, headers=unchanged).status_code == 304
    redact(server, admin, subject, position)
    after = server.get(address, headers=unchanged)
    assert after.status_code == 200
    assert "Zwyz" not in after.text


def test_rebuilt_views_that_were_not_swapped_in_lose_redacted_data(server, admin):
    subject = server.party(SECRET)
    position = server.items(f"/v1/{subject}/history")[0]["position"]
    for name in ("views.next.sqlite", "views.ready.sqlite-wal"):
        (server.data / name).write_text(f"left by a rebuild that was cut off: {SECRET}")
    redact(server, admin, subject, position)
    assert files_with(server, *SECRET.split()) == []


@pytest.mark.parametrize("leftover", ["views.erased.sqlite", "views.next.sqlite-wal", "views.ready.sqlite"])
def test_half_built_views_after_a_kill_lose_redacted_data(server, admin, leftover):
    subject = server.party(SECRET)
    position = server.items(f"/v1/{subject}/history")[0]["position"]
    server.stop()
    old = (server.data / "views.sqlite").read_bytes()
    server.restart()
    (given,) = server.whole([redaction(subject, position)])
    assert server.send(given, key=admin).status_code == 201
    server.stop()
    # As if the redaction had been recorded, and the server killed before anything else was done.
    (server.data / "views.sqlite").write_bytes(old)
    (server.data / leftover).write_text(f"left by a process that was killed earlier: {SECRET}")
    server.restart()
    assert server.send(given, key=admin).status_code == 200
    assert files_with(server, *SECRET.split()) == []


def test_unfinished_rebuild_is_removed_at_the_next_start(server):
    server.kill()
    (server.data / "views.erased.sqlite").write_text("half built")
    server.restart()
    assert [path.name for path in server.data.glob("views.erased*")] == []
