"""Outputs are found by name, and a wrong name says what is there."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from protocol.errors import ConfigError
from receiver.outputs import registry
from receiver.outputs.base import Output
from receiver.outputs.settings import OutputTable


def _announce(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = EntryPoint(name="third", value=value, group=registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry] if group == registry.GROUP else [])


def test_the_projects_own_outputs_are_installed() -> None:
    """The history and the server outside are announced by the package itself."""
    assert {"historian", "influx"} <= set(registry.names())


def test_a_loaded_output_is_of_the_kind_it_is_named_for() -> None:
    """The word in the configuration, the entry point and the class agree."""
    for name in registry.names():
        kind = registry.load(name)
        assert issubclass(kind, Output)
        assert kind.kind == name
        assert issubclass(kind.table, OutputTable)


def test_an_unknown_name_says_what_is_installed() -> None:
    """The operator reads the possible names in the hint."""
    with pytest.raises(ConfigError, match="influxx") as caught:
        registry.load("influxx")
    assert caught.value.hint.startswith("did you mean influx? installed are: ")


def test_a_third_partys_output_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point is all that it takes."""
    _announce(monkeypatch, "receiver.outputs.base:Output")
    assert registry.names() == ["third"]
    assert registry.load("third") is Output


@pytest.mark.parametrize(
    "value", ["no_such_module_here:Thing", "receiver.outputs.base:NoSuchThing", "receiver.outputs.base:Batch"]
)
def test_a_broken_entry_point_is_the_operators_to_mend(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A package that cannot be imported, or that names something else, is a ConfigError with a next step."""
    _announce(monkeypatch, value)
    with pytest.raises(ConfigError, match="third") as caught:
        registry.load("third")
    assert value in caught.value.hint
