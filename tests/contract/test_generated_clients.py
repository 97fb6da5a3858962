"""Section 7: clients that are generated from the API document post, read, page and meet a conflict, with typed code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.server import command

CONFIG = Path(__file__).parents[2] / "examples" / "openapi-python-client.yaml"
NPM_PACKAGES = ("openapi-typescript@7", "typescript@5")

PYTHON_PROGRAM = """\
import sys
from hashlib import sha256
from io import BytesIO
from urllib.parse import parse_qs, urlsplit

from generated import AuthenticatedClient
from generated.api.documents import put_document_text
from generated.api.events import post_events
from generated.api.parties import get_party, list_parties, map_party
from generated.models.document_registered import DocumentRegistered
from generated.models.document_registered_data import DocumentRegisteredData
from generated.models.list_parties_response_200 import ListPartiesResponse200
from generated.models.parties import Parties
from generated.models.party_registered import PartyRegistered
from generated.models.party_registered_data import PartyRegisteredData
from generated.models.party_registered_data_kind import PartyRegisteredDataKind
from generated.models.problem_409 import Problem409
from generated.models.problem_409_type import Problem409Type
from generated.models.receipt import Receipt
from generated.types import UNSET, File, Unset

address, key, prefix = sys.argv[1:]
client = AuthenticatedClient(base_url=address, token=key, raise_on_unexpected_status=True)


def registered(slug: str, name: str) -> PartyRegistered:
    data = PartyRegisteredData(name=name, kind=PartyRegisteredDataKind.COMPANY, jurisdiction="SE")
    return PartyRegistered(
        specversion="1.0", id=slug, source=prefix, type_="party.registered", subject=f"parties/{slug}", data=data
    )


slugs = [f"{prefix}-{number}" for number in range(3)]
for slug in slugs:
    receipt = post_events.sync(client=client, body=registered(slug, "A company"))
    assert isinstance(receipt, Receipt), receipt
    assert receipt.position > 0

party = get_party.sync(slugs[0], client=client)
assert isinstance(party, Parties), party
assert (party.subject, party.kind) == (f"parties/{slugs[0]}", "company")

seen: list[str] = []
cursor: str | Unset = UNSET
while True:
    page = list_parties.sync(client=client, limit=2, cursor=cursor)
    assert isinstance(page, ListPartiesResponse200), page
    seen += [item.subject for item in page.items]
    if page.next_ is None:
        break
    cursor = parse_qs(urlsplit(page.next_).query)["cursor"][0]
assert {f"parties/{slug}" for slug in slugs} <= set(seen)

conflict = post_events.sync(client=client, body=registered(slugs[0], "Another name"))
assert isinstance(conflict, Problem409), conflict
assert conflict.type_ is Problem409Type.DIFFERENT_CONTENT
assert conflict.status.value == 409

links = map_party.sync(slugs[0], client=client)
assert isinstance(links, str), links
assert 'rel="original timegate"' in links

text = "Words of a document."
document = DocumentRegistered(
    specversion="1.0",
    id="document",
    source=prefix,
    type_="document.registered",
    subject=f"documents/{prefix}",
    data=DocumentRegisteredData(title="A document", sha256=sha256(text.encode()).hexdigest()),
)
assert isinstance(post_events.sync(client=client, body=document), Receipt)
stored = put_document_text.sync(prefix, client=client, body=File(BytesIO(text.encode())))
assert isinstance(stored, Receipt), stored
"""

TYPESCRIPT_PROGRAM = """\
import type { components, operations, paths } from "./api";

declare const process: { argv: string[] };
const [address, key, prefix] = process.argv.slice(2) as [string, string, string];

type Event = components["schemas"]["Event"];
type Receipt = components["schemas"]["Receipt"];
type Conflict = operations["postEvents"]["responses"][409]["content"]["application/problem+json"];
type Parties = paths["/v1/parties"]["get"]["responses"][200]["content"]["application/json"];
type Party = paths["/v1/parties/{slug}"]["get"]["responses"][200]["content"]["application/json"];

function check(holds: boolean, what: unknown): void {
    if (!holds) throw new Error(JSON.stringify(what));
}

async function post(event: Event): Promise<Response> {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${key}` };
    return fetch(`${address}/v1/events`, { method: "POST", headers, body: JSON.stringify(event) });
}

async function get<Answer>(path: string): Promise<Answer> {
    const answer = await fetch(address + path);
    check(answer.status === 200, path);
    return answer.json() as Promise<Answer>;
}

function registered(slug: string, name: string): Event {
    return {
        specversion: "1.0", id: slug, source: prefix, type: "party.registered", subject: `parties/${slug}`,
        data: { name, kind: "company", jurisdiction: "SE" },
    };
}

async function main(): Promise<void> {
    const slugs = [0, 1, 2].map((number) => `${prefix}-${number}`);
    for (const slug of slugs) {
        const answer = await post(registered(slug, "A company"));
        check(answer.status === 201, answer.status);
        const receipt: Receipt = await answer.json();
        check(receipt.position > 0, receipt);
    }

    const party = await get<Party>(`/v1/parties/${slugs[0]}`);
    check(party.subject === `parties/${slugs[0]}` && party.kind === "company", party);

    const seen: string[] = [];
    let next: string | null = "/v1/parties?limit=2";
    while (next !== null) {
        const data: Parties = await get<Parties>(next);
        seen.push(...data.items.map((item) => item.subject));
        next = data.next;
    }
    check(slugs.every((slug) => seen.includes(`parties/${slug}`)), seen);

    const answer = await post(registered(slugs[0]!, "Another name"));
    check(answer.status === 409, answer.status);
    const conflict: Conflict = await answer.json();
    const type: "/problems/contradiction" | "/problems/different-content" = conflict.type;
    check(type === "/problems/different-content", conflict);
}

void main();
"""


@pytest.fixture(scope="module")
def document(tmp_path_factory) -> Path:
    """Return a file with the API document."""
    path: Path = tmp_path_factory.mktemp("document") / "api.json"
    path.write_bytes(command("openapi").stdout)
    return path


def run(*arguments: str | Path, cwd: Path) -> str:
    """Run a command, which must succeed; return what it printed."""
    tools = Path(sys.executable).parent  # where the generator finds its formatter
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}", "NO_PROXY": "*"}
    ended = subprocess.run(
        arguments, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=110, check=False
    )
    printed = ended.stdout.decode()
    assert ended.returncode == 0, printed
    return printed


def test_generated_python_client_posts_reads_pages_and_meets_a_conflict(shared, document, tmp_path):
    generate = ("generate", "--path", document, "--output-path", tmp_path / "generated", "--meta", "none")
    printed = run(Path(sys.executable).with_name("openapi-python-client"), *generate, "--config", CONFIG, cwd=tmp_path)
    assert "warning" not in printed.lower(), printed
    program = tmp_path / "program.py"
    program.write_text(PYTHON_PROGRAM, encoding="utf-8")
    run(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", program, cwd=tmp_path)
    run(sys.executable, "-W", "error", program, shared.address, shared.key, shared.new("py"), cwd=tmp_path)


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory) -> Path:
    """Return a folder with the TypeScript generator and compiler. Skip the test where npm cannot install them."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node.js: install node and npm")
    folder: Path = tmp_path_factory.mktemp("node")
    options = (
        "--prefix",
        folder,
        "--no-audit",
        "--no-fund",
        "--prefer-offline",
        "--fetch-retries=0",
        "--fetch-timeout=20000",
    )
    installed = subprocess.run(
        ["npm", "install", *options, *NPM_PACKAGES], cwd=folder, capture_output=True, timeout=90, check=False
    )
    if installed.returncode != 0:
        pytest.skip(f"npm cannot install {' and '.join(NPM_PACKAGES)}: {installed.stderr.decode()[-300:]}")
    return folder


def test_generated_typescript_client_posts_reads_pages_and_meets_a_conflict(shared, document, node_folder):
    programs = node_folder / "node_modules" / ".bin"
    printed = run(programs / "openapi-typescript", document, "--output", "api.d.ts", cwd=node_folder)
    assert "warn" not in printed.lower(), printed
    (node_folder / "program.ts").write_text(TYPESCRIPT_PROGRAM, encoding="utf-8")
    options = ("--strict", "--noUncheckedIndexedAccess", "--target", "es2022", "--module", "commonjs")
    run(programs / "tsc", *options, "--lib", "es2022,dom", "program.ts", cwd=node_folder)
    run("node", "program.js", shared.address, shared.key, shared.new("ts"), cwd=node_folder)
