"""Nothing but reads leaves towards a controller, whatever the library or a caller of it tries."""

from __future__ import annotations

import asyncio
import inspect
import random
import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from enip_peer import asking, controller, device, reading, run
from pycomm3 import LogixDriver
from pycomm3.exceptions import ResponseError

from collectors.enip.collector import LogixCollector
from collectors.enip.guard import check
from collectors.guard import WriteRefused
from simulator.logix.attributes import IdentityObject
from simulator.logix.connections import chassis
from simulator.logix.encapsulation import HEADER, EncapsulationSession, Lists
from simulator.logix.objects import Objects

ATTEMPTS: dict[str, Callable[[Any], Any]] = {
    "write": lambda driver: driver.write("One_DINT", 5),
    "write_string": lambda driver: driver.write("Name", "other"),
    "write_array": lambda driver: driver.write("Ints{50}", list(range(50))),
    "write_large": lambda driver: driver.write("Profile{2000}", [0.0] * 2000),
    "write_bit": lambda driver: driver.write("Word.3", True),
    "write_batch": lambda driver: driver.write(("One_DINT", 5), ("One_REAL", 1.0)),
    "write_bits": lambda driver: driver.write(("Word.3", True), ("Word.4", True)),
    "set_clock": lambda driver: driver.set_plc_time(),
    "reset": lambda driver: driver.generic_message(service=0x05, class_code=0x01, instance=1),
    "reset_unconnected": lambda driver: driver.generic_message(
        service=0x05, class_code=0x01, instance=1, connected=False, unconnected_send=True
    ),
    "stop": lambda driver: driver.generic_message(service=0x07, class_code=0x8E, instance=1),
    "set_attribute": lambda driver: driver.generic_message(service=0x10, class_code=0x01, instance=1, attribute=7),
    "create": lambda driver: driver.generic_message(service=0x08, class_code=0x6B, instance=0),
    "delete": lambda driver: driver.generic_message(service=0x09, class_code=0x6B, instance=1),
    "start_download": lambda driver: driver.generic_message(service=0x4C, class_code=0x37, instance=1),
    "pccc": lambda driver: driver.generic_message(service=0x4B, class_code=0x67, instance=1, request_data=b"\x07"),
    "unknown_read": lambda driver: driver.generic_message(service=0x01, class_code=0xF5, instance=1),
    "implicit": lambda driver: driver.generic_message(
        service=0x54,
        class_code=0x06,
        instance=1,
        connected=False,
        route_path=b"\x02\x20\x04\x24\x65",
        request_data=struct.pack("<BBIIHHIB3xIHIHB", 1, 2, 0, 1, 2, 3, 4, 0, 9, 500, 9, 500, 0x01),
    ),
}
"""Calls of the library that would change something, or are not needed to read."""


READS = {
    *("open", "close", "read", "get_plc_info", "get_plc_name", "get_plc_time", "get_tag_info", "get_tag_list"),
    *("get_module_info", "list_identity", "discover"),
}
"""Calls of the library that only ask; the last two make connections of their own and are used nowhere here."""


def test_the_calls_that_are_tried_are_all_that_the_library_has() -> None:
    """Whatever is no read goes through one of three calls, or `send`, which all of them use; a new one is noticed."""
    calls = {name for name, call in inspect.getmembers(LogixDriver, callable) if not name.startswith("_")}
    assert calls - READS == {"write", "set_plc_time", "generic_message", "send"}


def test_no_service_but_reads_passes_to_a_tag() -> None:
    """Every service code, to a tag by name and by number: Read Tag, fragmented or not, and the list of tags."""
    for path, may in ((b"\x91\x04Name", {0x4C, 0x52}), (b"\x20\x6b\x24\x05", {0x4C, 0x52, 0x55})):
        passed = {service for service in range(256) if check(unit(request(service, path, b"\x01\x00"))) is None}
        assert passed == may


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_byte_of_a_refused_request_leaves(name: str) -> None:
    """The call raises, the transport has sent nothing, the controller has seen nothing, and it is reported."""

    async def work() -> None:
        async with reading(asking("One_DINT")) as (server, reader):
            driver = reader.collector._driver
            assert driver is not None
            sent, seen = driver.transport.sent_bytes, server.counts["bytes_in"]
            with pytest.raises(WriteRefused, match="not on the allow list"):
                await asyncio.to_thread(ATTEMPTS[name], driver)
            assert driver.transport.sent_bytes == sent
            assert server.counts["bytes_in"] == seen
            assert server.counts["writes_refused"] == 0
            assert reader.collector.guard.count == 1
            assert await reader.values() == {"One_DINT": -7}
            assert [line.split(":")[0] for line in reader.refusals] == ["line"]

    run(work)


def test_everything_the_collector_does_passes() -> None:
    """Open, read, draft, clock and close: the guard refuses none of their messages; the controller sees no write."""

    async def work() -> None:
        tags = [
            *asking("One_DINT", "Word.3", "Drives[1].Speed", "Drives[1].Hours"),
            {"at": "Profile[0]", "count": 2000},
        ]
        for settings in ({}, {"kind": "protection"}, {"large_forward_open": False}):
            async with reading(tags, **settings) as (server, reader):
                await reader.read()
                await reader.collector.discover()
                driver = reader.collector._driver
                assert driver is not None
                assert (await asyncio.to_thread(driver.get_plc_time)).error is None
                await reader.read()
                counts = server.counts
            assert counts["writes_refused"] == 0
            assert reader.collector.guard.count == 0
            assert reader.refusals == []

    run(work)


def test_a_refusal_inside_the_collector_fails_the_pass_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the library to write by itself, the pass would fail as a whole and say why."""
    monkeypatch.setattr("collectors.enip.prepared_pass.ask", lambda driver, packet: [driver.write("One_DINT", 5)])

    async def work() -> None:
        async with reading(asking("One_DINT")) as (server, reader):
            with pytest.raises(Exception, match="allow list"):
                await reader.read()
            assert len(reader.refusals) == 1
            assert server.counts["writes_refused"] == 0

    run(work)


def rr(cip: bytes) -> bytes:
    """SendRRData with one unconnected item."""
    body = struct.pack("<IHHHHHH", 0, 5, 2, 0, 0, 0xB2, len(cip)) + cip
    return HEADER.pack(0x6F, len(body), 9, 0, bytes(8), 0) + body


def unit(cip: bytes, number: int = 7) -> bytes:
    """SendUnitData with one connected item."""
    body = struct.pack("<IHHHHIHHH", 0, 0, 2, 0xA1, 4, number, 0xB1, len(cip) + 2, 1) + cip
    return HEADER.pack(0x70, len(body), 9, 0, bytes(8), 0) + body


def request(service: int, path: bytes, data: bytes = b"") -> bytes:
    """A CIP request."""
    return bytes((service, len(path) // 2)) + path + data


READ = request(0x4C, b"\x91\x04Word", b"\x01\x00")
WRITE = request(0x4D, b"\x91\x04Word", b"\xc4\x00\x01\x00\x05\x00\x00\x00")


def multiple(*requests: bytes) -> bytes:
    """A Multiple Service Packet."""
    at, offsets = 2 + 2 * len(requests), []
    for one in requests:
        offsets.append(at)
        at += len(one)
    data = struct.pack(f"<H{len(requests)}H", len(requests), *offsets) + b"".join(requests)
    return request(0x0A, b"\x20\x02\x24\x01", data)


def wrapped(cip: bytes) -> bytes:
    """An Unconnected Send to slot 0."""
    data = struct.pack("<BBH", 10, 5, len(cip)) + cip + b"\0" * (len(cip) % 2) + b"\x01\x00\x01\x00"
    return request(0x52, b"\x20\x06\x24\x01", data)


def opened(transport: int, path: bytes = b"\x01\x00\x20\x02\x24\x01") -> bytes:
    """A Forward Open."""
    data = struct.pack("<BBIIHHIB3xIHIHBB", 1, 2, 0, 1, 2, 3, 4, 7, 9, 500, 9, 500, transport, len(path) // 2)
    return request(0x54, b"\x20\x06\x24\x01", data + path)


@pytest.mark.parametrize(
    "message",
    [
        rr(READ),
        unit(READ),
        unit(multiple(READ, READ)),
        rr(wrapped(READ)),
        rr(opened(0xA3)),
        rr(request(0x4E, b"\x20\x06\x24\x01", bytes(12))),
        unit(request(0x55, b"\x91\x0cProgram:Main\x20\x6b\x24\x00", b"\x01\x00\x01\x00")),
        unit(request(0x52, b"\x20\x6b\x25\x00\x07\x01\x91\x05Speed\x00\x28\x03", bytes(6))),
        HEADER.pack(0x63, 0, 0, 0, bytes(8), 0),
        HEADER.pack(0x65, 4, 0, 0, bytes(8), 0) + b"\x01\0\0\0",
    ],
)
def test_reads_are_let_through(message: bytes) -> None:
    """Every shape of a read that a client may choose is on the list."""
    assert check(message) is None


REFUSED = {
    "write": unit(WRITE),
    "write_unconnected": rr(WRITE),
    "write_fragmented": unit(request(0x53, b"\x91\x04Word", bytes(12))),
    "modify": unit(request(0x4E, b"\x91\x04Word", bytes(8))),
    "modify_by_instance": unit(request(0x4E, b"\x20\x6b\x24\x01", bytes(8))),
    "write_in_packet": unit(multiple(READ, WRITE)),
    "write_routed": rr(wrapped(WRITE)),
    "write_in_packet_routed": rr(wrapped(multiple(WRITE))),
    "packet_in_packet": unit(multiple(multiple(READ))),
    "packet_with_offset_to_itself": unit(request(0x0A, b"\x20\x02\x24\x01", b"\x02\x00\x06\x00\x06\x00" + READ)),
    "packet_with_hidden_bytes": unit(request(0x0A, b"\x20\x02\x24\x01", b"\x01\x00\x0e\x00" + READ + READ)),
    "download": unit(request(0x4C, b"\x20\x37\x24\x01", b"\x01\x00")),
    "read_of_unknown_class": unit(request(0x0E, b"\x20\xf6\x24\x01\x30\x01")),
    "class_behind_symbol": unit(request(0x4C, b"\x91\x04Word\x20\x37\x24\x01", b"\x01\x00")),
    "two_classes": unit(request(0x03, b"\x20\xac\x24\x01\x20\x37\x24\x01", b"\x01\x00\x01\x00")),
    "implicit_class_0": rr(opened(0x00)),
    "implicit_class_1": rr(opened(0xA1)),
    "open_to_assembly": rr(opened(0xA3, b"\x20\x04\x24\x65")),
    "open_elsewhere_after_router": rr(opened(0xA3, b"\x20\x02\x24\x01\x20\x04\x24\x65")),
    "open_inside_packet": unit(multiple(opened(0xA3))),
    "path_cut": unit(b"\x4c\x20\x91\x04Word"),
    "path_unknown_segment": unit(request(0x4C, b"\xf0\x00", b"\x01\x00")),
    "path_empty": unit(request(0x4C, b"", b"\x01\x00")),
    "path_routed": rr(request(0x4C, b"\x01\x00\x91\x04Word", b"\x01\x00")),
    "empty": unit(b""),
    "command": HEADER.pack(0x72, 0, 9, 0, bytes(8), 0),
    "list_with_body": HEADER.pack(0x63, 2, 9, 0, bytes(8), 0) + b"ab",
    "two_messages": unit(READ) + unit(WRITE),
    "length": unit(READ)[:2] + b"\xff\xff" + unit(READ)[4:],
    "third_item": rr(READ)[:30] + b"\x03\x00" + rr(READ)[32:],
    "swapped_items": rr(READ)[:32] + rr(READ)[36:] + rr(READ)[32:36],
    "other_interface": rr(READ)[:24] + b"\x01" + rr(READ)[25:],
    "header_cut": b"\x6f\x00\x00",
}
"""What must not be sent, by what is wrong with it."""


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_plain_read_is_refused(name: str) -> None:
    """Writes, disguises of writes, and messages that cannot be read to their last byte all get a reason."""
    reason = check(REFUSED[name])
    assert reason


def controller_session() -> EncapsulationSession:
    """A registered session of a false controller, without a network."""
    counts: Counter[str] = Counter()
    objects = Objects(controller(), IdentityObject(), "Main", counts)
    session = EncapsulationSession(objects, Lists(objects, "127.0.0.1", 1), chassis(counts), 9, counts)
    session.answer(HEADER.pack(0x65, 4, 0, 0, bytes(8), 0), b"\x01\x00\x00\x00")
    return session


def mutated(source: random.Random, raw: bytes) -> bytes:
    """One or two bytes changed, taken out or put in; often for bytes that mean something."""
    data = bytearray(raw)
    for _ in range(source.randint(1, 2)):
        at = source.randrange(len(data) + 1)
        if source.random() < 0.7 and at < len(data):
            data[at] = source.choice((0x4C, 0x52, 0x4D, 0x0A, 0x20, 0x91, 0x6B, 0x02, 0x06, source.randrange(256)))
        elif source.random() < 0.5:
            del data[at : at + source.randint(1, 4)]
        else:
            data[at:at] = source.randbytes(source.randint(1, 4))
    return bytes(data)


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_nothing_that_passes_is_a_write_to_the_controller(seed: int) -> None:
    """Mutated reads and writes: the guard never raises, and the controller counts no write in what it lets through."""
    source = random.Random(seed)
    guarded, bare = controller_session(), controller_session()
    inner = [WRITE, READ, wrapped(WRITE), wrapped(READ), multiple(READ, WRITE), multiple(READ, READ), opened(0xA3)]
    passed = 0
    for _ in range(6_000):
        if source.random() < 0.7:
            message = rr(mutated(source, source.choice(inner)))
        else:
            raw = mutated(source, source.choice(list(REFUSED.values()))[24:])
            message = HEADER.pack(source.choice((0x6F, 0x70)), len(raw), 9, 0, bytes(8), 0) + raw
        passes = check(message) is None
        passed += passes
        session = guarded if passes else bare
        session.answer(message[:24], message[24:])
    assert passed > 500
    assert guarded.counts["writes_refused"] == 0
    assert bare.counts["writes_refused"] > 500  # or the test would prove nothing


def test_the_library_wraps_a_refusal_and_it_is_still_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where pycomm3 turns any error into its own, the guard's count and report remain."""

    async def work() -> None:
        async with reading(asking("One_DINT")) as (_, reader):
            driver = reader.collector._driver
            assert driver is not None
            monkeypatch.setattr("collectors.enip.driver.check", lambda message: "planted")
            with pytest.raises(ResponseError):
                await asyncio.to_thread(driver.get_plc_info)
            assert reader.collector.guard.count == 1

    run(work)


def test_the_guard_cannot_be_configured_away() -> None:
    """No setting of the section names it."""
    given = device(1, asking("One_DINT"), guard=False, read_only=False)
    assert len(LogixCollector.check(given)) == 2
