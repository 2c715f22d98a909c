"""The Modbus collector against servers that nobody here wrote: uModbus and Debian's libmodbus."""

from __future__ import annotations

import asyncio
import ctypes.util
import time
from collections.abc import Iterator
from typing import Any

import pytest
from served import COUNT, HOST, bit, free_port, serving, word

from collectors.base import Device, numbered
from collectors.modbus.collector import ModbusCollector
from protocol.content.sample import Quality

LIBRARY = pytest.mark.skipif(
    not ctypes.util.find_library("modbus"), reason="libmodbus5 is not installed (deploy/test-packages.txt)"
)


@pytest.fixture(scope="session", params=["umodbus", pytest.param("libmodbus", marks=LIBRARY)])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """One server a session."""
    port = free_port()
    with serving(request.param, port):
        yield f"tcp://{HOST}:{port}"


def test_every_table_is_read_and_what_lies_beyond_it_is_bad_alone(url: str) -> None:
    """Bits across bytes, a long block, two registers as one number; the address that is not there costs itself."""
    tags: list[dict[str, Any]] = [
        {"name": "words", "at": "holding:0", "count": COUNT, "type": "uint16"},
        {"name": "inputs", "at": "input:0", "count": 20, "type": "uint16"},
        {"name": "coils", "at": "coil:0", "count": 21},
        {"name": "discretes", "at": "discrete:3", "count": 5},
        {"name": "long", "at": "holding:98", "type": "uint32"},
        {"name": "beyond", "at": f"holding:{COUNT}", "type": "uint16"},
    ]
    wanted = [word(at) for at in range(COUNT)] + [word(at) for at in range(20)]
    wanted += [bool(bit(at)) for at in (*range(21), *range(3, 8))]
    wanted += [word(98) << 16 | word(99)]

    async def main() -> None:
        scans = numbered([(0.1, tags)])
        made = Device(name="t", url=url, kind="process", settings={"unit": 1}, scans=scans, timeout_s=3.0)
        assert ModbusCollector.check(made) == []
        plc = ModbusCollector(made, clock=time.time_ns, refused=print)
        await plc.open()
        for number in range(20):
            rows = {row.tag: row for row in (await plc.read(scans[0])).rows()}
            if number < 10 and rows[COUNT - 1].value is None:
                continue  # the block that reaches beyond is being cut down, a half in each pass
            assert [rows[at].value for at in range(len(wanted))] == wanted
            assert {rows[at].quality for at in range(len(wanted))} == {Quality.GOOD}
            assert (rows[len(wanted)].value, rows[len(wanted)].native) == (None, 2)
        await plc.close()

    asyncio.run(main())
