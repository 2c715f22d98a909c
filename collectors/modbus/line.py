"""One connection to a Modbus device, made of pymodbus's client: TCP, TLS or UDP, guarded, never repaired by itself.

    tcp   MBAP frames, or RTU frames as gateways pass them through
    tls   MBAP frames inside TLS 1.2 or later, the device verified (Modbus/TCP Security, v21). pymodbus has a TLS client
          of its own; it takes each piece that TLS delivers for one frame, so the TCP client's framer is used instead
    udp   one MBAP frame a datagram; nothing is ever connected, so a device that is not there is noticed by its silence

pymodbus neither repeats nor reconnects here (`retries=0`, `reconnect_delay=0`), raises nothing out of the transport,
and keeps why a connection could not be made.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient, AsyncModbusUdpClient
from pymodbus.exceptions import ConnectionException, ModbusException, ModbusIOException
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse
from pymodbus.transport import CommParams, CommType

from collectors.base import Device
from collectors.guard import Guard
from collectors.modbus import guard as modbus_guard
from collectors.modbus.config import Certificates, Config
from protocol.content.sample import Quality
from protocol.errors import AssetError

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # it prints the last 20 frames at every error

Client = AsyncModbusTcpClient | AsyncModbusUdpClient


class Malformed(ModbusException):
    """A reply that pymodbus cannot take apart."""


class HoldingRegisters(ReadHoldingRegistersResponse):
    """A reply whose registers stay bytes: pymodbus unpacks each by itself, which was a fifth of a pass."""

    def decode(self, data: bytes) -> None:
        """Take the data out of the reply (Modbus Application Protocol V1.1b3, 6.3 and 6.4)."""
        size = data[0]
        if size >= len(data):
            raise ModbusIOException(f"byte count {size} of {len(data) - 1} bytes", function_code=self.function_code)
        self.raw = data[1 : 1 + size]


class InputRegisters(HoldingRegisters):
    """The same for function 4."""

    function_code = 4


class _SecureClient(AsyncModbusTcpClient):
    """The TCP client over TLS."""

    def __init__(self, host: str, *, port: int, timeout: float, name: str, secure: ssl.SSLContext, **more: Any) -> None:
        self.comm_params = CommParams(
            comm_type=CommType.TLS,
            host=host,
            port=port,
            sslctx=secure,
            comm_name=name,
            reconnect_delay=0,
            timeout_connect=timeout,
        )
        super().__init__("", framer=FramerType.SOCKET, **more)


class Line:
    """The connection of one device.

    Args:
        device: Its name and timeout.
        config: Where it is.
        guard: Refuses and counts what is not on the list.
        left: Called when the device hung up while nothing was asked.
    """

    def __init__(self, device: Device, config: Config, guard: Guard, left: Callable[[], None]) -> None:
        self._device, self._config, self._guard, self._left = device, config, guard, left
        self._client: Client | None = None
        self._why = ""
        self.asking = False
        """A request is under way."""

    @property
    def client(self) -> Client | None:
        """Connected; None where it is not."""
        return self._client if self._client is not None and self._client.connected else None

    @property
    def timeout(self) -> float:
        """Longest wait for a reply [s]."""
        return self._device.timeout_s

    async def connect(self) -> None:
        """Make the connection.

        Raises:
            AssetError: it could not be made.
        """
        config = self._config
        self._client = client = self._made()
        client.ctx.callback_data = self._tolerant(client.ctx.callback_data)  # type: ignore[method-assign]
        client.ctx.call_create = self._telling(client.ctx.call_create)
        for kind in (HoldingRegisters, InputRegisters):
            client.register(kind)
        if config.scheme == "udp":
            client.ctx.error_received = lambda error: self.fail(ConnectionException(str(error)))  # type: ignore[method-assign]
        if not await client.connect():
            self.close()
            why = f" ({self._why})" if self._why else ""
            text = f"{self._device.name}: no connection to {config.host}:{config.port}{why}"
            raise AssetError(text, quality=Quality.BAD_NOT_CONNECTED)

    def close(self) -> None:
        """Let it go; may be called twice."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def fail(self, error: Exception) -> None:
        """End the request that is under way, if there is one."""
        if self._client is not None and self.asking and not self._client.ctx.response_future.done():
            self._client.ctx.response_future.set_exception(error)

    def _made(self) -> Client:
        config = self._config
        hooks: dict[str, Any] = {
            "trace_packet": modbus_guard.hook(self._guard, rtu=config.rtu, never_read=config.never_read),
            "trace_connect": self._on_connection,
            "retries": 0,
        }
        about: dict[str, Any] = {"port": config.port, "timeout": self.timeout, "name": self._device.name}
        if config.tls is not None:
            return _SecureClient(config.host, secure=self._secured(config.tls), **about, **hooks)
        if config.scheme == "udp":
            return AsyncModbusUdpClient(config.host, reconnect_delay=0, **about, **hooks)
        framer = FramerType.RTU if config.rtu else FramerType.SOCKET
        return AsyncModbusTcpClient(config.host, framer=framer, reconnect_delay=0, **about, **hooks)

    def _secured(self, files: Certificates) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=files.authority)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.check_hostname = files.check_name
            if files.own:
                context.load_cert_chain(files.own, files.key)
        except OSError as error:
            text = f"{self._device.name}: a certificate cannot be used: {error}"
            raise AssetError(text, quality=Quality.BAD_CONFIGURATION) from error
        return context

    def _on_connection(self, up: bool) -> None:
        """Without this a request that is under way would wait out its time when the connection is lost."""
        if not up and self.asking:
            self.fail(ConnectionException("connection lost"))
        elif not up:
            self._left()

    def _tolerant(self, take: Callable[..., int]) -> Callable[..., int]:
        """pymodbus raises out of the transport at a reply it cannot read, and asyncio then drops the connection."""

        def taken(data: bytes, addr: tuple[str, int] | None = None) -> int:
            try:
                return take(data, addr=addr)
            except ModbusException as error:
                self.fail(Malformed(str(error)))
                return len(data)

        return taken

    def _telling(self, make: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[[], Coroutine[Any, Any, Any]]:
        """pymodbus says only that a connection was not made."""

        async def made() -> Any:
            self._why = ""
            try:
                return await make()
            except OSError as error:
                self._why = str(error)
                raise

        return made
