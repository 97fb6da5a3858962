"""Helpers for texts of documents: register, store and cite them as a client."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import httpx

from tests.contract.server import Server, event

TEXT = "\ufeffIn Chengdu “CATL” signed.\r\n宁德时代与成都市签约 🌍.\tZwyzzerdd met Qofliphant.\n"
WORDS = ("Zwyzzerdd", "Qofliphant", "宁德时代与成都市签约")
MOST = 16 * 2**20


def digest(text: str | bytes) -> str:
    return sha256(text.encode() if isinstance(text, str) else text).hexdigest()


@dataclass
class Keys:
    """A key of each scope."""

    post: str
    read: str
    admin: str


def keys_of(server: Server) -> Keys:
    """Create them."""
    return Keys(server.key, server.make_key("reader", "read"), server.make_key("root", "admin"))


def registered(server: Server, text: str | bytes = TEXT) -> str:
    """Register the document of a text; return its subject."""
    subject = f"documents/{server.new('d')}"
    server.take(event("document.registered", subject, title="A report", sha256=digest(text)))
    return subject


def ask(server: Server, method: str, subject: str, key: str | None, **more: Any) -> httpx.Response:
    headers = {**({} if key is None else {"Authorization": f"Bearer {key}"}), **more.pop("headers", {})}
    return server.client.request(method, f"/v1/{subject}/text", headers=headers, **more)


def put(
    server: Server, subject: str, text: str | bytes = TEXT, *, key: str | None = None, **more: Any
) -> httpx.Response:
    content = text.encode() if isinstance(text, str) else text
    headers = {"Content-Type": "text/plain; charset=utf-8", **more.pop("headers", {})}
    return ask(server, "PUT", subject, key or server.key, content=content, headers=headers, **more)


def stored(server: Server, subject: str, text: str | bytes = TEXT) -> int:
    """Put a text, which must be accepted; return the position."""
    answer = put(server, subject, text)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["position"])


def cite(subject: str, exact: str | None = None, start: int | None = None, end: int | None = None) -> dict[str, Any]:
    """Return a passage; with only a quotation given, its position is that in the text."""
    given: dict[str, Any] = {"document": subject}
    if exact is not None:
        given["exact"] = exact
        if start is None and exact in TEXT:
            start, end = TEXT.index(exact), TEXT.index(exact) + len(exact)
    if start is not None:
        given |= {"start": start, "end": end}
    return given


def files_with(server: Server, *words: str) -> list[str]:
    """Return the files of the data directory that contain any of these."""
    held = {path: path.read_bytes() for path in server.data.rglob("*") if path.is_file()}
    return [f"{path.name}: {word}" for path, content in held.items() for word in words if word.encode() in content]


def statuses(server: Server, subject: str, **asked: Any) -> list[str]:
    return [item["status"] for item in server.items(f"/v1/{subject}/passages", **asked)]
