"""Drafts from what is a table already: a register map in CSV, and the model list of a SunSpec device."""

from __future__ import annotations

import asyncio
import struct
import tomllib
from pathlib import Path
from typing import Any

import pytest
from modbus_field import Asked, Field, Reader, good

import checkvalve
from collectors.base import Device, numbered
from collectors.modbus.collector import ModbusCollector
from collectors.modbus.config import mistakes
from collectors.modbus.mapped import draft
from protocol.content.sample import Quality
from protocol.errors import ConfigError

MAP = """Name;Address;Data type;Factor;Unit;Table;Length
Voltage L1;0;U16;0,1;V;;
Energy;40101;UINT32 LE;;kWh;;
Power;0x10;Signed 32;1/10;W;4;
Serial;20;string;;;holding;16
Running;3;bit;;;coil;
Alarm;7.3;;;;;
Odd;here;U16;;;;
Odder;30;colour;;;;
;;;;;;
"""


def test_a_register_map_becomes_tags_as_it_says() -> None:
    """Types and orders as manuals write them; what cannot be understood is noted with its line."""
    tags, notes = draft(MAP, 0)
    assert tags == [
        {"name": "Voltage_L1", "at": "holding:0", "type": "uint16", "scale": 0.1, "unit": "V"},
        {"name": "Energy", "at": "40101", "type": "uint32", "word_order": "little", "unit": "kWh"},
        {"name": "Power", "at": "input:16", "type": "int32", "scale": 0.1, "unit": "W"},
        {"name": "Serial", "at": "holding:20", "type": "string", "length": 16},
        {"name": "Running", "at": "coil:3"},
    ]
    assert [note.partition(":")[0] for note in notes] == [f"line {at} left out" for at in (7, 8, 9)]
    from_one = {tag["name"]: tag["at"] for tag in draft(MAP, 1)[0]}
    assert (from_one["Power"], from_one["Energy"]) == ("input:15", "40101")
    assert "Voltage_L1" not in from_one


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Power;32080;I16;;3", "'32080' is of the table input, the table says '3': write holding:32080"),
        ("Power;30001;U16;;coil", "'30001' is of the table input, the table says 'coil': write coil:30001"),
        ("Power;holding:4;U16;;4", "'holding:4' is of the table holding, the table says '4': write which is meant"),
        ("Energy;40001;U16;1,000;", "'1,000' may be a fraction or thousands"),
        ("Energy;40001;U16;nan;", "'nan' is no scale"),
        ("Energy;40001;U16;1e999;", "'1e999' is no scale"),
    ],
)
def test_what_a_map_says_in_two_ways_is_not_guessed(line: str, reason: str) -> None:
    """A wrong table or a factor a thousand times off would be a wrong value marked good: the line is left out."""
    tags, notes = draft(f"Name;Address;Type;Factor;Table\n{line}\n", 0)
    assert not tags
    assert [note.partition(" left out: ")[2].startswith(reason) for note in notes] == [True]


def test_a_map_with_40000_in_it_is_no_numbering_from_40001() -> None:
    """There 40001 may be the wire's own number: it is not drafted as the first register."""
    tags, notes = draft("name,address,type\nA,40000,U16\nB,40001,U16\nC,30001,U16\n", 0)
    assert [(tag["name"], tag["at"]) for tag in tags] == [("C", "30001")]
    assert [note.partition(" left out: ")[0] for note in notes] == ["line 2", "line 3"]


@pytest.mark.parametrize(("factor", "scale"), [("0,001", 0.001), ("1,5", 1.5), ("-10,25", -10.25), ("1000", 1000.0)])
def test_a_decimal_comma_that_is_nothing_else_is_read(factor: str, scale: float) -> None:
    """Most maps of one half of the world have it."""
    tags, notes = draft(f"Name;Address;Type;Factor\nEnergy;40001;U16;{factor}\n", 0)
    assert not notes
    assert tags[0]["scale"] == scale


@pytest.mark.parametrize("cell", ["inf", "-inf", "1e400", "nan"])
def test_a_number_without_an_end_in_a_map_costs_its_line(cell: str) -> None:
    """As a length or a missing value too; the other lines are drafted."""
    tags, notes = draft(f"name;address;type;length\nA;1;string;{cell}\nB;2;U16;\n", 0)
    assert [tag["name"] for tag in tags] == ["B"]
    assert len(notes) == 1


@pytest.mark.parametrize(
    ("written", "type_", "more"),
    [
        ("INT16", "int16", {}),
        ("float", "float32", {}),
        ("FLOAT32 CDAB", "float32", {"word_order": "little"}),
        ("UINT 32 (BE)", "uint32", {}),
        ("unsigned 64", "uint64", {}),
        ("Unsigned Int 32", "uint32", {}),
        ("signed integer 16", "int16", {}),
        ("mod10_64", "mod10_64", {}),
        ("DWORD", "uint32", {}),
        ("double dcba", "float64", {"word_order": "little", "byte_swap": True}),
        ("", "uint16", {}),
    ],
)
def test_types_are_understood_as_manuals_write_them(written: str, type_: str, more: dict[str, Any]) -> None:
    """In any case, with blanks and brackets."""
    (tag,), notes = draft(f"tag,register,format\na,5,{written}\n", 0)
    assert not notes
    assert tag == {"name": "a", "at": "holding:5", "type": type_} | more


def test_a_map_without_addresses_is_refused() -> None:
    """With what such a column may be called."""
    with pytest.raises(ConfigError, match="no column of addresses"):
        draft("a,b\n1,2\n", 0)
    with pytest.raises(ConfigError):
        draft("", 0)


def test_a_map_is_drafted_by_one_command_that_sends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The section is whole; lines that are none stand in it as comments."""
    (tmp_path / "map.csv").write_text(MAP)
    words = ["discover", "modbus", "tcp://127.0.0.1:1", "--map", str(tmp_path / "map.csv")]
    assert checkvalve.main(words) == 0
    out = capsys.readouterr().out
    (asset,) = tomllib.loads(out)["asset"]
    assert len(asset["scan"][0]["tags"]) == 5
    assert "# line 8 left out" in out
    assert checkvalve.main([*words[:-1], str(tmp_path / "none.csv")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def _text(text: str, registers: int) -> list[int]:
    return list(struct.unpack(f">{registers}H", text.encode().ljust(2 * registers, b"\0")))


def _list(base: int) -> dict[int, int]:
    """Model 1, an inverter, one that nobody knows, the end."""
    common = [1, 66, *_text("Acme", 16), *_text("X-5", 16), *_text("", 8), *_text("1.2", 8), *_text("S77", 16), 1, 0]
    inverter = [103, 50, *[65535] * 50]
    inverter[2], inverter[6] = 6553, 65535  # 655.3 A
    inverter[14], inverter[15] = 65136, 1  # -4000 W
    inverter[24:27] = [0, 5000, 0]
    other = [64111, 3, 1, 2, 3]
    words = [*struct.unpack(">HH", b"SunS"), *common, *inverter, *other, 65535, 0]
    return dict(enumerate(words, base))


@pytest.mark.parametrize("base", [40000, 50000, 0])
def test_a_sunspec_device_is_walked_by_its_model_list(base: int) -> None:
    """Who it is, its points with their factors, the models that nobody knows; the draft can be read unchanged."""

    async def main() -> None:
        def habit(asked: Asked) -> None:
            there = all(at in asked.field.values for at in asked.addresses) or asked.function == 43
            asked.send(None if there else asked.exception(2))

        async with Field(habit) as field:
            field.values = _list(base)
            device = field.device([0])
            plc = ModbusCollector(device, clock=lambda: 0, refused=print)
            await plc.open()
            found = await plc.discover(["sunspec"])
            await plc.close()
            said = found.identity
            assert (said.vendor, said.model, said.firmware, said.serial) == ("Acme", "X-5", "1.2", "S77")
            assert any("model 64111 with 3 registers" in note for note in found.notes)
            made = Device(
                name="pv", url=device.url, kind="process", settings={}, scans=numbered([(1.0, list(found.tags))])
            )
            assert mistakes(made) == []
            beyond = {one.start for one in field.reads if one.start + one.count > base + len(field.values)}
            assert beyond <= {40000, 50000}
            reader = Reader(made)
            reader.addresses = {number: number for number in range(len(found.tags))}
            names = [tag["name"] for tag in found.tags]
            rows = await reader.read()
            values = {names[at]: value for at, value in good(rows).items()}
            assert values["inverter_current"] == 655.3
            assert values["inverter_power"] == -4000.0
            assert values["inverter_energy"] == 5000.0
            assert rows[names.index("inverter_voltage_a")].quality in (Quality.BAD_NO_DATA, Quality.BAD_DECODING)
            await reader.close()

    asyncio.run(main())


def test_a_device_without_a_model_list_is_said_to_have_none() -> None:
    """It was asked for two registers at three places, and for no more."""

    async def main() -> None:
        async with Field() as field:
            plc = ModbusCollector(field.device([0]), clock=lambda: 0, refused=print)
            await plc.open()
            found = await plc.discover(["sunspec"])
            assert found.tags == ()
            assert any("no SunSpec model list" in note for note in found.notes)
            assert [(one.start, one.count) for one in field.reads] == [(40000, 2), (50000, 2), (0, 2)]
            await plc.close()

    asyncio.run(main())
