"""The file of the signing key, and signatures: a key that others may read is refused, and a bad signature makes a note
invalid."""

from __future__ import annotations

import os
import re
import stat
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain.tlog_formats import COSIGNATURE, Note, Signature, Verifier, cosigned
from service import data_directory
from service.transparency.signing import CannotSign, Signer, is_cosigned, is_signed, make_key, read_key

NAME = "log.example/registry"
TEXT = "log.example/registry\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"


@pytest.fixture
def path(tmp_path):
    make_key(tmp_path / "log.key", NAME)
    return tmp_path / "log.key"


def changed(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_new_key_is_in_a_file_that_only_its_owner_can_read(path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["log.key"]


def test_key_file_is_private_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        make_key(tmp_path / "log.key", NAME)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "log.key").stat().st_mode) == 0o600


def test_a_key_has_the_form_of_gos_note_signers(path):
    signer = read_key(path, NAME)
    found = re.fullmatch(rf"PRIVATE\+KEY\+{NAME}\+([0-9a-f]{{8}})\+([A-Za-z0-9+/]+=*)\n", path.read_text())
    assert found is not None
    raw = b64decode(found[2], validate=True)
    assert (raw[0], len(raw)) == (1, 33)
    public = Ed25519PrivateKey.from_private_bytes(raw[1:]).public_key().public_bytes_raw()
    assert signer.verifier == Verifier(NAME, public)
    assert signer.verifier.key_id.hex() == found[1]


def test_each_log_creates_its_own_key(tmp_path):
    assert make_key(tmp_path / "a", NAME).verifier != make_key(tmp_path / "b", NAME).verifier


def test_signature_verifies_by_the_public_key_alone(path):
    signer = read_key(path, NAME)
    note = signer.sign(TEXT)
    assert is_signed(note, signer.verifier)
    assert not is_signed(note, Signer(NAME, bytes(32)).verifier)
    assert not is_signed(Note(TEXT, ()), signer.verifier)


def test_invalid_signature_under_the_key_id_makes_the_note_invalid(path):
    signer = read_key(path, NAME)
    good = signer.sign(TEXT)
    (own,) = good.signatures
    stranger = Signature("witness.example", b"\x00\x00\x00\x00", b"whatever")
    assert is_signed(Note(TEXT, (stranger, own)), signer.verifier)
    for bad in (own.signature[:-1] + bytes([own.signature[-1] ^ 1]), own.signature[:-1], own.signature + b"\x00", b"x"):
        spoilt = Signature(own.name, own.key_id, bad)
        assert not is_signed(Note(TEXT, (spoilt,)), signer.verifier)
        assert not is_signed(Note(TEXT, (own, spoilt)), signer.verifier)
    assert not is_signed(Note(TEXT.replace("0", "1", 1), (own,)), signer.verifier)


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o601, 0o620, 0o666, 0o777])
def test_key_file_readable_by_others_is_refused(path, mode):
    path.chmod(mode)
    with pytest.raises(CannotSign, match=f"chmod 600 {path}"):
        read_key(path, NAME)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o440, 0o640])
def test_a_key_may_be_mounted_for_a_group(path, mode):
    path.chmod(mode)
    assert read_key(path, NAME).verifier.name == NAME


def test_invalid_key_file_is_refused_in_one_line_with_the_right_form(path):
    good = path.read_text()
    head = "+".join(good.split("+")[:4])
    for text in (
        "",
        "\n",
        "secret",
        good.replace("PRIVATE", "PUBLIC"),
        f"{head}+{b64encode(bytes([4]) + bytes(32)).decode()}",
        f"{head}+{b64encode(bytes([1]) + bytes(31)).decode()}",
        f"{head}+!!!",
        f"{head}",
        "\x00\xff" * 20,
    ):
        with pytest.raises(CannotSign) as caught:
            read_key(changed(path, text), NAME)
        assert "not a signing key; one is PRIVATE+KEY+" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_key_of_another_name_is_refused_with_the_right_one(path):
    with pytest.raises(CannotSign, match=f"'{NAME}'.*'other.example/log'"):
        read_key(path, "other.example/log")


def test_key_with_a_wrong_id_is_refused(path):
    text = path.read_text()
    key_id = text.split("+")[3]
    with pytest.raises(CannotSign, match="damaged"):
        read_key(changed(path, text.replace(key_id, "00000000")), NAME)


def test_a_refusal_never_shows_the_key(path):
    secret = path.read_text().strip().split("+", 4)[4]
    for name in ("other.example", NAME):
        path.write_text(f"PRIVATE+KEY+{NAME}+00000000+{secret}\n")
        with pytest.raises(CannotSign) as caught:
            read_key(path, name)
        assert secret not in str(caught.value)


# cosignatures


def test_cosignature_counts_only_for_its_witness_text_and_time():
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    witness = Verifier("witness.example/w", key.public_key().public_bytes_raw(), COSIGNATURE)

    def made(when: int, text: str = TEXT, said: int | None = None) -> Signature:
        stamp = (when if said is None else said).to_bytes(8, "big")
        return Signature(witness.name, witness.key_id, stamp + key.sign(cosigned(text, when)))

    assert is_cosigned(TEXT, made(1_700_000_000), witness)
    assert not is_cosigned(TEXT, made(1_700_000_000, TEXT + "x\n"), witness)
    assert not is_cosigned(TEXT, made(1_700_000_000, said=1_700_000_001), witness)
    assert not is_cosigned(TEXT, made(0), witness), "one without a time is none"
    assert not is_cosigned(TEXT, Signature(witness.name, b"0000", made(5).signature), witness)
    assert not is_cosigned(TEXT, Signature("other", witness.key_id, made(5).signature), witness)
    assert not is_cosigned(TEXT, Signature(witness.name, witness.key_id, b"short"), witness)
    plain = Signature(witness.name, witness.key_id, (5).to_bytes(8, "big") + key.sign(TEXT.encode()))
    assert not is_cosigned(TEXT, plain, witness)


# files that are written whole


def test_file_is_replaced_atomically_and_no_temporary_file_stays(tmp_path):
    path = tmp_path / "checkpoint"
    for content in (b"one", b"a longer second one", b""):
        data_directory.replace(path, content, 0o644)
        assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_failure_before_the_file_is_in_place_leaves_the_old_one(tmp_path, monkeypatch, step):
    path = tmp_path / "checkpoint"
    data_directory.replace(path, b"old", 0o644)

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if step == "fsync" else Path, step, fails)
    with pytest.raises(OSError, match="No space"):
        data_directory.replace(path, b"new", 0o644)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["checkpoint"]


def test_temporary_file_of_a_crash_is_replaced(tmp_path):
    path = tmp_path / "checkpoint"
    (tmp_path / "checkpoint.new").write_bytes(b"half of someth")
    data_directory.replace(path, b"new", 0o644)
    assert path.read_bytes() == b"new"
    assert not (tmp_path / "checkpoint.new").exists()


def test_content_is_synced_before_the_rename_and_the_directory_after_it(tmp_path, monkeypatch):
    steps: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def synced(fd: int) -> None:
        steps.append("fsync directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "fsync file")
        fsync(fd)

    def renamed(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    data_directory.replace(tmp_path / "checkpoint", b"new", 0o644)
    assert steps == ["fsync file", "rename", "fsync directory"]
