"""Settings: options, then the environment, then defaults; a wrong value is refused in one line that says what is valid."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.tlog_formats import COSIGNATURE, Verifier, parse_verifier
from service.settings import Settings, SettingsError, Witness

WITNESS = Verifier("w.example", bytes(range(32)), COSIGNATURE).text
LOG = Verifier("log.example", bytes(range(32))).text


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(f"REGISTRY_{name.upper()}", raising=False)


def test_defaults_apply_where_nothing_is_set(monkeypatch):
    default = Settings(data=Path("data"), host="127.0.0.1", port=8080, origin=None, read="open", rate=0)
    assert Settings.load({}) == default
    monkeypatch.setenv("REGISTRY_PORT", "")
    monkeypatch.setenv("PORT", "1")
    assert Settings.load({"port": None, "host": ""}) == default


def test_options_come_before_the_environment_before_defaults(tmp_path, monkeypatch):
    for name, value in (("DATA", str(tmp_path)), ("PORT", "1"), ("READ", "key")):
        monkeypatch.setenv(f"REGISTRY_{name}", value)
    found = Settings.load({"port": "0", "host": "::1", "origin": "example.org/log"})
    assert found == Settings(data=tmp_path, host="::1", port=0, origin="example.org/log", read="key")


@pytest.mark.parametrize(("host", "rate"), [("127.0.0.2", 0), ("localhost", 0), ("::1", 0), ("0.0.0.0", 100)])
def test_rate_is_limited_by_default_where_other_machines_can_read(host, rate):
    assert Settings.load({"host": host}).rate == rate
    assert Settings.load({"host": host, "rate": "2.5"}).rate == 2.5


@pytest.mark.parametrize(
    ("value", "origins"),
    [
        (None, ("*",)),
        ("none", ()),
        ("*", ("*",)),
        ("https://a.example, http://b.example:81", ("https://a.example", "http://b.example:81")),
    ],
)
def test_cors_is_a_list_of_origins(value, origins):
    assert Settings.load({"cors": value}).origins == origins


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("port", "x", "from 0 to 65535"),
        ("port", "65536", "from 0 to 65535"),
        ("port", "-1", "from 0 to 65535"),
        ("port", "80.0", "from 0 to 65535"),
        ("host", "a b", "such as 127.0.0.1"),
        ("host", "http://x", "such as 127.0.0.1"),
        ("read", "closed", "'open' or 'key'"),
        ("origin", "a b", "example.org/registry"),
        ("origin", "a+b", "example.org/registry"),
        ("rate", "fast", "a number of requests per second"),
        ("cors", "https://a.example,x", "https://example.org"),
        ("data", __file__, "a directory is needed"),
        ("log", "postgresql://x", "leave it out"),
        ("log", "nonsense", "leave it out"),
        ("signing_key", "/does/not/exist", "the file of the log's signing key"),
        ("signing_key", "/", "the file of the log's signing key"),
        ("witnesses", "x", "<verifier key> <http or https address>"),
        ("witnesses", WITNESS, "<verifier key> <http or https address>"),
        ("witnesses", f"{WITNESS} w.example", "<verifier key> <http or https address>"),
        ("witnesses", f"{WITNESS} ftp://w.example", "<verifier key> <http or https address>"),
        ("witnesses", f"{WITNESS} http://", "<verifier key> <http or https address>"),
        ("witnesses", f"{WITNESS} http://[", "<verifier key> <http or https address>"),
        ("witnesses", f"{WITNESS} http://w.example:x", "<verifier key> <http or https address>"),
        ("witnesses", f"{WITNESS} http://w.example x", "<verifier key> <http or https address>"),
        ("witnesses", f"http://w.example {WITNESS}", "<verifier key> <http or https address>"),
        ("witnesses", f"{WITNESS} http://w.example, x", "<verifier key> <http or https address>"),
        ("witnesses", f"{LOG} http://w.example", "base64 of 4"),
        ("witnesses", f"{WITNESS[:-4]}AAAA http://w.example", "the key id is not"),
    ],
)
def test_wrong_value_is_refused_with_what_is_valid(name, value, right, monkeypatch):
    for options in ({name: value}, {}):
        with pytest.raises(SettingsError) as caught:
            Settings.load(options)
        monkeypatch.setenv(f"REGISTRY_{name.upper()}", value)
        text = str(caught.value)
        assert right in text
        assert f"REGISTRY_{name.upper()}" in text
        assert "\n" not in text


def test_witnesses_are_given_as_keys_and_addresses(monkeypatch):
    other = Verifier("v.example", bytes(32), COSIGNATURE).text
    found = Settings.load({"witnesses": f" {WITNESS}  https://w.example:8443/a/ ,{other} http://127.0.0.1:80,"})
    assert found.witnesses == (
        Witness(parse_verifier(WITNESS, COSIGNATURE), "https://w.example:8443/a"),
        Witness(parse_verifier(other, COSIGNATURE), "http://127.0.0.1:80"),
    )
    monkeypatch.setenv("REGISTRY_WITNESSES", f"{WITNESS} http://w.example")
    assert Settings.load({}).witnesses[0].url == "http://w.example"


def test_a_signing_key_is_a_file(tmp_path):
    (tmp_path / "log.key").touch()
    assert Settings.load({"signing_key": str(tmp_path / "log.key")}).signing_key == tmp_path / "log.key"


def test_an_unknown_option_is_refused():
    with pytest.raises(SettingsError, match="'prot'"):
        Settings.load({"prot": "1"})
