"""Texts of documents are stored and sent, and every quotation is checked against them (section 3, Evidence)."""

from __future__ import annotations

import csv
import gzip
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.contract.server import BATCH, NDJSON, Server, event, is_problem, pointers, served
from tests.contract.texts import MOST, TEXT, Keys, ask, cite, digest, keys_of, put, registered, statuses, stored

_RECORDED_OR_CHECKED: tuple[dict[str, Any], ...] = ({}, {"params": {"validate": "only"}})


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a registry that these tests share, each with its own documents."""
    with served() as server:
        yield server


@pytest.fixture(scope="module")
def keys(server: Server) -> Keys:
    return keys_of(server)


# putting


def test_text_is_stored_unchanged_and_recorded_by_the_registry(server, keys):
    subject = registered(server)
    answer = put(server, subject)
    receipt = answer.json()
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/events/{receipt['position']}"
    assert answer.headers["Registry-Position"] == str(receipt["position"])
    assert set(receipt) == {"position", "id", "source", "subject", "version", "recorded", "leaf"}
    recorded = server.json(answer.headers["Location"])
    assert recorded["type"] == "document.text-stored"
    assert recorded["data"] == {"sha256": digest(TEXT), "characters": len(TEXT)}
    assert recorded["actor"] == "first"
    assert recorded["source"] == receipt["source"] == server.get("/log/checkpoint").text.splitlines()[0]
    state = server.state(subject)
    assert state["text"] == {"characters": len(TEXT)}
    assert state["events"]["text"] == [receipt["position"]]
    assert "text" not in server.state(subject, as_of=receipt["position"] - 1)
    given = ask(server, "GET", subject, keys.read)
    assert (given.status_code, given.content) == (200, TEXT.encode())


def test_the_same_text_again_gets_the_first_receipt_and_records_nothing(server):
    subject = registered(server)
    first = put(server, subject)
    for more in _RECORDED_OR_CHECKED:
        again = put(server, subject, **more)
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers["Location"] == first.headers["Location"]
    assert server.head() == first.json()["position"]


def test_a_text_that_is_not_the_registered_one_is_refused_with_both_hashes(server):
    subject = registered(server)
    before = server.head()
    for wrong in (TEXT + " ", TEXT.replace("\r", ""), TEXT.removeprefix("\ufeff")):
        for more in _RECORDED_OR_CHECKED:
            problem = is_problem(put(server, subject, wrong, **more), 422)
            assert digest(wrong) in problem["detail"]
            assert digest(TEXT) in problem["detail"]
    stored(server, subject)
    assert is_problem(put(server, subject, "another"), 422)
    assert server.head() == before + 1


@pytest.mark.parametrize(
    ("raw", "status"),
    [(b"", 422), (b"a\x00b", 422), (b"caf\xe9", 400), (b"\xed\xa0\x80", 400), (b"\xff\xfea\x00", 400)],
)
def test_invalid_utf_8_is_refused_even_with_the_registered_hash(server, raw, status):
    subject = registered(server, raw)
    before = server.head()
    assert is_problem(put(server, subject, raw), status)
    assert server.head() == before


def test_a_text_has_at_most_16_mebibytes(server, keys):
    largest = b"\xe5\xae\x81" * (MOST // 3) + b"a" * (MOST % 3)
    subject = registered(server, largest)
    too_large = largest + b"a"
    for body in (too_large, iter([too_large[:-1], too_large[-1:]])):
        assert is_problem(
            ask(server, "PUT", subject, server.key, content=body, headers={"Content-Type": "text/plain"}), 413
        )
    assert len(largest) == MOST
    stored(server, subject, largest)
    assert server.state(subject)["text"] == {"characters": MOST // 3 + MOST % 3}
    assert ask(server, "GET", subject, keys.read).content == largest


def test_text_needs_a_registered_document(server):
    assert is_problem(put(server, "documents/nobody"), 404)
    assert is_problem(put(server, "documents/No%20Slug"), 404)
    subject = registered(server)
    (position,) = [item["position"] for item in server.items(f"/v1/{subject}/history")]
    server.take(event("event.retracted", subject, event=position, reason="a mistake"))
    for method in ("PUT", "GET"):
        assert is_problem(ask(server, method, subject, server.make_key(f"a-{method.lower()}", "admin")), 410)
    assert is_problem(server.get(f"/v1/{subject}/passages"), 410)


def test_putting_takes_a_key_that_may_post(server, keys):
    subject = registered(server)
    assert is_problem(ask(server, "PUT", subject, None, content=TEXT), 401)
    assert is_problem(put(server, subject, key="rk_nobody"), 401)
    assert is_problem(put(server, subject, key=keys.read), 403)
    assert put(server, subject, key=keys.admin).status_code == 201


def test_a_body_that_is_no_plain_text_in_utf_8_is_refused(server):
    subject = registered(server)
    for headers in (
        {"Content-Type": "application/json"},
        {"Content-Type": "text/html"},
        {"Content-Type": "text/plain; charset=utf-16"},
        {"Content-Encoding": "gzip"},
    ):
        body = gzip.compress(TEXT.encode()) if "Content-Encoding" in headers else TEXT
        assert is_problem(put(server, subject, body, headers=headers), 415)
    for headers in ({"If-Match": '"1"'}, {"If-None-Match": "*"}):
        assert is_problem(put(server, subject, headers=headers), 400)
    assert is_problem(put(server, subject, params={"colour": "red"}), 422)
    sent = ask(server, "PUT", subject, server.key, content=TEXT.encode())
    assert sent.status_code == 201, "a body without a type is taken for what it must be"


def test_clients_cannot_post_that_a_text_is_stored_or_erased(server, keys):
    subject = registered(server)
    stored(server, subject)
    for kind in ("document.text-stored", "document.text-erased"):
        (given,) = server.whole([event(kind, subject, sha256=digest(TEXT), characters=len(TEXT))])
        assert is_problem(server.send(given, key=keys.admin), 422)
        assert is_problem(server.send([given], BATCH, key=keys.admin), 422)
    assert server.state(subject)["text"]


def test_events_recorded_for_a_text_cannot_be_corrected_or_retracted(server, keys):
    subject = registered(server)
    stored(server, subject)
    position = server.head()
    for kind, more in (
        ("event.redacted", {}),
        ("event.retracted", {}),
        ("event.corrected", {"data": {"sha256": digest(TEXT), "characters": 1}}),
    ):
        (given,) = server.whole([event(kind, subject, event=position, reason="no", **more)])
        assert is_problem(server.send(given, key=keys.admin), 422)["errors"][0]["pointer"] == "/data/event"
    assert server.state(subject)["text"]


# giving


def test_text_is_sent_only_with_a_key_that_may_read(server, keys):
    subject = registered(server)
    stored(server, subject)
    assert server.get(f"/v1/{subject}").status_code == 200
    assert is_problem(ask(server, "GET", subject, None), 401)
    assert is_problem(ask(server, "GET", subject, keys.post), 403)
    assert ask(server, "GET", subject, keys.admin).status_code == 200
    given = ask(server, "GET", subject, keys.read)
    assert given.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert given.headers["ETag"] == f'"{digest(TEXT)}"'
    assert "private" in given.headers["Cache-Control"]
    held = ask(server, "GET", subject, keys.read, headers={"If-None-Match": given.headers["ETag"]})
    assert (held.status_code, held.content) == (304, b"")
    head = ask(server, "HEAD", subject, keys.read)
    assert (head.status_code, head.headers["ETag"], head.content) == (200, given.headers["ETag"], b"")
    assert is_problem(ask(server, "GET", subject, keys.read, headers={"Accept": "application/json"}), 406)


def test_text_is_sent_as_of_positions_at_which_it_was_stored(server, keys):
    subject = registered(server)
    assert is_problem(ask(server, "GET", subject, keys.read), 404)
    position = stored(server, subject)
    for as_of, status in ((position - 1, 404), (position, 200), (0, 404)):
        assert ask(server, "GET", subject, keys.read, params={"as_of": as_of}).status_code == status
    assert is_problem(ask(server, "GET", subject, keys.read, params={"as_of": position + 9}), 422)
    assert is_problem(ask(server, "GET", "documents/nobody", keys.read), 404)


# erasing


def test_a_text_can_be_put_again_after_it_was_erased(server, keys):
    subject = registered(server)
    first = stored(server, subject)
    assert ask(server, "DELETE", subject, keys.admin).status_code == 200
    again = put(server, subject)
    assert (again.status_code, again.json()["position"]) == (201, first + 2)
    assert ask(server, "GET", subject, keys.read).text == TEXT
    assert ask(server, "GET", subject, keys.read, params={"as_of": first}).status_code == 404
    types = [item["type"].rpartition(".")[2] for item in server.items(f"/v1/{subject}/history")]
    assert types == ["registered", "text-stored", "text-erased", "text-stored"]


def test_only_an_admin_key_erases_and_only_a_stored_text(server, keys):
    subject = registered(server)
    assert is_problem(ask(server, "DELETE", subject, keys.admin), 404)
    assert is_problem(ask(server, "DELETE", "documents/nobody", keys.admin), 404)
    stored(server, subject)
    assert is_problem(ask(server, "DELETE", subject, None), 401)
    for key in (keys.post, keys.read):
        assert is_problem(ask(server, "DELETE", subject, key), 403)
    assert ask(server, "DELETE", subject, keys.admin).status_code == 200
    assert is_problem(ask(server, "DELETE", subject, keys.admin), 404)


# quotations


def test_a_false_quotation_is_refused_wherever_it_is_posted(server):
    subject = registered(server)
    stored(server, subject)
    right, wrong = cite(subject, "CATL"), {**cite(subject, "CATL"), "exact": "CATS"}
    nowhere, beyond = cite(subject, "No such words"), cite(subject, None, 5, len(TEXT) + 1)
    party = f"parties/{server.new('p')}"
    named = {"name": "P", "kind": "company"}
    position = server.took(event("party.registered", party, **named, evidence=[right]))

    def at(given: dict[str, Any]) -> set[str]:
        found = pointers(server.refused(given, status=422))
        assert pointers(is_problem(server.post(given, validate=True), 422)) == found
        return found

    fresh = event("party.registered", "parties/fresh", **named, evidence=[right, wrong, nowhere, beyond])
    assert at(fresh) == {"/data/evidence/1/exact", "/data/evidence/2/exact", "/data/evidence/3/end"}
    assert at(event("evidence.added", party, event=position, evidence=[wrong])) == {"/data/evidence/0/exact"}
    claims = [{"pointer": "/occurred", "value": "2020"}]
    assert at(event("event.disputed", party, event=position, claims=claims, evidence=[beyond])) == {
        "/data/evidence/0/end"
    }
    again = event("event.corrected", party, event=position, reason="r", data={**named, "evidence": [right, nowhere]})
    assert at(again) == {"/data/data/evidence/1/exact"}
    later = event("party.name-added", party, name="Q", evidence=[wrong])
    whole = server.whole([event("party.name-added", party, name="R"), later])
    assert pointers(is_problem(server.send(whole, BATCH), 422)) == {"/1/data/evidence/0/exact"}
    results = server.import_([event("party.name-added", party, name="S", evidence=[right]), later])
    assert ["leaf" in result for result in results] == [True, False]
    assert (results[1]["status"], pointers(results[1])) == (422, {"/data/evidence/0/exact"})
    assert server.state(party)["other_names"] == ["S"]


def test_quotations_are_compared_character_by_character(server):
    subject = registered(server)
    stored(server, subject)
    start = TEXT.index("🌍")
    for taken in (
        cite(subject, "🌍", start, start + 1),
        cite(subject, "“CATL” signed.\r\n宁德"),
        cite(subject, None, 0, len(TEXT)),
        cite(subject),
        {"document": subject, "exact": "Qofliphant"},
    ):
        server.party("A party", evidence=[taken])
    for refused in (
        cite(subject, "🌍", start, start + 2),
        cite(subject, '"CATL"'),
        cite(subject, "catl"),
        cite(subject, "signed.\n宁德"),
        {"document": subject, "exact": "Qofliphant  met"},
    ):
        server.refused(
            event("party.registered", "parties/refused", name="R", kind="company", evidence=[refused]), status=422
        )


def test_passages_recorded_before_the_text_are_checked_when_it_arrives(server, keys):
    subject = registered(server)
    passages = [
        cite(subject, "CATL"),
        {**cite(subject, "CATL"), "exact": "CATS"},
        cite(subject, None, 3, 9),
        cite(subject, None, 3, len(TEXT) + 7),
        cite(subject, "No such words"),
        cite(subject),
    ]
    one, two = server.parties(2)
    agreement, platform = f"agreements/{server.new('a')}", f"platforms/{server.new('p')}"
    known = server.take(
        event(
            "agreement.signed",
            agreement,
            "2020-02-03",
            title="T",
            kind="contract",
            parties=[{"party": one}, {"party": two}],
            evidence=passages,
        ),
        event(
            "agreement.commitment-made",
            agreement,
            "2020-03",
            commitment="c",
            kind="other",
            title="C",
            by=[one],
            evidence=passages,
        ),
        event("platform.launched", platform, "2019", name="P", evidence=passages),
        event("platform.member-joined", platform, "2020", party=one, evidence=passages),
    )
    after = ["verified", "failed", "verified", "failed", "failed", "unverified"]
    before = ["unverified"] * 6

    def shown(**as_of: Any) -> dict[str, list[list[str]]]:
        """Return the statuses wherever evidence is shown."""
        places: dict[str, Any] = {}
        for thing in (agreement, platform):
            places[thing] = [server.state(thing, evidence="full", **as_of)]
            history = server.items(f"/v1/{thing}/history", **as_of)
            places[f"{thing} history"] = [{"evidence": {"": item["evidence"]}} for item in history if item["evidence"]]
        for view in ("agreements", "platforms", "commitments", "memberships", "timeline"):
            places[view] = server.items(f"/v1/{view}", evidence="full", on="any", **as_of)
            lines = server.get(f"/v1/{view}", headers={"Accept": NDJSON}, evidence="full", on="any", **as_of)
            places[f"{view} as lines"] = [json.loads(line) for line in lines.text.splitlines()]
        return {
            place: [
                [passage["status"] for passage in passages]
                for item in items
                for passages in item["evidence"].values()
                if any(passage["document"]["subject"] == subject for passage in passages)
            ]
            for place, items in places.items()
        }

    seen = shown()
    assert all(seen.values()), seen
    assert all(each == before for found in seen.values() for each in found), seen
    position = stored(server, subject)
    seen = shown()
    assert all(seen.values()), seen
    assert all(each == after for found in seen.values() for each in found), seen
    assert all(each == before for found in shown(as_of=position - 1).values() for each in found)
    assert server.json(f"/v1/events/{known[0]}")["data"]["evidence"] == passages
    ask(server, "DELETE", subject, keys.admin)
    assert all(each == before for found in shown().values() for each in found)
    assert all(each == before for found in shown(as_of=position).values() for each in found)


def test_citations_of_a_document_come_in_the_order_of_its_text_with_their_facts(server):
    subject, other = registered(server), registered(server, "other")
    one = server.party({"en": "One", "zh": "一"})
    added = server.took(
        event(
            "party.name-added",
            one,
            "2020-05",
            name="Uno",
            evidence=[
                {**cite(subject, "签约"), "translation": {"en": "signing"}, "note": "n", "supports": ["/data/name"]},
                cite(subject, "Nothing of it"),
                cite(other, None, 0, 1),
            ],
        )
    )
    more = server.took(event("evidence.added", one, event=added, evidence=[cite(subject, "Chengdu")]))
    page = server.json(f"/v1/{subject}/passages")
    fact = {"position": added, "type": "party.name-added", "occurred": "2020-05"}
    fact["subject"] = {"subject": one, "name": {"en": "One", "zh": "一"}}
    start, placed = TEXT.index("Chengdu"), TEXT.index("签约")
    assert page == {
        "items": [
            {
                "start": start,
                "end": start + 7,
                "exact": "Chengdu",
                "status": "unverified",
                "event": more,
                "fact": fact,
            },
            {
                "start": placed,
                "end": placed + 2,
                "exact": "签约",
                "translation": {"en": "signing"},
                "note": "n",
                "supports": ["/data/name"],
                "status": "unverified",
                "event": added,
                "fact": fact,
            },
            {"exact": "Nothing of it", "status": "unverified", "event": added, "fact": fact},
        ],
        "next": None,
        "position": more,
        "used": {"characters": 9, "of": None, "share": None},
    }
    stored(server, subject)
    whole = server.json(f"/v1/{subject}/passages")
    assert whole["used"] == {"characters": 9, "of": len(TEXT), "share": round(9 / len(TEXT), 3)}
    assert [item["status"] for item in whole["items"]] == ["verified", "verified", "failed"]
    pages = list(server.pages(f"/v1/{subject}/passages", limit=1))
    assert [page["items"][0] for page in pages] == whole["items"]
    assert all(page["used"] == whole["used"] for page in pages)
    assert statuses(server, subject, status="failed", limit=1) == ["failed"]
    assert statuses(server, subject, status="unverified") == []
    lines = server.get(f"/v1/{subject}/passages", headers={"Accept": NDJSON}).text.splitlines()
    assert [json.loads(line) for line in lines] == whole["items"]
    table = list(
        csv.DictReader(io.StringIO(server.get(f"/v1/{subject}/passages", headers={"Accept": "text/csv"}).text))
    )
    assert [row["status"] for row in table] == ["verified", "verified", "failed"]
    assert (table[0]["fact_subject"], table[0]["fact_position"], table[0]["exact"]) == (one, str(added), "Chengdu")
    for query in ({"status": "good"}, {"colour": "red"}, {"cursor": "abc"}):
        assert is_problem(server.get(f"/v1/{subject}/passages", **query), 422)
    assert is_problem(server.get("/v1/documents/nobody/passages"), 404)


def test_passage_without_a_position_counts_as_used_once_it_is_verified(server):
    subject = registered(server)
    quoted = [{"document": subject, "exact": exact} for exact in ("signed", "signed", "Chengdu", "Nowhere")]
    party = f"parties/{server.new('p')}"
    server.take(event("party.registered", party, name="X", kind="company", evidence=quoted))
    start = TEXT.index("Chengdu") + 3
    overlapping = [{"document": subject, "start": start, "end": start + 6}]
    server.take(event("party.name-added", party, name="Y", evidence=overlapping))
    assert server.json(f"/v1/{subject}/passages")["used"]["characters"] == 6
    stored(server, subject)
    assert server.json(f"/v1/{subject}/passages")["used"]["characters"] == len("signed") + len("Chengdu") + 2


def test_passages_follow_corrections_and_retractions(server):
    subject = registered(server)
    one = server.party()
    named = {"name": "Uno", "evidence": [cite(subject, "CATL")]}
    added = server.took(event("party.name-added", one, **named))
    corrected = server.took(
        event(
            "event.corrected",
            one,
            event=added,
            reason="r",
            data={"name": "Eins", "evidence": [cite(subject, "signed")]},
        )
    )
    assert [item["exact"] for item in server.items(f"/v1/{subject}/passages")] == ["signed"]
    assert [item["exact"] for item in server.items(f"/v1/{subject}/passages", as_of=added)] == ["CATL"]
    kept = server.took(event("event.corrected", one, event=added, reason="r", data={"name": "Ein"}))
    assert [item["exact"] for item in server.items(f"/v1/{subject}/passages")] == ["signed"]
    server.take(event("event.retracted", one, event=corrected, reason="r"))
    assert [item["exact"] for item in server.items(f"/v1/{subject}/passages")] == ["CATL"]
    server.take(event("event.retracted", one, event=added, reason="r"))
    assert server.json(f"/v1/{subject}/passages")["used"]["characters"] == 0
    assert [item["exact"] for item in server.items(f"/v1/{subject}/passages", as_of=kept)] == ["signed"]


def test_redacted_evidence_is_no_citation(server, keys):
    subject = registered(server)
    one = server.party()
    added = server.took(event("party.name-added", one, name="Uno", evidence=[cite(subject, "CATL")]))
    (given,) = server.whole([event("event.redacted", one, event=added, reason="r")])
    assert server.send(given, key=keys.admin).status_code == 201
    assert server.items(f"/v1/{subject}/passages") == []
    assert server.items(f"/v1/{subject}/passages", as_of=added) == []


# at once


def test_of_concurrent_puts_one_is_recorded(server):
    for _ in range(5):
        subject = registered(server)
        start = threading.Barrier(8)

        def one(subject: str = subject, start: threading.Barrier = start) -> httpx.Response:
            start.wait(20)
            return put(server, subject)

        with ThreadPoolExecutor(8) as pool:
            answers = [future.result() for future in [pool.submit(one) for _ in range(8)]]
        assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
        assert len({answer.content for answer in answers}) == 1
        assert [item["type"] for item in server.items(f"/v1/{subject}/history")][1:] == ["document.text-stored"]


def test_full_evidence_has_the_words_of_a_passage_and_the_notes_of_events(server):
    subject = registered(server)
    start, end = 2, 9
    made = event(
        "party.registered",
        f"parties/{subject.partition('/')[2]}-quoted",
        name="A",
        kind="company",
        note="A guess.",
        evidence=[{"document": subject, "start": start, "end": end}],
    )
    position = str(server.post(made).json()["position"])
    address = f"/v1/{made['subject']}"
    (passage,) = server.client.get(f"{address}?evidence=full").json()["evidence"][position]
    assert "exact" not in passage
    assert put(server, subject).status_code == 201
    state = server.client.get(f"{address}?evidence=full").json()
    (passage,) = state["evidence"][position]
    assert (passage["exact"], passage["status"]) == (TEXT[start:end], "verified")
    assert (passage["prefix"], passage["suffix"]) == (TEXT[:start], TEXT[end : end + 60])
    assert state["notes"] == {position: "A guess."}
    assert "notes" not in server.client.get(address).json()
