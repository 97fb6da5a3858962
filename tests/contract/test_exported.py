"""A log imported from its export: every line is accepted, and every answer is the same (section 4)."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.random_facts import Cast
from tests.contract.server import BATCH, NDJSON, SEEDS, Server, command, event
from tests.contract.test_random_facts import everything

TEXT = "What was agreed: x, and 11."
PLACES = frozenset(
    ("position", "version", "events", "event", "recorded", "by", "next", "leaf", "positions", "request_id")
)


def leafless(value: Any) -> Any:
    """Return an answer without the parts that depend on place and time of recording."""
    if isinstance(value, dict):
        return {name: leafless(part) for name, part in value.items() if name not in PLACES}
    return [leafless(part) for part in value] if isinstance(value, list | tuple) else value


def import_(data: Path, lines: bytes, *options: str) -> str:
    done = command("import", "-", "--data", data, *options, stdin=lines)
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode().splitlines(keepends=True)[-1]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "old", "--first-key") as server:
        yield server


def record_story(server: Server, seed: int) -> Cast:
    """Record a story of facts, corrections, retractions, disputes, evidence and mergers, where the rules accept them."""
    choice = random.Random(seed)
    cast = Cast.named(f"s{seed}")
    events = cast.making(choice)
    taken = list(zip(events, (receipt["position"] for receipt in server.imported(events)), strict=True))
    for number in range(80):
        if choice.random() < 0.4:
            target, position = choice.choice(taken)
            given = cast.about(choice, target, position, number)
        else:
            given = cast.fact(choice, number)
        (result,) = server.import_([given])
        if "leaf" in result:
            taken.append((given, result["position"]))
    return cast


def import_again(old: Server, data: Path, moved: int = 0) -> list[dict[str, Any]]:
    """Import the log of a registry into another directory, after some other events; return the exported lines."""
    for number in range(moved):
        other = event("party.registered", f"parties/other{number}", name="O", kind="other")
        import_(data, json.dumps(old.whole([other])[0]).encode())
    lines = command("export", "log", "--data", old.data).stdout
    count = lines.count(b"\n")
    assert import_(data, lines) == f"{count} lines: {count} recorded, 0 already recorded, 0 refused\n"
    assert import_(data, lines) == f"{count} lines: 0 recorded, {count} already recorded, 0 refused\n"
    return [json.loads(line) for line in lines.splitlines()]


def audit(data: Path) -> None:
    audited = command("audit", data)
    assert audited.returncode == 0, audited.stdout.decode()


@pytest.mark.parametrize("seed", [1, 2])
def test_log_imported_from_its_export_gives_the_same_answers(old, tmp_path, seed):
    cast = record_story(old, seed)
    before = everything(old, cast)
    lines = import_again(old, tmp_path / "new")
    with Server(tmp_path / "new", "--first-key") as again:
        assert again.head() == len(lines)
        after = everything(again, cast)
        for what, seen in before.items():
            assert leafless(after[what]) == leafless(seen), what
    audit(tmp_path / "new")


def test_events_about_events_follow_their_event_when_positions_move(old, tmp_path):
    document = record_story(old, 3).document
    one, two = old.parties(2)
    deal = f"agreements/{old.new('a')}"
    signed = event("agreement.signed", deal, "2020", title="T", kind="treaty", parties=[{"party": one}, {"party": two}])
    made = event("agreement.declaration-made", deal, "2021", party=one, kind="reservation", text="T")
    _, declared = old.take(signed, made)
    (withdrawn,) = old.take(event("agreement.declaration-withdrawn", deal, "2022", event=declared))
    changed = {"event": declared, "note": "N"}
    (corrected,) = old.take(event("event.corrected", deal, event=withdrawn, reason="R", data=changed))
    claim = {"pointer": "/data/event", "value": declared}
    (disputed,) = old.take(
        event("event.disputed", deal, event=withdrawn, claims=[claim], evidence=[{"document": document, "exact": "x"}])
    )
    state = old.state(deal)
    lines = import_again(old, tmp_path / "new", moved=3)
    with Server(tmp_path / "new") as again:
        for line in lines:
            if "event" in line["data"]:
                found = again.json(f"/v1/events/{line['position'] + 3}")
                assert found["data"]["event"] == line["data"]["event"] + 3
        assert again.json(f"/v1/events/{corrected + 3}")["data"]["data"]["event"] == declared + 3
        assert again.json(f"/v1/events/{disputed + 3}")["data"]["claims"][0]["value"] == declared + 3
        assert again.state(deal)["declarations"][0]["withdrawn"] == state["declarations"][0]["withdrawn"] == "2022"
    audit(tmp_path / "new")


def test_log_with_erased_data_and_texts_is_imported_from_its_export(old, tmp_path):
    admin = old.make_key("root", "admin", "post", "read")
    document, party = f"documents/{old.new('d')}", f"parties/{old.new('p')}"
    old.take(event("document.registered", document, title="D", sha256=hashlib.sha256(TEXT.encode()).hexdigest()))

    def text(method: str) -> None:
        sent = old.client.request(
            method,
            f"/v1/{document}/text",
            content=TEXT if method == "PUT" else None,
            headers={"Authorization": f"Bearer {admin}", **({"Content-Type": "text/plain"} if method == "PUT" else {})},
        )
        assert sent.status_code in (200, 201), sent.text

    for method in ("PUT", "DELETE", "PUT"):
        text(method)
    evidence = [{"document": document, "exact": "was agreed"}]
    registered, renamed = old.take(
        event("party.registered", party, "2001", name="Secret", kind="person", evidence=evidence),
        event("party.renamed", party, "2002", name="Known"),
    )
    (added,) = old.take(event("evidence.added", party, event=renamed, evidence=evidence))
    (corrected,) = old.take(event("event.corrected", party, event=renamed, reason="Secret", occurred="2003"))
    for position in (registered, added, corrected):
        (ready,) = old.whole([event("event.redacted", party, event=position, reason="asked for")])
        assert old.send(ready, key=admin).status_code == 201
    old.take(event("party.name-added", party, name="Also known"))
    state = old.state(party)
    lines = import_again(old, tmp_path / "new", moved=2)
    assert sum("redacted" in line for line in lines) == 3
    with Server(tmp_path / "new", "--first-key") as again:
        assert leafless(again.state(party)) == leafless(state)
        found = again.json(f"/v1/events/{registered + 2}")
        assert "data" not in found
        assert again.json(f"/v1/events/{found['redacted']}")["data"]["event"] == registered + 2
        assert again.json(f"/v1/events/{added + 2}")["about"] == renamed + 2
        assert "text" not in again.state(document)
        audit(tmp_path / "new")
        url = again.client.base_url
        audited = command("audit", str(url))
        assert audited.returncode == 0, audited.stdout.decode()
        key = again.make_key("root", "admin", "post", "read")
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "text/plain"}
        put = again.client.put(f"/v1/{document}/text", content=TEXT, headers=headers)
        assert put.status_code == 201, put.text
        assert again.state(document)["text"]["characters"] == len(TEXT)
    audit(tmp_path / "new")


def test_only_an_admin_key_imports_events_with_erased_data(old, tmp_path):
    party = old.party("Secret")
    (line,) = [json.loads(line) for line in command("export", "log", "--data", old.data).stdout.splitlines()]
    erased = {name: value for name, value in line.items() if name not in ("data", "salt")} | {"redacted": 2}
    lines = json.dumps(erased).encode()
    with Server(tmp_path / "new", "--first-key") as again:
        (result,) = map(json.loads, again.send(lines, NDJSON).text.splitlines())
        assert result["status"] == 403
        key = again.make_key("root", "admin", "post")
        (result,) = map(json.loads, again.send(lines, NDJSON, key=key).text.splitlines())
        assert result["subject"] == party


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"position": 0}, "/position"),
        ({"position": "1"}, "/position"),
        ({"position": True}, "/position"),
        ({"version": None}, "/version"),
        ({"recorded": "2026-01-31"}, "/recorded"),
        ({"actor": 1}, "/actor"),
        ({"entry": "{}"}, "/entry"),
        ({"entry": "x"}, "/entry"),
        ({"entry": "[1]"}, "/entry"),
        ({"salt": "AAAA"}, "/salt"),
        ({"salt": "!"}, "/salt"),
        ({"salt": ...}, "/salt"),
        ({"actor": ...}, "/actor"),
        ({"redacted": 5}, "/data"),
        ({"other": 5}, "/other"),
    ],
)
def test_fields_added_by_an_export_are_checked(shared, tmp_path, changes, pointer):
    party = shared.party("Exported")
    line = shared.items("/v1/events", subject=party)[0]
    given = {name: value for name, value in (line | {"id": "other"} | changes).items() if value is not ...}
    (result,) = map(json.loads, shared.send(json.dumps(given).encode(), NDJSON).text.splitlines())
    assert result["status"] == 422, result
    assert pointer in [error["pointer"] for error in result["errors"]]


def test_party_that_an_older_version_let_succeed_itself_is_imported(old, tmp_path):
    party, other = old.parties(2)
    dissolution = event("party.dissolved", party, "2020-01-01", successors=[party])
    assert old.refused(dissolution, status=409)["errors"] == [
        {"pointer": "", "detail": f"{party} would be its own successor"}
    ]
    old.take({**dissolution, "data": {"successors": [other]}})
    *parties, last = command("export", "log", "--data", old.data).stdout.splitlines()
    line, data = json.loads(last), json.dumps({"successors": [party]}, separators=(",", ":"))
    entry = json.loads(line["entry"])
    entry["data_sha256"] = hashlib.sha256(base64.b64decode(line["salt"]) + data.encode()).hexdigest()
    line |= {"data": json.loads(data), "entry": json.dumps(entry, separators=(",", ":"), sort_keys=True)}
    lines = b"\n".join([*parties, json.dumps(line).encode()])
    assert import_(tmp_path / "new", lines) == "3 lines: 3 recorded, 0 already recorded, 0 refused\n"
    with Server(tmp_path / "new", "--first-key") as again:
        assert again.state(party)["successors"] == [{"subject": party, "name": "A party"}]
        again.take(event("party.name-added", party, name="Another"))


def test_event_about_an_event_missing_from_the_import_is_refused(old, tmp_path):
    party = old.party()
    old.take(event("event.retracted", party, event=1, reason="R"))
    _, last = command("export", "log", "--data", old.data).stdout.splitlines()
    with Server(tmp_path / "new", "--first-key") as again:
        again.party("Another that stands at its position")
        (result,) = map(json.loads, again.send(last, NDJSON).text.splitlines())
        assert [error["pointer"] for error in result["errors"]] == ["/data/event"]
    (result,) = map(json.loads, old.send(last, NDJSON).text.splitlines())
    assert result["position"] == 2, "where it is recorded already, it is answered with its receipt"


def test_the_advice_after_a_loss_can_be_followed(tmp_path):
    lost = tmp_path / "lost"
    with Server(lost, "--first-key", "--seeds", str(SEEDS)) as server:
        party = server.party("Kept")
        head = server.head()
    shutil.copytree(lost, tmp_path / "backup")
    with Server(lost) as server:
        key = server.make_key("poster", "post")
        (ready,) = server.whole([event("party.registered", f"parties/{server.new('p')}", name="Lost", kind="company")])
        assert server.send(ready, key=key).status_code == 201
    for path in lost.glob("log.sqlite*"):
        path.unlink()
    for path in (tmp_path / "backup").glob("log.sqlite*"):
        shutil.copy(path, lost)
    refused = command("import", "-", "--data", lost, stdin=b"")
    assert "begin another log" in refused.stderr.decode()
    lines = import_again(server, tmp_path / "new")
    assert len(lines) == head
    with Server(tmp_path / "new", "--first-key", "--origin", "example.org/again") as again:
        assert again.get("/readyz").status_code == 200
        assert again.state(party)["name"] == "Kept"
        again.party("After the loss")
    audit(tmp_path / "new")


def test_events_that_depend_on_erased_data_are_imported_again(old, tmp_path):
    """Later lines of an exported log depend on events whose data is erased: the first log accepted them before the
    erasure.
    """
    admin = old.make_key("root", "admin", "post")
    first, second = old.party("First"), old.party("Second")
    deal, lab, platform = (f"{collection}/{old.new('x')}" for collection in ("agreements", "labs", "platforms"))
    parties = [{"party": first}, {"party": second}]
    phases = [{"phase": "one"}]
    erased: list[int] = []

    def gone(given: dict[str, Any]) -> int:
        (position,) = old.take(given)
        erased.append(position)
        return position

    old.take(event("agreement.signed", deal, "2001", title="T", kind="treaty", parties=parties))
    gone(event("agreement.commitment-made", deal, "2002", commitment="c", kind="other", title="C"))
    old.take(event("agreement.commitment-updated", deal, "2003", commitment="c", status="fulfilled"))
    declared = gone(event("agreement.declaration-made", deal, "2002", party=first, kind="declaration", text="D"))
    old.take(event("agreement.declaration-withdrawn", deal, "2004", event=declared))
    old.take(event("agreement.ratified", deal, "2005", party=first))
    gone(event("agreement.withdrawn", deal, "2006", party=first))
    old.take(event("agreement.acceded", deal, "2007", party=first))
    ratified = gone(event("agreement.ratified", deal, "2005", party=second))
    claims = [{"pointer": "/data/party", "value": first}]
    document = f"documents/{old.new('d')}"
    old.take(event("document.registered", document, title="D", sha256="0" * 64))
    evidence = [{"document": document}]
    old.take(event("event.disputed", deal, event=ratified, claims=claims, evidence=evidence))
    (corrected,) = old.take(event("event.corrected", deal, event=ratified, reason="R", occurred="2008"))
    old.take(event("event.retracted", deal, event=corrected, reason="R"))
    gone(event("lab.founded", lab, "2001", name="L", founders=[first], phases=phases))
    old.take(event("lab.phase-started", lab, "2002", phase="one"))
    gone(event("lab.recruitment-opened", lab, "2003", call="c", role="R"))
    old.take(event("lab.recruitment-closed", lab, "2004", call="c"))
    old.take(event("platform.launched", platform, "2001", name="P"))
    old.take(event("platform.member-joined", platform, "2002", party=first))
    gone(event("platform.member-left", platform, "2003", party=first))
    old.take(event("platform.member-joined", platform, "2004", party=first))
    subjects = [old.json(f"/v1/events/{position}")["subject"] for position in erased]
    redactions = [
        event("event.redacted", subject, event=position, reason="asked for")
        for subject, position in zip(subjects, erased, strict=True)
    ]
    assert old.send(old.whole(redactions), BATCH, key=admin).status_code == 201
    states = {subject: old.state(subject) for subject in (first, second, deal, lab, platform)}
    import_again(old, tmp_path / "new", moved=3)
    with Server(tmp_path / "new", "--first-key") as again:
        for subject, state in states.items():
            assert leafless(again.state(subject)) == leafless(state)
    audit(tmp_path / "new")
