"""Section 6 and `?proof=true`: a state with its times, its evidence and its proofs, checked by an auditor that shares
no code with the project."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest
import rfc8785

from tests.contract.auditor import Auditor, Checkpoint, Key, root_of
from tests.contract.server import SHA, Server, event, is_problem, served


def key_of(server: Server) -> Key:
    return Key(server.get("/log/vkey").text.strip())


def leaves_of(server: Server, size: int) -> list[bytes]:
    return Auditor(lambda path: server.get(f"/log/{path}").content, key_of(server).text).leaves(size)


def proof_of(server: Server, position: int) -> str:
    answer = server.get(f"/v1/events/{position}/proof")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    return answer.text


def checked(server: Server, state: dict[str, Any], *, redacted: frozenset[int] = frozenset()) -> Checkpoint:
    """Check that every event among a state's proofs is in the log and matches its entry; return the one checkpoint."""
    found = set()
    for position, proven in state["proofs"].items():
        found.add(key_of(server).proof(proven["proof"], proven["entry"], int(position)))
        entry = json.loads(proven["entry"])
        assert entry["position"] == int(position)
        if int(position) in redacted:
            assert set(proven) == {"entry", "proof"}
        else:
            assert set(proven) == {"entry", "proof", "data", "salt"}
            salted = base64.b64decode(proven["salt"]) + rfc8785.dumps(proven["data"])
            assert hashlib.sha256(salted).hexdigest() == entry["data_sha256"]
    assert len(found) == 1, "all of one answer are against the same checkpoint"
    (checkpoint,) = found
    assert root_of(leaves_of(server, checkpoint.size)) == checkpoint.root
    return checkpoint


def provenance(state: dict[str, Any]) -> set[int]:
    """Return the positions of a state's own fields."""
    return {position for positions in state["events"].values() for position in positions}


def within(lists: list[dict[str, Any]]) -> set[int]:
    """Return the positions of the items of a list."""
    return {position for entry in lists for position in entry["events"]}


# Of one event


def test_every_event_is_proven_by_itself(server):
    server.imported(
        [event("party.registered", f"parties/{server.new('p')}", name="P", kind="company") for _ in range(300)]
    )
    key, sizes = key_of(server), set()
    for recorded in server.items("/v1/events"):
        found = key.proof(proof_of(server, recorded["position"]), recorded["entry"], recorded["position"])
        assert found.size >= recorded["position"]
        sizes.add(found.size)
    assert 300 in sizes


def test_proof_waits_for_a_checkpoint_that_covers_the_event(server):
    for _ in range(4):
        position = server.took(event("party.registered", f"parties/{server.new('p')}", name="P", kind="company"))
        entry = server.json(f"/v1/events/{position}")["entry"]
        assert key_of(server).proof(proof_of(server, position), entry, position).size >= position


def test_earlier_proofs_hold_for_ever_against_their_own_checkpoints(tmp_path):
    held: list[tuple[str, str, int]] = []
    with Server(tmp_path / "data", "--first-key") as server:
        key = key_of(server)
        for ending in (server.stop, server.kill, None):
            for _ in range(3):
                position = server.took(
                    event("party.registered", f"parties/{server.new('p')}", name="P", kind="company")
                )
                held.append((proof_of(server, position), server.json(f"/v1/events/{position}")["entry"], position))
            if ending is not None:
                ending()
                server.restart()
        checkpoints = [key.proof(*each) for each in held]
        leaves = leaves_of(server, len(held))
        assert [root_of(leaves[: each.size]) for each in checkpoints] == [each.root for each in checkpoints]


def test_proof_verifies_only_its_own_event(server):
    one, two = server.take(
        *(event("party.registered", f"parties/{server.new('p')}", name="P", kind="company") for _ in range(2))
    )
    proof, entry = proof_of(server, one), server.json(f"/v1/events/{one}")["entry"]
    assert key_of(server).proof(proof, entry, one).size == 2
    for other in (server.json(f"/v1/events/{two}")["entry"], entry.replace("parties/", "labs/"), entry + " "):
        with pytest.raises(AssertionError):
            key_of(server).proof(proof, other, one)


def test_proof_of_an_unknown_position_is_404(server):
    server.party()
    for path in ("2", "0", "01", "-1", "x", "99999999999999", "999999999999999999999"):
        is_problem(server.get(f"/v1/events/{path}/proof"), 404)
    is_problem(server.get("/v1/events/1/proof?x=1"), 422)
    is_problem(server.client.post("/v1/events/1/proof"), 405)
    head = server.client.head("/v1/events/1/proof")
    assert (head.status_code, head.content) == (200, b"")


# Of a state


@pytest.fixture(scope="module")
def story():
    """Record an agreement with every kind of event about events."""
    with served() as server:
        one, two, three = server.parties(3)
        subject, document = f"agreements/{server.new('a')}", f"documents/{server.new('d')}"
        (registered,) = server.take(event("document.registered", document, title="D", sha256=SHA))
        passage = [{"document": document, "start": 0, "end": 4, "supports": ["/data/title"]}]
        signed, committed, declared = server.take(
            event("agreement.signed", subject, "2001-02-03", title="T", kind="treaty", parties=[{"party": one}, {"party": two}], evidence=passage),
            event("agreement.commitment-made", subject, "2002", commitment="c", kind="facility", title="C", by=[one]),
            event("agreement.declaration-made", subject, "2002", party=two, kind="reservation", text="No"),
        )  # fmt: skip
        (acceded,) = server.take(event("agreement.acceded", subject, "2003", party=three))
        (corrected,) = server.take(event("event.corrected", subject, event=signed, reason="R", occurred="2001-02-04"))
        (disputed,) = server.take(event("event.disputed", subject, event=acceded, claims=[{"pointer": "/occurred", "value": "2004"}], evidence=passage))  # fmt: skip
        (odd,) = server.take(event("event.disputed", subject, event=signed, claims=[{"pointer": "/data/summary", "value": {"event": "999999", "events": "888888", "en": "x"}}], evidence=passage))  # fmt: skip
        (supported,) = server.take(event("evidence.added", subject, event=committed, evidence=passage))
        names = "registered signed committed declared acceded corrected disputed odd supported"
        here = locals()
        yield server, subject, {name: here[name] for name in names.split()}


def test_one_answer_has_state_times_evidence_and_proofs(story):
    server, subject, at = story
    state = server.state(subject, as_of=at["supported"], on="2005-01-01", evidence="full", proof="true")
    checked(server, state)
    proven = {int(position) for position in state["proofs"]}
    assert {*at.values()} - {at["registered"]} <= proven
    assert provenance(state) | within(state["parties"]) | within(state["commitments"]) <= proven
    passages = [passage for passages in state["evidence"].values() for passage in passages]
    assert {passage["event"] for passage in passages} <= proven
    assert state["position"] in proven
    for position, passages in state["evidence"].items():
        data = state["proofs"][position]["data"]
        own = [passage for passage in passages if passage["event"] == int(position)]
        assert len(own) == len(data.get("evidence", []))
    plain = server.state(subject, as_of=at["supported"], on="2005-01-01", evidence="full")
    assert plain == {name: value for name, value in state.items() if name != "proofs"}


def test_proofs_of_a_state_cover_only_the_events_it_names(story):
    server, subject, at = story
    state = server.state(subject, as_of=at["declared"], on="2005-01-01", proof="true")
    checked(server, state)
    assert {int(position) for position in state["proofs"]} == {at["signed"], at["committed"], at["declared"]}
    later = server.state(subject, as_of=at["corrected"], on="2005-01-01", proof="true")
    assert {int(position) for position in later["proofs"]} == {
        at["signed"], at["committed"], at["declared"], at["acceded"], at["corrected"],
    }  # fmt: skip


def test_numbers_in_a_disputed_value_are_no_positions(story):
    server, subject, at = story
    state = server.state(subject, on="any", proof="true")
    assert at["odd"] in {each["position"] for each in state["disputed"]}
    assert {"999999", "888888"}.isdisjoint(state["proofs"])


@pytest.mark.parametrize("collection", ["parties", "agreements", "labs", "platforms", "documents"])
def test_states_of_every_collection_have_proofs(seeded, collection):
    for item in seeded.items(f"/v1/{collection}", on="any")[:12]:
        state = seeded.state(item["subject"], on="any", evidence="full", proof="true")
        checked(seeded, state)
        assert provenance(state) <= {int(position) for position in state["proofs"]}


def test_visible_state_has_a_proof(server):
    for number in range(3):
        subject = f"parties/{server.new('p')}"
        position = server.took(event("party.registered", subject, name=f"P{number}", kind="company"))
        state = server.state(subject, proof="true")
        assert str(position) in state["proofs"]
        assert checked(server, state).size >= position


def test_proofs_change_with_the_log_and_the_plain_state_does_not(server):
    subject = server.party()
    before, plain = server.get(f"/v1/{subject}", proof="true"), server.get(f"/v1/{subject}")
    assert before.headers["ETag"].startswith('"1-')
    position = server.took(event("party.registered", f"parties/{server.new('p')}", name="P", kind="company"))
    proof_of(server, position)
    after = server.get(f"/v1/{subject}", proof="true")
    assert checked(server, after.json()).size >= position > checked(server, before.json()).size
    assert after.headers["ETag"] != before.headers["ETag"]
    assert server.get(f"/v1/{subject}").headers["ETag"] == plain.headers["ETag"]
    held = {"If-None-Match": after.headers["ETag"]}
    assert server.get(f"/v1/{subject}", headers=held, proof="true").status_code == 304
    # The whole ETag of a state, proven or not, is a version to post on.
    (renamed,) = server.whole([event("party.renamed", subject, name="New")])
    assert server.send(renamed, If_Match=after.headers["ETag"]).status_code == 201


def test_a_party_that_was_merged_is_proven_by_its_survivor(server):
    loser, survivor = server.parties(2)
    server.take(event("party.merged", loser, into=survivor))
    answer = server.get(f"/v1/{loser}", proof="true", on="any")
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"/v1/{survivor}?proof=true&on=any"
    state = server.json(answer.headers["Location"])
    checked(server, state)


def test_other_values_of_proof_and_proofs_of_lists_are_refused(server):
    subject = server.party()
    for value in ("false", "full", "1", "True"):
        assert is_problem(server.get(f"/v1/{subject}", proof=value), 422)["errors"][0]["parameter"] == "proof"
    is_problem(server.get("/v1/parties", proof="true"), 422)
    is_problem(server.get(f"/v1/{subject}/history", proof="true"), 422)
    is_problem(server.get("/v1/parties/nobody", proof="true"), 404)


def test_redacted_event_has_a_proof_and_no_data(server):
    subject = f"parties/{server.new('p')}"
    made, named = server.take(
        event("party.registered", subject, name="A person", kind="person"),
        event("party.name-added", subject, name="Another name of theirs"),
    )
    held = {
        position: (proof_of(server, position), server.json(f"/v1/events/{position}")["entry"])
        for position in (made, named)
    }
    before = server.state(subject, proof="true")
    checked(server, before)
    (redaction,) = server.whole([event("event.redacted", subject, event=made, reason="They asked for it")])
    answer = server.send(redaction, key=server.make_key("root", "admin"))
    assert answer.status_code == 201, answer.text
    for position, (proof, entry) in held.items():
        key_of(server).proof(proof, entry, position)
        key_of(server).proof(proof_of(server, position), entry, position)
    for as_of in (named, answer.json()["position"]):
        found = server.get(f"/v1/{subject}", proof="true", as_of=as_of)
        assert found.status_code == 200, found.text
        assert "A person" not in found.text
        checked(server, found.json(), redacted=frozenset([made]))
        assert {str(made), str(named)} <= set(found.json()["proofs"])
    assert before["proofs"][str(made)]["entry"] == held[made][1]


def test_proofs_of_a_large_state_come_in_one_answer(server):
    subject = f"platforms/{server.new('f')}"
    members = server.parties(150)
    server.take(
        event("platform.launched", subject, "2020", name="P"),
        *(event("platform.member-joined", subject, "2021", party=member) for member in members),
    )
    state = server.state(subject, proof="true")
    assert len(state["proofs"]) >= 101
    assert checked(server, state).size == server.head()
