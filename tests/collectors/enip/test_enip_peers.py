"""Devices that are no Logix controller, or no sound one: what can be read is read, nothing holds the collector."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from enip_peer import Reader, asking, device, reading, run

from protocol.content.sample import Quality
from protocol.errors import AssetError
from simulator.logix.cip import CipError, CipRequest, GeneralStatus
from simulator.logix.connections import Connections
from simulator.logix.controller import TagScope
from simulator.logix.objects import Objects

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def cpppo() -> Iterator[int]:
    """cpppo's simulated device: no tag list, no templates, replies of 500 bytes at most."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    words = ["--no-config", "--address", f"127.0.0.1:{port}"]
    tags = ["SCADA=INT[1000]", "Level=REAL", "Flag=BOOL", "Cnt=DINT[10]", "Small=SINT", "Far=LREAL", "Word=UINT"]
    process = subprocess.Popen(
        [str(BIN / "enip_server"), *words, *tags], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            assert time.monotonic() < until, "cpppo did not start"
    client = [str(BIN / "enip_client"), "-a", f"127.0.0.1:{port}"]
    written = ["Level=(REAL)12.5", "Cnt[0-9]=(DINT)0,1,2,3,4,5,6,7,8,9", "Word=(UINT)65000", "SCADA[998-999]=(INT)7,-8"]
    subprocess.run([*client, *written], check=True, capture_output=True, timeout=60)
    yield port
    process.terminate()
    process.wait(30)


@pytest.mark.parametrize("settings", [{}, {"browse": False}, {"kind": "safety"}])
def test_a_device_without_a_tag_list_is_read_by_its_typed_tags(cpppo: int, settings: dict[str, Any]) -> None:
    """cpppo serves no tag list: types come from its replies, long arrays in fragments, the unknown is bad."""

    async def work() -> None:
        tags = [*asking("Level", "Flag", "Cnt[3]", "Small", "Far", "Word", "Word.3", "NoSuch")]
        tags.append({"at": "SCADA[0]", "name": "scada", "count": 1000})
        reader = Reader(device(cpppo, tags, timeout_s=10.0, **settings))
        await reader.collector.open()
        rows = await reader.rows()
        await reader.collector.close()
        values = {name: row.value for name, row in rows.items()}
        assert [values[name] for name in ("Level", "Flag", "Cnt[3]", "Small", "Far")] == [12.5, False, 3, 0, 0.0]
        assert (values["Word"], values["Word.3"]) == (65000, True)
        assert [values[f"scada[{at}]"] for at in (0, 997, 998, 999)] == [0, 0, 7, -8]
        assert rows["NoSuch"].quality == Quality.BAD_NODE_UNKNOWN
        assert reader.collector.identity().model == "1756-L61/B LOGIX5561"
        assert reader.collector.facts()[0].type == "float32"

    run(work)


Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def against(answer: Answer, *, timeout_s: float = 0.5) -> tuple[AssetError, float]:
    """The error of `open` against a device that answers so, and how long it took [s]."""

    async def work() -> tuple[AssetError, float]:
        held: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await answer(reader, writer)
            writer.close()

        def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held[asyncio.get_running_loop().create_task(serve(reader, writer))] = writer

        server = await asyncio.start_server(arrived, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        reader = Reader(device(port, asking("Level"), timeout_s=timeout_s))
        began = time.monotonic()
        with pytest.raises(AssetError) as failed:
            await reader.collector.open()
        took = time.monotonic() - began
        await reader.collector.close()
        server.close()
        for task in held:
            task.cancel()
        await asyncio.gather(*held)
        await asyncio.gather(*(writer.wait_closed() for writer in held.values()), return_exceptions=True)
        return failed.value, took

    return run(work)


async def header(reader: asyncio.StreamReader) -> bytes:
    """One request's header; its body is read and forgotten."""
    got = await reader.readexactly(24)
    await reader.readexactly(struct.unpack_from("<H", got, 2)[0])
    return got


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Takes everything, says nothing."""
    while await reader.read(1000):
        pass


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes at once."""


async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Announces 400 bytes, sends ten, closes: the library alone would spin for ever."""
    await header(reader)
    writer.write(struct.pack("<HHII8sI", 0x65, 400, 9, 0, bytes(8), 0) + bytes(10))


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One byte at a time, for ever: each is in time, the whole never is."""
    await header(reader)
    writer.write(struct.pack("<HHII8sI", 0x65, 60_000, 9, 0, bytes(8), 0))
    while True:
        writer.write(b"\0")
        await writer.drain()
        await asyncio.sleep(0.01)


async def noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with bytes that are no message."""
    await header(reader)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n" * 40)


async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Registers a session and refuses everything else."""
    while True:
        got = await header(reader)
        known = got[0] == 0x65
        body = b"\x01\0\0\0" if known else b""
        writer.write(struct.pack("<HHII8sI", got[0], len(body), 9, 0 if known else 1, bytes(8), 0) + body)


@pytest.mark.parametrize("answer", [silent, closing, half, drip, noise, refusing])
def test_no_device_holds_the_collector(answer: Answer) -> None:
    """Silence, closing, half a message, dripping, noise and refusal all end `open` within a few timeouts."""
    error, took = against(answer)
    assert took < 10
    assert error.quality in (Quality.BAD_TIMEOUT, Quality.BAD_COMMUNICATION, Quality.BAD_DECODING)
    assert str(error)


MIXED = [
    *asking("One_REAL", "Word.2", "Drives[1].Speed", "Drives[1].Hours", "Name", "NoSuch"),
    {"at": "Profile[0]", "name": "profile", "count": 300},
    {"at": "Flags[0]", "name": "flags", "count": 64},
]


def read_mixed() -> dict[str, Any]:
    """Values of `MIXED`, read twice."""

    async def work() -> dict[str, Any]:
        async with reading(MIXED) as (_, reader):
            first = await reader.values()
            assert await reader.values() == first
            return first

    return run(work)


def test_a_device_without_packets_is_asked_for_each_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Multiple Service is not supported, single requests give the same values."""
    good = read_mixed()
    assert good["profile[299]"] == 299 / 8

    def unsupported(self: Objects, *_: Any) -> tuple[GeneralStatus, bytes]:
        raise CipError(GeneralStatus.SERVICE_NOT_SUPPORTED)

    monkeypatch.setattr(Objects, "_multiple", unsupported)
    assert read_mixed() == good


@pytest.mark.parametrize("room", [64, 120, 400])
def test_values_that_did_not_fit_are_read_in_fragments(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    """A device that grants 4000 bytes and answers in far less gives the same values."""
    good = read_mixed()
    multiple = Objects._multiple
    fragment = Objects._read_tag

    def cramped_multiple(self: Objects, asked: CipRequest, connections: Connections) -> tuple[GeneralStatus, bytes]:
        return multiple(self, replace(asked, room=room), connections)

    def cramped_read(self: Objects, asked: CipRequest) -> tuple[GeneralStatus, bytes]:
        return fragment(self, replace(asked, room=min(asked.room, room)))

    monkeypatch.setattr(Objects, "_multiple", cramped_multiple)
    monkeypatch.setattr(Objects, "_read_tag", cramped_read)
    assert read_mixed() == good


def test_an_endless_tag_list_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that always has more tags is stopped by the time allowed, and then read by its typed tags."""
    monkeypatch.setattr("collectors.enip.driver.UPLOAD_S", 0.3)
    real = Objects._symbol_list

    def endless(self: Objects, asked: CipRequest, scope: TagScope, start: int) -> tuple[GeneralStatus, bytes]:
        return GeneralStatus.PARTIAL_TRANSFER, real(self, asked, scope, 0)[1]

    monkeypatch.setattr(Objects, "_symbol_list", endless)

    async def work() -> None:
        async with reading(asking("One_REAL")) as (_, reader):
            assert await reader.values() == {"One_REAL": 12.5}

    began = time.monotonic()
    run(work)
    assert time.monotonic() - began < 10
