"""An OPC UA server to test against, in a thread with a loop of its own, and a wire to it that can be cut.

The server is asyncua's; its nodes are put in directly. `asked` lists what its services were asked for, and
`most_nodes` makes it refuse larger requests, as small servers do, and without `translates` it knows no way of browse
names. Like async-opcua's it refuses a Browse of any view but the null one.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from asyncua import Server, ua
from asyncua.common.events import Event
from asyncua.crypto.cert_gen import setup_self_signed_certificate
from asyncua.server.user_managers import PermissiveUserManager
from cryptography.x509.oid import ExtendedKeyUsageOID

HOST = "127.0.0.1"
SPACE = "http://acme.example/plc"
UNECE = "http://www.opcfoundation.org/UA/units/un/cefact"
START = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)

V = ua.VariantType
SCALARS: dict[str, tuple[Any, Any, Any, str]] = {
    "boolean": (V.Boolean, True, True, "bool"),
    "sbyte": (V.SByte, -5, -5, "int8"),
    "byte": (V.Byte, 200, 200, "uint8"),
    "int16": (V.Int16, -300, -300, "int16"),
    "uint16": (V.UInt16, 60000, 60000, "uint16"),
    "int32": (V.Int32, -70000, -70000, "int32"),
    "uint32": (V.UInt32, 4_000_000_000, 4_000_000_000, "uint32"),
    "int64": (V.Int64, -(2**60), -(2**60), "int64"),
    "uint64": (V.UInt64, 2**64 - 1, -1, "uint64"),
    "float": (V.Float, 1.5, 1.5, "float32"),
    "double": (V.Double, 0.1, 0.1, "float64"),
    "string": (V.String, "Grün", "Grün", "string"),
    "datetime": (V.DateTime, START, "2026-05-04T03:02:01+00:00", "string"),
    "bytes": (V.ByteString, b"\0\xff", "AP8=", "string"),
    "text": (V.LocalizedText, ua.LocalizedText("open"), "open", "string"),
    "qualified": (V.QualifiedName, ua.QualifiedName("a", 2), "2:a", "string"),
    "node": (V.NodeId, ua.NodeId("x", 2), "ns=2;s=x", "string"),
    "status": (V.StatusCode, ua.StatusCode(ua.UInt32(0x80340000)), 0x80340000, "uint32"),
}
"""Name: built-in type, value put in, value that comes out, catalog type."""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class Guests(PermissiveUserManager):  # type: ignore[misc]  # the library has no types
    """Lets everybody in, and keeps what they came with."""

    def __init__(self) -> None:
        self.came: list[tuple[str | None, Any]] = []
        """Name and certificate of each."""
        self.passwords: list[str | None] = []

    def get_user(self, iserver: Any, username: Any = None, password: Any = None, certificate: Any = None) -> Any:
        """As the library's own."""
        self.came.append((username, certificate))
        self.passwords.append(password)
        return super().get_user(iserver, username, password, certificate)


class UaPeer:
    """The server; `with UaPeer() as peer`."""

    def __init__(self, port: int = 0) -> None:
        self.port = port or free_port()
        self.guests = Guests()
        self.uri = ""
        """Of the server's application."""
        self.asked: list[str] = []
        self.most_nodes = 0
        self.translates = True
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server: Any = None
        self._folder = TemporaryDirectory()
        self.certificate = Path()
        """The server's own."""

    @property
    def url(self) -> str:
        return f"opc.tcp://{HOST}:{self.port}/plc"

    def __enter__(self) -> UaPeer:
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something in the server's loop and wait for it."""
        return self.later(work).result(60)

    def later(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run something in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def stop(self) -> None:
        """Close the port and every connection."""
        self.run(self._server.stop())
        self.run(_cancel_rest())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._folder.cleanup()

    def write(self, name: str, value: Any, **more: Any) -> None:
        """Set a node's DataValue: `status`, `source` (None for no time) and `kind`."""
        self.run(self.put(name, value, **more))

    async def put(
        self, name: str, value: Any, *, status: int = 0, source: datetime | str | None = "now", kind: Any = V.Double
    ) -> None:
        """As `write`, from within the server's loop."""
        moment = datetime.now(UTC) if source == "now" else source
        data = ua.DataValue(
            Value=ua.Variant(value, kind),
            StatusCode=ua.StatusCode(ua.UInt32(status)),
            SourceTimestamp=moment,
            ServerTimestamp=datetime.now(UTC),
        )
        await self._server.write_attribute_value(ua.NodeId(name, 2), data)

    async def down(self) -> None:
        """Close the port and every connection, as a restart begins."""
        await self._server.stop()

    async def up(self) -> None:
        """Listen again, as a restart ends."""
        await self._server.start()

    async def remove(self, name: str) -> None:
        """Take a node away."""
        await self._server.get_node(ua.NodeId(name, 2)).delete()

    async def level(self, level: int) -> None:
        """Set the ServiceLevel."""
        value = ua.DataValue(ua.Variant(level, V.Byte), SourceTimestamp=datetime.now(UTC))
        await self._server.write_attribute_value(ua.NodeId(ua.ObjectIds.Server_ServiceLevel), value)

    async def folder(self, name: str, where: Any = None) -> Any:
        """An object below Plant, or below another."""
        where = where or await self._server.nodes.objects.get_child("2:Plant")
        return await where.add_object(ua.NodeId(name, 2), f"2:{name}")

    async def below(self, where: Any, number: int, name: str, value: Any, kind: Any = V.Double) -> Any:
        """A variable with a numeric id."""
        node = await where.add_variable(ua.NodeId(number, 2), f"2:{name}", value, kind)
        data = ua.DataValue(ua.Variant(value, kind), SourceTimestamp=datetime.now(UTC))
        await self._server.write_attribute_value(node.nodeid, data)
        return node

    async def event(self, **fields: tuple[Any, Any]) -> None:
        """Something happens at the server: fields by their path, `/` written as `__`, each with value and type."""
        event = Event(ua.ObjectIds.Server)
        said: dict[str, tuple[Any, Any]] = {
            "EventType": (ua.NodeId(ua.ObjectIds.BaseEventType), V.NodeId),
            "SourceName": ("pump", V.String),
            "Time": (datetime.now(UTC), V.DateTime),
            "Severity": (500, V.UInt16),
        }
        for name, (value, kind) in (said | fields).items():
            event.add_property(name.replace("__", "/"), value, kind)
        await self._server.iserver.subscription_service.trigger_event(event)

    async def alarm(
        self,
        name: str,
        *,
        active: bool,
        acked: bool = False,
        severity: int = 700,
        at: datetime | None = None,
        branch: Any = None,
    ) -> None:
        """A condition as it stands now; one that is neither active nor waits for somebody is not retained."""
        await self.event(
            EventType=(ua.NodeId(ua.ObjectIds.ExclusiveLevelAlarmType), V.NodeId),
            Time=(at or datetime.now(UTC), V.DateTime),
            Severity=(severity, V.UInt16),
            Message=(ua.LocalizedText(f"{name} is high"), V.LocalizedText),
            NodeId=(ua.NodeId(f"alarm-{name}", 2), V.NodeId),
            ConditionName=(name, V.String),
            BranchId=(branch or ua.NodeId(), V.NodeId),
            Retain=(active or not acked, V.Boolean),
            EnabledState__Id=(True, V.Boolean),
            AckedState__Id=(acked, V.Boolean),
            ActiveState__Id=(active, V.Boolean),
        )

    async def own_kind(self, name: str, *fields: tuple[str, Any]) -> Any:
        """A type of events in namespace 2, with fields; its id."""
        made = await self._server.create_custom_event_type(2, name, ua.ObjectIds.BaseEventType, list(fields))
        return made.nodeid

    async def forget(self, name: str) -> None:
        """A condition goes while nobody is told."""
        self._server.iserver.subscription_service._conditions.pop(ua.NodeId(f"alarm-{name}", 2), None)

    async def add(self, name: str, value: Any, kind: Any = V.Double, **more: Any) -> Any:
        """A variable below Plant, with id and browse name `name` in namespace 2."""
        where = await self._server.nodes.objects.get_child("2:Plant")
        node = await where.add_variable(ua.NodeId(name, 2), f"2:{name}", value, kind, **more)
        await self.put(name, value, kind=kind)
        return node

    async def _start(self) -> None:
        self._server = server = Server(user_manager=self.guests)
        server.iserver.bind_condition_methods = True
        await server.init()
        self.uri = server._application_uri
        notifier = await server.get_event_generator()
        assert notifier is not None
        server.iserver.disabled_clock = True  # it would read and write its own nodes once a second
        server.set_endpoint(self.url)
        policies = ua.SecurityPolicyType
        server.set_security_policy(
            [policies.NoSecurity, policies.Basic256Sha256_SignAndEncrypt, policies.Basic256Sha256_Sign]
        )
        self.certificate, key = await certificate(Path(self._folder.name), "server", server._application_uri)
        await server.load_certificate(str(self.certificate))
        await server.load_private_key(str(key))
        assert await server.register_namespace(SPACE) == 2
        await server.nodes.objects.add_object(ua.NodeId("Plant", 2), "2:Plant")
        for name, (kind, value, _, _) in SCALARS.items():
            await self.add(name, value, kind)
        await self.add("array", [1.5, 2.5, 3.5])
        await self.add("matrix", [[1, 2], [3, 4]], V.Int32)
        await self.add("structure", ua.Range(1.0, 2.0), V.ExtensionObject)
        for number in range(50):
            await self.add(f"level{number}", float(number))
        level = await self.add("pressure", 4.5)
        await level.add_property(0, "EngineeringUnits", ua.EUInformation(UNECE, 4342098, ua.LocalizedText("bar")))
        await level.add_property(0, "EURange", ua.Range(0.0, 16.0))
        await level.write_attribute(ua.AttributeIds.Description, ua.DataValue(ua.LocalizedText("Discharge pressure")))
        mode = await self.add("mode", 1, V.Int32)
        names = [ua.LocalizedText(text) for text in ("off", "manual", "automatic")]
        await mode.add_property(0, "EnumStrings", names)
        state = await self.add("state", 0, V.Int32, datatype=ua.NodeId(ua.ObjectIds.ServerState))
        await state.write_attribute(ua.AttributeIds.Description, ua.DataValue(ua.LocalizedText("")))
        await self._record()
        await server.start()

    async def _record(self) -> None:
        attributes, read = self._server.iserver.attribute_service, self._server.iserver.attribute_service.read
        views, browse = self._server.iserver.view_service, self._server.iserver.view_service.browse

        def recorded_read(parameters: Any) -> Any:
            nodes = parameters.NodesToRead
            state = ua.NodeId(ua.ObjectIds.Server_ServerStatus_State)
            probe = len(nodes) == 1 and nodes[0].NodeId == state
            self.asked.append("read the server's state" if probe else f"read {len(nodes)} values")
            self._limit(nodes)
            return read(parameters)

        def recorded_browse(parameters: Any) -> Any:
            self.asked.append(f"browse {len(parameters.NodesToBrowse)}")
            if not parameters.View.ViewId.is_null() or parameters.View.Timestamp.year != 1601:
                raise ua.UaStatusCodeError(ua.StatusCodes.BadViewIdUnknown)
            self._limit(parameters.NodesToBrowse)
            return browse(parameters)

        def translate(paths: Any) -> Any:
            if not self.translates:
                raise ua.UaStatusCodeError(ua.StatusCodes.BadServiceUnsupported)
            return translated(paths)

        translated, views.translate_browsepaths_to_nodeids = views.translate_browsepaths_to_nodeids, translate
        attributes.read, views.browse = recorded_read, recorded_browse

    def _limit(self, nodes: list[Any]) -> None:
        if self.most_nodes and len(nodes) > self.most_nodes:
            raise ua.UaStatusCodeError(ua.StatusCodes.BadTooManyOperations)


async def certificate(folder: Path, name: str, uri: str) -> tuple[Path, Path]:
    """A self-signed certificate for an application, and its key."""
    cert, key = folder / f"{name}.der", folder / f"{name}.pem"
    use = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    await setup_self_signed_certificate(key, cert, uri, socket.gethostname(), use, {})
    return cert, key


async def _cancel_rest() -> None:
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)


class Wire:
    """A way to a server that counts what is sent, and can be frozen or cut; `async with Wire(peer.port) as wire`."""

    def __init__(self, port: int) -> None:
        self.sent = 0
        """Bytes from the client."""
        self.open = asyncio.Event()
        """While it is not set nothing comes back."""
        self._to = port
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def url(self) -> str:
        return f"opc.tcp://{HOST}:{self.port}/plc"

    async def __aenter__(self) -> Wire:
        self.open.set()
        self._server = await asyncio.start_server(self._joined, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Drop every connection."""
        self.open.set()
        for writer in self._writers:
            writer.transport.abort()

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, self._to)
        self._writers += [writer, back]
        self._tasks |= {
            asyncio.create_task(self._pass(reader, back, outward=True)),
            asyncio.create_task(self._pass(there, writer, outward=False)),
        }

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, outward: bool) -> None:
        try:
            while data := await reader.read(65536):
                if outward:
                    self.sent += len(data)
                else:
                    await self.open.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


def ago(**how: float) -> datetime:
    """A moment in the past."""
    return datetime.now(UTC) - timedelta(**how)
