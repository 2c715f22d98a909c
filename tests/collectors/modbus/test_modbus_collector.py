"""The Modbus collector against servers that others wrote, and against one that answers wrongly on purpose."""

from __future__ import annotations

import asyncio
import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from modbus_peer import HOST, Act, Asked, Fault, Peer, bit, illegal, register
from modbus_tk import defines
from modbus_tk.modbus_tcp import TcpServer
from pymodbus import FramerType
from pymodbus.pdu.device import ModbusDeviceIdentification
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pyModbusTCP.server import DataBank, ModbusServer

from collectors.base import Device, numbered
from collectors.modbus.collector import ModbusCollector
from protocol.content.sample import Columns, Quality, Row, severity
from protocol.errors import AssetError

TAGS: list[dict[str, Any]] = [
    {"name": "words", "at": "holding:0", "type": "uint16", "count": 10},
    {"name": "long", "at": "30021", "type": "uint32"},
    {"name": "coils", "at": "coil:0", "count": 20},
    {"name": "inputs", "at": "10003", "count": 5},
    {"name": "bit", "at": "holding:3.0"},
]


def device(url: str, *scans: list[dict[str, Any]], kind: str = "process", wait: float = 3.0, **settings: Any) -> Device:
    """A device with a scan a list of tags."""
    made = numbered([(1.0, tags) for tags in scans or (TAGS,)])
    return Device(name="pump", url=url, kind=kind, settings=settings, scans=made, timeout_s=wait)


def collector(made: Device, clock: Callable[[], int] = time.time_ns) -> ModbusCollector:
    """A collector whose refusals fail the test."""

    def refused(line: str) -> None:
        raise AssertionError(line)

    return ModbusCollector(made, clock=clock, refused=refused)


def rows_of(columns: Columns) -> dict[int, Row]:
    """Rows by point number, each once."""
    out = {row.tag: row for row in columns.rows()}
    assert len(out) == len(columns)
    return out


def wanted() -> list[Any]:
    """What TAGS hold in every server of these tests."""
    words = [register(at) for at in range(10)]
    long = register(20) << 16 | register(21)
    return [*words, long, *(bit(at) for at in range(20)), *(bit(at) for at in range(2, 7)), bool(register(3) & 1)]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Whether a connection to the port is taken."""
    with socket.socket() as probe:
        probe.settimeout(0.1)
        return probe.connect_ex((HOST, port)) == 0


def run(main: Coroutine[Any, Any, None]) -> None:
    """In an event loop that fails the test where something was left to its exception handler."""
    unhandled: list[dict[str, Any]] = []

    async def watched() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        await main

    asyncio.run(watched())
    assert not unhandled


@contextmanager
def py_modbus_tcp() -> Iterator[str]:
    """pyModbusTCP's server."""
    bank = DataBank(coils_size=100, d_inputs_size=100, h_regs_size=100, i_regs_size=100)
    bank.set_coils(0, [bit(at) for at in range(100)])
    bank.set_discrete_inputs(0, [bit(at) for at in range(100)])
    bank.set_holding_registers(0, [register(at) for at in range(100)])
    bank.set_input_registers(0, [register(at) for at in range(100)])
    port = free_port()
    server = ModbusServer(HOST, port, no_block=True, data_bank=bank)
    server.start()
    yield f"tcp://{HOST}:{port}"
    server.stop()


@contextmanager
def modbus_tk() -> Iterator[str]:
    """modbus-tk's server."""
    port = free_port()
    server = TcpServer(port=port, address=HOST)
    slave = server.add_slave(1)
    for name, kind, value in (
        ("c", defines.COILS, bit),
        ("d", defines.DISCRETE_INPUTS, bit),
        ("h", defines.HOLDING_REGISTERS, register),
        ("i", defines.ANALOG_INPUTS, register),
    ):
        slave.add_block(name, kind, 0, 100)
        slave.set_values(name, 0, [int(value(at)) for at in range(100)])
    server.start()
    deadline = time.monotonic() + 10
    while not listening(port):
        assert time.monotonic() < deadline
    yield f"tcp://{HOST}:{port}"
    server.stop()


@contextmanager
def pymodbus(framer: str = "socket") -> Iterator[str]:
    """pymodbus's own server, in a thread with a loop of its own."""
    port, loop, up = free_port(), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        bits = [bit(at) for at in range(96)]
        words = [register(at) for at in range(100)]
        data = (
            [SimData(0, values=bits, datatype=DataType.BITS)],
            [SimData(0, values=bits, datatype=DataType.BITS)],
            [SimData(0, values=words, datatype=DataType.REGISTERS)],
            [SimData(0, values=words, datatype=DataType.REGISTERS)],
        )
        identity = ModbusDeviceIdentification(  # type: ignore[no-untyped-call]
            info_name={"VendorName": "Acme", "ProductCode": "CX-200", "MajorMinorRevision": "1.4"}
        )
        server = ModbusTcpServer(
            [SimDevice(id=1, simdata=data)], address=(HOST, port), framer=FramerType(framer), identity=identity
        )
        await server.serve_forever(background=True)
        up.set()
        await stop.wait()
        await server.shutdown()  # type: ignore[no-untyped-call]

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert up.wait(10)
    yield f"tcp://{HOST}:{port}"
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@pytest.mark.filterwarnings("ignore:isSet:DeprecationWarning")  # modbus-tk's own
@pytest.mark.parametrize(
    ("server", "settings"),
    [
        (py_modbus_tcp, {}),
        (modbus_tk, {}),
        (pymodbus, {}),
        (lambda: pymodbus("rtu"), {"framing": "rtu"}),
    ],
    ids=["pyModbusTCP", "modbus-tk", "pymodbus", "pymodbus-rtu"],
)
def test_values_of_other_peoples_servers_are_read_right(server: Any, settings: dict[str, Any]) -> None:
    """All four tables, at the same addresses, in both framings."""

    async def main(url: str) -> None:
        made = device(url, **settings)
        plc = collector(made)
        await plc.open()
        begun = time.time_ns()
        rows = rows_of(await plc.read(made.scans[0]))
        assert [rows[at].value for at in range(len(rows))] == wanted()
        assert all(begun <= row.time_ns <= time.time_ns() for row in rows.values())
        assert {(row.quality, row.native) for row in rows.values()} == {(0, 0)}
        await plc.close()

    with server() as url:
        run(main(url))


def test_the_device_says_who_it_is() -> None:
    """Vendor, product code and revision come from the basic identification."""

    async def main(url: str) -> None:
        plc = collector(device(url))
        await plc.open()
        identity = plc.identity()
        assert (identity.vendor, identity.model, identity.firmware) == ("Acme", "CX-200", "1.4")
        draft = await plc.discover()
        assert draft.identity == identity
        assert draft.tags == ()
        assert any("no list of its registers" in note for note in draft.notes)
        await plc.close()

    with pymodbus() as url:
        run(main(url))


def test_the_plan_is_exactly_what_a_device_is_asked() -> None:
    """Every request of a cycle, in order, and no other."""

    async def main() -> None:
        async with Peer() as peer:
            slow = [{"name": "s", "at": "holding:40", "type": "float32"}, {"name": "t", "at": "holding:46.1"}]
            made = device(peer.url, TAGS, slow, max_gap=4)
            plc = collector(made)
            await plc.open()
            for _ in range(2):
                peer.asked.clear()
                for scan in made.scans:
                    await plc.read(scan)
                assert [str(asked) for asked in peer.asked] == [one.what for one in ModbusCollector.plan(made)]
            assert {asked.unit for asked in peer.asked} == {1}
            await plc.close()

    run(main())


def test_time_is_the_middle_of_request_and_reply() -> None:
    """Each block has its own."""

    async def main() -> None:
        async with Peer() as peer:
            tags = [{"name": "a", "at": "holding:0", "type": "int16"}, {"name": "b", "at": "input:0", "type": "int16"}]
            made = device(peer.url, tags)
            plc = collector(made, clock=itertools.count(1000, 100).__next__)
            await plc.open()
            rows = rows_of(await plc.read(made.scans[0]))
            assert rows[0].time_ns % 100 == rows[1].time_ns % 100 == 50
            assert rows[1].time_ns - rows[0].time_ns == 200
            await plc.close()

    run(main())


def short(asked: Asked) -> bytes:
    """Half the data, said to be all."""
    return asked.frame(bytes([asked.function, len(asked.data) // 2]) + asked.data[: len(asked.data) // 2])


def long(asked: Asked) -> bytes:
    """Two bytes too many."""
    return asked.frame(bytes([asked.function, len(asked.data) + 2]) + asked.data + b"\0\0")


def other_table(asked: Asked) -> bytes:
    """Input registers for holding ones, coils for inputs."""
    function = {1: 2, 2: 1, 3: 4, 4: 3}.get(asked.function, asked.function)
    return asked.frame(bytes([function, len(asked.data)]) + asked.data)


def overstated(asked: Asked) -> bytes:
    """A byte count beyond the frame's end."""
    return asked.frame(bytes([asked.function, 250]) + asked.data)


def unknown_function(asked: Asked) -> bytes:
    """A function code nobody has."""
    return asked.frame(b"\x55\1\2\3")


def empty(asked: Asked) -> bytes:
    """A frame that ends with the function code."""
    return asked.frame(bytes([asked.function]))


REGISTERS = [{"name": "w", "at": "holding:0", "type": "uint16", "count": 4}]
BITS = [{"name": "c", "at": "coil:0", "count": 20}]


@pytest.mark.parametrize(
    ("fault", "tags"),
    [
        *((fault, REGISTERS) for fault in (short, long, other_table, overstated, unknown_function, empty)),
        *((fault, BITS) for fault in (short, long, other_table, unknown_function, empty)),
    ],
)
def test_a_reply_that_is_no_reply_gives_no_value(fault: Fault, tags: list[dict[str, Any]]) -> None:
    """Wrong function or length is Bad_DecodingError at once, and the connection lives."""

    async def main() -> None:
        async with Peer() as peer:
            made = device(peer.url, tags, wait=30)
            plc = collector(made)
            await plc.open()
            peer.fault = fault
            rows = rows_of(await plc.read(made.scans[0]))
            assert {(row.value, row.quality) for row in rows.values()} == {(None, Quality.BAD_DECODING)}
            peer.fault = None
            rows = rows_of(await plc.read(made.scans[0]))
            assert {row.quality for row in rows.values()} == {Quality.GOOD}
            assert peer.connections == 1
            await plc.close()

    run(main())


@pytest.mark.parametrize(
    ("fault", "quality"),
    [
        (lambda asked: Act.SILENCE, Quality.BAD_TIMEOUT),
        (lambda asked: b"\xff\xff\xff\xff garbage", Quality.BAD_TIMEOUT),
        (lambda asked: asked.frame(b"\3\x08" + asked.data, transaction=asked.transaction + 1), Quality.BAD_TIMEOUT),
        (lambda asked: asked.frame(b"\3\x08" + asked.data, unit=9), Quality.BAD_TIMEOUT),
        (lambda asked: asked.right()[:10], Quality.BAD_TIMEOUT),
        (lambda asked: Act.RESET, Quality.BAD_NOT_CONNECTED),
    ],
    ids=["silence", "garbage", "other transaction", "other unit", "half a frame", "hang up"],
)
def test_a_device_that_does_not_answer_fails_as_a_whole(fault: Fault, quality: int) -> None:
    """The poller learns why, and after it opens again everything is as before."""

    async def main() -> None:
        async with Peer() as peer:
            made = device(peer.url, REGISTERS, wait=0.3)
            plc = collector(made)
            await plc.open()
            peer.fault = fault
            with pytest.raises(AssetError) as caught:
                await plc.read(made.scans[0])
            assert caught.value.quality == quality
            assert severity(caught.value.quality) == 2
            peer.fault = None
            await plc.close()
            await plc.open()
            rows = rows_of(await plc.read(made.scans[0]))
            assert [rows[at].value for at in range(4)] == [register(at) for at in range(4)]
            await plc.close()

    run(main())


def test_a_lost_connection_is_noticed_at_once() -> None:
    """The request under way does not wait out its time."""

    async def main() -> None:
        async with Peer() as peer:
            made = device(peer.url, REGISTERS, wait=60)
            plc = collector(made)
            await plc.open()
            peer.fault = lambda asked: Act.RESET
            begun = time.monotonic()
            with pytest.raises(AssetError, match="connection lost"):
                await plc.read(made.scans[0])
            assert time.monotonic() - begun < 10
            with pytest.raises(AssetError, match="connection lost"):
                await plc.read(made.scans[0])
            await plc.close()

    run(main())


def test_a_device_that_hangs_up_between_two_passes_is_connected_to_again() -> None:
    """Many do when nothing was asked for a while; no sample is bad for it."""

    async def main() -> None:
        async with Peer() as peer:
            made = device(peer.url, REGISTERS)
            plc = collector(made)
            await plc.open()
            for connections in (1, 2, 3):
                rows = rows_of(await plc.read(made.scans[0]))
                assert {row.quality for row in rows.values()} == {Quality.GOOD}
                assert peer.connections == connections
                peer.hang_up()
                while plc._line is not None and plc._line.client is not None:
                    await asyncio.sleep(0)
            await peer.stop()
            with pytest.raises(AssetError) as caught:
                await plc.read(made.scans[0])
            assert caught.value.quality == Quality.BAD_NOT_CONNECTED
            await plc.close()

    run(main())


def test_a_late_reply_is_never_taken_for_another() -> None:
    """What comes after its time is dropped, not handed to the next question."""

    async def main() -> None:
        async with Peer() as peer:
            one = [{"name": "a", "at": "holding:10", "type": "uint16"}]
            two = [{"name": "b", "at": "holding:20", "type": "uint16"}]
            made = device(peer.url, one, two, wait=0.3)
            plc = collector(made)
            await plc.open()
            peer.fault = lambda asked: Act.LATE if asked.start == 10 else None
            with pytest.raises(AssetError):
                await plc.read(made.scans[0])
            asked = asyncio.ensure_future(plc.read(made.scans[1]))
            await asyncio.sleep(0)
            peer.release.set()
            rows = rows_of(await asked)
            assert rows[1].value == register(20)
            await plc.close()

    run(main())


@pytest.mark.parametrize(
    ("code", "quality"),
    [
        (1, Quality.BAD_CONFIGURATION),
        (2, Quality.BAD_CONFIGURATION),
        (3, Quality.BAD_CONFIGURATION),
        (4, Quality.BAD_DEVICE_FAILURE),
        (5, Quality.BAD_NO_DATA),
        (6, Quality.BAD_NO_DATA),
        (8, Quality.BAD_DEVICE_FAILURE),
        (0x42, Quality.BAD_DEVICE_FAILURE),
    ],
)
def test_what_the_device_says_becomes_quality_with_its_code_beside_it(code: int, quality: int) -> None:
    """An exception costs its block only; other blocks of the scan are good."""

    async def main() -> None:
        async with Peer() as peer:
            tags: list[dict[str, Any]] = [*REGISTERS, {"name": "i", "at": "input:0", "type": "uint16"}]
            made = device(peer.url, tags)
            plc = collector(made)
            await plc.open()
            peer.fault = lambda asked: asked.exception(code) if asked.function == 3 else None
            rows = rows_of(await plc.read(made.scans[0]))
            assert {(rows[at].value, rows[at].quality, rows[at].native) for at in range(4)} == {(None, quality, code)}
            assert (rows[4].value, rows[4].quality) == (register(0), Quality.GOOD)
            await plc.close()

    run(main())


def test_a_busy_device_keeps_its_last_values() -> None:
    """Uncertain_LastUsableValue, with the time they were read beside the time they were asked for."""

    async def main() -> None:
        async with Peer() as peer:
            made = device(peer.url, REGISTERS)
            plc = collector(made)
            await plc.open()
            before = rows_of(await plc.read(made.scans[0]))
            peer.fault = lambda asked: asked.exception(6)
            for _ in range(2):
                after = rows_of(await plc.read(made.scans[0]))
                for at in range(4):
                    assert after[at].value == before[at].value
                    assert (after[at].quality, after[at].native) == (Quality.UNCERTAIN_LAST_USABLE, 6)
                    assert after[at].other_ns == before[at].time_ns < after[at].time_ns
            await plc.close()

    run(main())


@pytest.mark.parametrize("kind", ["process", "safety"])
def test_an_illegal_address_in_a_block_is_isolated_in_process_devices_only(kind: str) -> None:
    """In kind `process` its neighbours come back; elsewhere the device is never asked what the plan did not show."""

    async def main() -> None:
        async with Peer(fault=illegal(5)) as peer:
            tags = [{"name": "w", "at": "holding:0", "type": "uint16", "count": 12}]
            made = device(peer.url, tags, kind=kind)
            plc = collector(made)
            await plc.open()
            for _ in range(6):
                peer.asked.clear()
                rows = rows_of(await plc.read(made.scans[0]))
                assert sorted(rows) == list(range(12))
            good = [at for at, row in rows.items() if row.quality == Quality.GOOD]
            bad = {(row.quality, row.native) for row in rows.values() if row.quality}
            assert bad == {(Quality.BAD_CONFIGURATION, 2)}
            if kind == "process":
                assert sorted(good) == [at for at in range(12) if at != 5]
                assert all(rows[at].value == register(at) for at in good)
            else:
                assert not good
                assert [str(asked) for asked in peer.asked] == ["read holding 0..11"]
            await plc.close()

    run(main())


@pytest.mark.parametrize("kind", ["safety", "protection"])
def test_gentle_devices_are_not_asked_who_they_are(kind: str) -> None:
    """Only what was typed is read."""

    async def main() -> None:
        async with Peer() as peer:
            plc = collector(device(peer.url, kind=kind))
            await plc.open()
            assert peer.identifications == 0
            assert peer.received == 0
            await plc.close()

    run(main())


@pytest.mark.parametrize("act", [Act.SILENCE, Act.RESET])
def test_a_device_without_identification_is_asked_for_it_once(act: Act) -> None:
    """Its silence, or its hanging up, costs neither the connection nor the next start."""

    async def main() -> None:
        async with Peer(fault=lambda asked: act if asked.function == 43 else None) as peer:
            made = device(peer.url, REGISTERS, wait=0.3)
            plc = collector(made)
            for _ in range(2):
                await plc.open()
                rows = rows_of(await plc.read(made.scans[0]))
                assert {row.quality for row in rows.values()} == {Quality.GOOD}
            assert peer.identifications == 1
            assert plc.identity().vendor == ""
            await plc.close()

    run(main())


def test_an_identification_in_several_replies_is_put_together() -> None:
    """A small device sends one object at a time, and says that more follow."""
    objects = [b"Acme", b"CX-200", b"1.4"]

    def paged(asked: Asked) -> bytes | None:
        if asked.function != 43:
            return None
        at = asked.count >> 8  # read code and object id stand where a read has its start and count
        more, following = (255, at + 1) if at < 2 else (0, 0)
        head = struct.pack(">BBBBBBB", 43, 14, 1, 1, more, following, 1)
        return asked.frame(head + bytes([at, len(objects[at])]) + objects[at])

    async def main() -> None:
        async with Peer(fault=paged) as peer:
            plc = collector(device(peer.url))
            await plc.open()
            identity = plc.identity()
            assert (identity.vendor, identity.model, identity.firmware) == ("Acme", "CX-200", "1.4")
            assert peer.identifications == 3
            await plc.close()

    run(main())


def test_it_reads_again_after_the_device_was_restarted() -> None:
    """Down: no connection. Up: the same values as before."""

    async def main() -> None:
        peer = Peer()
        await peer.__aenter__()
        made = device(peer.url, REGISTERS, wait=1)
        plc = collector(made)
        await plc.open()
        before = rows_of(await plc.read(made.scans[0]))
        await peer.stop()
        with pytest.raises(AssetError):
            await plc.read(made.scans[0])
        await plc.close()
        with pytest.raises(AssetError) as caught:
            await plc.open()
        assert caught.value.quality == Quality.BAD_NOT_CONNECTED
        async with Peer(port=peer.port):
            await plc.open()
            after = rows_of(await plc.read(made.scans[0]))
            assert [after[at].value for at in range(4)] == [before[at].value for at in range(4)]
            await plc.close()

    run(main())


def test_close_may_be_called_at_any_time() -> None:
    """Never opened, twice, and after the device is gone; a read of a closed device is an AssetError."""

    async def main() -> None:
        peer = Peer()
        async with peer:
            made = device(peer.url, REGISTERS)
            plc = collector(made)
            await plc.close()
            with pytest.raises(AssetError):
                await plc.read(made.scans[0])
            await plc.open()
            await plc.close()
            await plc.close()
            await plc.open()
        await plc.close()

    run(main())


def test_a_weak_device_is_given_its_pause() -> None:
    """Between two requests, not before the first."""

    async def main() -> None:
        async with Peer() as peer:
            tags = [{"name": n, "at": f"holding:{at}", "type": "uint16"} for n, at in (("a", 0), ("b", 9), ("c", 18))]
            made = device(peer.url, tags, pause_ms=40)
            plc = collector(made)
            await plc.open()
            begun = time.monotonic()
            await plc.read(made.scans[0])
            assert time.monotonic() - begun >= 0.08
            await plc.close()

    run(main())


@pytest.mark.parametrize(
    ("answer", "quality"),
    [
        (bytes.fromhex("010402000a3937"), Quality.BAD_DECODING),  # input register 0, asked for holding register 0
        (b"", Quality.BAD_TIMEOUT),
    ],
    ids=["another function", "silence"],
)
def test_in_rtu_a_wrong_or_missing_reply_ends_the_connection(answer: bytes, quality: int) -> None:
    """No number ties a reply to its request there: the next ones could be one behind for ever."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(answer)
        assert await reader.read() == b""
        writer.close()
        done.set()

    done = asyncio.Event()

    async def main() -> None:
        server = await asyncio.start_server(serve, HOST, 0)
        port = server.sockets[0].getsockname()[1]
        tags = [{"name": "a", "at": "holding:0", "type": "uint16"}]
        made = device(f"tcp://{HOST}:{port}", tags, kind="safety", wait=0.3, framing="rtu")
        plc = collector(made)
        await plc.open()
        with pytest.raises(AssetError) as caught:
            await plc.read(made.scans[0])
        assert caught.value.quality == quality
        await done.wait()
        with pytest.raises(AssetError):
            await plc.read(made.scans[0])
        await plc.close()
        server.close()
        await server.wait_closed()

    run(main())
