"""Section 6: a replay of a view equals the stored view as of every position, and a changed view has another digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.server import NDJSON, PROBLEM, Server, event, is_problem, pointers, served
from tests.processes import processes, soon

VIEWS = (
    "parties",
    "agreements",
    "labs",
    "platforms",
    "memberships",
    "commitments",
    "documents",
    "timeline",
    "history",
)
EMPTY = f"sha256:{hashlib.sha256(b'').hexdigest()}"
LONG = "word " * 4000


def replayed(server: Server, view: str, **until: Any) -> tuple[list[bytes], dict[str, Any]]:
    """Return the lines of a replay, and the last one, whose digest must match the bytes before it."""
    answer = server.get("/v1/replay", view=view, **until)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].split(";")[0] == NDJSON
    assert answer.content.endswith(b"\n")
    *lines, last = answer.content.splitlines(keepends=True)
    closing = json.loads(last)
    assert set(closing) == {"position", "digest"}
    assert closing["digest"] == f"sha256:{hashlib.sha256(b''.join(lines)).hexdigest()}"
    return lines, closing


def digests(server: Server, **query: Any) -> dict[str, str]:
    found = server.json("/v1/digests", **query)
    assert set(found) <= {"position", "digests", "redacted"}
    return dict(found["digests"])


def children(server: Server) -> list[int]:
    """Return the child processes that the server has started and not yet waited for."""
    return [each.pid for each in processes() if each.parent == server.process.pid]


def left_behind(server: Server) -> list[str]:
    """Return unexpected files in the data directory."""
    kept = re.compile(r"lock|log\.key|checkpoint|(log|views|keys)\.sqlite(-wal|-shm)?")
    return [path.name for path in server.data.iterdir() if not kept.fullmatch(path.name)]


def story(server: Server) -> list[int]:
    """Record events of every kind, corrected, disputed, retracted, merged; return the positions."""
    a, b, c = server.parties(3)
    agreement, lab, platform, document = (
        f"{name}/{server.new('x')}" for name in ("agreements", "labs", "platforms", "documents")
    )
    passage = [{"document": document, "exact": "x"}]
    made = server.take(
        event("document.registered", document, title="D", sha256="0" * 64),
        event(
            "agreement.signed",
            agreement,
            "2021-01~",
            title="T",
            kind="treaty",
            parties=[{"party": a}, {"party": b}],
            scope=["solar"],
            evidence=passage,
        ),
        event("agreement.entered-into-force", agreement, "2022-06", party=a),
        event("agreement.commitment-made", agreement, "2021-02", commitment="x", kind="research", title="C", by=[a]),
        event("lab.founded", lab, "2021", name="L", founders=[a, c], phases=[{"phase": "one"}]),
        event("platform.launched", platform, "2020", name="P"),
        event("platform.member-joined", platform, "2021-03-04", party=b, category="maker"),
    )
    made += server.take(event("event.corrected", platform, event=made[6], reason="misread", occurred="2021-05"))
    made += server.take(
        event(
            "event.disputed",
            platform,
            event=made[5],
            claims=[{"pointer": "/occurred", "value": "2019"}],
            evidence=passage,
        )
    )
    made += server.take(event("party.merged", c, into=b))
    made += server.take(event("event.retracted", agreement, event=made[3], reason="a mistake"))
    return made


@pytest.fixture(scope="module")
def recorded_story() -> Iterator[tuple[Server, list[int]]]:
    """Return a registry with a story, and the positions of its events; tests only query."""
    with served() as server:
        yield server, story(server)


@pytest.mark.parametrize("view", VIEWS)
def test_replay_equals_the_stored_view_as_of_every_position(recorded_story, view):
    server, made = recorded_story
    counts = []
    for position in (made[4], made[-3], made[-1]):
        lines, closing = replayed(server, view, until=position)
        assert closing == {"position": position, "digest": digests(server, as_of=position, view=view)[view]}
        assert all(isinstance(json.loads(line), dict) for line in lines)
        counts.append(len(lines))
    assert max(counts) > 0


def test_digests_are_of_every_view_now_by_default(recorded_story):
    server, made = recorded_story
    found = server.json("/v1/digests")
    assert set(found) == {"position", "digests"}
    assert found["position"] == made[-1] == server.head()
    assert set(found["digests"]) == set(VIEWS)
    assert replayed(server, "history")[1] == {"position": made[-1], "digest": found["digests"]["history"]}
    assert digests(server, as_of=0) == dict.fromkeys(VIEWS, EMPTY)
    answer = server.client.get("/v1/digests", params=[("view", "labs"), ("view", "parties")])
    assert answer.json()["digests"] == {view: found["digests"][view] for view in ("labs", "parties")}


def test_instant_selects_the_events_recorded_by_then(recorded_story):
    server, made = recorded_story
    recorded = server.json(f"/v1/events/{made[6]}")["recorded"]
    position = max(at for at in made if server.json(f"/v1/events/{at}")["recorded"] <= recorded)
    assert replayed(server, "timeline", until=recorded)[1]["position"] == position
    assert server.json("/v1/digests", as_of=recorded)["position"] == position
    assert replayed(server, "timeline", until="2020-01-01T00:00:00Z") == ([], {"position": 0, "digest": EMPTY})


def test_replay_of_the_history_has_every_event_with_actor_times_and_evidence(recorded_story):
    server, made = recorded_story
    lines = [json.loads(line) for line in replayed(server, "history")[0]]
    assert [line["position"] for line in lines] == list(range(1, made[-1] + 1))
    recorded = server.json(f"/v1/events/{made[1]}")
    line = lines[made[1] - 1]
    for name in ("id", "source", "type", "subject", "version", "recorded", "actor", "occurred", "data"):
        assert line[name] == recorded[name], name
    assert line["data"]["evidence"]


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("/v1/replay", {}, "view"),
        ("/v1/replay", {"view": "nations"}, "view"),
        ("/v1/replay", {"view": "labs", "until": "999999"}, "until"),
        ("/v1/replay", {"view": "labs", "until": "-1"}, "until"),
        ("/v1/replay", {"view": "labs", "until": "yesterday"}, "until"),
        ("/v1/replay", {"view": "labs", "until": "2999-01-01T00:00:00Z"}, "until"),
        ("/v1/replay", {"view": "labs", "as_of": "1"}, "as_of"),
        ("/v1/digests", {"view": "nations"}, "view"),
        ("/v1/digests", {"as_of": "999999"}, "as_of"),
        ("/v1/digests", {"on": "2020-01-01"}, "on"),
    ],
)
def test_invalid_query_is_refused_before_the_replay_starts(recorded_story, path, query, parameter):
    server, _ = recorded_story
    problem = is_problem(server.get(path, **query), 422)
    assert [error["parameter"] for error in problem["errors"]] == [parameter]
    assert pointers(problem) == {""}
    assert children(server) == []


def test_head_of_a_replay_has_its_headers_and_folds_nothing(recorded_story):
    server, _ = recorded_story
    answer = server.client.head("/v1/replay", params={"view": "labs"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].split(";")[0] == NDJSON
    assert children(server) == []
    assert is_problem(server.get("/v1/replay", view="labs", headers={"Accept": "text/html"}), 406)


@pytest.mark.parametrize(
    ("change", "views"),
    [
        (
            "UPDATE subject_states SET name = replace(CAST(name AS TEXT), '\"T\"', '\"U\"') WHERE kind = 'treaty'",
            {"agreements"},
        ),
        ("UPDATE memberships SET status = status + 1 WHERE container_name LIKE 'platforms%'", {"memberships"}),
        ("UPDATE subject_states SET valid_from = valid_from + 1 WHERE collection = 3", {"platforms"}),
        ("UPDATE list_items SET system_to = 1 << 62 WHERE section = 0", {"commitments"}),
        ("UPDATE facts SET at = at - 1 WHERE rank = (SELECT max(rank) FROM facts)", {"timeline"}),
        ("UPDATE events SET actor = source WHERE position = 4", {"history"}),
        ("UPDATE events SET recorded = '2020-01-01T00:00:00.000000Z' WHERE position = 4", {"history", "timeline"}),
    ],
)
def test_changed_row_changes_the_digest_of_its_view(tmp_path, change, views):
    with Server(tmp_path / "data", "--first-key") as server:
        story(server)
        before = digests(server)
        assert server.stop() == 0
        changed = sqlite3.connect(server.data / "views.sqlite")
        with changed:
            assert changed.execute(change).rowcount > 0
        changed.close()
        server.restart()
        after = digests(server)
        assert {view for view in VIEWS if after[view] != before[view]} == views
        for view in views:
            assert replayed(server, view)[1]["digest"] == before[view]


def test_redaction_changes_earlier_digests_and_is_named_with_them(tmp_path):
    with Server(tmp_path / "data", "--first-key") as server:
        story(server)
        subject = f"parties/{server.new('p')}"
        (position,) = server.take(event("party.registered", subject, name="Secret", kind="person", note="Hidden"))
        last = server.took(event("party.renamed", subject, name="Anew"))
        before = server.json("/v1/digests", as_of=last)
        assert "redacted" not in before
        admin = server.make_key("root", "admin")
        (erasing,) = server.whole([event("event.redacted", subject, event=position, reason="asked for")])
        by = server.send(erasing, key=admin).json()["position"]
        for at in (position - 1, last, by):
            found = server.json("/v1/digests", as_of=at)
            assert found.get("redacted", []) == ([{"position": position, "by": by}] if position <= at < by else [])
            for view in ("parties", "timeline", "history"):
                lines, closing = replayed(server, view, until=at)
                assert closing == {"position": at, "digest": found["digests"][view]}
                assert not any(b"Secret" in line or b"Hidden" in line for line in lines)
        after = digests(server, as_of=last)
        assert {view for view in VIEWS if after[view] != before["digests"][view]} == {"parties", "timeline", "history"}


def test_replays_go_on_while_events_are_posted(tmp_path):
    with Server(tmp_path / "data", "--first-key") as server:
        made = story(server)
        stopped = threading.Event()

        def post() -> None:
            while not stopped.is_set():
                server.party()

        posting = threading.Thread(target=post)
        posting.start()
        try:
            for view in ("history", "parties", "memberships"):
                assert replayed(server, view, until=made[-1])[1]["digest"] == digests(server, as_of=made[-1])[view]
                closing = replayed(server, view)[1]
                assert closing["position"] >= made[-1]
                assert closing["digest"] == digests(server, as_of=closing["position"])[view]
        finally:
            stopped.set()
            posting.join()
        assert server.head() > made[-1]


@pytest.fixture(scope="module")
def long_history() -> Iterator[Server]:
    """Return a registry whose history is longer than the buffers of a connection."""
    with served() as server:
        server.imported(
            [event("party.registered", f"parties/w-{at}", name="W", kind="company", note=LONG) for at in range(1500)]
        )
        yield server


def test_replay_ends_when_its_client_disconnects_and_leaves_nothing(long_history):
    with long_history.client.stream("GET", "/v1/replay", params={"view": "history"}) as answer:
        assert answer.status_code == 200
        assert len(children(long_history)) == 1
    assert soon(lambda: children(long_history) == [])
    assert soon(lambda: left_behind(long_history) == [])
    assert replayed(long_history, "documents")[1]["position"] == 1500


def test_replay_ends_when_its_client_disconnects_before_the_first_byte(long_history):
    with long_history.client.stream("GET", "/v1/replay", params={"view": "labs"}):
        (child,) = children(long_history)
        os.kill(child, signal.SIGSTOP)  # as if the log were so long
    assert soon(lambda: children(long_history) == [])
    assert soon(lambda: left_behind(long_history) == [])
    assert "Traceback" not in long_history.errors()


def test_at_most_two_replays_run_and_more_get_503_with_retry_after(long_history):
    with (
        long_history.client.stream("GET", "/v1/replay", params={"view": "history"}),
        long_history.client.stream("GET", "/v1/replay", params={"view": "history"}),
    ):
        refused = long_history.get("/v1/replay", view="labs")
        is_problem(refused, 503)
        assert int(refused.headers["Retry-After"]) > 0
        assert len(children(long_history)) == 2
        long_history.party()  # and posting is not held up
    assert soon(lambda: long_history.get("/v1/replay", view="labs").status_code == 200)


def test_stopping_server_cuts_a_replay_off_and_ends_its_process(tmp_path):
    with Server(tmp_path / "data", "--first-key") as server:
        server.imported(
            [event("party.registered", f"parties/w-{at}", name="W", kind="company", note=LONG) for at in range(1500)]
        )
        with server.client.stream("GET", "/v1/replay", params={"view": "history"}) as answer:
            (child,) = children(server)
            server.process.terminate()
            assert server.process.wait(10) == 0  # though the client reads nothing
            with pytest.raises(httpx.TransportError):
                for _ in answer.iter_bytes():
                    pass
        assert not Path(f"/proc/{child}").exists()
        assert left_behind(server) == []


def test_files_of_a_killed_replay_are_removed_at_the_next_start(tmp_path):
    with Server(tmp_path / "data", "--first-key") as server:
        server.party()
        server.kill()
        (server.data / "replay-abc" / "folding-x").mkdir(parents=True)
        (server.data / "replay-abc" / "folding-x" / "views.sqlite").write_bytes(b"half")
        server.restart()
        assert left_behind(server) == []


def test_failed_replay_never_looks_complete(tmp_path):
    with Server(tmp_path / "data", "--first-key") as server:
        server.parties(5)
        assert server.stop() == 0
        log = sqlite3.connect(server.data / "log.sqlite")
        with log:
            log.execute("UPDATE events SET data = '{\"name\":1}' WHERE position = 2")
        log.close()
        server.restart()
        with pytest.raises(httpx.TransportError):
            server.get("/v1/replay", view="parties")
        assert soon(lambda: "a replay failed" in server.errors())
        assert len(replayed(server, "parties", until=1)[0]) == 1
        assert soon(lambda: children(server) == [])


def test_the_problem_of_too_many_has_a_page(recorded_story):
    server, _ = recorded_story
    page = server.get("/problems/busy")
    assert page.status_code == 200
    assert PROBLEM not in page.headers["Content-Type"]
