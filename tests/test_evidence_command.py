"""`registry evidence`: which document a file belongs to, which citations it verifies, and the first difference of a
false quotation. Where the five documents are given, every citation in the seeds is verified."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import orjson
import pytest

from tests.service.commands import done, refused, run, serving
from tests.service.query_helpers import event, party, seed_lines
from tests.test_seeds import DOCUMENTS, MANIFEST

TEXT = "CATL signed in 成都 on Monday 🌍, it is said.\r\nNothing more.\n"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def source_files() -> list[Path]:
    if not DOCUMENTS:
        pytest.skip("REGISTRY_SEED_DOCUMENTS names no directory of the source documents")
    return [Path(DOCUMENTS) / entry["source_file"] for entry in MANIFEST]


def written(path: Path, text: str = TEXT) -> Path:
    path.write_bytes(text.encode())
    return path


def recorded(data: Path, *more: dict, text: str = TEXT) -> None:
    """Record a document, and more events, without a server."""
    registration = event(
        "document.registered", "documents/d", {"title": {"en": "News"}, "sha256": sha256(text.encode()).hexdigest()}
    )
    done("import", "-", data=data, stdin=b"".join(orjson.dumps(each) + b"\n" for each in (registration, *more)))


def cite(exact: str | None = None, start: int | None = None, end: int | None = None) -> dict:
    given = {"document": "documents/d", "exact": exact, "start": start, "end": end}
    return {name: value for name, value in given.items() if value is not None}


RIGHT = (cite("CATL", 0, 4), cite(None, 2, 6), cite("成都"))
WRONG = (cite("CATL signed off", 0, 15), cite(None, 50, 500), cite("it was said"))


@pytest.mark.parametrize("how", ["data", "url"])
def test_every_citation_in_the_seeds_is_verified(data, source_files, how):
    done("import", "-", data=data, stdin=seed_lines())
    if how == "data":
        reports = [orjson.loads(done("evidence", *source_files, "--json", data=data)) for _ in range(2)]
    else:
        with serving(data) as server:
            key = done("keys", "create", "k", "--scope", "post", data=data).decode().strip()
            at = ("--url", server.url, "--key", key)
            reports = [orjson.loads(done("evidence", *source_files, "--json", *at)) for _ in range(2)]
            state = server.json(f"/v1/{MANIFEST[0]['document']}")
            assert state["text"] == {"characters": MANIFEST[0]["code_points"]}
    assert reports[0] == reports[1]
    assert [[each["subject"] for each in file["documents"]] for file in reports[0]] == [
        [entry["document"]] for entry in MANIFEST
    ]
    cited = sum(
        len(orjson.loads(line)["data"].get("evidence", ())) for line in seed_lines().splitlines() if line.strip()
    )
    documents = [document for file in reports[0] for document in file["documents"]]
    assert sum(document["passages"]["verified"] for document in documents) == cited
    for document, entry in zip(documents, MANIFEST, strict=True):
        assert document["passages"]["unverified"] == document["passages"]["failed"] == 0
        assert document["used"]["of"] == entry["code_points"]
        assert 0 < document["used"]["characters"] <= entry["code_points"]


def test_valid_quotations_are_reported_and_exit_with_0(data, tmp_path):
    recorded(data, party("a", evidence=list(RIGHT)))
    file = written(tmp_path / "news.txt")
    for _ in range(2):
        said = done("evidence", file, data=data).decode()
        assert f"{file}: documents/d, News" in said
        assert "3 passages: 3 verified, 0 unverified, 0 failed" in said
        assert f"8 of {len(TEXT)} characters" in said


def test_false_quotations_are_named_with_the_first_difference(data, tmp_path):
    added = event("evidence.added", "parties/a", {"event": 2, "evidence": [WRONG[1]]})
    recorded(data, party("a", evidence=[*RIGHT, WRONG[0], WRONG[2], cite()]), added)
    file = written(tmp_path / "news.txt")
    ended = run("evidence", file, data=data)
    said = ended.stdout.decode()
    assert ended.returncode == 1, said
    assert "7 passages: 3 verified, 1 unverified, 3 failed" in said
    failed = [line.strip() for line in said.splitlines() if line.strip().startswith("failed")]
    fact = "event 2, party.registered of parties/a"
    assert failed[0].startswith(f"failed: 0 to 15 ({fact}): at 12 ")
    assert TEXT[12:15] in failed[0]
    assert "'off'" in failed[0]
    assert failed[1] == f"failed: 50 to 500 ({fact}, cited by event 3): the text ends at {len(TEXT)}"
    place = TEXT.index("it is said") + 3
    assert failed[2].startswith(f"failed: without a position ({fact}): at {place} the text has 'is said.")
    assert "'was said'" in failed[2]
    report = run("evidence", file, "--json", data=data)
    assert report.returncode == 1
    ((document,),) = [file["documents"] for file in orjson.loads(report.stdout)]
    assert document["passages"] == {"verified": 3, "unverified": 1, "failed": 3}
    assert [passage["difference"]["at"] for passage in document["failed"]] == [12, len(TEXT), place]
    assert [passage["fact"]["position"] for passage in document["failed"]] == [2, 2, 2]


def test_file_of_no_document_is_reported_and_the_others_are_checked(data, tmp_path):
    recorded(data, party("a", evidence=list(RIGHT)))
    known, unknown = written(tmp_path / "news.txt"), written(tmp_path / "other.txt", TEXT.replace("\r", ""))
    ended = run("evidence", unknown, known, data=data)
    assert ended.returncode == 1
    first, second, third = ended.stdout.decode().splitlines()
    assert first == f"{unknown}: belongs to no registered document"
    assert "documents/d" in second
    assert "3 verified" in third


def test_several_documents_may_share_one_text(data, tmp_path):
    again = event("document.registered", "documents/e", {"title": "E", "sha256": sha256(TEXT.encode()).hexdigest()})
    recorded(data, again)
    (file,) = orjson.loads(done("evidence", written(tmp_path / "news.txt"), "--json", data=data))
    assert [document["subject"] for document in file["documents"]] == ["documents/d", "documents/e"]


def test_directory_in_use_is_refused_with_advice_to_give_the_address(data, tmp_path):
    recorded(data)
    file = written(tmp_path / "news.txt")
    with serving(data) as server:
        assert "--url" in refused("evidence", file, data=data, code=2)
        assert "key" in refused("evidence", file, "--url", server.url, code=2)
        reader = done("keys", "create", "r", "--scope", "read", data=data).decode().strip()
        assert "post" in refused("evidence", file, "--url", server.url, "--key", reader, code=2)
        assert "text" not in server.json("/v1/documents/d")
        key = done("keys", "create", "k", "--scope", "post", data=data).decode().strip()
        assert b"0 passages" in done("evidence", file, "--url", server.url, REGISTRY_KEY=key)


def test_unusable_input_exits_with_2_and_one_line(data, tmp_path):
    file = written(tmp_path / "news.txt")
    assert "no log" in refused("evidence", file, data=data, code=2)
    assert not data.exists()
    assert "127.0.0.1:1" in refused("evidence", file, "--url", "http://127.0.0.1:1", code=2)
    assert "address" in refused("evidence", file, "--url", "nonsense", code=2)
    assert "missing.txt" in refused("evidence", tmp_path / "missing.txt", data=data, code=2)
    assert "FILES" in refused("evidence", data=data, code=2)
    assert "together" in refused("evidence", file, "--url", "http://127.0.0.1:1", "--data", data, code=2)


def test_refused_text_exits_with_2_and_the_others_are_checked(data, tmp_path):
    """A document with another stored text refuses this one until that is deleted."""
    other = "An older text.\n"
    recorded(data, text=other)
    done("evidence", written(tmp_path / "old.txt", other), data=data)
    correction = event(
        "event.corrected",
        "documents/d",
        {"event": 1, "reason": "r", "data": {"title": "D", "sha256": sha256(TEXT.encode()).hexdigest()}},
    )
    fine = event("document.registered", "documents/e", {"title": "E", "sha256": sha256(b"fine").hexdigest()})
    done("import", "-", data=data, stdin=orjson.dumps(correction) + b"\n" + orjson.dumps(fine))
    ended = run("evidence", written(tmp_path / "news.txt"), written(tmp_path / "fine.txt", "fine"), data=data)
    assert ended.returncode == 2
    said = ended.stdout.decode()
    assert "stored already" in said
    assert "documents/e, E" in said
