"""`registry audit` from the command line: options, output and exit status, for directories and servers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tlog_scales.backend import make_backend
from tlog_scales.reader import TilesReader
from tlog_scales.signing import Vkey
from tlog_scales.tiles import leaf_hash

from tests.contract.auditor import Auditor
from tests.contract.audits import Story, assert_fails, assert_passes, entry_with, run_audit, tamper, wait_for_checkpoint
from tests.contract.server import Server, command, event
from tests.contract.texts import TEXT

CHANGED = "UPDATE events SET {0} = CAST(replace(CAST({0} AS TEXT), ?, ?) AS BLOB) WHERE position = ?"
CHECKS = ["signature", "files", "order", "entries", "data", "redactions", "tiles", "root", "texts", "evidence", "views"]


@pytest.fixture
def data(story: Story, tmp_path: Path) -> Path:
    return story.copied(tmp_path / "data")


# nothing is wrong


def test_unchanged_directory_passes_and_is_not_written_to(story, data):
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    found = assert_passes(data, "--vkey", story.vkey)
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    assert [(check["name"], check["verdict"]) for check in found.report["checks"]] == [
        (name, "pass") for name in CHECKS
    ]
    assert found.report["events"] == found.report["checkpoint"]["size"] == story.head
    assert found.report["key"] == story.vkey
    assert found.report["notes"] == []


def test_report_as_text_ends_with_the_verdict(story, data):
    done = command("audit", "--no-views", env={"REGISTRY_DATA": str(data)})
    assert done.returncode == 0, done
    first, *_, last = done.stdout.decode().splitlines()
    assert first == f"Audit of {data}, log {story.vkey.partition('+')[0]}"
    assert last.startswith(f"PASS: {story.head} events verified, without files and views, in ")
    tamper(data, (CHANGED.format("data"), "An agreement", "An agreemens", story.agreement))
    done = command("audit", data)
    assert done.returncode == 1, done
    said = done.stdout.decode()
    assert f"First finding (data):\n  position {story.agreement}, agreements/a, /data/title: " in said
    assert "expected 'An agreement', found 'An agreemens'" in said
    assert said.splitlines()[-1].startswith("FAIL: 1 finding, in ")
    assert done.stderr == b""


def test_empty_log_passes(tmp_path):
    with Server(tmp_path / "data") as server:
        found = assert_passes(server.address)
        assert found.report["events"] == found.report["checkpoint"]["size"] == 0
    assert_passes(tmp_path / "data")


def test_log_passes_while_a_server_records_events(data):
    with Server(data) as server:
        server.key = server.make_key("poster", "post")
        for number in range(3):
            server.take(*(event("party.renamed", "parties/p-000", name=f"P {number} {each}") for each in range(40)))
            for target in (server.address, data):
                found = assert_passes(target)
                assert found.report["events"] >= found.report["checkpoint"]["size"]


def test_server_that_needs_a_key_for_reading_is_audited_with_one(story, data):
    with Server(data, "--read", "key") as server:
        assert assert_passes(server.address, "--key", story.reader).says("texts") == "pass"
        found = run_audit(server.address)
        assert found.status == 2
        assert "key" in found.report["reason"]


def test_log_passes_after_a_kill(data):
    server = Server(data)
    try:
        server.key = server.make_key("poster", "post")
        server.party("Recorded before the kill")
        wait_for_checkpoint(server)
        server.kill()
        assert (data / "log.sqlite-wal").stat().st_size
        assert_passes(data)
    finally:
        server.close()


# something is


def test_audit_detects_a_server_with_changed_data(story, data):
    with Server(data) as server:
        assert assert_passes(server.address).says("texts") == "skipped"
        tamper(data, (CHANGED.format("data"), "An agreement", "An agreemens", story.agreement))
        found = assert_fails((story.agreement, "agreements/a", "/data/title"), server.address)
        assert found.failed == {"data"}


def test_audit_detects_a_server_with_a_changed_entry(story, data):
    entry = entry_with(data, story.signed, actor="somebody")
    tamper(data, ("UPDATE events SET state = ? WHERE position = ?", entry, story.signed))
    with Server(data) as server:
        found = assert_fails((story.signed, "agreements/a", "actor"), server.address)
        assert found.failed == {"tiles", "root"}
        assert found.report["findings"][0]["expected"] == "first"


def test_audit_detects_a_server_with_changed_views(story, data):
    tamper(
        data,
        "UPDATE memberships SET status = 0 WHERE container_name = 'labs/l' AND is_final_period",
        file="views.sqlite",
    )
    with Server(data) as server:
        found = run_audit(server.address)
        assert found.failed == {"views"}
        position, subject, field = found.first
        assert field == "view memberships"
        assert story.entry(int(position or 0))["subject"] == subject


def test_audit_detects_a_server_that_lost_its_last_event(story, data):
    with Server(data) as server:
        tamper(data, ("DELETE FROM events WHERE position = ?", story.head))
        found = run_audit(server.address)
        assert found.status == 1
        assert found.first[0] == story.head


def test_stored_checkpoint_reveals_a_server_restored_from_an_old_backup(story, data, tmp_path):
    backup, kept = tmp_path / "backup", tmp_path / "kept"
    shutil.copytree(data, backup)
    with Server(data) as server:
        server.key = server.make_key("poster", "post")
        server.party("Recorded after the backup")
        wait_for_checkpoint(server)
        assert_passes(server.address, "--save", kept)
        assert kept.read_text() == server.client.get("/log/checkpoint").text
    with Server(backup) as server:
        assert_passes(server.address)
        found = assert_fails((story.head + 1, None, "size"), server.address, "--since", kept)
        assert found.failed == {"since"}


# what the auditor brings


def test_quotations_are_checked_against_texts_given_by_the_auditor(story, data, tmp_path):
    with Server(data) as server:
        (tmp_path / "report.txt").write_bytes(TEXT.encode())
        assert "4 verified" in said_of(
            assert_passes(server.address, "--documents", tmp_path / "report.txt"), "evidence"
        )
        (tmp_path / "other.txt").write_text("No document's text")
        found = run_audit(server.address, "--documents", tmp_path)
        assert (found.status, found.says("evidence")) == (2, "inconclusive")
        assert "other.txt" in said_of(found, "evidence")


def said_of(found, check):
    return next(each["says"] for each in found.report["checks"] if each["name"] == check)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--vkey", "absent"),
        ("--vkey", "nonsense"),
        ("--since", "absent"),
        ("--since", "nonsense"),
        ("--witness", "a+1+2"),
    ],
)
def test_text_given_by_the_auditor_must_have_its_registered_hash(data, tmp_path, option, value):
    (tmp_path / "nonsense").write_text("nonsense\n")
    done = command("audit", data, option, value if "+" in value else tmp_path / value)
    assert (done.returncode, done.stdout) == (2, b""), done
    assert done.stderr.startswith(b"registry: ")
    assert done.stderr.count(b"\n") == 1


# what cannot be checked


@pytest.mark.parametrize("target", ["http://127.0.0.1:9", "http://", "https://[", "ftp://example.org", "nowhere"])
def test_missing_directory_is_inconclusive(target):
    done = command("audit", target)
    assert (done.returncode, done.stdout) == (2, b""), done
    assert done.stderr.startswith(b"registry: ")
    assert done.stderr.count(b"\n") == 1


def test_address_of_another_program_is_inconclusive(shared):
    assert run_audit(f"{shared.address}/v1").status == 2


@pytest.mark.parametrize("name", ["checkpoint", "log.key", "views.sqlite"])
def test_directory_without_checkpoint_or_key_is_inconclusive(data, name):
    (data / name).unlink()
    assert run_audit(data).status == 2


def test_wrong_options_are_refused(data):
    for options in (["--quorum", "1"], ["--data", "x"]):
        done = command("audit", data, *options)
        assert (done.returncode, done.stdout) == (2, b""), done


# what is exported


def test_exported_log_passes_offline_and_grows(story, data, tmp_path):
    out = tmp_path / "out"
    assert command("export", "--tiles", out, "--data", data).returncode == 0
    assert assert_passes(out, "--vkey", story.vkey).says("texts") == "skipped"
    assert not (out / "texts").exists()
    with Server(data) as server:
        server.key = server.make_key("poster", "post")
        server.take(*(event("party.renamed", "parties/p-000", name=f"P {each}") for each in range(300)))
        wait_for_checkpoint(server)
        tiles = {path.relative_to(out): path.read_bytes() for path in out.glob("tile/**/*") if path.is_file()}
        assert command("export", "--tiles", out, "--data", data, "--texts").returncode == 0
        found = assert_passes(out, "--vkey", story.vkey)
        assert found.says("texts") == "pass"
        assert found.report["events"] == story.head + 300
        assert (out / "checkpoint").read_text() == server.client.get("/log/checkpoint").text
        lines = server.get("/v1/events", headers={"Accept": "application/x-ndjson"}).content
        assert (out / "events.ndjson").read_bytes() == lines
        assert json.loads((out / "digests.json").read_bytes())["digests"] == server.json("/v1/digests")["digests"]
        assert [path.read_bytes() for path in (out / "texts").iterdir()] == [TEXT.encode()]
    assert {each: (out / each).read_bytes() for each in tiles} == tiles
    # what others make of it: a reader by the specifications alone, and tlog-scales, which nobody here wrote
    auditor = Auditor(lambda path: (out / path).read_bytes(), story.vkey)
    entries = auditor.audit(auditor.checkpoint())
    reader = TilesReader(make_backend(str(out)))
    checkpoint = reader.get_checkpoint()
    checkpoint.verify(Vkey.from_string(story.vkey))
    assert reader.calculate_root_hash() == checkpoint.root_hash
    for index in (0, 255, 256, story.head, checkpoint.size - 1):
        assert reader.get_entry(index) == entries[index]
        proof = reader.get_inclusion_proof(index, checkpoint.size)
        proof.check(leaf_hash(entries[index]), checkpoint.root_hash)


def test_an_export_of_a_changed_log_is_refused(story, data, tmp_path):
    tamper(data, "UPDATE tree SET hash = zeroblob(32) WHERE id = 0", file="views.sqlite")
    done = command("export", "--tiles", tmp_path / "out", "--data", data)
    assert done.returncode == 0  # the root does not rest on it, as its tile is full
    assert assert_fails((1, "parties/p-000", "tile/0/000, hash 0"), tmp_path / "out").failed == {"tiles"}
    tamper(data, ("UPDATE tree SET hash = zeroblob(32) WHERE id = ?", story.head - 1), file="views.sqlite")
    done = command("export", "--tiles", tmp_path / "other", "--data", data)
    assert done.returncode == 1
    assert b"is not the one that was signed" in done.stderr
    assert not (tmp_path / "other").exists()


def test_export_writes_only_into_its_own_directory(story, data, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letters").write_text("dear")
    done = command("export", "--tiles", tmp_path / "mine", "--data", data)
    assert (done.returncode, done.stdout) == (1, b"")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letters"]
    with Server(tmp_path / "another"):
        pass
    assert command("export", "--tiles", tmp_path / "out", "--data", tmp_path / "another").returncode == 0
    assert_passes(tmp_path / "out")
    assert command("export", "--tiles", tmp_path / "out", "--data", data).returncode == 1
    assert command("export", "log", "--tiles", tmp_path / "out", "--data", data).returncode == 2
    assert command("export", "log", "--texts", "--data", data).returncode == 2
    assert command("export", "--data", data).returncode == 2


def test_interrupted_export_never_passes_as_complete(data, tmp_path):
    out = tmp_path / "out"
    assert command("export", "--tiles", out, "--data", data).returncode == 0
    (out / "checkpoint").unlink()
    assert run_audit(out).status == 2
    with (out / "events.ndjson").open("r+b") as file:
        file.truncate(1000)
    (out / "tile" / "0" / "000").unlink()
    assert command("export", "--tiles", out, "--data", data).returncode == 0
    assert_passes(out)
    with (out / "events.ndjson").open("ab") as file:
        file.write(b'{"half a li')  # of an export that would have added to it
    assert_passes(out)
    assert command("export", "--tiles", out, "--data", data).returncode == 0
    assert (out / "events.ndjson").read_bytes().endswith(b"}\n")


def test_redacted_data_is_absent_from_the_next_export(story, data, tmp_path):
    out = tmp_path / "out"
    assert command("export", "--tiles", out, "--data", data, "--texts").returncode == 0
    assert b'"Party 17"' in (out / "events.ndjson").read_bytes()
    with Server(data) as server:
        server.key = server.make_key("root2", "admin")
        server.take(event("event.redacted", "parties/p-017", event=18, reason="asked for it"))
        headers = {"Authorization": f"Bearer {server.key}"}
        assert server.client.delete("/v1/documents/report/text", headers=headers).status_code == 200
        wait_for_checkpoint(server)
    assert command("export", "--tiles", out, "--data", data).returncode == 0
    assert b'"Party 17"' not in (out / "events.ndjson").read_bytes()
    assert list((out / "texts").iterdir()) == []
    assert assert_passes(out).says("redactions") == "pass"
