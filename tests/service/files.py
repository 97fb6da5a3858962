"""Files to upload: PDFs made by hand, sound and hostile."""

from __future__ import annotations

import zlib
from io import BytesIO

from pypdf import PdfReader, PdfWriter


def pdf(*pages: str, filters: int = 0) -> bytes:
    """Return a PDF with a line of Latin text on each page; the content is compressed so many times."""
    return pdf_of([f"BT /F1 12 Tf 72 700 Td ({page}) Tj ET".encode() if page else b"" for page in pages], filters)


def pdf_of(contents: list[bytes], filters: int = 0) -> bytes:
    """Return a PDF whose pages have these content streams."""
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(contents)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    names = " ".join(["/FlateDecode"] * filters)
    for at, content in enumerate(contents):
        packed = content
        for _ in range(filters):
            packed = zlib.compress(packed, 9)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * at} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(f"<< /Length {len(packed)} /Filter [{names}] >>\nstream\n".encode() + packed + b"\nendstream")
    written = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, each in enumerate(objects, 1):
        offsets.append(len(written))
        written += f"{number} 0 obj\n".encode() + each + b"\nendobj\n"
    start = len(written)
    written += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    written += b"".join(f"{offset:010} 00000 n \n".encode() for offset in offsets)
    written += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(written)


def encrypted(raw: bytes, password: str) -> bytes:
    """Return a PDF that opens with a password; with the empty one it opens without any."""
    writer = PdfWriter(clone_from=PdfReader(BytesIO(raw)))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-256")
    written = BytesIO()
    writer.write(written)
    return written.getvalue()
