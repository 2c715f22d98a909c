"""The OPC UA collector against python-opcua, which many gateways and simulators are built on."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from opcua_reading import MODES, Tags, collector, device, latest, run
from served import HOST, OLD, UNCERTAIN, VALUES, free_port, serving

from protocol.content.sample import Quality
from protocol.errors import AssetError

A, B = "urn:machine:A", "urn:machine:B"
TAGS: Tags = [
    {"name": "pressure", "at": f"nsu={A};s=Pressure"},
    {"name": "speed", "at": f"nsu={B};i=50"},
    {"name": "by index", "at": "ns=2;s=Pressure"},
    {"name": "by path", "at": "/Objects/3:MachineB/3:Speed"},
    {"name": "large", "at": f"nsu={A};s=large", "type": "uint64"},
    {"name": "markup", "at": f"nsu={A};s=markup"},
    {"name": "still", "at": f"nsu={A};s=still"},
    {"name": "gone", "at": f"nsu={A};s=gone"},
    {"name": "spectrum", "at": f"nsu={A};s=spectrum", "count": 3},
]
PLAIN = [VALUES["A"], VALUES["B"] + 1, VALUES["A"], VALUES["B"] + 1, 5 - 2**63, "[/x]", 6.5, None]


@pytest.fixture(scope="session")
def url() -> Iterator[str]:
    """One server a session; machine A is namespace 2."""
    port = free_port()
    with serving("python-opcua", port, "A", "B"):
        yield f"opc.tcp://{HOST}:{port}/peer"


@pytest.mark.parametrize("mode", MODES)
def test_values_times_and_qualities_are_the_servers(url: str, tmp_path: Path, mode: str) -> None:
    """An array with a NaN stays Good, a value of January keeps its time, a missing node is bad alone."""

    async def main() -> None:
        made = device(url, TAGS, mode=mode, folder=tmp_path)
        plc = collector(made)
        await plc.open()
        rows = latest(await plc.read(made.scans[0]))
        for _ in range(3):
            assert [rows[at].value for at in range(8)] == PLAIN
            assert [rows[at].quality for at in (0, 6, 7)] == [Quality.GOOD, UNCERTAIN, Quality.BAD_NODE_UNKNOWN]
            assert rows[6].time_ns == int(OLD.timestamp()) * 10**9
            first, middle, last = (rows[at] for at in (8, 9, 10))
            assert (first.value, math.isnan(float(middle.value or 0)), last.value) == (1.0, True, 3.0)
            assert {row.quality for row in (first, middle, last)} == {Quality.GOOD}
            rows |= latest(await plc.read(made.scans[0]))
        await plc.close()

    run(main())


def test_its_draft_can_be_read_and_its_events_are_told(url: str) -> None:
    """Each drafted tag by the namespace's uri; events by the name of their type."""

    async def main() -> None:
        plc = collector(device(url))
        await plc.open()
        draft = await plc.discover(["/Objects/2:MachineA"])
        await plc.close()
        assert draft.identity is not None
        assert draft.identity.vendor == "FreeOpcUa"
        assert len(draft.tags) == 6
        assert all(A in str(tag["at"]) for tag in draft.tags)
        drafted: Tags = [{key: tag[key] for key in ("name", "at", "type", "count") if key in tag} for tag in draft.tags]
        made = device(url, drafted, events="all")
        plc = collector(made)
        await plc.open()
        events = list(plc.events())
        for _ in range(100):
            rows = latest(await plc.read(made.scans[0]))
            events += plc.events()
            if events:
                break
            await asyncio.sleep(0.05)
        await plc.close()
        assert all(row.quality in (Quality.GOOD, UNCERTAIN) for row in rows.values())
        assert {(event.code, event.severity) for event in events} == {("BaseEventType", 400)}

    run(main())


def test_a_restart_with_namespaces_in_another_order_swaps_no_machine(tmp_path: Path) -> None:
    """The same tags after it, by index, path and uri: the same machine's values."""
    port = free_port()

    async def main() -> None:
        made = device(f"opc.tcp://{HOST}:{port}/peer", TAGS, mode="poll", folder=tmp_path)
        plc = collector(made)
        for order in ("AB", "BA"):
            with serving("python-opcua", port, *order):
                await plc.open()
                rows = latest(await plc.read(made.scans[0]))
                assert [rows[at].value for at in range(8)] == PLAIN, order
            with pytest.raises(AssetError):
                await plc.read(made.scans[0])
        await plc.close()

    run(main())
