"""An exported log is complete as of one checkpoint, or is detected as incomplete, wherever its writing stopped."""

from __future__ import annotations

import json
import os
from contextlib import closing
from pathlib import Path

import pytest

from service.audit.checkpoints import CannotAudit
from service.audit.report import Report
from service.audit.run import AuditOptions, audit
from service.audit.targets import open_source
from service.data_directory import CHECKPOINT, SIGNING_KEY
from service.exports import NothingToExport
from service.settings import Settings
from service.transparency.signing import CannotSign
from service.transparency.static_export import CannotExport, TileLog
from service.transparency.static_files import DIGESTS, EVENTS
from tests.contract.audits import CROWD, Story, tamper


@pytest.fixture
def data(story: Story, tmp_path: Path) -> Path:
    return story.copied(tmp_path / "data")


def export(data: Path, out: Path, *, texts: bool = True) -> None:
    with closing(TileLog(Settings(data=data), out)) as log:
        log.write(lambda _: None, texts=texts)


def run_audit(out: Path) -> Report:
    with closing(open_source(str(out))) as source:
        return audit(source, AuditOptions(), lambda _: None)


class BrokenOff(Exception):
    pass


@pytest.mark.parametrize("is_redacted", [False, True])
def test_interrupted_export_is_the_old_one_or_none(story, data, tmp_path, monkeypatch, is_redacted):
    out, now = tmp_path / "out", (data / CHECKPOINT).read_bytes()
    (data / CHECKPOINT).write_text(story.checkpoint_of_crowd)
    export(data, out)
    assert run_audit(out).events == CROWD
    old = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (data / CHECKPOINT).write_bytes(now)
    rename, left = os.rename, 0

    def failing(*paths: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise BrokenOff
        rename(*paths)  # type: ignore[arg-type]  # as it was called

    for steps in range(1000):
        for path, content in old.items():
            path.write_bytes(content)
        if is_redacted:  # after the old export, as far as that knows
            (out / DIGESTS).write_text(json.dumps(json.loads(old[out / DIGESTS]) | {"erasures": 0}))
        left = steps
        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", failing)
            try:
                export(data, out)
            except BrokenOff:
                pass
            else:
                break
        try:
            report = run_audit(out)
        except CannotAudit:
            continue
        assert (report.events, report.verdict.status) == (CROWD, 0), steps
    assert left == 0
    assert steps > 5
    assert run_audit(out).events == story.head
    export(data, out)
    assert run_audit(out).verdict.status == 0


def test_files_of_an_interrupted_export_are_overwritten(story, data, tmp_path):
    out = tmp_path / "out"
    export(data, out)
    (out / CHECKPOINT).unlink()
    for path in (*out.rglob("tile/**/*"), out / EVENTS, out / DIGESTS):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1])
    export(data, out)
    assert run_audit(out).verdict.status == 0


def test_export_of_an_unsigned_log_or_of_stale_views_is_refused(story, data, tmp_path):
    out = tmp_path / "out"
    note = (data / CHECKPOINT).read_text()
    (data / CHECKPOINT).write_text(note.replace(f"\n{story.head}\n", f"\n{story.head - 1}\n"))
    with pytest.raises(CannotExport, match="not signed by the log's key"):
        export(data, out)
    (data / CHECKPOINT).unlink()
    with pytest.raises(NothingToExport, match="never signed"):
        export(data, out)
    (data / CHECKPOINT).write_text(note)
    tamper(data, "UPDATE meta SET value = 'x' WHERE name = 'fold'", file="views.sqlite")
    with pytest.raises(NothingToExport, match="registry rebuild"):
        export(data, out)
    (data / SIGNING_KEY).chmod(0o644)
    with pytest.raises(CannotSign):
        export(data, out)
    assert not out.exists()


def test_an_export_never_goes_back(story, data, tmp_path):
    out = tmp_path / "out"
    export(data, out)
    (data / CHECKPOINT).write_text(story.checkpoint_of_crowd)
    with pytest.raises(CannotExport, match="another history"):
        export(data, out)
    assert run_audit(out).events == story.head
