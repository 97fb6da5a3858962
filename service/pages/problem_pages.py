"""The pages that a problem's `type` leads to, for people and for programs: what it means, and what to do."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import hdrs, web

from service.http.answers import JSON, json_answer, negotiate
from service.http.operations import HTML, Answer, Operation, Parameter
from service.pages.site import fixed_page
from service.problems import KINDS, Kind, Problem


class ProblemPages:
    """Answers `/problems` and what is below it."""

    async def one(self, request: web.Request) -> web.StreamResponse:
        """One kind of problem."""
        slug = request.match_info["kind"]
        if slug not in KINDS:
            raise Problem(Kind.NOT_FOUND, f"there is no kind of problem named {slug!r}")
        problem = _described(Kind(slug))
        return self._answer(request, problem["title"], [problem], problem)

    async def all(self, request: web.Request) -> web.StreamResponse:
        """Every kind of problem."""
        problems = [_described(kind) for kind in KINDS]
        return self._answer(request, "Problems", problems, {"items": problems})

    def _answer(
        self, request: web.Request, title: str, problems: list[dict[str, Any]], document: object
    ) -> web.StreamResponse:
        if negotiate(request, (JSON, HTML)) == JSON:
            return json_answer(orjson.dumps(document), headers={hdrs.VARY: hdrs.ACCEPT})
        return fixed_page(request, "problem.html", {"title": title, "problems": problems})

    def operations(self) -> tuple[Operation, ...]:
        """The rows of both."""
        content = {JSON: {"type": "object"}, HTML: {"type": "string"}}
        kind = Parameter("kind", "The last part of a problem's `type`.", {"type": "string"}, where="path")
        return (
            Operation(
                "GET",
                "/problems",
                "listProblems",
                "problems",
                "What can go wrong",
                self.all,
                {200: Answer("Every kind of problem.", content)},
                problems=(406,),
            ),
            Operation(
                "GET",
                "/problems/{kind}",
                "getProblem",
                "problems",
                "What a problem means",
                self.one,
                {200: Answer("The kind of problem.", content)},
                parameters=(kind,),
                problems=(404, 406),
            ),
        )


def _described(kind: Kind) -> dict[str, Any]:
    explained = KINDS[kind]
    return {
        "type": f"/problems/{kind}",
        "title": explained.title,
        "status": explained.status,
        "text": explained.text,
    }
