"""Settings: flags, then the environment, then defaults; what is wrong is refused in one line that says what is right."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.settings import Settings, SettingsError


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


def test_an_unknown_option_is_refused():
    with pytest.raises(SettingsError, match="'prot'"):
        Settings.of({"prot": "1"}, {})
