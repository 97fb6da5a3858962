"""Settings: flags, then the environment, then defaults; what is wrong is refused in one line that says what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.tlog_formats import COSIGNATURE, Verifier, parse_verifier
from service.settings import Settings, SettingsError, Witness

WITNESS = Verifier("w.example", bytes(range(32)), COSIGNATURE).text
LOG = Verifier("log.example", bytes(range(32))).text


def test_defaults_hold_where_nothing_is_given():
    assert Settings.of({}, {}) == Settings(Path("data"), "127.0.0.1", 8080, None, "open")
    assert Settings.of({"port": None}, {"REGISTRY_PORT": "", "PORT": "1"}) == Settings.of({}, {})


def test_flags_come_before_the_environment_before_defaults(tmp_path):
    environ = {"REGISTRY_DATA": str(tmp_path), "REGISTRY_PORT": "1", "REGISTRY_READ": "key"}
    found = Settings.of({"port": "0", "host": "::1", "origin": "example.org/log"}, environ)
    assert found == Settings(tmp_path, "::1", 0, "example.org/log", "key")


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("port", "x", "from 0 to 65535"),
        ("port", "65536", "from 0 to 65535"),
        ("port", "-1", "from 0 to 65535"),
        ("port", "80.0", "from 0 to 65535"),
        ("host", "a b", "such as 127.0.0.1"),
        ("host", "http://x", "such as 127.0.0.1"),
        ("read", "closed", "neither 'open' nor 'key'"),
        ("origin", "a b", "example.org/registry"),
        ("origin", "a+b", "example.org/registry"),
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
def test_a_wrong_value_is_refused_with_what_would_be_right(name, value, right):
    for flags, environ in (({name: value}, {}), ({}, {f"REGISTRY_{name.upper()}": value})):
        with pytest.raises(SettingsError) as caught:
            Settings.of(flags, environ)
        text = str(caught.value)
        assert right in text
        assert f"REGISTRY_{name.upper()}" in text
        assert "\n" not in text


def test_witnesses_are_given_as_keys_and_addresses():
    other = Verifier("v.example", bytes(32), COSIGNATURE).text
    found = Settings.of({"witnesses": f" {WITNESS}  https://w.example:8443/a/ ,{other} http://127.0.0.1:80,"}, {})
    assert found.witnesses == (
        Witness(parse_verifier(WITNESS, COSIGNATURE), "https://w.example:8443/a"),
        Witness(parse_verifier(other, COSIGNATURE), "http://127.0.0.1:80"),
    )
    assert Settings.of({}, {"REGISTRY_WITNESSES": f"{WITNESS} http://w.example"}).witnesses[0].url == "http://w.example"


def test_a_signing_key_is_a_file(tmp_path):
    (tmp_path / "log.key").touch()
    assert Settings.of({"signing_key": str(tmp_path / "log.key")}, {}).signing_key == tmp_path / "log.key"


def test_an_unknown_option_is_refused():
    with pytest.raises(SettingsError, match="'prot'"):
        Settings.of({"prot": "1"}, {})
