"""No bytes make the false controller raise, hang, grow, or stop serving others."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import time
from collections import Counter

import pytest
from logix_line import Wire, filled, request, running, symbol

from simulator.logix.attributes import IdentityObject
from simulator.logix.connections import Connections, chassis
from simulator.logix.encapsulation import HEADER, EncapsulationSession, Lists
from simulator.logix.objects import Objects

SEEDED = pytest.mark.parametrize("seed", [20_260_401])
"""The seed stands in the name of the test that fails."""

GOOD = [
    request(0x4C, symbol("Scada"), b"\x05\x00"),
    request(0x52, symbol("Wave") + b"\x29\x00\x01\x00", struct.pack("<HI", 100, 40)),
    request(0x4C, symbol("Packing", "Spare") + b"\x28\x01" + symbol("Codes"), b"\x04\x00"),
    request(0x4C, b"\x20\x6b\x24\x05", b"\x01\x00"),
    request(0x55, b"\x20\x6b\x25\x00\x00\x00", b"\x03\x00\x01\x00\x02\x00\x08\x00"),
    request(0x55, symbol("Program:Main") + b"\x20\x6b\x24\x00", b"\x01\x00\x01\x00"),
    request(0x03, b"\x20\x6c\x25\x00\x01\x01", b"\x04\x00\x04\x00\x05\x00\x02\x00\x01\x00"),
    request(0x4C, b"\x20\x6c\x25\x00\x01\x01", struct.pack("<IH", 0, 300)),
    request(0x01, b"\x20\x01\x24\x01"),
    request(0x0E, b"\x20\x8b\x24\x01\x30\x06"),
    request(
        0x54, b"\x20\x06\x24\x01", struct.pack("<BBIIHHIB3xIHIHBB", 1, 2, 0, 1, 2, 3, 4, 7, 9, 500, 9, 500, 163, 0)
    ),
    request(0x4E, b"\x20\x06\x24\x01", struct.pack("<BBHHIBB", 1, 2, 2, 3, 4, 0, 0)),
]
GOOD.append(request(0x0A, b"\x20\x02\x24\x01", struct.pack("<3H", 2, 6, 6 + len(GOOD[0])) + GOOD[0] + GOOD[8]))
GOOD.append(request(0x52, b"\x20\x06\x24\x01", struct.pack("<BBH", 1, 2, len(GOOD[8])) + GOOD[8] + b"\x01\x00\x01\x00"))


def mutated(source: random.Random, raw: bytes) -> bytes:
    """Some bytes changed, cut out, doubled or put in."""
    data = bytearray(raw)
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(data) + 1)
        match source.randrange(5):
            case 0:
                data[at : at + 1] = bytes((source.randrange(256),))
            case 1:
                del data[at : at + source.randint(1, 8)]
            case 2:
                data[at:at] = source.randbytes(source.randint(1, 8))
            case 3:
                data[at:at] = data[at : at + 16]
            case _:
                data[at : at + 2] = source.choice((b"\xff\xff", b"\x00\x00", b"\x00\x80", b"\xff\x7f"))
    return bytes(data)


def objects() -> tuple[Objects, Connections]:
    """A controller's message router, without a network."""
    counts: Counter[str] = Counter()
    return Objects(filled(), IdentityObject(), "Main", counts), Connections(chassis(counts))


@SEEDED
def test_every_request_gets_one_reply_that_fits(seed: int) -> None:
    """Of ten thousand random and mutated requests, each gets a reply with its service that keeps to its room."""
    source = random.Random(seed)
    router, connections = objects()
    began = time.monotonic()
    for _ in range(10_000):
        raw = mutated(source, source.choice(GOOD)) if source.random() < 0.8 else source.randbytes(source.randrange(80))
        room = source.choice((62, 200, 498, 4000))
        reply = router.request(raw, room, connections)
        assert 4 <= len(reply) <= max(room, 64), raw.hex()
        assert reply[0] & 0x80, raw.hex()
    assert time.monotonic() - began < 60
    assert len(connections) <= 32


@SEEDED
def test_every_frame_gets_a_reply_or_none_but_no_exception(seed: int) -> None:
    """Random and mutated frames of a registered session never raise, and no reply is longer than a frame can be."""
    source = random.Random(seed)
    router, connections = objects()
    session = EncapsulationSession(router, Lists(router, "127.0.0.1", 1), connections.shared, 9, router.counts)
    session.answer(HEADER.pack(0x65, 4, 0, 0, bytes(8), 0), b"\x01\x00\x00\x00")
    for _ in range(5_000):
        cip = source.choice(GOOD)
        body = struct.pack("<IHHHHHH", 0, 5, 2, 0, 0, 0xB2, len(cip)) + cip
        body = mutated(source, body) if source.random() < 0.9 else source.randbytes(source.randrange(60))
        command = source.choice((0x6F, 0x6F, 0x6F, 0x70, 0x65, 0x63, 0x04, 0x64, 0x00, source.randrange(65536)))
        header = HEADER.pack(command, len(body), source.choice((9, 9, 9, 0)), 0, bytes(8), 0)
        reply = session.answer(header, body)
        assert reply is None or HEADER.size <= len(reply) <= 5000
        assert reply is None or struct.unpack_from("<H", reply, 2)[0] == len(reply) - HEADER.size
        session.ended = False


@SEEDED
def test_the_server_outlives_streams_of_nonsense(seed: int) -> None:
    """Three hundred connections that send garbage, half a header or nothing: a good client is served all the while."""
    source = random.Random(seed)
    with running(filled()) as line, Wire(line.port) as good:
        good.register().forward_open()
        for number in range(300):
            with socket.create_connection(("127.0.0.1", line.port), 10) as bad:
                if number % 3:
                    bad.sendall(source.randbytes(source.choice((1, 23, 24, 300))))
                if number % 20 == 0:
                    reply = good.connected(request(0x4C, symbol("Scada") + b"\x28\x07", b"\x01\x00"))
                    assert reply[4:] == b"\xc3\x00\x07\x00"
        until = time.monotonic() + 60
        while (line.counts["open"] > 1 or line.counts["connections"] < 301) and time.monotonic() < until:
            good.connected(request(0x4C, symbol("Scada"), b"\x01\x00"))
        assert line.counts["open"] == 1
        assert line.counts["connections"] == 301


def test_connections_are_bounded() -> None:
    """The 129th client is closed at once; when one goes there is room again."""
    with running(filled()) as line:
        held = [socket.create_connection(("127.0.0.1", line.port), 10) for _ in range(128)]
        try:
            until = time.monotonic() + 10
            while line.counts["open"] < 128 and time.monotonic() < until:
                pass
            late = socket.create_connection(("127.0.0.1", line.port), 10)
            with late, contextlib.suppress(ConnectionResetError):
                assert late.recv(1) == b""
            held.pop().close()
            while line.counts["open"] > 127 and time.monotonic() < until:
                pass
            with Wire(line.port) as wire:
                wire.register()
        finally:
            for one in held:
                one.close()


def test_remembered_paths_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger who asks for ever new paths does not make the table of known ones grow past its limit."""
    monkeypatch.setattr("simulator.logix.controller.PATHS_KEPT", 100)
    router, connections = objects()
    for at in range(1000):
        router.request(request(0x4C, symbol("Scada") + struct.pack("<BBH", 0x29, 0, at), b"\x01\x00"), 500, connections)
    assert len(router.controller._locations) <= 100
