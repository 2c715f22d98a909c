"""Modbus over UDP and over TLS: the same values, the same guard, and troubles in words."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
import struct
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from modbus_peer import HOST, Asked, bit, register

from collectors.base import Device, numbered
from collectors.guard import WriteRefused
from collectors.modbus.collector import ModbusCollector
from collectors.modbus.config import load, mistakes
from protocol.content.sample import Quality
from protocol.errors import AssetError

TAGS = [
    {"name": "words", "at": "holding:0", "type": "uint16", "count": 100},
    {"name": "coils", "at": "coil:0", "count": 20},
]


def device(url: str, settings: Mapping[str, Any] | None = None, *, wait: float = 3.0) -> Device:
    """A device with registers and coils."""
    scans = numbered([(1.0, TAGS)])
    return Device(name="pump", url=url, kind="process", settings=settings or {}, scans=scans, timeout_s=wait)


def answer(frame: bytes) -> bytes:
    """A sound device's answer to a Modbus frame."""
    transaction, _, _, unit = struct.unpack(">HHHB", frame[:7])
    start, count = struct.unpack(">HH", frame[8:12].ljust(4, b"\0")[:4])
    return Asked(transaction, unit, frame[7], start, count).right()


class Datagrams(asyncio.DatagramProtocol):
    """A device on UDP."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.mute = False
        self.stale = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append(data)
        if self.mute:
            return
        if self.stale:
            self.transport.sendto(self.stale, addr)
        self.stale = answer(data)
        self.transport.sendto(self.stale, addr)


@asynccontextmanager
async def on_udp() -> AsyncIterator[tuple[Datagrams, str]]:
    """A device on UDP, and its url."""
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, local_addr=(HOST, 0))
    yield protocol, f"udp://{HOST}:{transport.get_extra_info('sockname')[1]}"
    transport.close()


async def whole(plc: ModbusCollector) -> None:
    """One pass, all of it right."""
    rows = list((await plc.read(plc.device.scans[0])).rows())
    values = {row.tag: row.value for row in rows}
    assert values == {at: register(at) for at in range(100)} | {100 + at: bit(at) for at in range(20)}
    assert {row.quality for row in rows} == {Quality.GOOD}


def test_values_over_udp_are_read_right_and_stale_datagrams_are_none() -> None:
    """A datagram that comes late belongs to no request."""

    async def main() -> None:
        async with on_udp() as (peer, url):
            plc = ModbusCollector(device(url), clock=time.time_ns, refused=print)
            await plc.open()
            for _ in range(3):
                await whole(plc)
            peer.mute = True
            plc.device = device(url, wait=0.2)
            await plc.close()
            quick = ModbusCollector(device(url, wait=0.2), clock=time.time_ns, refused=print)
            await quick.open()
            with pytest.raises(AssetError) as caught:
                await quick.read(quick.device.scans[0])
            assert caught.value.quality == Quality.BAD_TIMEOUT
            await quick.close()

    asyncio.run(main())


def test_a_write_over_udp_leaves_no_datagram() -> None:
    """The guard is below every transport."""

    async def main() -> None:
        async with on_udp() as (peer, url):
            lines: list[str] = []
            plc = ModbusCollector(device(url), clock=time.time_ns, refused=lines.append)
            await plc.open()
            before = len(peer.received)
            assert plc._line is not None
            client = plc._line.client
            assert client is not None
            with pytest.raises(WriteRefused):
                await client.write_register(1, 1, device_id=1)
            await asyncio.sleep(0)
            await whole(plc)
            assert {data[7] for data in peer.received[before:]} == {1, 3}
            assert len(lines) == 1
            await plc.close()

    asyncio.run(main())


def certificate(folder: Path, name: str, address: str = HOST) -> tuple[Path, Path]:
    """A self-signed certificate for an address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / f"{name}.pem", folder / f"{name}.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


@asynccontextmanager
async def on_tls(
    own: tuple[Path, Path], wants: Path | None = None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> AsyncIterator[str]:
    """A device behind TLS that answers in pieces of a few bytes; with `wants` it asks for a client certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.maximum_version = newest
    context.load_cert_chain(*own)
    if wants is not None:
        context.load_verify_locations(wants)
        context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(7)
                frame = head + await reader.readexactly(struct.unpack(">H", head[4:6])[0] - 1)
                told = answer(frame)
                for at in range(0, len(told), 50):
                    writer.write(told[at : at + 50])
                    await writer.drain()
                    await asyncio.sleep(0)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, HOST, 0, ssl=context)
    try:
        yield f"tls://{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


def test_values_over_tls_are_read_right_in_whatever_pieces_they_come(tmp_path: Path) -> None:
    """With a client certificate where the device asks for one."""
    own, ours = certificate(tmp_path, "device"), certificate(tmp_path, "collector")

    async def main() -> None:
        async with on_tls(own, wants=ours[0]) as url:
            files = {"authority": str(own[0]), "certificate": str(ours[0]), "key": str(ours[1])}
            plc = ModbusCollector(device(url, files), clock=time.time_ns, refused=print)
            await plc.open()
            await whole(plc)
            told = plc.certificates()
            assert told.keys() == {f"authority {own[0]}", f"certificate {ours[0]}"}
            assert all(time.time_ns() < end_ns < time.time_ns() + 10**18 for end_ns in told.values())
            await plc.close()
            await plc.close()

    asyncio.run(main())


def test_a_device_that_is_not_the_known_one_is_not_talked_to(tmp_path: Path) -> None:
    """Another certificate, or one for another address; a pinned one may have any name."""
    own, other = certificate(tmp_path, "device"), certificate(tmp_path, "other")
    elsewhere = certificate(tmp_path, "elsewhere", "192.0.2.1")

    async def opens(url: str, **settings: Any) -> str:
        plc = ModbusCollector(device(url, settings), clock=time.time_ns, refused=print)
        try:
            await plc.open()
            await whole(plc)
        except AssetError as error:
            return str(error) if error.quality == Quality.BAD_NOT_CONNECTED else "another trouble"
        finally:
            await plc.close()
        return ""

    async def main() -> None:
        async with on_tls(own) as url:
            assert not await opens(url, authority=str(own[0]))
            assert "certificate verify failed" in await opens(url, authority=str(other[0]))
        async with on_tls(elsewhere) as url:
            assert "mismatch" in await opens(url, authority=str(elsewhere[0]))
            assert not await opens(url, authority=str(elsewhere[0]), check_name=False)

    asyncio.run(main())


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=lambda one: one.name)
@pytest.mark.parametrize("given", [False, True], ids=["no certificate", "one that is not trusted"])
def test_a_device_that_wants_another_certificate_of_ours_is_told_of(
    tmp_path: Path, newest: ssl.TLSVersion, given: bool
) -> None:
    """Where the handshake fails, and where it seems to work and the first request is refused (TLS 1.3)."""
    own, ours, other = (certificate(tmp_path, name) for name in ("device", "collector", "other"))

    async def main() -> None:
        async with on_tls(own, wants=ours[0], newest=newest) as url:
            files = {"certificate": str(other[0]), "key": str(other[1])} if given else {}
            made = device(url, {"authority": str(own[0]), **files})
            plc = ModbusCollector(made, clock=time.time_ns, refused=print)

            async def looked() -> None:
                await plc.open()
                await plc.read(made.scans[0])

            with pytest.raises(AssetError) as caught:
                await looked()
            text = "have it trusted there" if given else "set certificate and key"
            assert text in str(caught.value)
            assert caught.value.quality == Quality.BAD_NOT_CONNECTED
            await plc.close()

    asyncio.run(main())


def test_a_broken_certificate_file_is_said(tmp_path: Path) -> None:
    """As the device's trouble, with the file's own."""
    (tmp_path / "bad.pem").write_text("no certificate")

    async def main() -> None:
        plc = ModbusCollector(
            device("tls://127.0.0.1:802", {"authority": str(tmp_path / "bad.pem")}), clock=time.time_ns, refused=print
        )
        with pytest.raises(AssetError, match="certificate cannot be used"):
            await plc.open()

    asyncio.run(main())


def test_a_refused_connection_says_why() -> None:
    """The system's own words stand behind ours."""

    async def main() -> None:
        plc = ModbusCollector(device("tcp://127.0.0.1:1", wait=1.0), clock=time.time_ns, refused=print)
        with pytest.raises(AssetError, match=r"no connection to 127.0.0.1:1 \(.*refused|Connect call failed"):
            await plc.open()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("url", "settings", "key"),
    [
        ("tls://h", {}, "modbus.authority"),
        ("tls://h", {"authority": "/no/such"}, "modbus.authority"),
        ("tls://h", {"authority": __file__, "certificate": __file__}, "modbus.certificate"),
        ("tcp://h", {"authority": __file__}, "modbus.authority"),
        ("udp://h", {"framing": "rtu"}, "modbus.framing"),
        ("ssl://h", {}, "url"),
    ],
)
def test_mistakes_of_a_line_are_named(url: str, settings: dict[str, Any], key: str) -> None:
    """A certificate is asked for where it is used, and refused where it is not."""
    (line,) = mistakes(device(url, settings))
    assert line.startswith(f"{key}: ")


@pytest.mark.parametrize(("url", "port"), [("tcp://h", 502), ("udp://h", 502), ("tls://h", 802), ("tls://h:99", 99)])
def test_each_scheme_has_its_registered_port(url: str, port: int) -> None:
    """802 is Modbus/TCP Security's."""
    made = device(url, {"authority": __file__} if url.startswith("tls") else {})
    assert load(made).port == port
