"""Answers about texts and citations match the API document, in every status it names."""

from __future__ import annotations

from hashlib import sha256
from io import BytesIO

import orjson

from service.api_keys import Scope
from service.app import make_app
from service.app_keys import KEYS
from service.http.api_document import document
from service.http.operations import DESCRIBED
from service.settings import Settings
from tests.service.query_helpers import event, party
from tests.service.registry import NDJSON, running
from tests.service.test_openapi import Judge

TEXT = "What was said."
PUT = {"Content-Type": "text/plain"}


async def test_every_answer_matches_the_document(tmp_path):
    rows = make_app(Settings())[DESCRIBED]
    judge = Judge(orjson.loads(orjson.dumps(document(rows))))
    async with running(tmp_path / "data") as registry:
        keys = {scope: registry.app[KEYS].create(f"a-{scope}", [scope]) for scope in Scope}

        async def ask(method, slug="d", what="text", scope=None, data=None, query="", **headers):
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            if scope is not None:
                sent["Authorization"] = f"Bearer {keys[scope]}"
            address = f"/v1/documents/{slug}/{what}{query}"
            answer = await registry.client.request(method, address, headers=sent, data=data)
            await judge.judge(answer, method, f"/v1/documents/{{slug}}/{what}")
            return answer.status

        digest = sha256(TEXT.encode()).hexdigest()
        passages = [
            {"document": "documents/d", "start": 5, "end": 8, "exact": "was", "translation": "war", "note": "n"},
            {"document": "documents/d", "exact": "not said", "supports": ["/data/name"]},
        ]
        gone = event("document.registered", "documents/gone", {"title": "Gone", "sha256": digest})
        await registry.take(
            [
                event("document.registered", "documents/d", {"title": "D", "sha256": digest}),
                event("document.registered", "documents/other", {"title": "O", "sha256": "0" * 64}),
                party("a", evidence=passages),
                gone,
            ]
        )
        await registry.take(event("event.retracted", "documents/gone", {"event": 4, "reason": "wrong"}))
        post, read, admin = Scope.POST, Scope.READ, Scope.ADMIN
        assert await ask("PUT", data=TEXT, **PUT) == 401
        assert await ask("PUT", data=TEXT, scope=read, **PUT) == 403
        assert await ask("PUT", "nobody", data=TEXT, scope=post, **PUT) == 404
        assert await ask("PUT", "gone", data=TEXT, scope=post, **PUT) == 410
        assert await ask("PUT", data=b"\xff", scope=post, **PUT) == 400
        assert await ask("PUT", data=BytesIO(b"a" * (2**24 + 1)), scope=post, **PUT) == 413
        assert await ask("PUT", data=TEXT, scope=post, Content_Type="text/html") == 415
        assert await ask("PUT", "other", data=TEXT, scope=post, **PUT) == 422
        for query, status in (("?validate=only", 201), ("", 201), ("", 200)):
            assert await ask("PUT", data=TEXT, scope=post, query=query, **PUT) == status
        await registry.take(
            event(
                "event.corrected",
                "documents/d",
                {"event": 1, "reason": "r", "data": {"title": "D", "sha256": "1" * 64}},
            )
        )
        assert await ask("PUT", data=TEXT, scope=post, **PUT) == 422
        await registry.take(event("event.retracted", "documents/d", {"event": 7, "reason": "r"}))
        for query in ("", "?as_of=6"):
            assert await ask("GET", scope=read, query=query) == 200
        assert await ask("GET", scope=read, If_None_Match=f'"{digest}"') == 304
        assert await ask("GET") == 401
        assert await ask("GET", scope=post) == 403
        assert await ask("GET", "other", scope=read) == 404
        assert await ask("GET", "gone", scope=read) == 410
        assert await ask("GET", scope=read, Accept="image/png") == 406
        assert await ask("GET", scope=read, query="?as_of=99") == 422
        for query in ("", "?limit=1", "?as_of=3", "?status=failed", "?on=2020-01-01"):
            for accept in ("application/json", "text/csv", NDJSON):
                assert await ask("GET", what="passages", query=query, Accept=accept) == 200
        assert await ask("GET", "nobody", "passages") == 404
        assert await ask("GET", "gone", "passages") == 410
        assert await ask("GET", what="passages", Accept="image/png") == 406
        assert await ask("GET", what="passages", query="?status=good") == 422
        assert await ask("DELETE") == 401
        assert await ask("DELETE", scope=post) == 403
        assert await ask("DELETE", scope=admin, If_Match="*") == 400
        assert await ask("DELETE", scope=admin, query="?validate=only") == 200
        assert await ask("DELETE", scope=admin) == 200
        assert await ask("DELETE", scope=admin) == 404
        for place in ("/v1/documents/d?evidence=full", "/v1/documents?as_of=6"):
            await judge.judge(await registry.get(place), "GET", "/v1/documents" + ("/{slug}" if "/d?" in place else ""))
