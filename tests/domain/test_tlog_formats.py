"""The texts of a transparency log in exactly the forms of the C2SP specifications: signed notes, checkpoints, verifier
keys, tile addresses, entry bundles, offline proofs, cosignatures."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from domain.tlog_formats import (
    COSIGNATURE,
    Checkpoint,
    Note,
    NoteError,
    Proof,
    Signature,
    Tile,
    Verifier,
    cosigned,
    entry_bundle,
    is_key_name,
    parse_bundle,
    parse_checkpoint,
    parse_note,
    parse_proof,
    parse_signatures,
    parse_tile,
    parse_verifier,
)

ROOT = hashlib.sha256(b"a root").digest()
EMPTY = hashlib.sha256(b"").digest()
DASH = "\u2014"

# From the specifications: a key and a note of signed-note, a checkpoint and its cosignature of tlog-cosignature.
KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = f"""This is an example message.

{DASH} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
"""
CHECKPOINT = f"""example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

{DASH} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
{DASH} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""


def b64(content: bytes) -> str:
    return b64encode(content).decode()


def line(name: str = "example.org/log", blob: bytes = b"\x01\x02\x03\x04signature") -> str:
    return f"{DASH} {name} {b64(blob)}\n"


# notes


def test_example_of_the_specification_is_a_valid_note_of_its_key():
    verifier, note = parse_verifier(KEY), parse_note(NOTE)
    assert (verifier.name, verifier.text) == ("example.com/foo", KEY)
    assert note.text == "This is an example message.\n"
    (signature,) = note.by(verifier)
    Ed25519PublicKey.from_public_bytes(verifier.public).verify(signature.signature, note.text.encode())
    assert note.signed == NOTE


def test_note_is_split_at_its_last_empty_line():
    text = "one\n\n\ntwo\n"
    assert parse_note(f"{text}\n{line()}").text == text
    assert parse_note(f"\n\n{line()}").text == "\n"


def test_note_may_have_a_hundred_signatures_of_any_keys():
    note = parse_note("text\n\n" + "".join(line(f"key-{number}") for number in range(100)))
    assert [each.name for each in note.signatures] == [f"key-{number}" for number in range(100)]


def test_signatures_by_a_key_have_both_its_name_and_its_id():
    verifier = parse_verifier(KEY)
    own = Signature(verifier.name, verifier.key_id, b"s")
    note = Note("text\n", (Signature(verifier.name, b"0000", b"s"), own, Signature("other", verifier.key_id, b"s")))
    assert note.by(verifier) == (own,)


@pytest.mark.parametrize(
    "signed",
    [
        "",
        "text\n",
        f"text\n{line()}",
        "text\n\n",
        "text\n\n\n",
        f"text\n\n{line()}"[:-1],
        f"text\n\n{line()}\n",
        f"text\n\n{line()}x\n",
        f"text\n\n{line().replace(DASH, '-')}",
        f"text\n\n{line().replace(DASH + ' ', DASH)}",
        f"text\n\n{line().replace(' example', '  example')}",
        f"text\n\n{line('')}",
        f"text\n\n{line('a+b')}",
        f"text\n\n{line('a' + chr(0x2003) + 'b')}",
        f"text\n\n{line(blob=b'1234')}",
        f"text\n\n{line()[:-3]}\n",
        f"text\n\n{line(blob=b'12345')[:-3]}=\n",
        f"text\n\n{line()[:-1]} \n",
        f"text\n\n{DASH} name !!!!\n",
        f"text\r\n\n{line()}",
        f"te\x00xt\n\n{line()}",
        f"te\txt\n\n{line()}",
        f"text\n\n{line()[:-1]}\r\n",
        "text\n\n" + line() * 101,
    ],
)
def test_invalid_note_is_refused(signed):
    with pytest.raises(NoteError):
        parse_note(signed)


def test_base64_is_accepted_in_one_form_only():
    blob = b"\x01\x02\x03\x04s"
    assert b64(blob) == "AQIDBHM="
    for other in ("AQIDBHN=", "AQIDBHM", "AQIDBHM==", "AQIDBH-=", " AQIDBHM="):
        with pytest.raises(NoteError):
            parse_note(f"text\n\n{DASH} name {other}\n")


def test_signature_lines_alone_are_read_as_in_a_note():
    assert parse_signatures(line() + line("other")) == parse_note(f"text\n\n{line()}{line('other')}").signatures
    for block in ("", "\n", line()[:-1], "x\n" + line()):
        with pytest.raises(NoteError):
            parse_signatures(block)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\u00a0b", "a\u3000b", "a\nb", "a\x00b", " a"])
def test_name_with_space_plus_or_control_characters_may_not_sign(name):
    assert not is_key_name(name)


def test_any_other_name_may_sign():
    assert is_key_name("example.org/log")
    assert is_key_name("登记")


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.binary(min_size=5, max_size=90), min_size=1))
def test_any_note_that_is_read_is_written_back_unchanged(text, blobs):
    signed = f"{text}\n\n" + "".join(line(blob=blob) for blob in blobs)
    try:
        note = parse_note(signed)
    except NoteError:
        assert len(blobs) > 100 or any(ord(each) < 32 and each != "\n" for each in text)
    else:
        assert note.signed == signed
        assert [each.key_id + each.signature for each in note.signatures] == blobs


# keys


def test_key_id_is_the_hash_of_name_algorithm_and_key():
    for algorithm in (b"\x01", b"\x04"):
        verifier = Verifier("example.org/log", bytes(32), algorithm)
        assert verifier.key_id == hashlib.sha256(b"example.org/log\n" + algorithm + bytes(32)).digest()[:4]
        assert verifier.text == f"example.org/log+{verifier.key_id.hex()}+{b64(algorithm + bytes(32))}"
        assert parse_verifier(verifier.text + "\n", algorithm) == verifier


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com/foo",
        KEY.replace("530d903a", "530d903b"),
        KEY.replace("530d903a", "530D903A"),
        KEY.replace("example.com/foo", "example.com/bar"),
        KEY.replace("example.com/foo", ""),
        KEY[:-1] + "=",
        KEY[:-4],
        f"name+{hashlib.sha256(b'name').hexdigest()[:8]}+{b64(bytes([1]) + bytes(31))}",
        Verifier("name", bytes(32), b"\x04").text,
        Verifier("na me", bytes(32)).text,
    ],
)
def test_invalid_verifier_key_is_refused(text):
    with pytest.raises(NoteError):
        parse_verifier(text)


def test_signing_key_is_not_accepted_as_a_cosigning_key():
    with pytest.raises(NoteError):
        parse_verifier(KEY, COSIGNATURE)


def test_cosignature_is_over_the_time_and_the_text():
    assert cosigned("example.org/log\n0\nroot=\n", 1679315147) == (
        b"cosignature/v1\ntime 1679315147\nexample.org/log\n0\nroot=\n"
    )


# checkpoints


def test_example_of_the_specification_is_a_valid_checkpoint():
    note = parse_note(CHECKPOINT)
    found = parse_checkpoint(note.text)
    assert (found.origin, found.size) == ("example.com/behind-the-sofa", 20852163)
    assert found.text == note.text
    assert [each.name for each in note.signatures] == [found.origin, "witness.example.com/w1"]


def test_checkpoint_extensions_are_ignored():
    base = Checkpoint("example.org/log", 7, ROOT)
    assert parse_checkpoint(base.text + "extension\n") == base


def test_empty_log_has_a_checkpoint():
    assert parse_checkpoint(f"o\n0\n{b64(EMPTY)}\n") == Checkpoint("o", 0, EMPTY)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"o\n1\n{b64(ROOT)}",
        f"o\n{b64(ROOT)}\n",
        f"\n1\n{b64(ROOT)}\n",
        f"o\n01\n{b64(ROOT)}\n",
        f"o\n+1\n{b64(ROOT)}\n",
        f"o\n-1\n{b64(ROOT)}\n",
        f"o\n1.0\n{b64(ROOT)}\n",
        f"o\n1 \n{b64(ROOT)}\n",
        f"o\n\u0661\n{b64(ROOT)}\n",
        f"o\n{10**19}\n{b64(ROOT)}\n",
        f"o\n1\n{b64(ROOT[:31])}\n",
        f"o\n1\n{b64(ROOT + ROOT)}\n",
        f"o\n1\n{b64(ROOT)[:-1]}\n",
        f"o\n1\n{ROOT.hex()}\n",
        f"o\n1\n{b64(ROOT)}\n\n",
        f"o\n1\n{b64(ROOT)}\n\nextension\n",
        f"o\n0\n{b64(ROOT)}\n",
    ],
)
def test_invalid_checkpoint_is_refused(text):
    with pytest.raises(NoteError):
        parse_checkpoint(text)


# tiles


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "0/000"),
        (Tile(0, 1234067), "0/x001/x234/067"),
        (Tile(63, 999, 255), "63/999.p/255"),
        (Tile(1, 1000, 1), "1/x001/000.p/1"),
        (Tile(None, 0, 17), "entries/000.p/17"),
        (Tile(None, 1_000_000), "entries/x001/x000/000"),
    ],
)
def test_tile_address_is_accepted_in_one_form_only(tile, path):
    assert tile.path == f"tile/{path}"
    assert parse_tile(path) == tile


@given(st.none() | st.integers(0, 63), st.integers(0, 2**56), st.integers(1, 256))
def test_address_of_any_tile_parses_to_that_tile(level, number, width):
    tile = Tile(level, number, width)
    assert parse_tile(tile.path.removeprefix("tile/")) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "0",
        "0/",
        "/000",
        "0/0",
        "0/00",
        "0/0000",
        "0/1234",
        "0/x000/001",
        "0/x000",
        "0/001/x002",
        "0/001/002",
        "0/x1/002",
        "0/x001/x002",
        "0/X001/002",
        "0//000",
        "0/000/",
        "0/000 ",
        "0/-01",
        "0/\u0660\u0660\u0660",
        "00/000",
        "01/000",
        "64/000",
        "-1/000",
        "+1/000",
        "x/000",
        "data/000",
        "Entries/000",
        "entries/entries/000",
        "0/000.p",
        "0/000.p/",
        "0/000.p/0",
        "0/000.p/00",
        "0/000.p/001",
        "0/000.p/256",
        "0/000.p/1000",
        "0/000.p/-1",
        "0/000.p/1/",
        "0/000.p/1.p/1",
        "0/000.P/1",
        "0/000p/1",
        "0/000.q/1",
        "0/" + "x999/" * 12 + "999",
    ],
)
def test_invalid_tile_address_is_refused(path):
    with pytest.raises(NoteError):
        parse_tile(path)


@given(st.lists(st.binary(max_size=300), max_size=256))
def test_entry_bundle_returns_its_entries(entries):
    content = entry_bundle(entries)
    assert parse_bundle(content) == entries
    if content:
        with pytest.raises(NoteError):
            parse_bundle(content + b"\x00")
    if entries and entries[-1]:
        with pytest.raises(NoteError):
            parse_bundle(content[:-1])


def test_entries_are_prefixed_by_their_length_in_two_bytes():
    assert entry_bundle([b"ab", b"", b"x" * 65_535]) == b"\x00\x02ab\x00\x00\xff\xff" + b"x" * 65_535


# proofs

EXAMPLE = f"""c2sp.org/tlog-proof@v1
extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6
index 73894
gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=
B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=

{CHECKPOINT}"""


def test_proof_has_the_form_of_the_specification():
    proof = parse_proof(EXAMPLE)
    assert (proof.index, len(proof.path), proof.checkpoint) == (73894, 2, CHECKPOINT)
    assert proof.text == EXAMPLE.replace("extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6\n", "")


def test_proof_of_the_only_entry_has_no_path():
    proof = Proof(0, (), CHECKPOINT)
    assert proof.text == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{CHECKPOINT}"
    assert parse_proof(proof.text) == proof


@given(st.integers(0, 2**53), st.lists(st.binary(min_size=32, max_size=32), max_size=60).map(tuple))
def test_any_proof_is_read_back_from_its_text(index, path):
    proof = Proof(index, path, CHECKPOINT)
    assert parse_proof(proof.text) == proof


@pytest.mark.parametrize(
    "text",
    [
        "",
        EXAMPLE.replace("@v1", "@v2"),
        EXAMPLE.replace("c2sp.org", " c2sp.org"),
        EXAMPLE.replace("index 73894", "index 073894"),
        EXAMPLE.replace("index 73894", "index -1"),
        EXAMPLE.replace("index 73894", "index  73894"),
        EXAMPLE.replace("index 73894", "index"),
        EXAMPLE.replace("index 73894\n", ""),
        EXAMPLE.replace("index 73894", "index 73894\nindex 73894"),
        EXAMPLE.replace("extra YW", "extra !!"),
        EXAMPLE.replace("extra ", "extra  "),
        EXAMPLE.replace("gSKy", "gSK"),
        EXAMPLE.replace("gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=", b64(bytes(31))),
        EXAMPLE.replace("gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=", b64(bytes(33))),
        EXAMPLE.partition("\n\n")[0],
        EXAMPLE.partition("\n\n")[0] + "\n",
    ],
)
def test_invalid_proof_is_refused(text):
    with pytest.raises(NoteError):
        parse_proof(text)
