"""The commands besides `serve`: what they print, on which stream, and their exit status."""

from __future__ import annotations

import csv
import io
import re
import stat
import subprocess
import sys

import orjson
import pytest

from service.exports import NAMES
from tests.service.commands import REGISTRY, call, done, environment, read_only, refused, run, serving
from tests.service.query_helpers import SEEDED, SEEDS, party, seed_lines, signed
from tests.service.registry import renamed


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def seeded(data):
    done("import", "-", data=data, stdin=seed_lines())
    return data


def test_the_version_is_printed():
    assert re.fullmatch(rb"\d+\.\d+\.\d+\n", done("version"))
    assert done("--version") == done("version")


def test_help_says_every_command():
    said = done("--help").decode()
    for command in ("serve", "import", "export", "rebuild", "keys", "openapi", "version"):
        assert command in said
        assert done(command, "--help")


@pytest.mark.parametrize("group", [(), ("keys",)])
def test_command_group_alone_shows_its_help(group):
    assert done(*group) == done(*group, "--help")


def test_version_imports_nothing_that_it_does_not_need():
    code = (
        "import sys; sys.argv = ['registry', 'version']\n"
        "from service.cli import main\n"
        "try: main()\n"
        "finally: print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    imported = {name.partition(".")[0] for name in ended.stderr.split()}
    heavy = {"aiohttp", "asyncio", "cryptography", "domain", "eventsourcing", "jinja2", "orjson", "projections"}
    assert imported & (heavy | {"prometheus_client", "pydantic", "rapidfuzz", "sqlite3", "structlog"}) == set()
    assert len(ended.stderr.split()) < 250


def test_unknown_command_is_refused():
    assert "No such command" in refused("sreve", code=2)


# keys


def test_a_key_is_printed_alone_and_only_once(data):
    made = run("keys", "create", "analyst", "--scope", "post", "--scope", "read", data=data)
    assert re.fullmatch(rb"rk_[\w-]{43}\n", made.stdout)
    listed = done("keys", "list", data=data).decode()
    assert listed.startswith("analyst\tpost,read\t")
    assert listed.endswith("\tin use\n")
    assert made.stdout.decode().strip() not in listed
    assert not any(made.stdout.strip() in path.read_bytes() for path in data.iterdir())
    assert stat.S_IMODE((data / "keys.sqlite").stat().st_mode) == 0o600


def test_a_key_takes_effect_while_serving_and_ends_when_it_is_revoked(data):
    with serving(data, "--read", "key") as server:
        key = done("keys", "create", "reader", "--scope", "read", data=data).decode().strip()
        assert server.get("/v1/parties", Authorization=f"Bearer {key}")[0] == 200
        done("keys", "revoke", "reader", data=data)
        assert server.get("/v1/parties", Authorization=f"Bearer {key}")[0] == 401
        assert "revoked 20" in done("keys", "list", data=data).decode()


def test_invalid_key_commands_are_refused(data):
    assert "scope" in refused("keys", "create", "x", data=data, code=2)
    assert "'post'" in refused("keys", "create", "x", "--scope", "write", data=data, code=2)
    assert "no keys" in refused("keys", "revoke", "x", data=data, code=1)
    done("keys", "create", "x", "--scope", "post", data=data)
    assert "exists" in refused("keys", "create", "x", "--scope", "post", data=data, code=1)
    done("keys", "revoke", "x", data=data)
    assert "revoked" in refused("keys", "create", "x", "--scope", "post", data=data, code=1)
    assert "'y'" in refused("keys", "revoke", "y", data=data, code=1)
    assert "name" in refused("keys", "create", " ", "--scope", "post", data=data, code=1)


# import


def test_an_import_into_a_directory_records_every_line(data, tmp_path):
    ended = run("import", SEEDS / "01-casip-consortium.ndjson", "--results", tmp_path / "results", data=data)
    assert (ended.returncode, ended.stdout) == (0, b"")
    assert ended.stderr == b"14 lines: 14 recorded, 0 already recorded, 0 refused\n"
    results = [orjson.loads(line) for line in (tmp_path / "results").read_bytes().splitlines()]
    assert [result["position"] for result in results] == list(range(1, 15))
    assert orjson.loads(done("export", "log", data=data).splitlines()[0])["actor"] == "import"


def test_the_same_import_again_records_nothing_new(seeded):
    before = done("export", "log", data=seeded)
    assert (
        run("import", "-", data=seeded, stdin=seed_lines()).stderr.decode()
        == f"{SEEDED} lines: 0 recorded, {SEEDED} already recorded, 0 refused\n"
    )
    assert done("export", "log", data=seeded) == before


def test_a_line_that_is_refused_is_shown_and_exits_with_one(data, tmp_path):
    lines = b"\n".join([orjson.dumps(party("a")), b"{", orjson.dumps(renamed("nobody", "N")), orjson.dumps(party("b"))])
    ended = run("import", "-", "--results", tmp_path / "results", data=data, stdin=lines)
    said = ended.stderr.decode().splitlines()
    assert ended.returncode == 1
    assert said[0].startswith("line 2: ")
    assert said[1].startswith("line 3: ")
    assert said[2] == "4 lines: 2 recorded, 0 already recorded, 2 refused"
    results = [orjson.loads(line) for line in (tmp_path / "results").read_bytes().splitlines()]
    assert ["line" in result for result in results] == [False, True, True, False]


def test_an_import_to_a_server_records_every_line(data, tmp_path):
    with serving(data) as server:
        key = done("keys", "create", "poster", "--scope", "post", data=data).decode().strip()
        path = tmp_path / "events.ndjson"
        path.write_bytes(seed_lines() + b"{\n")
        ended = run("import", path, "--url", server.url, "--key", key, "--results", tmp_path / "results")
        assert (ended.returncode, ended.stdout) == (1, b"")
        said = f"{SEEDED + 1} lines: {SEEDED} recorded, 0 already recorded, 1 refused"
        assert ended.stderr.decode().splitlines()[-1] == said
        assert len((tmp_path / "results").read_bytes().splitlines()) == SEEDED + 1
        assert server.json("/v1/events?limit=1")["position"] == SEEDED
        assert server.json("/v1/events/1")["actor"] == "poster"
        new = orjson.dumps(party("new")) + b"\n"
        again = run("import", "-", "--url", f"{server.url}/", stdin=seed_lines() + new + new, REGISTRY_KEY=key)
        assert again.returncode == 0
        assert again.stderr.decode() == f"{SEEDED + 2} lines: 1 recorded, {SEEDED + 1} already recorded, 0 refused\n"


def test_import_that_cannot_start_gives_the_reason(data, tmp_path):
    with serving(data) as server:
        assert "--url" in refused("import", "-", data=data, stdin=b"", code=1)
        assert "Unauthorized" in refused("import", "-", "--url", server.url, stdin=b"{}\n", code=1)
        assert "unknown" in refused("import", "-", "--url", server.url, "--key", "x", stdin=b"{}\n", code=1)
        url = server.url
    assert url in refused("import", "-", "--url", url, stdin=b"{}\n", code=1)
    assert "http://" in refused("import", "-", "--url", "nowhere", stdin=b"{}\n", code=1)
    assert "--url" in refused("import", "-", "--url", url, "--data", data, stdin=b"{}\n", code=2)
    assert "No such file" in refused("import", tmp_path / "none", data=data, code=2)


def test_an_import_of_many_lines_uses_little_memory_and_answers_each(data, tmp_path):
    path = tmp_path / "many.ndjson"
    with path.open("wb") as file:
        for number in range(3000):
            file.write(orjson.dumps(party(f"p{number}")) + b"\n")
    ended = run("import", path, data=data)
    assert ended.stderr == b"3000 lines: 3000 recorded, 0 already recorded, 0 refused\n"


def _chain(length: int) -> list[bytes]:
    """Return parties, each a part of one that a later line registers; and lines that stay invalid."""
    parts = [party(f"p{number}", part_of=f"parties/p{number + 1}") for number in range(length)]
    hopeless = [orjson.dumps(renamed("nobody", "N")), b"{", b"", orjson.dumps(party("q", part_of="parties/none"))]
    return [*hopeless, *map(orjson.dumps, [*parts, party(f"p{length}")])]


@pytest.mark.parametrize("where", ["directory", "server"])
def test_refused_lines_are_retried_until_none_of_them_is_accepted(data, tmp_path, where):
    lines = _chain(5)
    with serving(data) as server:
        key = done("keys", "create", "poster", "--scope", "post", data=data).decode().strip()
        target = {"data": tmp_path / "other"} if where == "directory" else {"REGISTRY_KEY": key}
        more = () if where == "directory" else ("--url", server.url)
        stdin = b"\n".join(lines)
        ended = run("import", "-", "--retry", "--results", tmp_path / "results", *more, stdin=stdin, **target)
    said = ended.stderr.decode().splitlines()
    assert ended.returncode == 1
    assert [line.partition(":")[0] for line in said] == ["line 1", "line 2", "line 4", "9 lines"]
    assert said[-1] == "9 lines: 6 recorded, 0 already recorded, 3 refused"
    results = [orjson.loads(line) for line in (tmp_path / "results").read_bytes().splitlines()]
    assert [result.get("line") for result in results] == [1, 2, 4, None, None, None, None, None, None]
    assert [result["position"] for result in results[3:]] == [6, 5, 4, 3, 2, 1]


def test_an_import_that_cannot_begin_is_not_retried(data):
    said = refused("import", "-", "--retry", "--url", "http://127.0.0.1:9", stdin=b"{}\n", code=1)
    assert "0 lines" in said


# export


def test_the_log_is_exported_as_it_is_answered(seeded, tmp_path):
    done("export", "log", "-o", tmp_path / "log.ndjson", data=seeded)
    with serving(seeded) as server:
        status, answered = call(f"{server.url}/v1/events", headers={"Accept": "application/x-ndjson"})
        assert status == 200
        assert done("export", "log", data=seeded) == answered, "also while it is served"
    assert (tmp_path / "log.ndjson").read_bytes() == answered


def test_views_are_exported_as_their_lists_answer_csv(seeded, tmp_path):
    done("export", "views", tmp_path / "views", data=seeded)
    assert {path.name for path in (tmp_path / "views").iterdir()} == {f"{name}.csv" for name in NAMES}
    with serving(seeded) as server:
        for name in NAMES:
            _, answered = call(f"{server.url}/v1/{name}", headers={"Accept": "text/csv"})
            assert (tmp_path / "views" / f"{name}.csv").read_bytes() == answered
            assert done("export", name, data=seeded) == answered


def test_a_view_is_exported_as_of_any_time(data):
    events = [party("a"), party("b"), signed("deal", "2024-01-21", "a", "b")]
    done("import", "-", data=data, stdin=b"\n".join(map(orjson.dumps, events)))

    def subjects(*options):
        text = done("export", "agreements", *options, data=data).decode()
        return [row["subject"] for row in csv.DictReader(io.StringIO(text))]

    assert subjects() == subjects("--on", "any") == ["agreements/deal"]
    assert subjects("--on", "2024-01-20") == subjects("--as-of", "2") == []
    assert "as-of" in refused("export", "agreements", "--as-of", "9", data=data, code=2)
    assert "--on" in refused("export", "agreements", "--on", "x", data=data, code=2)


def test_invalid_export_is_refused(data, tmp_path):
    assert "no log" in refused("export", "log", data=data, code=1)
    assert "no views" in refused("export", "parties", data=data, code=1)
    assert "timeline" in refused("export", "everything", data=data, code=2)
    assert "DIRECTORY" in refused("export", "views", data=data, code=2)
    assert "DIRECTORY" in refused("export", "parties", tmp_path, data=data, code=2)


def test_a_reader_that_stops_reading_is_no_fault(seeded):
    piped = f"{REGISTRY} export log | head -n 1"
    ended = subprocess.run(piped, shell=True, env=environment(seeded), capture_output=True, check=True)
    assert b"Traceback" not in ended.stderr
    assert ended.stdout.count(b"\n") == 1


# disks


COMMANDS = [
    ("keys", "create", "another", "--scope", "post"),
    ("keys", "revoke", "poster"),
    ("rebuild",),
    ("import", SEEDS / "01-casip-consortium.ndjson"),
    ("serve", "--port", 0),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(map(str, command[:2])))
def test_command_on_read_only_disk_fails_in_one_line(data, command):
    done("keys", "create", "poster", "--scope", "post", data=data)
    done("import", "-", data=data, stdin=seed_lines())
    with read_only(data) as within:
        refused(*command, data=data, within=within, code=1)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(map(str, command[:2])))
def test_command_on_full_disk_fails_in_one_true_line(data, command):
    done("keys", "create", "poster", "--scope", "post", data=data)
    done("import", "-", data=data, stdin=seed_lines())
    (data / "views.sqlite").unlink()  # so that serving and importing have to write much
    ended = run(*command, data=data, file_bytes=2000)
    assert ended.returncode == 1
    assert b"Traceback" not in ended.stderr
    assert b"erased" not in ended.stderr
    said = ended.stderr.decode().splitlines()
    assert said[-1].startswith("registry: ")
    assert not list(data.glob("views.next*"))


def test_reading_commands_need_no_writable_directory(seeded):
    done("keys", "create", "poster", "--scope", "post", data=seeded)
    commands = [("export", "log"), ("export", "parties"), ("keys", "list")]
    expected = [run(*command, data=seeded).stdout for command in commands]
    assert all(expected)
    before = {path.name: path.stat().st_mtime_ns for path in seeded.iterdir()}
    with read_only(seeded) as within:
        for command, printed in zip(commands, expected, strict=True):
            ended = run(*command, data=seeded, within=within)
            assert ended.stdout == printed, ended.stderr
    assert {path.name: path.stat().st_mtime_ns for path in seeded.iterdir()} == before


def test_all_files_are_readable_by_their_owner_only(data, tmp_path):
    """Files of the registry, files that SQLite adds, and files with an earlier version's mode."""

    def open_to_others():
        return {path.name: oct(path.stat().st_mode) for path in (data, *data.rglob("*")) if path.stat().st_mode & 0o077}

    ended = subprocess.run(
        f"umask 0; {REGISTRY} keys create poster --scope post && {REGISTRY} import {SEEDS / '01-casip-consortium.ndjson'}",
        shell=True,
        env=environment(data),
        capture_output=True,
        check=True,
    )
    assert open_to_others() == {}, ended
    with serving(data) as server:
        key = done("keys", "create", "other", "--scope", "post", data=data).decode().strip()
        done("import", "-", "--url", server.url, "--key", key, stdin=seed_lines())
        done("rebuild", data=data)
        assert {"log.sqlite-wal", "views.sqlite-shm", "keys.sqlite", "checkpoint"} <= {p.name for p in data.iterdir()}
        assert open_to_others() == {}
        server.process.kill()
        server.process.wait()
    for path in data.iterdir():
        path.chmod(0o600 if path.name == "log.key" else 0o644)
    data.chmod(0o755)
    with serving(data):
        assert open_to_others() == {}
