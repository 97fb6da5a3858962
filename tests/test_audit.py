"""An audit of a directory detects every kind of tampering, and names position, subject and field."""

from __future__ import annotations

import base64
import json
import re
import shutil
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from domain.corrections import Event
from domain.tlog_formats import COSIGNATURE, Checkpoint, Verifier, cosigned, parse_note, parse_verifier
from projections import table_comparison
from projections.digests import PARTS
from projections.engine import rollups
from projections.engine.database import CURRENT
from projections.engine.text_index import TEXTS
from projections.names import NAMES
from projections.table_comparison import COMPARED_TABLES, ROLLUPS, UNNUMBERED_COLUMNS
from projections.views import INDEXES
from service.audit.checkpoints import MOST_NOTE_BYTES, CannotAudit, NoCheckpoint, read_saved, read_signed
from service.audit.compare import Comparison
from service.audit.event_rows import Row, answered
from service.audit.order import Order
from service.audit.order_state import OrderState
from service.audit.report import Check
from service.audit.run import AuditOptions, audit
from service.audit.summary import Batch, Wanted, summarize
from service.audit.targets import open_source
from service.commands.log_entry import answered as answer
from service.commands.log_entry import logged
from service.data_directory import CHECKPOINT, SIGNING_KEY
from service.settings import Settings
from service.transparency.signing import Signer, read_key
from service.transparency.static_export import CannotExport, TileLog
from service.views.rebuild import build, install
from tests.contract.audits import CROWD, AuditResult, Story, entry_with, rows, tamper, wait_for_checkpoint
from tests.contract.server import Server, command, event
from tests.contract.texts import TEXT
from tests.recorded_views import new_views

CHANGED = "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), ?, ?) AS BLOB) WHERE position = ?"
STATE = "UPDATE events SET state = ? WHERE position = ?"
KNOWN = f"system_to = {CURRENT}"


@pytest.fixture
def data(story: Story, tmp_path: Path) -> Path:
    return story.copied(tmp_path / "data")


def run_audit(target: Path | str, **options: Any) -> AuditResult:
    """Return the report of an audit."""
    with closing(open_source(str(target))) as source:
        document = audit(source, AuditOptions(**options), lambda _: None).document
    return AuditResult(document["status"], json.loads(json.dumps(document)))


def assert_passes(target: Path | str, **options: Any) -> AuditResult:
    found = run_audit(target, **options)
    assert found.status == 0, found.report
    return found


def assert_fails(place: tuple[object, object, object], *failed: str, target: Path, **options: Any) -> AuditResult:
    """Check that an audit fails first at this place, in these checks alone."""
    found = run_audit(target, **options)
    assert found.status == 1, found.report
    assert found.first == place, found.report["findings"][:4]
    assert found.failed == set(failed), found.report["findings"]
    return found


def rebuilt(data: Path) -> None:
    """Rebuild the views, as `registry rebuild` does."""
    install(build(data))


def signer_of(data: Path) -> Signer:
    ((origin,),) = rows(data, "SELECT value FROM meta WHERE name = 'origin'")
    return read_key(data / SIGNING_KEY, origin)


def signed_again(data: Path, signer: Signer | None = None) -> None:
    """Sign a checkpoint of the current log with its own key."""
    signer = signer or signer_of(data)
    entries = [state for (state,) in rows(data, "SELECT state FROM events ORDER BY position")]
    checkpoint = Checkpoint(signer.verifier.name, len(entries), root_of(entries))
    (data / CHECKPOINT).write_text(signer.sign(checkpoint.text).signed)


def root_of(entries: list[bytes]) -> bytes:
    layer = [sha256(b"\0" + entry).digest() for entry in entries]
    while len(layer) > 1:
        paired = [sha256(b"\1" + layer[at] + layer[at + 1]).digest() for at in range(0, len(layer) - 1, 2)]
        layer = paired + layer[len(paired) * 2 :]
    return layer[0]


def test_unchanged_story_passes(story, data):
    found = assert_passes(
        data, verifier=parse_verifier(story.vkey), since=read_signed(story.checkpoint_of_crowd.encode(), "kept")
    )
    assert {check["verdict"] for check in found.report["checks"]} == {"pass"}
    rebuilt(data)
    assert assert_passes(data).report["digests"] == found.report["digests"]


def test_equal_tables_need_no_comparison_of_canonical_rows(story, data, monkeypatch):
    def differs(*_: object) -> bool:
        raise AssertionError("lines were compared")

    monkeypatch.setattr(Comparison, "_is_equal", differs)
    assert_passes(data)
    rebuilt(data)
    assert_passes(data)


def test_digests_are_computed_only_for_the_report(story, data):
    told = assert_passes(data).report["digests"]
    assert set(told) == set(PARTS)
    assert assert_passes(data, digests=False).report["digests"] == {}
    assert json.loads(command("audit", data, "--json").stdout)["digests"] == told


def numbered_otherwise(data: Path) -> None:
    """Make equal views whose rows have other numbers."""
    tamper(data, "UPDATE facts SET id = -id", "UPDATE tags SET fact = -fact", file="views.sqlite")
    for index in (TEXTS.name, NAMES.name):
        rebuilt_index = f"INSERT INTO {index}_fts({index}_fts) VALUES ('rebuild')"
        tamper(data, f"UPDATE {index} SET id = -id", rebuilt_index, file="views.sqlite")


def test_differently_numbered_tables_are_compared_by_canonical_rows(story, data):
    numbered_otherwise(data)
    assert_passes(data)


def test_wrong_statistics_are_named(data, monkeypatch):
    monkeypatch.setattr(rollups, "SIZES", (8, 64))
    rebuilt(data)
    assert_passes(data)
    tamper(
        data, "UPDATE rollups SET counts = (SELECT counts FROM rollups WHERE id = 2) WHERE id = 3", file="views.sqlite"
    )
    ((until,),) = rows(data, "SELECT until FROM rollups WHERE id = 3", file="views.sqlite")
    assert_fails((until, None, "table rollups"), "views", target=data)
    rebuilt(data)
    assert_passes(data)


def test_every_source_of_canonical_rows_is_compared():
    named = {name for parts in PARTS.values() for part in parts for name in re.findall(r"[a-z_]+", part.sql)}
    with new_views() as found:
        held = {name for (name,) in found.reader._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        compared = set(table_comparison.tables(found.reader._db)) | (named & held)
        assert compared | set(UNNUMBERED_COLUMNS) == set(COMPARED_TABLES)


def test_every_table_of_the_views_is_compared_or_derived_from_a_compared_one():
    """Not compared: the tree (the check of tiles covers it), blocks of statistics (compared alone), the index of each
    table of words (it must contain the table), and the code and position of the views.
    """
    with new_views() as found:
        held = {name for (name,) in found.reader._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    indexes = {name for name in held for index in INDEXES if re.fullmatch(f"{index.name}_(fts.*|vocabulary)", name)}
    assert held - indexes - set(COMPARED_TABLES) == {"meta", "tracking", "tree", ROLLUPS}
    assert {index.name for index in INDEXES} <= set(COMPARED_TABLES)


@pytest.mark.parametrize(
    ("statement", "field"),
    [
        ("INSERT INTO text_index_fts(text_index_fts) VALUES ('delete-all')", "index text_index_fts"),
        ("INSERT INTO names_fts(names_fts) VALUES ('delete-all')", "index names_fts"),
        ("INSERT INTO spelled_parts_fts(rowid, tokens) VALUES (1, 'other')", "index spelled_parts_fts"),
        ("INSERT INTO names_fts(rowid, tokens) VALUES (1, 'other')", "index names_fts"),
        ("UPDATE subjects SET version = 99 WHERE id = 3", "table subjects"),
        ("UPDATE subjects SET last = last + 1 WHERE id = 3", "table subjects"),
        ("UPDATE subjects SET holds = 0", "table subjects"),
        ("DELETE FROM spelled WHERE id = 3", "table spelled"),
        ("UPDATE written SET word = 'zzzz' WHERE id = 3", "table written"),
        ("DELETE FROM written_parts", "table written_parts"),
    ],
)
@pytest.mark.parametrize("numbering", ["same", "other"])
def test_tables_behind_search_versions_and_spellings_are_compared(story, data, statement, field, numbering):
    if numbering == "other":  # then tables are compared by their values
        numbered_otherwise(data)
    tamper(data, statement, file="views.sqlite")
    found = assert_fails((None, None, field), "views", target=data)
    assert field in {each["field"] for each in found.report["findings"]}


def test_missing_record_of_an_erasure_is_detected(story, data):
    tamper(data, "DELETE FROM erased")
    assert_fails((story.redacted, "parties/secret", "redacted"), "redactions", target=data)


def test_log_with_other_tables_is_inconclusive(story, data):
    tamper(
        data,
        "ALTER TABLE events RENAME TO others",
        "CREATE VIEW events AS WITH RECURSIVE n(position) AS (SELECT 1 UNION ALL SELECT position + 1 FROM n)"
        " SELECT position, 1 AS version, 1 AS stream, '' AS topic, x'' AS state, 1 AS source, '' AS event_id,"
        " NULL AS salt, NULL AS data FROM n",
    )
    with pytest.raises(CannotAudit, match="schema"):
        open_source(str(data))


def test_views_with_other_tables_are_not_read(story, data):
    tamper(
        data,
        "DROP TABLE mergers",
        "CREATE VIEW mergers AS WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)"
        " SELECT id, 1 AS loser, 1 AS survivor, 1 AS event, 1 AS system_from, 2 AS system_to FROM n",
        file="views.sqlite",
    )
    assert_fails((None, None, "views.sqlite"), "files", target=data)


# an event


def test_a_changed_byte_of_data_is_named(story, data):
    tamper(data, (CHANGED, "An agreement", "An agreemens", story.agreement))
    found = assert_fails((story.agreement, "agreements/a", "/data/title"), "data", target=data)
    (finding,) = found.report["findings"]
    assert (finding["expected"], finding["found"]) == ("An agreement", "An agreemens")
    assert found.says("views") == "inconclusive"
    (data / "views.sqlite").unlink()  # nothing tells any more what it was
    assert run_audit(data).first == (story.agreement, "agreements/a", "data")


def test_changed_evidence_is_named(story, data):
    tamper(data, (CHANGED, "成都", "北京", story.signed))
    assert_fails((story.signed, "agreements/a", "/data/evidence/0/exact"), "data", target=data)


def test_a_changed_salt_is_caught(story, data):
    tamper(data, ("UPDATE events SET salt = zeroblob(16) WHERE position = ?", story.signed))
    assert_fails((story.signed, "agreements/a", "data"), "data", target=data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recorded", "2999-01-01T00:00:00.000000Z"),
        ("actor", "somebody"),
        ("occurred", "1999-01-01"),
        ("time", "2020-01-01T00:00:00Z"),
    ],
)
def test_change_of_a_field_that_only_the_entry_has_is_named(story, data, name, value):
    tamper(data, (STATE, entry_with(data, story.signed, **{name: value}), story.signed))
    found = run_audit(data)
    assert found.first == (story.signed, "agreements/a", name)
    assert {"tiles", "root"} <= found.failed
    assert found.report["findings"][0]["found"] == value


def test_recording_time_that_goes_back_is_detected_without_the_tree(story, data):
    tamper(data, (STATE, entry_with(data, 290, recorded="2020-01-01T00:00:00.000000Z"), 290))
    rebuilt(data)
    signed_again(data)
    assert_fails((290, story.subject(290), "recorded"), "order", target=data)


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [("event_id", "another", "id"), ("topic", "agreement.ratified", "type"), ("version", 77, "version")],
)
def test_column_that_differs_from_the_entry_is_named(story, data, column, value, field):
    tamper(data, (f"UPDATE events SET {column} = ? WHERE position = ?", value, story.signed))
    found = run_audit(data)
    assert (found.status, found.first) == (1, (story.signed, "agreements/a", field))
    assert found.report["findings"][0]["found"] == value


def test_an_event_given_to_another_subject_is_named(story, data):
    tamper(data, ("UPDATE events SET stream = 1, version = 9 WHERE position = ?", story.signed))
    found = run_audit(data)
    assert (found.status, found.first[0]) == (1, story.signed)
    assert (story.signed, "subject") in {(each["position"], each["field"]) for each in found.report["findings"]}


@pytest.mark.parametrize(
    "entry", [b"", b"nonsense", b"[]", b'{"position":275}', b"\xff\xfe", b'{"actor":null}', b"null", b"1e400"]
)
def test_invalid_entry_is_named(story, data, entry):
    tamper(data, (STATE, entry, story.signed))
    found = run_audit(data)
    assert (found.status, found.first[:2]) == (1, (story.signed, "agreements/a"))


def test_entry_in_another_form_or_with_additions_is_detected(story, data):
    """As the key's owner may write, so that signature and tree agree."""
    spaced = json.dumps(story.entry(story.signed), sort_keys=True).encode()
    for entry, field in ((spaced, "entry"), (entry_with(data, story.signed, zzz=1), "zzz")):
        tamper(data, (STATE, entry, story.signed))
        rebuilt(data)
        signed_again(data)
        assert_fails((story.signed, "agreements/a", field), "entries", target=data)


@pytest.mark.parametrize(
    "data_",
    [
        b'{"title":"x"}',
        b'{"kind":"treaty", "title":"x"}',
        b'{"kind":"no","title":"x"}',
        b'{"kind":1.5}',
        b"[]",
        b"1",
        b"none",
    ],
)
def test_invalid_data_is_detected_even_if_the_entry_commits_to_it(story, data, data_):
    position = story.agreement
    ((salt,),) = rows(data, "SELECT salt FROM events WHERE position = ?", position)
    entry = entry_with(data, position, data_sha256=sha256(salt + data_).hexdigest())
    tamper(data, ("UPDATE events SET data = ?, state = ? WHERE position = ?", data_, entry, position))
    signed_again(data)
    (data / "views.sqlite").unlink()
    found = run_audit(data)
    assert (found.status, found.first[:2]) == (1, (position, "agreements/a"))
    assert found.failed == {"views"}


def test_change_of_data_and_entry_together_is_named_by_tree_and_root(story, data):
    ((content, salt),) = rows(data, "SELECT data, salt FROM events WHERE position = ?", story.agreement)
    content = content.replace(b"An agreement", b"An agreemens")
    entry = entry_with(data, story.agreement, data_sha256=sha256(salt + content).hexdigest())
    tamper(data, ("UPDATE events SET data = ?, state = ? WHERE position = ?", content, entry, story.agreement))
    assert_fails((story.agreement, "agreements/a", "/data/title"), "tiles", "root", target=data)
    rebuilt(data)
    assert_fails((None, None, "root"), "root", target=data)


def test_entry_stored_as_text_is_detected(story, data):
    tamper(data, ("UPDATE events SET state = CAST(state AS TEXT) WHERE position = ?", story.signed))
    assert_fails((story.signed, "agreements/a", "entry"), "entries", target=data)


def test_names_that_are_no_text_are_detected(story, data):
    tamper(data, ("UPDATE events SET event_id = CAST(x'fffe' AS TEXT) WHERE position = ?", story.signed))
    found = run_audit(data)
    assert (found.status, found.first) == (1, (story.signed, "agreements/a", "id"))


def test_damaged_file_is_detected_at_its_place(story, data):
    content = bytearray((data / "log.sqlite").read_bytes())
    at = content.index(b'"An agreement"')
    page = at // 8192 * 8192
    content[page : page + 100] = b"\xff" * 100
    (data / "log.sqlite").write_bytes(content)
    found = run_audit(data)
    assert found.status == 1
    assert found.first[2] == "position"


# the order of events


def test_two_events_swapped_are_named(story, data):
    first, second = story.signed, story.signed + 2
    for old, new in ((first, 100_000), (second, first), (100_000, second)):
        tamper(data, ("UPDATE events SET position = ? WHERE position = ?", new, old))
    found = run_audit(data)
    assert (found.status, found.first) == (1, (first, story.subject(second), "position"))
    assert {each["position"] for each in found.report["findings"]} >= {first, second}


def test_two_events_swapped_with_all_their_columns_are_named(story, data):
    """Each entry has its new position."""
    places = (10, 11)
    kept = {
        at: rows(data, "SELECT stream, event_id, salt, data FROM events WHERE position = ?", at)[0] for at in places
    }
    entries = {at: story.entry(at) for at in places}
    for at in places:
        tamper(data, ("UPDATE events SET stream = ?, event_id = ? WHERE position = ?", -at, str(at), at))
    for at, other in (places, places[::-1]):
        entry = entries[other] | {name: entries[at][name] for name in ("position", "recorded")}
        state = json.dumps(entry, separators=(",", ":"), sort_keys=True).encode()
        sql = "UPDATE events SET stream = ?, event_id = ?, salt = ?, data = ?, state = ? WHERE position = ?"
        tamper(data, (sql, *kept[other], state, at))
    found = run_audit(data)
    assert (found.status, found.first[0]) == (1, 10)
    assert found.failed == {"tiles", "root"}
    rebuilt(data)
    assert_fails((None, None, "root"), "root", target=data)


def test_an_event_deleted_in_the_middle_is_named(story, data):
    subject = story.subject(story.signed)
    tamper(data, ("DELETE FROM events WHERE position = ?", story.signed))
    found = run_audit(data)
    assert (found.status, found.first) == (1, (story.signed, subject, "position"))
    assert found.says("root") == "inconclusive"


def test_events_deleted_at_the_end_are_named(story, data):
    subject = story.subject(story.head - 1)
    tamper(data, ("DELETE FROM events WHERE position >= ?", story.head - 1))
    found = run_audit(data)
    assert (found.status, found.first) == (1, (story.head - 1, subject, "position"))
    rebuilt(data)
    found = run_audit(data)
    assert (found.status, found.first) == (1, (story.head - 1, None, "position"))


def test_all_events_deleted_are_named(story, data):
    tamper(data, "DELETE FROM events")
    assert run_audit(data).first == (1, "parties/p-000", "position")


def added(story: Story, data: Path, at: int, **more: Any) -> None:
    """Insert an event into the log behind the registry's back, in every form it must have."""
    salt, content = b"s" * 16, b'{"name":"Forged"}'
    entry = story.entry(story.corrected) | {
        "position": at,
        "id": f"forged-{at}",
        "recorded": story.entry(story.head)["recorded"],
        "data_sha256": sha256(salt + content).hexdigest(),
        "version": 3,
    }
    del entry["occurred"]
    entry |= more
    state = json.dumps(entry, separators=(",", ":"), sort_keys=True).encode()
    ((stream, source),) = rows(data, "SELECT stream, source FROM events WHERE position = ?", story.corrected)
    values = (at, stream, entry["version"], entry["type"], state, source, entry["id"], salt, content)
    tamper(data, (f"INSERT INTO events VALUES ({', '.join('?' * len(values))})", *values))


def test_event_added_at_the_end_is_reported_as_not_signed(story, data):
    added(story, data, story.head + 1, version=4)
    found = assert_passes(data)
    assert "1 event not signed yet" in next(each["says"] for each in found.report["checks"] if each["name"] == "root")
    assert any("lack the last 1 event" in note for note in found.report["notes"])


@pytest.mark.parametrize(
    ("further", "more", "field"),
    [
        (1, {"version": 9}, "version"),
        (1, {"position": 5, "version": 4}, "position"),
        (1, {"recorded": "2001-01-01T00:00:00.000000Z", "version": 4}, "recorded"),
        (1, {"v": 2, "version": 4}, "v"),
        (1, {"occurred": "2023-02-30", "version": 4}, "occurred"),
        (1, {"subject": "platforms/p-004", "version": 4}, "subject"),
    ],
)
def test_inconsistent_added_event_is_named(story, data, further, more, field):
    added(story, data, story.head + further, **more)
    found = run_audit(data)
    assert found.status == 1
    assert (story.head + further, field) in {(each["position"], each["field"]) for each in found.report["findings"]}
    assert found.first[0] == story.head + further


def test_an_event_added_after_a_gap_is_named(story, data):
    added(story, data, story.head + 3, version=4)
    assert run_audit(data).first == (story.head + 1, None, "position")


# what is erased


def test_missing_data_without_a_redaction_is_named(story, data):
    tamper(data, ("UPDATE events SET data = NULL, salt = NULL WHERE position = ?", story.signed))
    assert_fails((story.signed, "agreements/a", "data"), "redactions", target=data)


def test_salt_without_data_or_data_without_salt_is_detected(story, data):
    tamper(data, ("UPDATE events SET salt = NULL WHERE position = ?", story.signed))
    assert run_audit(data).first == (story.signed, "agreements/a", "data")
    tamper(data, ("UPDATE events SET salt = x'00', data = NULL WHERE position = ?", story.signed))
    assert run_audit(data).first == (story.signed, "agreements/a", "salt")


def test_erasure_without_a_redaction_of_its_own_is_detected(story, data):
    """The recorded redaction names an earlier event of the same subject, and no other."""
    tamper(data, ("UPDATE events SET data = NULL, salt = NULL WHERE position = ?", story.corrected))
    tamper(data, ("INSERT INTO erased VALUES (?, ?, NULL)", story.corrected, story.redaction))
    assert_fails((story.corrected, "parties/p-004", "data"), "redactions", target=data)


def test_columns_of_a_redaction_are_checked(story, data):
    tamper(data, ("UPDATE erased SET by = by - 1 WHERE position = ?", story.redacted))
    assert_fails((story.redacted, "parties/secret", "redacted"), "redactions", target=data)


def test_redacted_data_that_is_still_stored_is_detected(story, data):
    position = story.redacted
    salt, content = b"s" * 16, b'{"kind":"person","name":"Zwyzzerdd"}'
    entry = entry_with(data, position, data_sha256=sha256(salt + content).hexdigest())
    sql = "UPDATE events SET data = ?, salt = ?, state = ? WHERE position = ?"
    tamper(data, (sql, content, salt, entry, position))
    signed_again(data)
    rebuilt(data)
    assert_fails((position, "parties/secret", "data"), "redactions", target=data)


def test_an_event_may_be_redacted_under_the_name_of_the_party_that_it_was_merged_into(story, data):
    with Server(data) as server:
        server.key = server.make_key("root2", "admin")
        server.take(event("event.redacted", "parties/p-006", event=6, reason="asked for it"))
        wait_for_checkpoint(server)
    assert story.subject(6) == "parties/p-005"
    assert assert_passes(data).says("redactions") == "pass"


# texts


def test_a_changed_text_is_named(story, data):
    tamper(data, ("UPDATE texts SET text = ?", TEXT.replace("signed", "sighed").encode()))
    found = run_audit(data)
    assert (found.status, found.first) == (1, (story.text, "documents/report", "text"))
    tamper(data, "DELETE FROM texts")
    assert run_audit(data).first == (story.text, "documents/report", "text")


def test_text_in_the_views_that_the_log_lacks_is_named(story, data):
    tamper(data, "UPDATE document_texts SET text = replace(text, 'signed', 'sighed')", file="views.sqlite")
    found = assert_fails((story.text, "documents/report", "view documents, /text"), "views", target=data)
    assert found.status == 1


def test_a_false_quotation_is_named(story, data):
    """Recorded before the text was stored, so that it could not be refused."""
    tamper(data, (CHANGED, "成都", "北京", story.agreement))
    ((content, salt),) = rows(data, "SELECT data, salt FROM events WHERE position = ?", story.agreement)
    entry = entry_with(data, story.agreement, data_sha256=sha256(salt + content).hexdigest())
    tamper(data, (STATE, entry, story.agreement))
    rebuilt(data)
    signed_again(data)
    place = (story.agreement, "agreements/a", "/data/evidence/0/exact")
    found = assert_fails(place, "evidence", target=data)
    says = next(each["says"] for each in found.report["checks"] if each["name"] == "evidence")
    assert says == "5 passages: 3 verified, 1 unverified, 1 failed"
    assert assert_passes(data, evidence=False).says("evidence") == "skipped"


# the views


@pytest.mark.parametrize(
    ("statement", "subject", "field"),
    [
        (f"UPDATE subject_states SET status = 2 WHERE collection = 3 AND {KNOWN}", "platforms/p", "view platforms, /status"),
        (f"UPDATE subject_states SET name = CAST(replace(CAST(name AS TEXT), 'A lab', 'A tab') AS BLOB) WHERE collection = 2 AND {KNOWN}", "labs/l", "view labs, /name"),
        (f"UPDATE subject_states SET body = CAST(replace(CAST(body AS TEXT), 'founded', 'foundet') AS BLOB) WHERE collection = 2 AND {KNOWN}", "labs/l", "view labs, /body/fields/founded"),
        (f"UPDATE memberships SET valid_from = valid_from + 1 WHERE container_name = 'labs/l' AND NOT is_final_period AND {KNOWN}", "labs/l", "view memberships, /from"),
        (f"DELETE FROM memberships WHERE container_name = 'labs/l' AND is_final_period AND {KNOWN}", "labs/l", "view memberships"),
        ("UPDATE list_items SET kind = 'talent' WHERE section = 0", "agreements/a", "view commitments, /kind"),
        ("UPDATE facts SET lo = lo + 1 WHERE position = {signed} AND system_to > 9999", "agreements/a", "view timeline, /earliest"),
        ("UPDATE events SET recorded = '2020-01-01T00:00:00.000000Z' WHERE position = {signed}", "agreements/a", "view timeline, /recorded"),
        ("UPDATE events SET id = 'x' WHERE position = {redaction}", "parties/secret", "view history, /id"),
        ("UPDATE mergers SET survivor = 3", "parties/p-005", "view parties, /is_one_with"),
        # rows that are known no longer, which only questions about the past see
        ("UPDATE memberships SET status = 0 WHERE container_name = 'platforms/p'", "platforms/p", "table memberships, /status"),
        ("UPDATE facts SET system_from = system_from - 1 WHERE position = {signed} AND system_to < 9999", "agreements/a", "table facts, /system_from"),
        ("DELETE FROM facts WHERE position = {corrected} AND system_to < 9999", "parties/p-004", "table facts"),
    ],
)  # fmt: skip
def test_a_changed_row_of_the_views_is_named(story, data, statement, subject, field):
    tamper(data, statement.format(**vars(story)), file="views.sqlite")
    found = run_audit(data)
    assert found.failed == {"views"}, found.report
    first = next(each for each in found.report["findings"] if each["field"] == field)
    assert first["subject"] == subject
    assert rows(data, "SELECT 1 FROM events WHERE position = ?", first["position"])
    rebuilt(data)
    assert_passes(data)


def test_views_beyond_the_end_of_the_log_are_detected(story, data):
    tamper(data, ("DELETE FROM events WHERE position = ?", story.head))
    entries = [state for (state,) in rows(data, "SELECT state FROM events ORDER BY position")]
    assert len(entries) == story.head - 1
    signed_again(data)
    assert_fails((story.head, "parties/last", "position"), "views", target=data)


def test_unreadable_views_are_detected(story, data):
    tamper(
        data,
        (f"UPDATE subject_states SET status = 'x', body = 'y' WHERE {KNOWN} AND collection = 1"),
        file="views.sqlite",
    )
    found = run_audit(data)
    assert (found.status, found.failed) == (1, {"views"})


def test_views_of_other_code_or_missing_views_are_inconclusive(story, data):
    tamper(data, "UPDATE meta SET value = 'x' WHERE name = 'fold'", file="views.sqlite")
    found = run_audit(data)
    assert (found.status, found.says("views"), found.says("tiles")) == (2, "inconclusive", "inconclusive")
    assert assert_passes(data, views=False).says("tiles") == "skipped"


def test_index_that_disagrees_with_its_table_is_detected(story, data):
    """Queries read the index, while every row is unchanged."""
    for file, index in (("views.sqlite", "memberships_of_party"), ("log.sqlite", "events_by_stream")):
        ((sql,),) = rows(data, "SELECT sql FROM sqlite_master WHERE name = ?", index, file=file)
        with closing(sqlite3.connect(data / file, isolation_level=None)) as db:
            db.execute("PRAGMA writable_schema = ON")
            db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (f"{sql} WHERE rowid > 3", index))
            db.execute("PRAGMA writable_schema = RESET")
            db.execute(f"REINDEX {index}")
            db.execute("PRAGMA writable_schema = ON")
            db.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, index))
            db.execute("PRAGMA writable_schema = RESET")
        found = run_audit(data)
        assert found.failed == {"files"}
        assert found.first == (None, None, file)
        shutil.copy(story.data / file, data / file)
    assert_passes(data)


def test_damage_of_a_file_is_reported_even_if_the_audit_stops(story, data, monkeypatch):
    def fail(*_: object) -> None:
        raise CannotAudit("the disk is full")

    monkeypatch.setattr("service.audit.rebuilt_views.RebuiltViews.take", fail)
    with pytest.raises(CannotAudit):
        run_audit(data)
    with closing(sqlite3.connect(data / "views.sqlite", isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, 'mergers(loser)', 'mergers(survivor)')")
    assert_fails((None, None, "views.sqlite"), "files", target=data)


# while it is served


def test_erasure_during_an_audit_never_fails_it(story, data, monkeypatch):
    monkeypatch.setattr("service.audit.database.AT_ONCE", 32)
    with Server(data) as server:
        server.key = server.make_key("root2", "admin")
        erased = iter(((200, "parties/p-199"), (210, "parties/p-209")))

        def erase(_: int) -> None:
            for position, subject in erased:
                server.take(event("event.redacted", subject, event=position, reason="asked for it"))
                return

        for target in (str(data), server.address):
            with closing(open_source(target)) as source:
                report = audit(source, AuditOptions(), erase)
            assert not report.findings
            assert report.check("redactions").result == "pass"
            assert report.verdict.status in (0, 2)
            wait_for_checkpoint(server)
            assert_passes(data)


def test_views_that_a_server_folded_by_other_code_cannot_be_compared(story, data, monkeypatch):
    tamper(
        data,
        "UPDATE memberships SET status = 0 WHERE container_name = 'labs/l' AND is_final_period",
        file="views.sqlite",
    )
    with Server(data) as server:
        assert run_audit(server.address).failed == {"views"}
        monkeypatch.setattr("service.audit.server.fold", lambda: "another")
        found = run_audit(server.address)
    assert (found.status, found.says("views")) == (2, "inconclusive")


# the tree, and what was signed of it


@pytest.mark.parametrize("index", [0, 100, 255, 256, CROWD])
def test_a_changed_hash_of_a_leaf_is_named(story, data, index):
    tamper(data, ("UPDATE tree SET hash = zeroblob(32) WHERE id = ?", index), file="views.sqlite")
    number, at = divmod(index, 256)
    width = "" if number == 0 else f".p/{story.head - 256}"
    field = f"tile/0/00{number}{width}, hash {at}"
    assert_fails((index + 1, story.subject(index + 1), field), "tiles", target=data)


def test_a_changed_hash_above_the_leaves_is_named(story, data):
    tamper(data, "UPDATE tree SET hash = zeroblob(32) WHERE id < 0", file="views.sqlite")
    assert_fails((1, None, "tile/1/000.p/1, hash 0"), "tiles", target=data)
    tamper(data, "DELETE FROM tree WHERE id < 0", file="views.sqlite")
    assert_fails((1, None, "tile/1/000.p/1"), "tiles", target=data)


def test_damaged_signature_is_detected(story, data):
    note = (data / CHECKPOINT).read_text()
    blob = note.rstrip().rpartition(" ")[2]
    raw = bytearray(base64.b64decode(blob))
    raw[-1] ^= 1
    (data / CHECKPOINT).write_text(note.replace(blob, base64.b64encode(raw).decode()))
    assert_fails((None, None, "signature"), "signature", target=data)


@pytest.mark.parametrize("content", [b"", b"nonsense\n", b"\xff", b"a\n0\n\n\n\xe2\x80\x94 a AAAAAAAA\n"])
def test_invalid_checkpoint_fails(story, data, content):
    (data / CHECKPOINT).write_bytes(content)
    with pytest.raises(NoCheckpoint):
        run_audit(data)
    done = command("audit", data, "--json")
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (1, "fail")


def test_checkpoint_with_another_size_or_root_is_detected(story, data):
    note = (data / CHECKPOINT).read_text()
    (data / CHECKPOINT).write_text(note.replace(f"\n{story.head}\n", f"\n{story.head - 1}\n"))
    assert run_audit(data).failed == {"signature", "root"}
    kept = story.checkpoint_of_crowd
    (data / CHECKPOINT).write_text(kept)
    found = assert_passes(data)  # an older one of its own is not wrong by itself
    assert found.report["checkpoint"]["size"] == CROWD


def test_log_of_another_key_or_name_is_detected(story, data):
    other = Signer(signer_of(data).verifier.name, b"k" * 32)
    assert_fails((None, None, "signature"), "signature", target=data, verifier=other.verifier)
    renamed = Signer("example.org/other", b"k" * 32)
    assert run_audit(data, verifier=renamed.verifier).failed == {"signature"}
    signed_again(data, other)
    assert_fails((None, None, "signature"), "signature", target=data)
    signed_again(data, renamed)
    assert "signature" in run_audit(data).failed


def test_only_a_stored_checkpoint_reveals_a_log_that_was_rewritten_and_signed_again(story, data, tmp_path):
    (tmp_path / "kept").write_text((data / CHECKPOINT).read_text())
    tamper(data, (CHANGED, "An agreement", "An agreemens", story.agreement))
    ((content, salt),) = rows(data, "SELECT data, salt FROM events WHERE position = ?", story.agreement)
    entry = entry_with(data, story.agreement, data_sha256=sha256(salt + content).hexdigest())
    tamper(data, (STATE, entry, story.agreement))
    rebuilt(data)
    signed_again(data)
    assert_passes(data, verifier=parse_verifier(story.vkey))
    assert_fails((None, None, "root"), "since", target=data, since=read_saved(tmp_path / "kept"))
    assert_passes(
        data, since=read_signed(story.checkpoint_of_crowd.encode(), "kept")
    )  # it was rewritten after that one


def test_older_backup_is_detected_by_the_checkpoint_beside_it(story, data, tmp_path):
    """Only the databases were restored; the checkpoint is a file of its own."""
    tamper(data, ("DELETE FROM events WHERE position > ?", CROWD))
    rebuilt(data)
    assert_fails((CROWD + 1, None, "position"), "root", target=data)
    (tmp_path / "kept").write_text((data / CHECKPOINT).read_text())
    (data / CHECKPOINT).write_text(story.checkpoint_of_crowd)
    assert_passes(data)
    assert_fails((CROWD + 1, None, "size"), "since", target=data, since=read_saved(tmp_path / "kept"))


def test_stored_checkpoint_of_another_log_or_key_is_detected(story, data, tmp_path):
    own = signer_of(data)
    for signer, field in ((Signer(own.verifier.name, b"k" * 32), "signature"), (Signer("other", b"k" * 32), "origin")):
        note = signer.sign(Checkpoint(signer.verifier.name, 1, b"r" * 32).text).signed
        assert_fails((None, None, field), "since", target=data, since=read_signed(note.encode(), "kept"))


def test_cosignatures_are_verified_and_may_be_required(story, data):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    witness = Verifier("witness.example", key.public_key().public_bytes_raw(), COSIGNATURE)
    absent = Verifier("absent.example", b"w" * 32, COSIGNATURE)
    note = parse_note((data / CHECKPOINT).read_text())
    for text, failed in ((note.text, set()), ("another\n1\n" + "A" * 43 + "=\n", {"witnesses"})):
        signature = (1_800_000_000).to_bytes(8, "big") + key.sign(cosigned(text, 1_800_000_000))
        line = f"\u2014 witness.example {base64.b64encode(witness.key_id + signature).decode()}\n"
        (data / CHECKPOINT).write_text(note.signed + line)
        assert run_audit(data, witnesses=(witness, absent), quorum=1).failed == failed
    (data / CHECKPOINT).write_text(note.signed)
    assert assert_passes(data, witnesses=(witness,)).says("witnesses") == "pass"
    assert_fails((None, None, "cosignatures"), "witnesses", target=data, witnesses=(witness,), quorum=1)


# what is exported


@pytest.fixture
def exported(data: Path, tmp_path: Path) -> Path:
    with closing(TileLog(Settings(data=data), tmp_path / "out")) as log:
        log.write(lambda _: None, texts=True)
    return tmp_path / "out"


def with_byte(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new))


def test_exported_log_passes(story, exported):
    assert {check["verdict"] for check in assert_passes(exported).report["checks"]} == {"pass"}


def test_a_changed_tile_of_an_export_is_named(story, exported):
    path = exported / "tile/0/000"
    content = bytearray(path.read_bytes())
    content[32 * 77] ^= 1
    path.write_bytes(content)
    assert_fails((78, story.subject(78), "tile/0/000, hash 77"), "tiles", target=exported)
    path.write_bytes(content[:100])
    assert run_audit(exported).first == (1, "parties/p-000", "tile/0/000")
    path.unlink()
    assert_fails((1, "parties/p-000", "tile/0/000"), "tiles", target=exported)


def test_a_changed_entry_in_a_tile_of_an_export_is_named(story, exported):
    (path,) = (exported / "tile/entries/001.p").iterdir()
    with_byte(path, b'"occurred":"2020-02-03"', b'"occurred":"2020-02-04"')
    found = assert_fails((story.signed, "agreements/a", "occurred"), "tiles", target=exported)
    assert [found.report["findings"][0][each] for each in ("expected", "found")] == ["2020-02-04", "2020-02-03"]
    path.write_bytes(path.read_bytes()[:-1])
    assert run_audit(exported).failed == {"tiles"}


def test_a_changed_event_of_an_export_is_named(story, exported):
    with_byte(exported / "events.ndjson", b'"title":"An agreement"', b'"title":"An agreemens"')
    assert_fails((story.agreement, "agreements/a", "data"), "data", target=exported)


@pytest.mark.parametrize(
    ("name", "value"), [("actor", "x"), ("recorded", None), ("version", "1"), ("occurred", "1999")]
)
def test_fields_of_an_exported_event_are_compared_with_its_entry(story, exported, name, value):
    lines = (exported / "events.ndjson").read_bytes().splitlines(keepends=True)
    said = json.loads(lines[story.signed - 1]) | {name: value}
    lines[story.signed - 1] = json.dumps(said).encode() + b"\n"
    (exported / "events.ndjson").write_bytes(b"".join(lines))
    found = run_audit(exported)
    assert (found.status, found.first) == (1, (story.signed, "agreements/a", name))


def test_missing_or_invalid_lines_of_an_export_are_named(story, exported):
    lines = (exported / "events.ndjson").read_bytes().splitlines(keepends=True)
    (exported / "events.ndjson").write_bytes(b"".join(lines[:-2]))
    assert run_audit(exported).first == (story.head - 1, None, "position")
    for line in (b"nonsense\n", b"[]\n"):
        (exported / "events.ndjson").write_bytes(b"".join([*lines[:4], line, *lines[5:]]))
        found = run_audit(exported)
        assert (found.status, found.first[0]) == (1, 1)
    for line in (b"{}\n", b'{"position":5,"entry":7,"salt":"?"}\n'):
        (exported / "events.ndjson").write_bytes(b"".join([*lines[:4], line, *lines[5:]]))
        assert run_audit(exported).first[0] in (None, 5)


def test_wrong_digests_of_an_export_are_detected(story, exported):
    said = json.loads((exported / "digests.json").read_bytes())
    said["digests"]["labs"] = said["digests"]["platforms"]
    (exported / "digests.json").write_text(json.dumps(said))
    assert_fails((None, None, "view labs"), "views", target=exported)
    (exported / "digests.json").write_text(json.dumps(said | {"fold": "x"}))
    assert run_audit(exported).status == 2
    (exported / "digests.json").write_text(json.dumps(said | {"position": 5}))
    with pytest.raises(CannotAudit, match="broken off"):
        run_audit(exported)


def test_wrong_or_missing_text_of_an_export_is_named(story, exported):
    (path,) = (exported / "texts").iterdir()
    path.write_text("something else")
    assert_fails((story.text, "documents/report", "text"), "texts", "views", target=exported)
    path.unlink()
    assert run_audit(exported).first == (story.text, "documents/report", "text")


# the order of events


def row(position: int, version: int, slug: str, id_: str) -> Row:
    """Return an event that is valid alone."""
    attributes = (f"parties/{slug}", "party.registered", "s", id_, None, None)
    return answered(
        answer(logged(Event(position, version, *attributes, b'{"name":"A"}', "2026-01-31T09:30:00.123456Z", "a")))
    )


def test_order_is_checked_in_batches_of_any_size(tmp_path):
    versions: dict[str, int] = {}
    good = []
    for position, slug in enumerate(["a", "b", "a", "c", "a", "b", "d", "a"], 1):
        versions[slug] = versions.get(slug, 0) + 1
        good.append((position, versions[slug], slug, f"id {position}"))
    cases = {
        "nothing": (good, set()),
        "a version left out": (
            [*good[:4], (5, 4, "a", "id 5"), *good[5:7], (8, 5, "a", "id 8")],
            {(5, "version")},
        ),
        "a version twice": ([*good[:7], (8, 3, "a", "id 8")], {(8, "version")}),
        "a first version that is none": ([*good[:6], (7, 2, "d", "id 7"), good[7]], {(7, "version")}),
        "a name twice": ([*good[:6], (7, 1, "d", "id 2"), good[7]], {(7, "id")}),
    }
    for name, (made, expected) in cases.items():
        events = [row(*each) for each in made]
        for at_once, together in ((1, True), (3, True), (8, True), (3, False)):
            folder = tmp_path / f"{name} {at_once} {together}"
            folder.mkdir()
            check = Check("order")
            wanted = Wanted(evidence=False, rules=False)
            with closing(OrderState(folder)) as state:
                order = Order(check, state)
                for first in range(0, len(events), at_once):
                    some = events[first : first + at_once]
                    order.take(Batch(summarize(some, wanted) if together else None, some.copy))
                order.end([events].copy)
            assert {(each.position, each.field) for each in check.findings} == expected, (name, at_once, check.findings)


@pytest.mark.parametrize("name", ["../../outside", "/tmp/outside", "", "a" * 63, "A" * 64, None, 7])
def test_export_never_writes_to_a_path_from_the_log(data, tmp_path, name):
    """A log from elsewhere may have any string as a text's SHA-256."""
    ((position,),) = rows(data, "SELECT min(position) FROM texts")
    tamper(data, ("UPDATE events SET data = ? WHERE position = ?", json.dumps({"sha256": name}).encode(), position))
    out = tmp_path / "inner" / "out"
    with closing(TileLog(Settings(data=data), out)) as log, pytest.raises(CannotExport, match=f"position {position}"):
        log.write(lambda _: None, texts=True)
    written = {path for path in tmp_path.rglob("*") if path.is_file() and data not in path.parents}
    assert all(out in path.parents for path in written)


@pytest.mark.parametrize("name", [CHECKPOINT, "digests.json", "vkey"])
def test_endless_files_of_an_export_are_read_up_to_a_limit(exported, name):
    for content in (b"x" * (MOST_NOTE_BYTES + 1), None):
        (exported / name).unlink()
        if content is None:
            (exported / name).symlink_to("/dev/zero")
        else:
            (exported / name).write_bytes(content)
        with pytest.raises(CannotAudit):
            run_audit(exported)


def test_endless_line_of_an_export_is_read_up_to_a_limit(exported):
    (exported / "events.ndjson").unlink()
    (exported / "events.ndjson").symlink_to("/dev/zero")
    assert_fails((1, None, "position"), "order", target=exported)
