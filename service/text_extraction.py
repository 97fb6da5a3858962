"""Text extraction: the text of a PDF, an HTML or a plain text file, by a process of its own.

The file may be hostile. The process reads it from standard input, limits its own memory and time, and writes one line
of JSON and then the text: `python -m service.text_extraction`, with the argument `html` for a file said to be HTML.
"""

from __future__ import annotations

import re
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO

import orjson

from service.limits import MOST_TEXT_BYTES

MOST_PAGES = 2_000
MOST_MEMORY = 2**30
"""Bytes of address space of the process."""
SECONDS = 20
"""Processor time of the process."""
HTML = "html"
PLAIN = "text/plain"

_BLOCK = re.compile(
    "address|article|aside|blockquote|body|caption|center|dd|details|dialog|dir|div|dl|dt|fieldset|figcaption|figure"
    "|footer|form|h[1-6]|header|hr|html|legend|li|main|menu|nav|ol|option|p|pre|section|summary|table|tbody|tfoot|thead|tr|ul"
)
_WITHOUT_TEXT = re.compile("head|iframe|math|noscript|object|script|select|style|svg|template|title")
_CELLS = ("td", "th")
_DECLARED = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]+)""", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\f\r]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
_SUPERSETS = {
    "ascii": "windows-1252",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "windows-1252",
    "latin-1": "windows-1252",
    "us-ascii": "windows-1252",
}
"""Character sets that browsers take for a larger one."""


class Flaw(StrEnum):
    """Why a file gives no text."""

    EMPTY = "empty"
    UNSUPPORTED = "unsupported"
    NOT_UTF8 = "not-utf-8"
    MALFORMED = "malformed"
    ENCRYPTED = "encrypted"
    NO_TEXT = "no-text"
    TOO_MANY_PAGES = "too-many-pages"
    TOO_LONG = "too-long"
    TOO_COMPLEX = "too-complex"
    TOO_LARGE = "too-large"
    NO_FILE = "no-file"


class NoText(Exception):
    """A file gives no text."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw)
        self.flaw = flaw


@dataclass(frozen=True, slots=True)
class Extracted:
    """The text of a file, the media type of the file, the number of its pages, and of those without text."""

    text: str
    media_type: str
    pages: int = 0
    pages_without_text: int = 0


def extract(raw: bytes, *, is_html: bool = False) -> Extracted:
    """Return the text of a file. A plain text in UTF-8 stays as it is, to the byte. Raise NoText.

    `is_html`: the file is said to be HTML; one that begins like HTML is taken for HTML in any case.
    """
    if not raw.strip():
        raise NoText(Flaw.EMPTY)
    begins = raw[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    try:
        if b"%pdf-" in begins:
            found = _of_pdf(raw)
        elif is_html or begins.startswith((b"<!doctype html", b"<html")):
            found = Extracted(_of_html(raw), "text/html")
        else:
            found = Extracted(_of_plain(raw), PLAIN)
    except NoText:
        raise
    except (MemoryError, RecursionError):
        raise NoText(Flaw.TOO_COMPLEX) from None
    except Exception:  # noqa: BLE001 - a malformed file makes the libraries raise anything
        raise NoText(Flaw.MALFORMED) from None
    if not any(each.isalnum() for each in found.text):
        raise NoText(Flaw.NO_TEXT)
    if len(found.text.encode()) > MOST_TEXT_BYTES:
        raise NoText(Flaw.TOO_LONG)
    return found


def _of_plain(raw: bytes) -> str:
    if b"\x00" in raw:
        raise NoText(Flaw.NOT_UTF8 if raw[:2] in _MARKS else Flaw.UNSUPPORTED)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise NoText(Flaw.NOT_UTF8) from None


def _of_pdf(raw: bytes) -> Extracted:
    from pypdf import PdfReader
    from pypdf.errors import FileNotDecryptedError, LimitReachedError

    try:
        reader = PdfReader(BytesIO(raw))
        if reader.is_encrypted and not reader.decrypt(""):  # many files are encrypted with an empty password
            raise NoText(Flaw.ENCRYPTED)
        if len(reader.pages) > MOST_PAGES:
            raise NoText(Flaw.TOO_MANY_PAGES)
        texts: list[str] = []
        characters = 0
        for page in reader.pages:
            texts.append(_clean(page.extract_text()))
            characters += len(texts[-1])
            if characters > MOST_TEXT_BYTES:
                raise NoText(Flaw.TOO_LONG)
    except FileNotDecryptedError:
        raise NoText(Flaw.ENCRYPTED) from None
    except LimitReachedError:
        raise NoText(Flaw.TOO_COMPLEX) from None
    return Extracted("\n\n".join(filter(None, texts)), "application/pdf", len(texts), texts.count(""))


def _of_html(raw: bytes) -> str:
    """Return the text that a browser shows, a line for each block, with tabs between the cells of a row."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True)
    try:
        root = etree.fromstring(_decoded(raw).replace("\x00", "").encode(), parser)
    except etree.XMLSyntaxError as error:
        if error.code == etree.ErrorTypes.ERR_NO_MEMORY:
            raise MemoryError from None
        raise
    if root is None:
        return ""
    parts: list[str] = []
    walk = etree.iterwalk(root, events=("start", "end"))
    verbatim = 0
    for event, element in walk:
        name = element.tag
        if event == "start":
            parts.append("\t" if name in _CELLS else "\n" if name == "br" or _BLOCK.fullmatch(name) else "")
            verbatim += name == "pre"
            text = element.text
            if _WITHOUT_TEXT.fullmatch(name) or "hidden" in element.attrib:
                walk.skip_subtree()
                text = None
        else:
            parts.append("\n" if _BLOCK.fullmatch(name) else "")
            verbatim -= name == "pre"
            text = element.tail
        if text:
            parts.append(text if verbatim else _SPACE.sub(" ", text))
    joined = re.sub(r" *\t *", "\t", re.sub(r" +", " ", "".join(parts)))
    return _clean(re.sub(r"\s*\n\s*", "\n", joined))


def _decoded(raw: bytes) -> str:
    """Return HTML as characters: by its byte order mark, as UTF-8 if it is that, or else as the file declares."""
    for mark, encoding in _MARKS.items():
        if raw.startswith(mark):
            return raw[len(mark) :].decode(encoding, "replace")
    with suppress(UnicodeDecodeError):
        return raw.decode()
    found = _DECLARED.search(raw[:4096])
    declared = found[1].decode().lower() if found else "ascii"
    try:
        return raw.decode(_SUPERSETS.get(declared, declared), "replace")
    except LookupError:
        raise NoText(Flaw.MALFORMED) from None


def _clean(text: str) -> str:
    """Return text that can be stored: with LF between lines, without control characters and lone surrogates."""
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = _CONTROLS.sub("", re.sub(r"\r\n?|[\f\x0b]", "\n", text))
    text = "\n".join(line.rstrip() for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def main() -> None:
    """Extract the text of the file on standard input within limits, and write it to standard output."""
    for limit, most in ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_AS, MOST_MEMORY), (resource.RLIMIT_FSIZE, 0)):
        with suppress(ValueError, OSError):  # a system may know fewer limits, or have a lower one
            resource.setrlimit(limit, (most, most))
    try:
        found = extract(sys.stdin.buffer.read(), is_html=sys.argv[1:] == [HTML])
        head = {"media_type": found.media_type, "pages": found.pages, "pages_without_text": found.pages_without_text}
        written = orjson.dumps(head) + b"\n" + found.text.encode()
    except NoText as refused:
        written = orjson.dumps({"flaw": refused.flaw})
    sys.stdout.buffer.write(written)


if __name__ == "__main__":
    main()
