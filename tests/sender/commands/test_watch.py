"""`watch` and `peek`: what a person is shown of live values, and how gently one look is taken."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from polling import Fake, asset_toml, loaded, points_of, scripted, sender_toml
from rich.console import Console

import checkvalve
from collectors import registry
from collectors.base import FORMATS, Device, Facts, Scan
from collectors.modbus.config import mistakes
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Columns, Quality, Row, columns, from_rows
from sender.commands.device_look import SCHEMES
from sender.commands.watch import Latest, may_match, quality, screen, value_text
from sender.poll import config


def test_screen_shows_the_newest_row_of_each_wanted_tag() -> None:
    """Value, unit, quality in words with the protocol's code, age; what has no room is counted."""
    latest = Latest()
    tags = [Tag(id=number, asset="pump", name=name, unit="bar") for number, name in enumerate(("a", "b", "other"))]
    latest.catalog({"pump": Asset(name="pump")}, tags)
    latest.state("pump", 0, "down", "no route")
    second = 1_000_000_000
    latest.samples("pump", from_rows([Row(0, second, 1.0), Row(1, second, 2.0), Row(2, second, 9.0)]), 3)
    latest.samples("pump", from_rows([Row(0, 3 * second, None, int(Quality.BAD_TIMEOUT), 11)]), 1)
    console = Console(width=120)
    with console.capture() as seen:
        console.print(screen(latest, "pump/?", 5 * second, 10))
    text = seen.get()
    assert "bad timeout (11)" in text
    assert "2.0 s" in text
    assert "4.0 s" in text
    assert "other" not in text
    assert "pump: down no route" in text
    assert "4 samples read" in text
    with console.capture() as seen:
        console.print(screen(latest, "*", 5 * second, 1))
    assert "2 more tags" in seen.get()


def test_value_is_told_in_few_characters() -> None:
    """Numbers short, texts as they came, an unsigned 64-bit value as itself, no value as a dash."""
    assert value_text(Row(0, 0, 1 / 3)) == "0.3333333"
    assert value_text(Row(0, 0, None)) == "-"
    assert value_text(Row(0, 0, "a\nb" * 40)) == "a\nb" * 40
    assert value_text(Row(0, 0, -1), "uint64") == str(2**64 - 1)
    assert quality(Row(0, 0, 1.0, 0x12340000)) == "Good (0x12340000, which the standard does not name)"
    assert quality(Row(0, 0, 1.0, int(Quality.UNCERTAIN) | 0x480)) == "uncertain"


def test_watch_reads_and_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command polls for so long, prints the table and ends with 0."""
    kinds = {"fake": scripted()}
    monkeypatch.setattr(config.load, "__kwdefaults__", {"find": kinds.__getitem__, "look": False, "source": None})
    text = asset_toml(
        "pump", 'name = "flow", at = "0", type = "float64", unit = "m3/h"', collector="fake", every="50ms"
    )
    path = loaded(tmp_path, sender_toml(text), kinds).path
    assert checkvalve.main(["watch", str(path), "--seconds", "0.3"]) == 0
    out = capsys.readouterr().out
    assert "pump/flow" in out
    assert "m3/h" in out
    assert [made.closed for made in kinds["fake"].made] == [1]


def test_watch_goes_to_no_device_but_those_that_are_wanted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person who looks at one machine loads no other; a pattern that no asset can match is a mistake."""
    kinds = {"fake": scripted()}
    monkeypatch.setattr(config.load, "__kwdefaults__", {"find": kinds.__getitem__, "look": False, "source": None})
    tags = 'name = "flow", at = "0", type = "float64"'
    texts = [asset_toml(name, tags, collector="fake", every="50ms") for name in ("pump-7", "pump-70", "fan")]
    path = loaded(tmp_path, sender_toml("\n".join(texts)), kinds).path
    for wanted, count in (("pump-7/*", 1), ("pump-7/flow", 1), ("pump*", 2), ("*/flow", 3), ("f?n/[a-z]*", 1)):
        kinds["fake"].made.clear()
        assert checkvalve.main(["watch", str(path), "--seconds", "0.3", "--only", wanted]) == 0
        assert len(kinds["fake"].made) == count, wanted
    kinds["fake"].made.clear()
    capsys.readouterr()
    for wanted in ("pump-8/*", "pump-7"):
        assert checkvalve.main(["watch", str(path), "--only", wanted]) == 2
        assert "'pump-7/*'; there are pump-7, pump-70, fan" in capsys.readouterr().err
    assert kinds["fake"].made == []
    assert not may_match("fan", "fanny/*")


async def one_each(fake: Fake, scan: Scan) -> Columns:
    """Every register holds 1."""
    return columns(points_of(scan), 0, [1] * len(points_of(scan)))


class Registers(Fake):
    """Four registers at `holding:0`, one at `holding:9`; nothing else. Records how it was built."""

    made: ClassVar[list[Fake]] = []
    devices: ClassVar[list[Device]] = []

    async def open(self) -> None:
        """It is there."""

    @classmethod
    def check(cls, device: Device) -> list[str]:
        cls.devices.append(device)
        return [] if device.points[0].at.startswith("holding:") else ["tags.hex.at: no address; write holding:0"]

    async def read(self, scan: Scan) -> Columns:
        numbers = points_of(scan)
        whole = self.device.points[0].at == "holding:0" or self.device.points[0].count == 1
        return columns(
            numbers, 0, [258] * len(numbers) if whole else [None] * len(numbers), quality=0 if whole else 2**31
        )

    def facts(self) -> dict[int, Facts]:
        return {}


@pytest.fixture
def registers(monkeypatch: pytest.MonkeyPatch) -> type[Registers]:
    """`modbus` is a fake of a few registers."""
    monkeypatch.setattr(registry, "load", lambda name: Registers)
    monkeypatch.setattr(Registers, "devices", [])
    return Registers


def test_peek_shows_every_reading_of_one_address(
    registers: type[Registers], capsys: pytest.CaptureFixture[str]
) -> None:
    """Hex, and each type in each order; asked as a safety system is: nothing but the address."""
    assert checkvalve.main(["peek", "tcp://10.0.0.7:502", "holding:0", "--set", "unit=3"]) == 0
    out = capsys.readouterr().out
    assert "0102 0102 0102 0102" in out
    for kind in ("int16", "float32, little words, swapped bytes", "uint64, big words", "high byte", *FORMATS):
        assert kind in out
    device = registers.devices[0]
    assert all(one.points == device.points for one in registers.devices)
    assert (device.kind, dict(device.settings)) == ("safety", {"unit": 3})


def test_peek_narrows_at_the_end_of_a_table(registers: type[Registers], capsys: pytest.CaptureFixture[str]) -> None:
    """Where seven registers cannot be read, four, two and one are tried; the address is in each of them."""
    assert checkvalve.main(["peek", "tcp://10.0.0.7:502", "holding:9"]) == 0
    out = capsys.readouterr().out
    assert "int16" in out
    assert "int32" not in out
    assert len({len(device.points) for device in registers.devices}) == 4


def test_peek_shows_wide_addresses_whole_and_others_as_they_are(
    registers: type[Registers], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where some addresses hold 32 bits each: hex of 32 bits there, and registers elsewhere."""
    monkeypatch.setattr(registers, "check", classmethod(lambda kind, device: mistakes(device)))
    monkeypatch.setattr(registers, "read", one_each)
    for address, words, narrow in (("holding:7001", "00000001", False), ("holding:10", "0001 0001", True)):
        wide = 'wide=["holding:7001-7999"]'
        assert checkvalve.main(["peek", "tcp://10.0.0.7:502", address, "--set", wide]) == 0
        out = capsys.readouterr().out
        assert words in out
        assert ("high byte" in out) is narrow
        assert "float32" in out


def test_peek_takes_what_is_left_at_the_end_of_the_addresses(
    registers: type[Registers], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three registers are left behind 65533, one behind 65535: nothing is refused for what would be behind."""
    monkeypatch.setattr(registers, "check", classmethod(lambda kind, device: mistakes(device)))
    for address, most in (("holding:65533", "int32"), ("input:65535", "int16"), ("465536", "int16")):
        monkeypatch.setattr(registers, "read", one_each)
        assert checkvalve.main(["peek", "tcp://10.0.0.7:502", address]) == 0
        assert most in capsys.readouterr().out


def test_peek_refuses_what_is_no_device_and_no_address(
    registers: type[Registers], capsys: pytest.CaptureFixture[str]
) -> None:
    """The scheme names the collector; an address of another protocol is the operator's mistake."""
    assert checkvalve.main(["peek", "10.0.0.7", "holding:0"]) == 2
    assert "is no device" in capsys.readouterr().err
    assert checkvalve.main(["peek", "tcp://10.0.0.7:502", "ns=2;s=x"]) == 2
    assert "no address" in capsys.readouterr().err
    assert set(SCHEMES.values()) == {"modbus", "opcua", "enip"}
    assert all(one.closed == 1 for one in registers.made)
