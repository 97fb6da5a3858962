"""Backup and restore of a data directory: the log, the keys, the signing key and the last checkpoint, as of one moment.

Views are left out, as they are folded from the log. A backup is not one before it was verified and its manifest stands;
a restore moves what it replaces aside, and never forgets a signed checkpoint or a revoked key that is still there.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import file_digest
from pathlib import Path

import orjson

from domain.merkle import leaf_hash
from service import data_directory
from service.api_keys import Keys, read_keys
from service.audit.tree import Growth
from service.clock import system_time
from service.event_log.scan import Inspection, Scan
from service.lock import directory_lock
from service.settings import Settings
from service.transparency.checkpoint import Published, read_kept, refuse_unfit
from service.transparency.signing import is_signed, read_key

MANIFEST = "backup.json"
FORMAT = 1
_CONTENT = (data_directory.LOG, data_directory.KEYS, data_directory.SIGNING_KEY, data_directory.CHECKPOINT)
_STAGED = "restoring"


class BackupError(Exception):
    """A backup or a restore was refused or failed. One line that says why."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds.

    `made`: when, RFC 3339.
    `signed`: how many events its checkpoint covers.
    `files`: the SHA-256 of each.
    """

    made: str
    origin: str | None
    events: int
    signed: int
    keys: int
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore brought back. `signed`: events of the newest checkpoint; above `backup.events`, some are missing.

    `keeps_revocations`: keys that were revoked since the backup are revoked. `aside`: where the replaced files are.
    """

    backup: Backup
    signed: int
    keeps_revocations: bool
    aside: Path | None


def back_up(settings: Settings, directory: Path) -> Backup:
    """Copy a data directory, also while it is served, into an empty or new one, and verify the copy.

    The checkpoint is copied first and the keys last: the log that is copied continues the one, and every actor in it is
    among the others. Raises BackupError, CannotSign, LogError, Damaged, Unfit, OSError, sqlite3.Error; then nothing of
    the copy is left.
    """
    data = settings.data
    if not (data / data_directory.LOG).exists():
        raise BackupError(f"there is no log in {data}: nothing to back up; --data names the directory")
    data_directory.make_directory(directory)
    if any(directory.iterdir()):
        raise BackupError(f"{directory} is not empty: name a new directory for each backup")
    directory.chmod(data_directory.DIRECTORY_MODE)
    made = system_time().isoformat(timespec="seconds").replace("+00:00", "Z")
    try:
        _copy_promise(settings, directory)
        for name in (data_directory.LOG, data_directory.KEYS):
            if (data / name).exists():
                _copy_database(data / name, directory / name)
        found = _verified(directory, made)
        content = {field: getattr(found, field) for field in Backup.__slots__} | {"format": FORMAT}
        data_directory.replace(
            directory / MANIFEST, orjson.dumps(content, option=orjson.OPT_INDENT_2), data_directory.FILE_MODE
        )
    except BaseException:
        for name in (*_CONTENT, MANIFEST):
            data_directory.remove(directory / name)
        raise
    return found


def restore(settings: Settings, directory: Path, *, replace: bool) -> Restored:
    """Put a backup into a data directory that nobody serves. Where that has a log, `replace` moves it aside.

    The newest checkpoint stays, so that the registry sees that events are missing. Raises as `back_up` does, and InUse;
    then the data directory is as it was.
    """
    data = settings.data
    backup = _read(directory)
    data_directory.make_directory(data)
    with directory_lock(data):
        data_directory.restrict_modes(data)
        if (data / data_directory.LOG).exists() and not replace:
            raise BackupError(f"{data} has a log already: --replace moves it aside, and puts the backup in its place")
        kept = read_kept(data, backup.origin)
        if kept is not None and kept.size <= backup.events:
            _refuse_unfit(directory, kept)
        staged = data / _STAGED
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=data_directory.DIRECTORY_MODE)
        try:
            for name in backup.files:
                _copy_file(directory / name, staged / name)
            keeps_revocations = _keep_revocations(data / data_directory.KEYS, staged / data_directory.KEYS)
            if kept is not None and kept.size >= backup.signed:
                (staged / data_directory.CHECKPOINT).unlink(missing_ok=True)
            aside = _swap(data, staged)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    signed = max(backup.signed, 0 if kept is None else kept.size)
    return Restored(backup, signed, keeps_revocations, aside)


def _copy_promise(settings: Settings, directory: Path) -> None:
    """Copy the last checkpoint, if there is one, and the key that signed it."""
    with closing(Scan(settings.data / data_directory.LOG)) as log:
        origin = log.meta("origin")
    kept = read_kept(settings.data, origin)
    key = settings.signing_key or settings.data / data_directory.SIGNING_KEY
    if kept is not None and origin is not None:
        if not key.exists():
            raise BackupError(f"there is no signing key in {key}: name its file with --signing-key")
        if not is_signed(kept.note, read_key(key, origin).verifier):
            raise BackupError(f"{key} did not sign the checkpoint of the log: name the key that did with --signing-key")
        data_directory.replace(
            directory / data_directory.CHECKPOINT, kept.note.signed.encode(), data_directory.FILE_MODE
        )
    if key.exists():
        _copy_file(key, directory / data_directory.SIGNING_KEY)


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database with all that was committed, also while others write to it."""
    target.touch(mode=data_directory.FILE_MODE, exist_ok=False)
    with (
        closing(
            sqlite3.connect(data_directory.read_only_uri(source), uri=True, isolation_level=None, timeout=10)
        ) as db,
        closing(sqlite3.connect(target)) as copy,
    ):
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on others' commits are not seen
        db.backup(copy)
    _flush(target)


def _copy_file(source: Path, target: Path) -> None:
    target.touch(mode=data_directory.FILE_MODE, exist_ok=False)
    with source.open("rb") as content, target.open("wb") as copy:
        shutil.copyfileobj(content, copy)
    _flush(target)


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _verified(directory: Path, made: str) -> Backup:
    """What a copy holds, once the databases are found sound and the log to continue its checkpoint."""
    for name in (data_directory.LOG, data_directory.KEYS):
        if (directory / name).exists() and (damages := Inspection().damages(directory / name)):
            raise BackupError(f"{name} is damaged: {'; '.join(damages)}")
    with closing(Scan(directory / data_directory.LOG)) as log:
        origin, events = log.meta("origin"), log.head()
    kept = read_kept(directory, origin)
    if kept is not None:
        _refuse_unfit(directory, kept)
    keys = len(read_keys(directory / data_directory.KEYS)) if (directory / data_directory.KEYS).exists() else 0
    hashes = {name: _digest(directory / name) for name in _CONTENT if (directory / name).exists()}
    return Backup(made, origin, events, 0 if kept is None else kept.size, keys, hashes)


def _refuse_unfit(directory: Path, kept: Published) -> None:
    """Raise Unfit unless the log in a backup continues a checkpoint."""
    size, growth = kept.size, Growth((kept.size,))
    with closing(Scan(directory / data_directory.LOG)) as log:
        while growth.size < min(size, log.head()):
            leaves = [leaf_hash(row[6]) for row in log.rows(growth.size, min(size, growth.size + growth.room))]
            if not leaves:
                raise BackupError(f"the log has no event {growth.size + 1}")
            growth.add(leaves)
        refuse_unfit(kept.checkpoint, log.head(), growth.root)


def _read(directory: Path) -> Backup:
    """What a backup holds, after it was verified anew."""
    try:
        manifest = orjson.loads((directory / MANIFEST).read_bytes())
        version, made, hashes = manifest["format"], str(manifest["made"]), dict(manifest["files"])
        datetime.fromisoformat(made)
    except FileNotFoundError:
        raise BackupError(f"{directory} is no backup, or one that was broken off: it has no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{directory / MANIFEST} is damaged: {error}") from None
    if version != FORMAT:
        raise BackupError(f"{directory} is a backup of format {version}; this version of the registry reads {FORMAT}")
    found = {name: _digest(directory / name) for name in _CONTENT if (directory / name).exists()}
    if found != hashes or data_directory.LOG not in found:
        changed = sorted(name for name in {*found, *hashes, data_directory.LOG} if found.get(name) != hashes.get(name))
        raise BackupError(f"{directory} is not as it was made: {', '.join(map(str, changed))} changed since")
    return _verified(directory, made)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _keep_revocations(present: Path, restored: Path) -> bool:
    """Add to the restored keys those that were made since, and revoke those that were; whether that could be read."""
    if not present.exists():
        return False
    with closing(Keys(restored)) as keys:
        try:
            keys.merge(present)
        except sqlite3.Error:  # it is damaged, which may be why a backup is restored
            return False
    return True


def _swap(data: Path, staged: Path) -> Path | None:
    """Move what is replaced aside, and what is staged in its place: the log last, without which nothing is served."""
    aside = data / f"replaced-{system_time():%Y%m%dT%H%M%S.%fZ}"
    for name in (data_directory.LOG, data_directory.KEYS, data_directory.SIGNING_KEY):
        for path in data_directory.database_files(data / name):
            if path.exists():
                aside.mkdir(mode=data_directory.DIRECTORY_MODE, exist_ok=True)
                path.rename(aside / path.name)
    data_directory.remove(data / data_directory.VIEWS)
    data_directory.remove_unused_views(data)
    for name in reversed(_CONTENT):
        with suppress(FileNotFoundError):
            (staged / name).rename(data / name)
    os.sync()
    return aside if aside.exists() else None
