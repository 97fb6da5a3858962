"""The README's examples, run in order against a live server as a reader would; what it says they answer, they answer."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.service.asked import SEEDS
from tests.service.commands import environment, serving

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(sh|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- the next block ---"


def examples() -> list[tuple[str, str | None]]:
    """Each shell block, with what the README says it answers, if it does."""
    found: list[tuple[str, str | None]] = []
    for language, text in BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8")):
        if language == "sh":
            found.append((text, None))
        else:
            assert found[-1][1] is None, "an answer follows its question"
            found[-1] = (found[-1][0], text)
    return found


def within(said, answered):
    """Whether all that is said is so; of lists, as many items, of objects only the members named."""
    if isinstance(said, dict):
        return isinstance(answered, dict) and all(within(part, answered.get(name)) for name, part in said.items())
    if isinstance(said, list):
        return len(said) == len(answered) and all(map(within, said, answered))
    return said == answered


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each block printed, all run in one shell."""
    folder = tmp_path_factory.mktemp("readme")
    with serving(folder / "data", "--seeds", SEEDS) as server:
        here = {
            "http://127.0.0.1:8080": server.url,
            ".venv/bin/registry": shlex.quote(str(Path(sys.executable).with_name("registry"))),
            "/tmp/": f"{folder}/",
        }
        script = ["set -euo pipefail"]
        for text, _ in examples():
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
    assert len(printed) == len(examples()) + 1
    return printed


@pytest.mark.parametrize("number", range(len(examples())))
def test_an_example_works_as_the_readme_says(outputs, number):
    text, said = examples()[number]
    printed = outputs[number]
    if said is None:
        assert "/problems/" not in printed, printed
        if "curl" in text and "$(" not in text:
            assert printed.strip()
    else:
        assert within(orjson.loads(said), orjson.loads(printed)), (text, printed)


def test_the_readme_begins_with_one_sentence_and_one_command():
    title, sentence, command = (ROOT / "README.md").read_text(encoding="utf-8").split("\n\n")[:3]
    assert title.startswith("# ")
    assert sentence.count(".") == 1
    assert sentence.endswith(".")
    assert command.strip() == "make run"


def test_every_address_the_readme_links_to_is_served_or_stands_beside_it(tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"\]\(([A-Za-z.]+)\)", text):
        assert (ROOT / name).is_file(), name
    with serving(tmp_path / "data") as server:
        for path in re.findall(r"<http://127\.0\.0\.1:8080(/[^>]*)>", text):
            assert server.get(path, Accept="*/*")[0] == 200, path
