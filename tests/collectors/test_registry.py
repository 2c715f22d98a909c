"""Collectors are found by name, and a wrong name says what is there."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from collectors import registry
from collectors.base import Collector
from protocol.errors import ConfigError


def _announce(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = EntryPoint(name="third", value=value, group=registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == registry.GROUP else [])


def test_the_projects_own_collectors_are_installed() -> None:
    """The three protocols are announced by the package itself."""
    assert {"enip", "modbus", "opcua"} <= set(registry.names())


def test_a_loaded_collector_speaks_the_protocol_it_is_named_for() -> None:
    """The word in the configuration, the entry point and the class agree."""
    for name in ("modbus", "opcua"):
        kind = registry.load(name)
        assert issubclass(kind, Collector)
        assert kind.protocol == name


def test_an_unknown_name_says_what_is_installed() -> None:
    """The operator reads the possible names in the hint."""
    with pytest.raises(ConfigError, match="profibus") as caught:
        registry.load("profibus")
    assert "modbus" in caught.value.hint
    assert "opcua" in caught.value.hint


def test_a_third_partys_collector_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point is all that it takes."""
    _announce(monkeypatch, "collectors.base:Collector")
    assert registry.names() == ["third"]
    assert registry.load("third") is Collector


@pytest.mark.parametrize("value", ["no_such_module_here:Thing", "collectors.base:NoSuchThing", "collectors.base:Point"])
def test_a_broken_entry_point_is_the_operators_to_mend(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A package that cannot be imported, or that names something else, is a ConfigError with a next step."""
    _announce(monkeypatch, value)
    with pytest.raises(ConfigError, match="third") as caught:
        registry.load("third")
    assert value in caught.value.hint
