"""Signed notes, checkpoints, tile addresses, offline proofs and cosignatures: the texts of C2SP signed-note,
tlog-checkpoint, tlog-tiles, tlog-proof and tlog-cosignature.

Each parser accepts exactly the form of its specification. Texts and bytes only, without keys or storage.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from domain.merkle import EMPTY_ROOT, HASH_BYTES, TILE_HEIGHT

ED25519 = b"\x01"
"""The algorithm of keys that sign notes."""
COSIGNATURE = b"\x04"
"""The algorithm of keys that cosign checkpoints, with Ed25519 and the time."""
TILE_WIDTH = 1 << TILE_HEIGHT
MOST_SIGNATURES = 100
_NAME = re.compile(r"[^\s+\x00-\x1f]+")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_TILE_NUMBER = re.compile(r"(?:x\d{3}/)*\d{3}", re.ASCII)


class NoteError(ValueError):
    """A text does not have its form. The argument is the reason."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the name of the signer, the first four bytes of the hash of its key, and the signature."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line in a note, without its line end."""
        return f"\u2014 {self.name} {b64encode(self.key_id + self.signature).decode()}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, which ends in a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...]

    @property
    def signed(self) -> str:
        """The whole note."""
        return self.text + "\n" + "".join(signature.line + "\n" for signature in self.signatures)

    def by(self, verifier: Verifier) -> tuple[Signature, ...]:
        """Return the signatures under the id of this key, unverified."""
        return tuple(each for each in self.signatures if (each.name, each.key_id) == (verifier.name, verifier.key_id))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The commitment of a log: its first `size` entries have this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text of the note."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public Ed25519 key by the name it signs under, and what it signs."""

    name: str
    public: bytes
    algorithm: bytes = ED25519

    @property
    def key_id(self) -> bytes:
        """The first four bytes of the hash of name, algorithm and key."""
        return sha256(self.name.encode() + b"\n" + self.algorithm + self.public).digest()[:4]

    @property
    def text(self) -> str:
        """`<name>+<key id>+<base64 of algorithm and key>`, the form of `/log/vkey`."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(self.algorithm + self.public).decode()}"


def is_key_name(name: str) -> bool:
    """Return whether a name may sign notes: not empty, without Unicode space and `+`."""
    return _NAME.fullmatch(name) is not None


def parse_verifier(text: str, algorithm: bytes = ED25519) -> Verifier:
    """Return the verifier key of an algorithm, without surrounding space. Raise NoteError."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    key = _decoded(encoded, "the key")
    if not is_key_name(name) or key[:1] != algorithm or len(key) != 33:
        raise NoteError(f"a verifier key is <name>+<key id>+<base64 of {algorithm[0]} and an Ed25519 key>")
    verifier = Verifier(name, key[1:], algorithm)
    if key_id != verifier.key_id.hex():
        raise NoteError("the key id is not that of the name and key")
    return verifier


def parse_note(signed: str) -> Note:
    """Return a signed note. Raise NoteError."""
    text, gap, block = signed.rpartition("\n\n")
    if not gap or not block.endswith("\n"):
        raise NoteError("a signed note is a text, an empty line and signatures, each line ended")
    if _CONTROL.search(signed):
        raise NoteError("a note has no control characters but the ends of its lines")
    return Note(text + "\n", parse_signatures(block))


def parse_signatures(block: str) -> tuple[Signature, ...]:
    """Return signature lines, each ended, at least one. Raise NoteError."""
    if not block.endswith("\n"):
        raise NoteError("a signature line is ended")
    lines = block[:-1].split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise NoteError(f"a note has at most {MOST_SIGNATURES} signatures")
    signatures = []
    for line in lines:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        blob = _decoded(encoded, "a signature")
        if dash != "\u2014" or not is_key_name(name) or len(blob) < 5:
            raise NoteError("a signature line is a dash, a name and base64")
        signatures.append(Signature(name, blob[:4], blob[4:]))
    return tuple(signatures)


def cosigned(text: str, when: int) -> bytes:
    """Return the message that a witness signs for a checkpoint; `when` in seconds since 1970."""
    return f"cosignature/v1\ntime {when}\n{text}".encode()


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint of a text; lines after the third are extensions and are ignored. Raise NoteError."""
    *lines, rest = text.split("\n")
    if len(lines) < 3 or rest or not all(lines):
        raise NoteError("a checkpoint is an origin, a size and a root, each on a line")
    if not _DECIMAL.fullmatch(lines[1]):
        raise NoteError("the size of a checkpoint is a decimal number")
    root = _decoded(lines[2], "the root")
    if len(root) != HASH_BYTES:
        raise NoteError(f"the root of a checkpoint has {HASH_BYTES} bytes")
    if lines[1] == "0" and root != EMPTY_ROOT:
        raise NoteError("the root of an empty log is another")
    return Checkpoint(lines[0], int(lines[1]), root)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's address: level (None: of entries), number, and width, 256 when full."""

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path under the log's prefix, as in `tile/0/x001/067.p/8`."""
        digits = f"{self.number:03d}"
        while len(digits) % 3:
            digits = "0" + digits
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{number}{partial}"


def parse_tile(path: str) -> Tile:
    """Return the tile of an address after `tile/`, such as `0/x001/067.p/8`. Raise NoteError for any other form."""
    level_text, _, rest = path.partition("/")
    number_text, partial, width_text = rest.partition(".p/")
    if level_text != "entries" and not (_DECIMAL.fullmatch(level_text) and int(level_text) <= 63):
        raise NoteError("a level is entries or 0 to 63")
    if not _TILE_NUMBER.fullmatch(number_text) or len(number_text) > 35:
        raise NoteError("a tile's number is in groups of three digits")
    width = TILE_WIDTH
    if partial:
        if not _DECIMAL.fullmatch(width_text) or not 1 <= int(width_text) < TILE_WIDTH:
            raise NoteError("a partial tile is 1 to 255 wide")
        width = int(width_text)
    tile = Tile(
        None if level_text == "entries" else int(level_text), int(number_text.replace("x", "").replace("/", "")), width
    )
    if tile.path != f"tile/{path}":
        raise NoteError("a tile's number has no leading groups of zeros")
    return tile


def entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the content of a tile of entries: each prefixed by its length in two bytes."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_bundle(content: bytes) -> list[bytes]:
    """Return the entries of a tile of entries. Raise NoteError."""
    entries, at = [], 0
    while at < len(content):
        length = int.from_bytes(content[at : at + 2], "big")
        entry = content[at + 2 : at + 2 + length]
        if at + 2 > len(content) or len(entry) < length:
            raise NoteError("the last entry is cut off")
        entries.append(entry)
        at += 2 + length
    return entries


@dataclass(frozen=True, slots=True)
class Proof:
    """An offline proof (C2SP tlog-proof) that entry `index` is in the tree of a signed checkpoint."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    @property
    def text(self) -> str:
        """The whole proof."""
        hashes = "".join(b64encode(each).decode() + "\n" for each in self.path)
        return f"c2sp.org/tlog-proof@v1\nindex {self.index}\n{hashes}\n{self.checkpoint}"


def parse_proof(text: str) -> Proof:
    """Parse a C2SP tlog-proof. Raise NoteError."""
    head, gap, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not gap or lines[0] != "c2sp.org/tlog-proof@v1":
        raise NoteError("not a C2SP tlog-proof of version 1")
    del lines[0]
    if lines and lines[0].startswith("extra "):
        _decoded(lines.pop(0).removeprefix("extra "), "extra data")
    if not lines or not lines[0].startswith("index ") or not _DECIMAL.fullmatch(lines[0].removeprefix("index ")):
        raise NoteError("a proof names the index of its entry")
    path = tuple(_decoded(line, "a hash") for line in lines[1:])
    if any(len(each) != HASH_BYTES for each in path):
        raise NoteError(f"a hash has {HASH_BYTES} bytes")
    return Proof(int(lines[0].removeprefix("index ")), path, checkpoint)


def _decoded(text: str, what: str) -> bytes:
    try:
        decoded = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise NoteError(f"{what} is not base64") from None
    if b64encode(decoded).decode() != text:
        raise NoteError(f"{what} is not in the one form of base64")
    return decoded
