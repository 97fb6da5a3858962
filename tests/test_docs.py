"""The examples of the README and of `docs/`, run in order against a live server, give the answers shown there."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import orjson
import pytest

from service.http import unrouted
from tests.service.commands import environment, serving
from tests.service.query_helpers import SEEDS
from tests.service.registry import problem, registered, running

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- the next block ---"


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def examples(page: str) -> list[tuple[str, str | None]]:
    """Return each shell block of a page, with the answer shown below it, if there is one."""
    found: list[tuple[str, str | None]] = []
    for language, text in BLOCK.findall(read(page)):
        if language == "sh":
            found.append((text, None))
        else:
            assert found[-1][1] is None, "an answer follows its question"
            found[-1] = (found[-1][0], text)
    return found


WITH_EXAMPLES = [page for page in PAGES if examples(page)]


def within(shown, answered):
    """Return whether an answer is as shown; lists have equal lengths, objects may have more members than shown."""
    if isinstance(shown, dict):
        return isinstance(answered, dict) and all(within(part, answered.get(name)) for name, part in shown.items())
    if isinstance(shown, list):
        return len(shown) == len(answered) and all(map(within, shown, answered))
    return shown == answered


@pytest.fixture(scope="module", params=WITH_EXAMPLES)
def page_and_outputs(request, tmp_path_factory):
    """Return a page, and the output of each of its blocks, all run in one shell."""
    page = request.param
    folder = tmp_path_factory.mktemp("docs")
    with serving(folder / "data", "--seeds", SEEDS) as server:
        here = {
            "http://127.0.0.1:8080": server.url,
            ".venv/bin/registry": shlex.quote(str(Path(sys.executable).with_name("registry"))),
            "/tmp/": f"{folder}/",
        }
        script = ["set -euo pipefail"]
        for text, _ in examples(page):
            script.append(re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], text))
            script.append(f"echo; echo {shlex.quote(MARK)}")
        ended = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=ROOT,
            env=environment(folder / "data", no_proxy="*"),
            capture_output=True,
            timeout=100,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr.decode()
    printed = ended.stdout.decode().split(f"\n{MARK}\n")
    assert len(printed) == len(examples(page)) + 1
    return page, printed


def test_examples_give_the_answers_shown_below_them(page_and_outputs):
    page, outputs = page_and_outputs
    for (text, shown), printed in zip(examples(page), outputs, strict=False):
        if shown is not None:
            assert within(orjson.loads(shown), orjson.loads(printed)), (text, printed)
            continue
        assert "/problems/" not in printed, (text, printed)
        if "curl" in text and "$(" not in text:
            assert printed.strip(), text


def test_the_first_screen_is_a_sentence_a_question_and_its_whole_answer():
    title, sentence = read("README.md").split("\n\n")[:2]
    assert title.startswith("# ")
    assert sentence.count(".") == 1
    question, shown = examples("README.md")[0]
    assert "on=" in question
    assert "as_of=" in question
    assert shown is not None
    assert set(orjson.loads(shown)) == {"items", "next", "position"}
    assert read("README.md").index("make run") < 2500


@pytest.mark.parametrize("page", PAGES)
def test_every_file_linked_in_a_page_exists(page):
    for name in re.findall(r"\]\(([A-Za-z./-]+)\)", read(page)):
        assert ((ROOT / page).parent / name).resolve().is_file(), name


@pytest.mark.parametrize("page", PAGES)
def test_every_source_file_named_in_a_page_exists(page):
    for name in re.findall(r"`((?:domain|projections|service|seeds|tests)/[a-z_/]*(?:\.py)?)`", read(page)):
        assert (ROOT / name).exists(), name


def test_every_address_the_readme_links_to_is_served(tmp_path):
    with serving(tmp_path / "data") as server:
        for path in re.findall(r"<http://127\.0\.0\.1:8080(/[^>]*)>", read("README.md")):
            assert server.get(path, Accept="*/*")[0] == 200, path


def test_every_example_file_is_posted_by_a_page():
    posted = "\n".join(map(read, PAGES))
    for path in (ROOT / "examples").iterdir():
        assert f"examples/{path.name}" in posted, path.name


def test_every_room_and_module_in_the_contributing_guide_exists():
    rooms = read("CONTRIBUTING.md").partition("## Rooms")[2].partition("## ")[0]
    room = ROOT
    for row in re.findall(r"^\| .*`.*$", rooms, re.MULTILINE):
        names = re.findall(r"`([a-z_/]+(?:\.py|/))`", row)
        if not row.startswith("| —"):
            room = ROOT / names[0]
        for name in names:
            assert (room / name).exists() or (ROOT / name).exists(), name


def test_worked_diffs_of_the_contributing_guide_apply_to_the_files_they_name():
    for diff in re.findall(r"^```diff\n(.*?)^```$", read("CONTRIBUTING.md"), re.MULTILINE | re.DOTALL):
        files: list[str] = []
        for line in diff.splitlines():
            if line.startswith(" #"):
                files = re.findall(r"(?:domain|projections|service)/[a-z_/]+\.py", line) or files
                for file in files:
                    assert (ROOT / file).is_file() or "new module" in line, file
            elif line.startswith("-"):
                assert any(line[1:].strip() in (ROOT / file).read_text(encoding="utf-8") for file in files), line


async def test_resource_of_the_contributing_guide_answers(tmp_path, monkeypatch):
    (diff,) = re.findall(
        r"^```diff\n # service/http/[^\n]*new module\n(.*?)^```$", read("CONTRIBUTING.md"), re.MULTILINE | re.DOTALL
    )
    resource = ModuleType("last_event")
    exec("".join(line.removeprefix("+") for line in diff.splitlines(keepends=True)), resource.__dict__)
    others = unrouted.add_routes
    monkeypatch.setattr(unrouted, "add_routes", lambda app: (resource.add_routes(app), others(app)))
    async with running(tmp_path) as registry:
        await problem(await registry.get("/v1/events/last"), 404, "not-found")
        receipt = await registry.take(registered("a"))
        assert (await registry.json("/v1/events/last"))["position"] == receipt["position"]
        await problem(await registry.get("/v1/events/last?a=b"), 422, "invalid-query")
        assert "/v1/events/last" in (await registry.json("/openapi.json"))["paths"]
