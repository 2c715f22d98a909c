"""Who may speak to the false OPC UA device, and what it does wrong on the wire."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua
from opcua_rig import Plain, rig, served

from protocol.errors import ConfigError
from simulator.certificates import pair
from simulator.opcua import server as opcua
from simulator.opcua.server import OpcUaServer
from simulator.plant.plant import Plant


@pytest.fixture(scope="module")
def plain() -> Iterator[Plain]:
    made = Plain()
    yield made
    made.close()


def test_only_known_certificates_and_users_come_in(tmp_path: Path) -> None:
    """Basic256Sha256 with a trusted certificate and the right password reads; anything less is turned away."""
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    pair("client", "urn:test:client", "localhost", trusted / "client.pem")
    pair("stranger", "urn:test:client", "localhost", tmp_path / "stranger.pem")

    def client_of(url: str, user: str, password: str) -> Client:
        client = Client(url, timeout=10)
        client.application_uri = "urn:test:client"
        client.set_user(user)
        client.set_password(password)
        return client

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        async def read(user: str, password: str, certificate: Path | None) -> Any:
            client = client_of(url, user, password)
            if certificate is not None:
                key = certificate.parent / f"{certificate.stem}-key.pem"
                key.write_bytes(certificate.with_suffix(".key").read_bytes())
                await client.set_security_string(f"Basic256Sha256,SignAndEncrypt,{certificate},{key}")
            async with client:
                return await client.get_node("ns=2;s=Level").read_value()

        level = plant.moment.values[plant.point("rig", "Level").number]
        own = trusted / "client.pem"
        assert await read("vendor", "secret", own) == level
        with pytest.raises(ua.UaStatusCodeError, match=r"BadUserAccessDenied|User does not have"):
            await read("vendor", "guess", own)
        assert server.counts["users_refused"] == 1
        with pytest.raises(ua.UaStatusCodeError, match=r"not trusted|Untrusted"):
            await read("vendor", "secret", tmp_path / "stranger.pem")
        with pytest.raises(ua.UaError):
            await read("vendor", "secret", None)
        with pytest.raises(ua.UaError):
            async with Client(url, timeout=10):
                pass

    settings: dict[str, Any] = {"security": ["encrypt"], "users": {"vendor": "secret"}, "trusted": str(trusted)}
    served(test, rig(**settings, certificate=str(tmp_path / "own.pem")))
    assert (tmp_path / "own.key").stat().st_mode & 0o777 == 0o600


def test_each_fault_does_what_it_says(plain: Plain) -> None:
    """Refused, busy, short, late, slow, hanging, under other numbers, garbage: and well again afterwards."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        async def attempt(fault: str, timeout_s: float = 10.0) -> Any:
            client = Client(url, timeout=timeout_s)
            async with client:
                nodes = [client.get_node("ns=2;s=Level"), client.get_node("ns=2;s=High")]
                server.faults.add(fault)
                try:
                    return await client.read_attributes(nodes)
                finally:
                    server.faults.clear()

        assert len(await attempt("short x1")) == 1
        assert len(await attempt("late 0.05s x1")) == 2
        assert len(await attempt("slow 0.05s x1")) == 2
        with pytest.raises(ua.UaStatusCodeError) as refused:
            await attempt("refuse 0x80160000 x1")
        assert refused.value.code == 0x80160000
        with pytest.raises(ua.UaStatusCodeError) as busy:
            await attempt("busy x1")
        assert busy.value.code == 0x80EE0000
        for fault in ("hang x1", "wrong_transaction x1", "wrong_unit x1", "garbage x1", "reset x1"):
            with pytest.raises((ua.UaError, ConnectionError, asyncio.TimeoutError, TimeoutError)):
                await attempt(fault, 0.3)
        assert server.faults.met >= 9
        assert len(await attempt("late 0.01s x1")) == 2

    plain.run(test)


def test_an_absent_device_is_nowhere_and_returns_on_its_port(plain: Plain) -> None:
    """Connections are reset and refused; healed, the same port answers."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        server.faults.add("absent")
        await server.settled()
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(reader.readexactly(1), 5)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        server.faults.clear()
        await server.settled()
        async with Client(url, timeout=10) as client:
            assert await client.get_node("ns=2;s=Level").read_value() is not None

    plain.run(test)


def test_bytes_that_are_no_chunk_end_the_connection_and_are_counted(plain: Plain) -> None:
    """A length of four thousand million, an unknown kind, a header cut short and a good client beside them."""

    async def test(server: OpcUaServer, plant: Plant, url: str) -> None:
        hostile = [
            b"MSGF\xff\xff\xff\xff",
            b"GET / HTTP/1.1\r\n\r\n",
            b"HELF" + struct.pack("<I", 8),
            b"OPNX\x20\0\0\0",
        ]
        before = server.counts["malformed"]
        async with Client(url, timeout=10) as client:
            for raw in hostile:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(raw)
                assert await asyncio.wait_for(reader.read(), 5) == b""
                writer.close()
            assert server.counts["malformed"] == before + len(hostile)
            assert await client.get_node("ns=2;s=Level").read_value() is not None

    plain.run(test)


def test_a_setting_that_is_none_is_refused() -> None:
    """Mistyped, it is named before anything listens."""
    plant = rig(renumbr=True)
    with pytest.raises(ConfigError, match="renumbr"):
        asyncio.run(opcua.serve(plant, plant.scene.servers[0], "127.0.0.1", 0))
