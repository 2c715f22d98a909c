"""The false controller answers raw requests as the manuals say, and every mistake with its own status."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

import pytest
from logix_line import Line, Wire, filled, request, running, symbol

from simulator.logix.cip import CipError, SegmentType, parse_path

SUCCESS, PARTIAL = 0, 6


@pytest.fixture(scope="module")
def line() -> Iterator[Line]:
    """One controller for the whole module; nobody can change it."""
    with running(filled()) as one:
        yield one


@pytest.fixture
def wire(line: Line) -> Iterator[Wire]:
    """A registered session with a connection of 500 bytes."""
    with Wire(line.port) as one:
        assert one.register().forward_open(500, large=False)[2] == SUCCESS
        yield one


def test_data_needs_a_registered_session(line: Line) -> None:
    """Before RegisterSession, or under another's handle, data requests get status 0x64."""
    with Wire(line.port) as wire:
        assert wire.command(0x6F, bytes(16))[1] == 0x64
        wire.register()
        assert wire.command(0x70, bytes(16), session=wire.session + 1)[1] == 0x64


@pytest.mark.parametrize(
    ("command", "body", "status"),
    [
        (0x65, b"\x02\x00\x00\x00", 0x69),
        (0x65, b"\x01\x00", 0x65),
        (0x01, b"", 0x01),
        (0x72, b"abc", 0x01),
        (0x6F, b"", 0x03),
        (0x6F, struct.pack("<IHHHHHH", 0, 0, 2, 0, 0, 0xB2, 99), 0x03),
        (0x6F, struct.pack("<IHHHH", 7, 0, 1, 0, 0), 0x03),
        (0x70, struct.pack("<IHHHHIHHH", 0, 0, 2, 0xA1, 4, 0xDEAD, 0xB1, 2, 1), 0x03),
        (0x70, struct.pack("<IHHHHHH", 0, 0, 2, 0xA1, 0, 0xB1, 0), 0x03),
    ],
)
def test_a_broken_encapsulation_gets_its_status(line: Line, command: int, body: bytes, status: int) -> None:
    """Wrong version, unknown command, contradicting lengths, unknown connection: a header with the status, no body."""
    with Wire(line.port) as wire:
        wire.register()
        _, got, reply = wire.command(command, body)
        assert got == status
        assert len(reply) == (4 if status == 0x69 else 0)


def test_unregistering_ends_the_connection(line: Line) -> None:
    """UnRegisterSession has no reply; the controller closes."""
    with Wire(line.port) as wire:
        wire.register()
        wire.socket.sendall(struct.pack("<HHII8sI", 0x66, 0, wire.session, 0, bytes(8), 0))
        with pytest.raises(ConnectionResetError):
            wire.exactly(1)


def test_an_endless_body_is_refused_before_it_is_read(line: Line) -> None:
    """A header that announces 65,535 bytes gets status 0x65 at once and the connection ends."""
    with Wire(line.port) as wire:
        wire.socket.sendall(struct.pack("<HHII8sI", 0x6F, 0xFFFF, 0, 0, bytes(8), 0))
        assert struct.unpack_from("<I", wire.exactly(24), 8)[0] == 0x65
        with pytest.raises(ConnectionResetError):
            wire.exactly(1)


def test_requests_sent_together_are_answered_in_order(line: Line) -> None:
    """Ten commands in one segment get ten replies; NOP gets none."""
    with Wire(line.port) as wire:
        listed = struct.pack("<HHII8sI", 0x64, 0, 0, 0, b"abcdefgh", 0)
        nothing = struct.pack("<HHII8sI", 0x00, 2, 0, 0, bytes(8), 0) + b"ab"
        wire.socket.sendall((nothing + listed) * 10)
        assert wire.exactly(260) == (listed[:2] + b"\x02\x00" + listed[4:] + b"\x00\x00") * 10


def test_a_slow_client_may_send_byte_by_byte(line: Line) -> None:
    """Where TCP cuts a request does not matter."""
    with Wire(line.port) as wire:
        for one in struct.pack("<HHII8sI", 0x65, 4, 0, 0, bytes(8), 0) + b"\x01\0\0\0":
            wire.socket.sendall(bytes((one,)))
        assert struct.unpack_from("<I", wire.exactly(28), 8)[0] == 0


def test_list_identity_is_answered_by_udp_and_nonsense_is_not(line: Line) -> None:
    """UDP answers the list commands, keeps the sender's context, and is silent to everything else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(5)
        where = ("127.0.0.1", line.port)
        for junk in (b"", b"x" * 23, struct.pack("<HHII8sI", 0x65, 4, 0, 0, bytes(8), 0) + b"\x01\0\0\0"):
            udp.sendto(junk, where)
        udp.sendto(struct.pack("<HHII8sI", 0x63, 0, 0, 0, b"12345678", 0), where)
        reply = udp.recv(2000)
        assert reply[:2] == b"\x63\x00"
        assert reply[12:20] == b"12345678"
        assert struct.unpack_from(">HH4s", reply, 32) == (2, line.port, bytes((127, 0, 0, 1)))


@pytest.mark.parametrize(
    ("settings", "extended"),
    [
        ({"transport": 0xA1}, 0x0103),
        ({"transport": 0x01}, 0x0103),
        ({"size": 20}, 0x0109),
        ({"size": 4003}, 0x0109),
        ({"slot": 3}, 0x0312),
    ],
)
def test_a_forward_open_is_refused_with_its_reason(line: Line, settings: dict[str, int], extended: int) -> None:
    """Implicit I/O, sizes that cannot be, and another slot are refused with status 1 and an extended word."""
    with Wire(line.port) as wire:
        reply = wire.register().forward_open(**settings)  # type: ignore[arg-type]
        assert reply[2] == 0x01
        assert struct.unpack_from("<H", reply, 4)[0] == extended


def test_a_closed_connection_is_gone(line: Line) -> None:
    """After Forward Close its id is unknown, and closing again is refused."""
    with Wire(line.port) as wire:
        wire.register().forward_open()
        close = request(0x4E, b"\x20\x06\x24\x01", struct.pack("<BBHHIBB", 10, 5, 77, 0x1009, 0xAB, 0, 0))
        assert wire.unconnected(close)[2] == SUCCESS
        assert wire.unconnected(close)[2] == 0x01
        with pytest.raises(AssertionError, match="0x3"):
            wire.connected(request(0x01, b"\x20\x01\x24\x01"))


def test_a_session_holds_a_bounded_number_of_connections(line: Line) -> None:
    """The 33rd Forward Open of a session is refused: out of connections."""
    with Wire(line.port) as wire:
        wire.register()
        assert [wire.forward_open(serial=at)[2] for at in range(32)] == [SUCCESS] * 32
        assert struct.unpack_from("<H", wire.forward_open(serial=32), 4)[0] == 0x0113


def test_a_connection_that_is_open_is_not_opened_again(line: Line) -> None:
    """The same serial, vendor and originator once more: connection in use."""
    with Wire(line.port) as wire:
        wire.register()
        assert wire.forward_open()[2] == SUCCESS
        assert struct.unpack_from("<H", wire.forward_open(), 4)[0] == 0x0100


READ = request(0x4C, symbol("Wave"), b"\x88\x13")


@pytest.mark.parametrize(("size", "large"), [(4000, True), (500, False), (100, False)])
def test_no_reply_is_larger_than_its_connection(line: Line, size: int, large: bool) -> None:
    """Reads, lists and packets of many requests all keep inside the size that was granted."""
    with Wire(line.port) as wire:
        wire.register().forward_open(size, large=large)
        room = size - 2
        read = wire.connected(READ)
        assert read[2] == PARTIAL
        assert room - 8 <= len(read) <= room
        listed = wire.connected(request(0x55, b"\x20\x6b\x25\x00\x00\x00", struct.pack("<6H", 5, 1, 2, 3, 6, 8)))
        assert listed[2] == PARTIAL
        assert len(listed) <= room
        many = [READ, request(0x4C, symbol("One_DINT"), b"\x01\x00"), READ]
        packed = wire.connected(multiple(many))
        assert len(packed) <= room


def multiple(requests: list[bytes]) -> bytes:
    """A Multiple Service Packet."""
    at, offsets = 2 + 2 * len(requests), []
    for one in requests:
        offsets.append(at)
        at += len(one)
    data = struct.pack(f"<H{len(requests)}H", len(requests), *offsets) + b"".join(requests)
    return request(0x0A, b"\x20\x02\x24\x01", data)


def test_fragments_join_to_the_whole_array(wire: Wire) -> None:
    """Read Tag Fragmented from each offset gives whole elements until the last is reached with status 0."""
    data, status = b"", PARTIAL
    while status == PARTIAL:
        reply = wire.connected(request(0x52, symbol("Big"), struct.pack("<HI", 700, len(data))))
        status = reply[2]
        assert reply[4:6] == b"\xc5\x00"
        assert len(reply[6:]) % 8 == 0
        data += reply[6:]
    assert struct.unpack("<700q", data) == tuple(at << 33 for at in range(700))


def test_the_symbol_list_pages_without_gap_or_double(wire: Wire) -> None:
    """Asked again from the last instance + 1, the list gives every symbol once, in order of instance."""
    found: list[int] = []
    start, status = 0, PARTIAL
    while status == PARTIAL:
        path = b"\x20\x6b\x26\x00" + struct.pack("<I", start)
        reply = wire.connected(request(0x55, path, b"\x01\x00\x01\x00"))
        status, at = reply[2], 4
        while at < len(reply):
            instance, length = struct.unpack_from("<IH", reply, at)
            found.append(instance)
            at += 6 + length
        start = found[-1] + 1
    assert found == sorted(set(found))
    assert len(found) == len(filled().scopes[""].by_instance)


def test_a_path_may_use_any_width_and_any_case(wire: Wire) -> None:
    """Instance numbers of 8, 16 and 32 bits, names in any case, and elements of any width mean the same."""
    tag = filled().find("Scada")
    wanted = wire.connected(request(0x4C, symbol("Scada") + b"\x28\x07", b"\x01\x00"))
    assert wanted[4:] == b"\xc3\x00\x07\x00"
    for path in (
        symbol("sCADA") + b"\x29\x00\x07\x00",
        symbol("SCADA") + b"\x2a\x00\x07\x00\x00\x00",
        bytes((0x20, 0x6B, 0x24, tag.instance, 0x28, 7)),
        struct.pack("<BBBBBBH", 0x20, 0x6B, 0x25, 0, tag.instance, 0, 0x0728),
        b"\x21\x00\x6b\x00" + struct.pack("<BBI", 0x26, 0, tag.instance) + b"\x28\x07",
    ):
        assert wire.connected(request(0x4C, path, b"\x01\x00")) == wanted


@pytest.mark.parametrize(
    ("cip", "status", "extended"),
    [
        (request(0x4C, symbol("NoSuch"), b"\x01\x00"), 0x04, 0),
        (request(0x4C, symbol("M1", "NoSuch"), b"\x01\x00"), 0x04, 0),
        (request(0x4C, symbol("Program:No", "Speed"), b"\x01\x00"), 0x05, None),
        (request(0x4C, symbol("Scada") + b"\x29\x00\xe8\x03", b"\x01\x00"), 0xFF, 0x2105),
        (request(0x4C, symbol("Scada"), b"\xe9\x03"), 0xFF, 0x2105),
        (request(0x4C, symbol("Scada"), b"\x00\x00"), 0xFF, 0x2105),
        (request(0x52, symbol("Scada"), struct.pack("<HI", 1000, 2000)), 0xFF, 0x2105),
        (request(0x4C, symbol("Grid") + b"\x28\x01", b"\x01\x00"), 0x05, None),
        (request(0x4C, symbol("Word") + b"\x28\x00", b"\x01\x00"), 0x05, None),
        (request(0x4C, symbol("Word", "Bit"), b"\x01\x00"), 0x05, None),
        (request(0x4C, symbol("Scada"), b"\x01"), 0x13, None),
        (request(0x4C, b"\x91\x20ab", b"\x01\x00"), 0x04, None),
        (request(0x4C, b"\xf0\x00", b"\x01\x00"), 0x04, None),
        (b"\x4c\x20abc", 0x13, None),
        (b"", 0x13, None),
        (request(0x4C, b"", b"\x01\x00"), 0x04, None),
        (request(0x4B, symbol("Scada"), b""), 0x08, None),
        (request(0x01, b"\x20\x99\x24\x01"), 0x05, None),
        (request(0x01, b"\x20\x01\x24\x02"), 0x05, None),
        (request(0x0E, b"\x20\x01\x24\x01\x30\x63"), 0x14, None),
        (request(0x03, b"\x20\x01\x24\x01", b"\x02\x00\x01\x00\x63\x00"), 0x0A, None),
        (request(0x55, b"\x20\x6b\x24\x00", b"\x01\x00\x63\x00"), 0x0A, None),
        (request(0x03, b"\x20\x6c\x25\x00\xff\x0e", b"\x01\x00\x04\x00"), 0x05, None),
        (request(0x0A, b"\x20\x02\x24\x01", b"\x02\x00\x06\x00\x40\x00"), 0x1E, None),
        (request(0x0A, b"\x20\x02\x24\x01", b"\x00\x00"), 0x13, None),
    ],
)
def test_a_request_that_cannot_be_met_gets_its_status(
    wire: Wire, cip: bytes, status: int, extended: int | None
) -> None:
    """Unknown tags, members, elements, classes, attributes and lengths each have a status of their own."""
    reply = wire.connected(cip)
    assert reply[2] == status
    if extended is not None:
        assert struct.unpack_from("<H", reply, 4)[0] == extended


@pytest.mark.parametrize(
    "cip",
    [
        request(0x4D, symbol("Word"), b"\xc4\x00\x01\x00\x01\x00\x00\x00"),
        request(0x53, symbol("Word"), b"\xc4\x00\x01\x00\x00\x00\x00\x00\x01\x00\x00\x00"),
        request(0x4E, symbol("Word"), b"\x04\x00\x01\x00\x00\x00\xff\xff\xff\xff"),
        request(0x4E, b"\x20\x6b\x24\x01", b"\x04\x00\x01\x00\x00\x00\xff\xff\xff\xff"),
        request(0x10, b"\x20\x01\x24\x01\x30\x07", b"\x01x"),
        request(0x04, b"\x20\x8b\x24\x01", b"\x01\x00\x06\x00" + bytes(8)),
        *(request(service, b"\x20\x01\x24\x01") for service in (2, 5, 6, 7, 8, 9, 13, 21, 22, 25)),
    ],
)
def test_whatever_changes_something_is_refused_and_counted(line: Line, wire: Wire, cip: bytes) -> None:
    """Every writing service gets 0x0F, alone and inside a packet, and moves the counter by one each time."""
    before = line.counts["writes_refused"]
    assert wire.connected(cip)[2] == 0x0F
    assert wire.connected(multiple([cip]))[2] == 0x1E
    assert line.counts["writes_refused"] == before + 2


def test_containers_do_not_nest(wire: Wire) -> None:
    """A Multiple Service Packet inside another, and a Forward Open inside one, are not supported."""
    inner = multiple([READ])
    reply = wire.connected(multiple([inner, request(0x54, b"\x20\x06\x24\x01", bytes(60))]))
    first, second = struct.unpack_from("<2H", reply, 6)
    assert reply[4 + first + 2] == 0x08
    assert reply[4 + second + 2] == 0x08


def test_change_counts_move_with_a_download_and_values_stay() -> None:
    """Class 0xAC tells of a download; by the old instance number another tag, or none, is found; by name the same."""
    controller = filled()
    with running(controller) as line, Wire(line.port) as wire:
        wire.register().forward_open()
        asked = request(0x03, b"\x20\xac\x24\x01", struct.pack("<6H", 5, 1, 2, 3, 4, 10))
        before = wire.connected(asked)
        assert wire.connected(asked) == before
        assert before[2] == SUCCESS
        assert len(before) == 4 + 2 + 5 * 4 + 2 + 2 + 4 + 4 + 4
        number = line.call(lambda: controller.find("Word").instance)
        line.call(controller.download)
        assert wire.connected(asked) != before
        assert line.call(lambda: controller.find("Word").instance) != number
        assert wire.connected(request(0x4C, symbol("Word"), b"\x01\x00"))[4:] == b"\xc4\x00\x05\x00\x00\x00"


@pytest.mark.parametrize("path", [b"\x20", b"\x21\x00\x01", b"\x91\x05ab", b"\x23\x00", b"\x11\x05a", b"\x34\x07"])
def test_a_cut_path_is_a_path_segment_error(path: bytes) -> None:
    """No path makes the parser read past its end."""
    with pytest.raises(CipError, match="PATH_SEGMENT_ERROR"):
        parse_path(path)


def test_paths_with_ports_and_keys_are_understood() -> None:
    """Backplane, an extended link address, and an electronic key in front of the target."""
    path = b"\x12\x0810.0.0.5\x01\x03" + b"\x34\x04" + bytes(8) + b"\x20\x02\x24\x01"
    parts = [(one.part, one.number, one.name) for one in parse_path(path)]
    assert parts == [
        (SegmentType.PORT, 2, "10.0.0.5"),
        (SegmentType.PORT, 1, "3"),
        (SegmentType.CLASS, 2, ""),
        (SegmentType.INSTANCE, 1, ""),
    ]
