"""Clients that were not written by us find in the false controller what they would find in a real one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from logix_line import MOTOR, Line, filled, running
from pycomm3 import CIPDriver, LogixDriver
from pylogix import PLC

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    """One controller for the whole module; nobody can change it."""
    with running(filled(), name="PackLine") as one:
        yield one


@pytest.fixture(scope="module")
def pycomm3(line: Line) -> Iterator[Any]:
    """pycomm3's driver with the whole tag list."""
    driver = LogixDriver(f"127.0.0.1:{line.port}")
    driver.open()
    yield driver
    driver.close()


@pytest.fixture(scope="module")
def pylogix(line: Line) -> Iterator[Any]:
    """pylogix's PLC."""
    with PLC("127.0.0.1", port=line.port) as plc:
        for unused in (plc.conn.Socket, plc.conn.msg_socket):
            unused.close()  # it makes new ones when it connects, and forgets these
        yield plc


EXPECTED: dict[str, Any] = {
    "One_BOOL": True,
    "One_SINT": -5,
    "One_INT": -3000,
    "One_DINT": -7,
    "One_LINT": -(1 << 40),
    "One_USINT": 250,
    "One_UINT": 60_000,
    "One_UDINT": 4_000_000_000,
    "One_ULINT": 1 << 63,
    "One_REAL": 12.5,
    "One_LREAL": 0.1,
    "Name": "hello",
    "Short": "twenty at most",
    "Scada[3]": 3,
    "Grid[1,2]": 7,
    "Cube[1,2,3]": 23,
    "Flags[2]": True,
    "Flags[3]": False,
    "Word.0": True,
    "Word.1": False,
    "Word.2": True,
    "M1.Speed": 1480.0,
    "M1.Running": True,
    "M1.Fault": False,
    "M1.Alarm": True,
    "M1.Label": "abc",
    "M1.Codes[2]": 3,
    "M1.Big": 1 << 40,
    "Motors[3].Hours": 3,
    "Packing.Drive.Speed": 1480.0,
    "Packing.Spare[1].Speed": 2.0,
    "Program:Main.Speed": 3.5,
    "Program:Main.Step": 40,
}
"""What a client must read."""


@pytest.mark.parametrize("name", EXPECTED)
def test_pycomm3_reads_what_was_stored(pycomm3: Any, name: str) -> None:
    """Every type, member, element and bit reads as the value it was given."""
    tag = pycomm3.read(name)
    assert tag.error is None
    assert tag.value == EXPECTED[name]


def test_pycomm3_reads_all_of_them_in_one_packet(pycomm3: Any, line: Line) -> None:
    """A Multiple Service Packet answers each of its requests."""
    before = line.counts["requests"]
    answers = pycomm3.read(*EXPECTED)
    assert {tag.tag: tag.value for tag in answers} == EXPECTED
    assert line.counts["requests"] - before < 2 * len(EXPECTED)


def test_pycomm3_uploads_every_tag_and_type(pycomm3: Any) -> None:
    """The tag list has all tags with dimensions, all templates with members, and no system symbol."""
    assert pycomm3.info["name"] == "PackLine"
    assert list(pycomm3.info["programs"]) == ["Main"]
    assert pycomm3.info["keyswitch"] == "REMOTE RUN"
    assert len([name for name in pycomm3.tags if name.startswith("T")]) == 300
    assert not [name for name in pycomm3.tags if "Map" in name or "__" in name]
    assert pycomm3.tags["Cube"]["dimensions"] == [2, 3, 4]
    assert pycomm3.tags["M1"]["data_type"]["attributes"] == list(MOTOR)
    assert not any(tag["alias"] for tag in pycomm3.tags.values())
    assert pycomm3._cfg["use_instance_ids"] is True


def test_pycomm3_reads_structures_whole(pycomm3: Any) -> None:
    """A structure, an array of structures and a nested one decode by their templates."""
    whole = {**MOTOR, "Bits": [at == 33 for at in range(64)]}
    assert pycomm3.read("M1").value == whole
    assert [one["Hours"] for one in pycomm3.read("Motors{5}").value] == [0, 1, 2, 3, 4]
    packing = pycomm3.read("Packing").value
    assert packing["Drive"] == whole
    assert packing["Spare"][1]["Speed"] == 2.0


def test_pycomm3_reads_long_arrays_in_fragments(pycomm3: Any) -> None:
    """20,000 bytes come in pieces that tear no element."""
    assert pycomm3.read("Wave{5000}").value == [at / 4 for at in range(5000)]
    assert pycomm3.read("Big{700}").value == [at << 33 for at in range(700)]
    assert pycomm3.read("Scada[500]{500}").value == list(range(500, 1000))
    assert pycomm3.read("Flags{64}").value == [at in (0, 2, 32) for at in range(64)]


def test_an_error_of_one_tag_leaves_the_others(pycomm3: Any) -> None:
    """An element past the end fails by itself."""
    good, bad, also = pycomm3.read("One_REAL", "Grid[3,9]", "Word")
    assert (good.value, also.value) == (12.5, 5)
    assert "beyond end of the object" in bad.error


def test_writes_of_pycomm3_are_refused_and_counted(pycomm3: Any, line: Line) -> None:
    """Nothing that is written changes anything."""
    before = line.counts["writes_refused"]
    attempts = [
        pycomm3.write("One_DINT", 5),
        pycomm3.write("Word.3", True),
        pycomm3.set_plc_time(),
        pycomm3.generic_message(service=0x05, class_code=0x01, instance=1),
    ]
    assert all("Permission denied" in attempt.error for attempt in attempts)
    assert line.counts["writes_refused"] == before + 4
    assert pycomm3.read("One_DINT").value == -7


def test_an_old_controller_is_read_by_name_and_in_small_pieces() -> None:
    """Firmware 16 that refuses the large connection: no instance numbers, 500 bytes a reply, the same values."""
    from simulator.logix.attributes import IdentityObject

    with running(filled(), refuse_large=True, identity=IdentityObject(major=16, minor=4)) as line:
        driver = LogixDriver(f"127.0.0.1:{line.port}")
        driver.open()
        try:
            assert driver.connection_size == 500
            assert driver._cfg["use_instance_ids"] is False
            assert {tag.tag: tag.value for tag in driver.read(*EXPECTED)} == EXPECTED
            assert driver.read("Wave{5000}").value == [at / 4 for at in range(5000)]
            assert line.counts["forward_opens"] == 1
            assert line.counts["large_forward_opens"] == 0
        finally:
            driver.close()


def test_pycomm3_identifies_by_list_identity_and_by_module(line: Line, pycomm3: Any) -> None:
    """ListIdentity needs no session; the identity object is found behind the backplane too, in our slot only."""
    assert CIPDriver.list_identity(f"127.0.0.1:{line.port}")["product_name"] == "1756-L83E/B"
    assert pycomm3.get_module_info(0)["serial"] == "00c0ffee"
    with pytest.raises(Exception, match="module info"):
        pycomm3.get_module_info(5)
    assert pycomm3.get_plc_time().value["datetime"].year >= 2024


def test_pylogix_reads_what_was_stored(pylogix: Any) -> None:
    """A second client, with another idea of the protocol, reads the same values, alone and together."""
    wanted = {name: value for name, value in EXPECTED.items() if name != "Short"}
    for name, value in wanted.items():
        answer = pylogix.Read(name)
        assert (answer.Status, answer.Value) == ("Success", value), name
    together = pylogix.Read(list(wanted))
    assert {one.TagName: one.Value for one in together} == wanted


def test_pylogix_reads_arrays_and_structures(pylogix: Any) -> None:
    """Arrays come whole and in parts; a structure comes as its bytes."""
    assert pylogix.Read("Scada[0]", 1000).Value == list(range(1000))
    assert pylogix.Read("Wave[100]", 4000).Value == [at / 4 for at in range(100, 4100)]
    assert pylogix.Read("Flags[0]", 64).Value == [at in (0, 2, 32) for at in range(64)]
    assert pylogix.Read("M1.Codes[1]", 2).Value == [2, 3]
    assert len(pylogix.Read("M1").Value) == 128
    assert pylogix.Read("NoSuch").Status == "Path segment error"
    assert pylogix.Write("One_DINT", 1).Status == "Privilege violation"


def test_pylogix_lists_tags_programs_and_types(pylogix: Any) -> None:
    """The tag list with structures, the programs and the clock are what pylogix expects of a controller."""
    tags = {tag.TagName: tag for tag in pylogix.GetTagList().Value}
    assert tags["M1"].DataType == "Motor"
    assert tags["Name"].DataType == "ASCIISTRING82"
    assert tags["Program:Main.Speed"].DataType == "REAL"
    assert [field.TagName for field in pylogix.UDTByName["Line"].Fields] == ["Rate", "Drive", "Spare"]
    assert pylogix.GetProgramsList().Value == ["Program:Main"]
    assert pylogix.GetPLCTime().Value.year >= 2024
    assert pylogix.GetDeviceProperties().Value.ProductName == "1756-L83E/B"


def _cpppo(*words: str) -> str:
    ran = subprocess.run([str(BIN / words[0]), *words[1:]], capture_output=True, text=True, timeout=60, check=False)
    return ran.stdout


def test_cpppo_reads_tags_and_attributes(line: Line) -> None:
    """cpppo's client reads by Unconnected Send and Multiple Service, and single attributes."""
    where = f"127.0.0.1:{line.port}"
    single = _cpppo("enip_client", "-a", where, "-p", "Scada[0-4]", "One_REAL", "NoSuch", "One_DINT=(DINT)5")
    assert "[0, 1, 2, 3, 4]: 'OK'" in single
    assert "[12.5]: 'OK'" in single
    assert "Status 4" in single
    assert "Status 15" in single
    together = _cpppo("enip_client", "-a", where, "-m", "-p", "Scada[0-9]", "One_LREAL", "Wave[4]")
    assert "[0.1]: 'OK'" in together
    assert "[1.0]: 'OK'" in together
    attributes = _cpppo("enip_get_attribute", "-a", where, "@1/1/7", "@1/1")
    assert str(list(b"\x0b1756-L83E/B")) in attributes


def test_cpppo_lists_identity_and_services_by_tcp_and_udp(line: Line) -> None:
    """The list commands answer with our name, address and port, by either transport."""
    where = f"127.0.0.1:{line.port}"
    tcp = _cpppo("enip_client", "-a", where, "-s", "-i", "-I", "-p")
    assert "'Communications'" in tcp
    assert "'1756-L83E/B'" in tcp
    udp = _cpppo("enip_client", "-a", where, "--udp", "-i", "-p")
    assert f"sin_port': {line.port}" in udp
    assert "'127.0.0.1'" in udp
