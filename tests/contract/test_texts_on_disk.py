"""A stored text survives a crash, and an erased one is in no file (section 3, Evidence)."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.contract.server import Server, command, event, is_problem
from tests.contract.texts import (
    TEXT,
    WORDS,
    Keys,
    ask,
    cite,
    digest,
    files_with,
    keys_of,
    put,
    registered,
    statuses,
    stored,
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", "--first-key") as server:
        yield server


@pytest.fixture
def keys(server: Server) -> Keys:
    return keys_of(server)


def test_validate_only_of_a_text_stores_nothing(server, keys):
    subject = registered(server)
    before = server.head()
    answer = put(server, subject, params={"validate": "only"})
    assert (answer.status_code, answer.json()["position"]) == (201, before + 1)
    assert "Location" not in answer.headers
    assert server.head() == before
    assert is_problem(ask(server, "GET", subject, keys.read), 404)
    assert files_with(server, *WORDS) == []
    stored(server, subject)
    checked = ask(server, "DELETE", subject, keys.admin, params={"validate": "only"})
    assert (checked.status_code, server.head()) == (200, before + 1)
    assert ask(server, "GET", subject, keys.read).status_code == 200


def test_erased_text_is_absent_from_files_and_answers(server, keys):
    subject, other = registered(server), registered(server, "kept: Wxyz")
    stored(server, subject)
    stored(server, other, "kept: Wxyz")
    server.take(event("party.registered", "parties/p", name="P", kind="company", evidence=[cite(subject, "CATL")]))
    ask(server, "GET", subject, keys.read)
    assert files_with(server, *WORDS)
    answer = ask(server, "DELETE", subject, keys.admin)
    assert answer.status_code == 200
    assert files_with(server, *WORDS) == []
    assert files_with(server, "Wxyz")
    position = answer.json()["position"]
    recorded = server.json(answer.headers["Location"])
    assert (recorded["position"], recorded["type"], recorded["actor"]) == (position, "document.text-erased", "root")
    assert recorded["data"] == {"sha256": digest(TEXT), "characters": len(TEXT)}
    assert "text" not in server.state(subject)
    for as_of in range(position + 1):
        assert ask(server, "GET", subject, keys.read, params={"as_of": as_of}).status_code == 404
    assert statuses(server, subject) == ["unverified"]
    assert statuses(server, subject, as_of=position - 1) == ["unverified"]
    assert ask(server, "GET", other, keys.read).text == "kept: Wxyz"
    for end in (server.kill, server.stop):
        end()
        assert files_with(server, *WORDS) == []
        server.restart()
        assert ask(server, "GET", subject, keys.read).status_code == 404
        assert ask(server, "GET", other, keys.read).text == "kept: Wxyz"


def test_the_text_of_a_document_that_was_retracted_can_be_erased(server, keys):
    subject = registered(server)
    (position,) = [item["position"] for item in server.items(f"/v1/{subject}/history")]
    stored(server, subject)
    server.take(event("event.retracted", subject, event=position, reason="a mistake"))
    assert ask(server, "DELETE", subject, keys.admin).status_code == 200
    assert files_with(server, *WORDS) == []


def test_views_agree_with_the_log_about_texts_before_and_after_an_erasure(server, keys):
    subject = registered(server)
    server.take(event("party.registered", "parties/p", name="P", kind="company", evidence=[cite(subject, "CATL")]))
    stored(server, subject)

    def digests() -> tuple[str, str]:
        lines = server.get("/v1/replay", view="documents").text.splitlines()
        return server.json("/v1/digests")["digests"]["documents"], json.loads(lines[-1])["digest"]

    held = digests()
    assert held[0] == held[1]
    ask(server, "DELETE", subject, keys.admin)
    erased = digests()
    assert erased[0] == erased[1]
    assert erased != held


def test_concurrent_erasures_get_the_same_answers(server, keys):
    subjects = [registered(server, f"{number}{TEXT}") for number in range(8)]
    for number, subject in enumerate(subjects):
        stored(server, subject, f"{number}{TEXT}")

    def delete(number: int) -> int:
        time.sleep(0.15 * number)  # while the views are folded anew for those before
        return ask(server, "DELETE", subjects[number], keys.admin).status_code

    with ThreadPoolExecutor(len(subjects)) as pool:
        assert list(pool.map(delete, range(len(subjects)))) == [200] * len(subjects)
    assert files_with(server, *WORDS) == []
    assert server.get("/readyz").status_code == 200


def test_concurrent_puts_and_deletes_are_serialised(server, keys):
    subject = registered(server)

    def some(method: str) -> list[int]:
        return [
            (put(server, subject) if method == "PUT" else ask(server, "DELETE", subject, keys.admin)).status_code
            for _ in range(4)
        ]

    with ThreadPoolExecutor(4) as pool:
        puts, deletes = ([pool.submit(some, method) for _ in range(2)] for method in ("PUT", "DELETE"))
        assert {status for future in puts for status in future.result()} <= {200, 201}
        assert {status for future in deletes for status in future.result()} <= {200, 404}
    told = [item["type"].rpartition("-")[2] for item in server.items(f"/v1/{subject}/history")][1:]
    assert told == (["stored", "erased"] * len(told))[: len(told)]
    is_held = ask(server, "GET", subject, keys.read).status_code == 200
    assert is_held == (told[-1:] == ["stored"])
    assert bool(files_with(server, *WORDS)) == is_held


def test_acknowledged_text_survives_a_kill_and_a_rebuild(server, keys):
    subject = registered(server)
    server.take(event("party.registered", "parties/p", name="P", kind="company", evidence=[cite(subject, "CATL")]))
    stored(server, subject)
    server.kill()
    server.restart()
    assert ask(server, "GET", subject, keys.read).text == TEXT
    server.stop()
    for path in server.data.glob("views.sqlite*"):
        path.unlink()
    server.restart()
    assert ask(server, "GET", subject, keys.read).text == TEXT
    assert statuses(server, subject) == ["verified"]
    done = command("rebuild", "--data", server.data)
    assert done.returncode == 0, done.stderr
    assert ask(server, "GET", subject, keys.read).text == TEXT
    assert put(server, subject).status_code == 200


@pytest.mark.parametrize("moment", [0.0, 0.004, 0.02])
def test_a_kill_while_a_text_is_put_leaves_it_whole_or_not_at_all(server, keys, moment):
    texts = {}
    for number in range(6):
        text = f"{number} {TEXT}" * 2000
        texts[registered(server, text)] = text
    acknowledged = []

    def keep() -> None:
        for subject, text in texts.items():
            try:
                if put(server, subject, text).status_code == 201:
                    acknowledged.append(subject)
            except httpx.HTTPError:
                return

    putting = threading.Thread(target=keep)
    putting.start()
    while len(acknowledged) < 2 and putting.is_alive():
        time.sleep(0.001)
    time.sleep(moment)
    server.kill()
    putting.join(20)
    server.restart()
    for subject, text in texts.items():
        given = ask(server, "GET", subject, keys.read)
        events = [item["type"] for item in server.items(f"/v1/{subject}/history")]
        assert ("document.text-stored" in events) == (given.status_code == 200)
        assert given.status_code == 200 or subject not in acknowledged
        if given.status_code == 200:
            assert given.text == text
    for subject, text in texts.items():
        assert put(server, subject, text).status_code in (200, 201)


def test_redaction_of_a_document_leaves_its_text_which_can_still_be_erased(server, keys):
    subject = registered(server)
    server.take(event("party.registered", "parties/p", name="P", kind="company", evidence=[cite(subject, "CATL")]))
    stored(server, subject)
    assert statuses(server, subject) == ["verified"]
    (given,) = server.whole([event("event.redacted", subject, event=1, reason="r")])
    assert server.send(given, key=keys.admin).status_code == 201
    assert ask(server, "GET", subject, keys.read).text == TEXT
    assert "sha256" not in server.state(subject)
    assert statuses(server, subject) == ["unverified"]
    assert is_problem(put(server, subject), 422)
    assert ask(server, "DELETE", subject, keys.admin).status_code == 200
    assert files_with(server, *WORDS) == []
    assert is_problem(put(server, subject), 422)
