"""Checks of checkpoints: the signature of the log, the cosignatures of witnesses, and the consistency with a checkpoint
that the auditor saved.

Only a saved checkpoint shows a history that was rewritten and signed again.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from domain.tlog_formats import Checkpoint, Note, NoteError, Verifier, parse_checkpoint, parse_note, parse_verifier
from service.audit.report import Check, Finding, Verdict, counted
from service.audit.tree import MerkleTree
from service.data_directory import replace
from service.transparency.signing import is_cosigned, is_signed

SAVED_MODE = 0o644
MOST_NOTE_BYTES = 2**16
"""The limit of a checkpoint: a note has at most 100 signatures of some 200 bytes each."""


class CannotAudit(Exception):
    """The audit cannot run. The argument is one line that says what to do."""


class NoCheckpoint(CannotAudit):
    """The log's checkpoint is not readable as one, which is a finding."""


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint and its note, not verified."""

    note: Note
    checkpoint: Checkpoint


def read_file(path: Path, most: int) -> bytes:
    """Return the content of a regular file of at most `most` bytes. Raises OSError, also for a larger one."""
    with path.open("rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"has more than {most} bytes")
    return content


def read_signed(content: bytes, name: str) -> Signed:
    """Return the checkpoint in these bytes. Raises NoCheckpoint with `name`."""
    try:
        note = parse_note(content.decode())
        return Signed(note, parse_checkpoint(note.text))
    except (NoteError, UnicodeDecodeError) as error:
        raise NoCheckpoint(f"{name} is not a checkpoint: {error}") from None


def read_saved(path: Path) -> Signed:
    """Return the checkpoint that an auditor saved. Raises CannotAudit."""
    try:
        return read_signed(read_file(path, MOST_NOTE_BYTES), str(path))
    except NoCheckpoint as error:
        raise CannotAudit(str(error)) from None
    except FileNotFoundError:
        raise CannotAudit(f"there is no {path}: make it with --save, in a first audit without --since") from None
    except OSError as error:
        raise CannotAudit(f"{path}: {error.strerror}") from None


def read_verifier(text: str, algorithm: bytes, option: str) -> Verifier:
    """Return the verifier key in a text, or in the file that the text names. Raises CannotAudit."""
    if "+" not in text:
        try:
            text = read_file(Path(text), MOST_NOTE_BYTES).decode()
        except (OSError, UnicodeDecodeError):
            raise CannotAudit(f"{option}: {text!r} is neither a verifier key nor a file with one") from None
    try:
        return parse_verifier(text, algorithm)
    except NoteError as error:
        raise CannotAudit(f"{option}: {error}") from None


def check_signature(check: Check, signed: Signed, verifier: Verifier, origin: str | None) -> None:
    """Check the name and the signature of the log's checkpoint."""
    checkpoint = signed.checkpoint
    if checkpoint.origin != verifier.name:
        check.find(Finding("is of another log than the key", None, None, "origin", verifier.name, checkpoint.origin))
    if origin is not None and origin != checkpoint.origin:
        check.find(Finding("is of another log", None, None, "origin", origin, checkpoint.origin))
    if not is_signed(signed.note, verifier):
        names = ", ".join(each.name for each in signed.note.signatures)
        claimed = signed.note.by(verifier)
        says = "is not by this key" if claimed else f"is missing; there are signatures of {names}"
        check.find(Finding(says, None, None, "signature", verifier.text))
    check.ended(f"{counted(checkpoint.size, 'event')}, signed by {verifier.name}")


def check_witnesses(check: Check, signed: Signed, witnesses: Sequence[Verifier], quorum: int) -> None:
    """Check the cosignatures of the witnesses, and that `quorum` of them signed."""
    good = 0
    for witness in witnesses:
        given = signed.note.by(witness)
        if any(not is_cosigned(signed.note.text, each, witness) for each in given):
            check.find(Finding("is not by this key", None, None, f"cosignature of {witness.name}", witness.text))
        elif given:
            good += 1
    if good < quorum:
        check.find(Finding("are too few", None, None, "cosignatures", quorum, good))
    check.ended(f"cosigned by {good} of {counted(len(witnesses), 'witness', 'witnesses')}")


def check_root(check: Check, signed: Signed, tree: MerkleTree, broken: int | None) -> None:
    """Check that the tree of the signed events has the signed root."""
    checkpoint = signed.checkpoint
    if broken is not None and broken <= checkpoint.size:
        check.ended(f"the tree ends before the missing position {broken}", Verdict.INCONCLUSIVE)
        return
    if checkpoint.size > tree.size:
        says = f"is missing, although {checkpoint.size} events were signed: the log lost its end"
        check.find(Finding(says, tree.size + 1, field="position"))
        return
    found = tree.root(checkpoint.size)
    if found != checkpoint.root:
        says = f"is not the root of the first {checkpoint.size} events"
        check.find(Finding(says, None, None, "root", found.hex(), checkpoint.root.hex()))
    says = f"the signed root of {counted(checkpoint.size, 'event')}"
    beyond = tree.size - checkpoint.size
    check.ended(says if not beyond else f"{says}; {counted(beyond, 'event')} not signed yet")


def check_since(
    check: Check, saved: Signed, now: Signed, verifier: Verifier, tree: MerkleTree, broken: int | None
) -> None:
    """Check that the log continues the checkpoint that the auditor saved."""
    before = saved.checkpoint
    if before.origin != now.checkpoint.origin:
        check.find(Finding("is of another log", None, None, "origin", before.origin, now.checkpoint.origin))
        return
    if not is_signed(saved.note, verifier):
        check.find(Finding("is not by the present key of the log", None, None, "signature", verifier.text))
        return
    if before.size > now.checkpoint.size:
        says = f"the log lost its end: {before.size} events were signed before, now {now.checkpoint.size}"
        check.find(
            Finding(says, now.checkpoint.size + 1, field="size", expected=before.size, found=now.checkpoint.size)
        )
        return
    if broken is not None and broken <= before.size:
        check.ended(f"the tree ends before the missing position {broken}", Verdict.INCONCLUSIVE)
        return
    if before.size > tree.size:
        check.find(Finding("is missing, although it was signed", tree.size + 1, field="position"))
        return
    found = tree.root(before.size)
    if found != before.root:
        says = f"is not the saved root: the first {before.size} events were rewritten"
        check.find(Finding(says, None, None, "root", before.root.hex(), found.hex()))
    check.ended(f"the {counted(before.size, 'event')} of the saved checkpoint, and later ones")


def save_checkpoint(path: Path, signed: Signed) -> None:
    """Save a checkpoint for the next audit, atomically. Raises OSError."""
    replace(path, signed.note.signed.encode(), SAVED_MODE)
