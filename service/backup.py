"""Backup and restore of a data directory: the log, the keys, the signing key and the last checkpoint, as of one moment.

Views are left out, as they are folded from the log. A backup is complete once it is verified and has its manifest. A
restore moves the present files aside. It never loses a signed checkpoint or a revocation that is still there.
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
from service.audit.tree import MerkleTree
from service.clock import system_time
from service.event_log.scan import Inspection, Scan
from service.lock import directory_lock
from service.settings import Settings
from service.transparency.checkpoint import Published, check_continues, read_checkpoint
from service.transparency.signing import is_signed, read_key

MANIFEST = "backup.json"
FORMAT = 1
_CONTENT = (data_directory.LOG, data_directory.KEYS, data_directory.SIGNING_KEY, data_directory.CHECKPOINT)
_STAGED = "restoring"


class BackupError(Exception):
    """A backup or a restore was refused or failed. The text is one line that says why."""


@dataclass(frozen=True, slots=True)
class Backup:
    """The content of a backup.

    `made`: the instant of the backup, RFC 3339.
    `signed`: the number of events its checkpoint covers.
    `files`: the SHA-256 of each file.
    """

    made: str
    origin: str | None
    events: int
    signed: int
    keys: int
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of a restore.

    `signed`: the number of events of the newest checkpoint; if it is above `backup.events`, events are missing.
    `keeps_revocations`: whether keys that were revoked since the backup are still revoked.
    `aside`: the directory of the replaced files.
    """

    backup: Backup
    signed: int
    keeps_revocations: bool
    aside: Path | None


def back_up(settings: Settings, directory: Path) -> Backup:
    """Copy a data directory, also while it is served, into an empty or new one, and verify the copy.

    The checkpoint is copied first and the keys last, so the copied log continues the checkpoint, and the keys include
    every actor in it. Raises BackupError, CannotSign, LogError, Damaged, NotContinued, OSError, sqlite3.Error; then
    nothing of the copy remains.
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
        _copy_checkpoint(settings, directory)
        for name in (data_directory.LOG, data_directory.KEYS):
            if (data / name).exists():
                _copy_database(data / name, directory / name)
        backup = _verify(directory, made)
        content = {field: getattr(backup, field) for field in Backup.__slots__} | {"format": FORMAT}
        data_directory.replace(
            directory / MANIFEST, orjson.dumps(content, option=orjson.OPT_INDENT_2), data_directory.FILE_MODE
        )
    except BaseException:
        for name in (*_CONTENT, MANIFEST):
            data_directory.remove(directory / name)
        raise
    return backup


def restore(settings: Settings, directory: Path, *, replace: bool) -> Restored:
    """Put a backup into a data directory that no server uses. If the directory has a log, `replace` moves it aside.

    The newest checkpoint stays, so that the registry sees that events are missing. Raises what `back_up` raises, and
    InUse; then the data directory is unchanged.
    """
    data = settings.data
    backup = _read(directory)
    data_directory.make_directory(data)
    with directory_lock(data):
        data_directory.restrict_modes(data)
        if (data / data_directory.LOG).exists() and not replace:
            raise BackupError(f"{data} already has a log: --replace moves it aside and puts the backup in its place")
        checkpoint = read_checkpoint(data, backup.origin)
        if checkpoint is not None and checkpoint.size <= backup.events:
            _check_continues(directory, checkpoint)
        staged = data / _STAGED
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir(mode=data_directory.DIRECTORY_MODE)
        try:
            for name in backup.files:
                _copy_file(directory / name, staged / name)
            keeps_revocations = _keep_revocations(data / data_directory.KEYS, staged / data_directory.KEYS)
            if checkpoint is not None and checkpoint.size >= backup.signed:
                (staged / data_directory.CHECKPOINT).unlink(missing_ok=True)
            aside = _swap(data, staged)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    signed = max(backup.signed, 0 if checkpoint is None else checkpoint.size)
    return Restored(backup, signed, keeps_revocations, aside)


def _copy_checkpoint(settings: Settings, directory: Path) -> None:
    """Copy the last checkpoint, if there is one, and the key that signed it."""
    with closing(Scan(settings.data / data_directory.LOG)) as log:
        origin = log.meta("origin")
    checkpoint = read_checkpoint(settings.data, origin)
    key = settings.signing_key or settings.data / data_directory.SIGNING_KEY
    if checkpoint is not None and origin is not None:
        if not key.exists():
            raise BackupError(f"there is no signing key in {key}: name its file with --signing-key")
        if not is_signed(checkpoint.note, read_key(key, origin).verifier):
            raise BackupError(f"{key} did not sign the checkpoint of the log: name the key that did with --signing-key")
        data_directory.replace(
            directory / data_directory.CHECKPOINT, checkpoint.note.signed.encode(), data_directory.FILE_MODE
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
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on commits of others are not visible
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


def _verify(directory: Path, made: str) -> Backup:
    """Return the content of a copy, after checking its databases and that the log continues its checkpoint."""
    for name in (data_directory.LOG, data_directory.KEYS):
        if (directory / name).exists() and (damages := Inspection().damages(directory / name)):
            raise BackupError(f"{name} is damaged: {'; '.join(damages)}")
    with closing(Scan(directory / data_directory.LOG)) as log:
        origin, events = log.meta("origin"), log.head()
    checkpoint = read_checkpoint(directory, origin)
    if checkpoint is not None:
        _check_continues(directory, checkpoint)
    keys = len(read_keys(directory / data_directory.KEYS)) if (directory / data_directory.KEYS).exists() else 0
    hashes = {name: _digest(directory / name) for name in _CONTENT if (directory / name).exists()}
    return Backup(made, origin, events, 0 if checkpoint is None else checkpoint.size, keys, hashes)


def _check_continues(directory: Path, checkpoint: Published) -> None:
    """Raise NotContinued unless the log in a backup continues a checkpoint."""
    size, tree = checkpoint.size, MerkleTree((checkpoint.size,))
    with closing(Scan(directory / data_directory.LOG)) as log:
        while tree.size < min(size, log.head()):
            leaves = [leaf_hash(row[6]) for row in log.rows(tree.size, min(size, tree.size + tree.room))]
            if not leaves:
                raise BackupError(f"the log has no event {tree.size + 1}")
            tree.add(leaves)
        check_continues(checkpoint.checkpoint, log.head(), tree.root)


def _read(directory: Path) -> Backup:
    """Return the content of a backup, after verifying it again."""
    try:
        manifest = orjson.loads((directory / MANIFEST).read_bytes())
        version, made, hashes = manifest["format"], str(manifest["made"]), dict(manifest["files"])
        datetime.fromisoformat(made)
    except FileNotFoundError:
        raise BackupError(f"{directory} is not a backup, or an incomplete one: it has no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"{directory / MANIFEST} is damaged: {error}") from None
    if version != FORMAT:
        raise BackupError(f"{directory} is a backup of format {version}; this version of the registry reads {FORMAT}")
    found = {name: _digest(directory / name) for name in _CONTENT if (directory / name).exists()}
    if found != hashes or data_directory.LOG not in found:
        changed = sorted(name for name in {*found, *hashes, data_directory.LOG} if found.get(name) != hashes.get(name))
        raise BackupError(f"{directory} has changed since it was made: {', '.join(map(str, changed))}")
    return _verify(directory, made)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _keep_revocations(present: Path, restored: Path) -> bool:
    """Add keys and revocations made since the backup to the restored keys; return whether they could be read."""
    if not present.exists():
        return False
    with closing(Keys(restored)) as keys:
        try:
            keys.merge(present)
        except sqlite3.Error:  # the present file may be damaged, and the backup restored because of that
            return False
    return True


def _swap(data: Path, staged: Path) -> Path | None:
    """Move the present files aside and the staged files in their place, the log last: nothing is served without it."""
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
