"""What the collectors' pages say of settings is what the code reads."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from collectors import registry
from collectors.base import Device, numbered
from collectors.settings import POLLERS_KEYS, KeyReader

ROOT = Path(__file__).resolve().parents[2]
URLS = {"modbus": "tls://h", "opcua": "opc.tcp://h", "enip": "enip://h"}
POINTS = {"modbus": "holding:0", "opcua": "nsu=urn:a;i=5", "enip": "A"}
COMMON = {"at", "type", "count"}
"""Keys of a tag that are a point's own."""
ASSETS = {"name", "class", "url", "urls", "timeout", "every", "requests_s", "never_read"}
"""Keys of an asset or a scan that every protocol has."""


def read(protocol: str, monkeypatch: pytest.MonkeyPatch) -> tuple[set[str], set[str]]:
    """Keys that a collector asks for: of the asset's table, and of a tag's."""
    asked: dict[bool, set[str]] = {False: set(), True: set()}
    done = KeyReader.done

    def noted(self: KeyReader, also: frozenset[str] = frozenset()) -> None:
        asked[self.where.startswith("tags.")] |= set(self._asked)
        done(self, also)

    monkeypatch.setattr(KeyReader, "done", noted)
    kind = registry.load(protocol)
    tag = {"name": "a", "at": POINTS[protocol]}
    for settings in ({}, {"security": "Basic256Sha256"}) if protocol == "opcua" else ({},):
        kind.check(
            Device(name="a", kind="process", url=URLS[protocol], settings=settings, scans=numbered([(1.0, [tag])]))
        )
    return asked[False], asked[True] - POLLERS_KEYS


def told(protocol: str, heading: str) -> set[str]:
    """Keys in the first column of the table below a heading."""
    text = (ROOT / "collectors" / protocol / "README.md").read_text()
    part = text.partition(f"## {heading}")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in part.splitlines() if line.startswith("|")]
    return {key for cell in cells for key in re.findall(r"`([a-z_]+)`", cell)}


@pytest.mark.parametrize("protocol", URLS)
def test_each_setting_in_a_table_exists_and_each_that_exists_is_in_a_table(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key is made up, and none is kept to ourselves."""
    settings, tags = read(protocol, monkeypatch)
    assert told(protocol, "Settings") == settings
    page = (ROOT / "collectors" / protocol / "README.md").read_text()
    assert {key for key in tags - COMMON if f"`{key}" not in page} == set()


@pytest.mark.parametrize("page", ["modbus", "opcua", "enip", "events"])
def test_each_key_that_a_page_assigns_is_read(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`key = value` in its text: a setting, a tag's key, or the poller's own."""
    keys: set[str] = (
        set(POLLERS_KEYS) | COMMON | {"class", "url", "urls", "timeout", "every", "requests_s", "never_read"}
    )
    for protocol in URLS:
        settings, tags = read(protocol, monkeypatch)
        keys |= settings | tags
    text = (ROOT / "docs" / "collectors" / f"{page}.md").read_text()
    for code in re.findall(r"`([^`\n]+)`", text):
        for key in re.findall(r"(?:^|, |\{ )([a-z_]+) = ", code):
            assert key in keys, code
    for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        assert _keys(tomllib.loads(block)) <= keys, block


def _keys(table: Any) -> set[str]:
    """Keys of values, in tables of any depth."""
    if isinstance(table, list):
        return set().union(*(_keys(one) for one in table))
    if not isinstance(table, dict):
        return set()
    table = {key: value for key, value in table.items() if key != "alarm"}  # read by the poller, whatever the protocol
    plain = {key for key, value in table.items() if not isinstance(value, dict | list)}
    return plain | {key for value in table.values() for key in _keys(value)}
