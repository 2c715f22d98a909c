"""pymodbus's clients as `line` uses them: they connect, and send what the guard has let through; no more.

They neither repeat nor reconnect (`retries=0`, `reconnect_delay=0`). The TLS client is the TCP client over TLS, since
pymodbus's own takes each piece that TLS delivers for one frame.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeAlias

from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient, AsyncModbusUdpClient
from pymodbus.pdu import ModbusPDU
from pymodbus.transport import CommParams, CommType

from collectors.modbus.config import Certificates
from collectors.modbus.replies import Question
from protocol.content.sample import Quality
from protocol.errors import AssetError

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)  # it prints the last 20 frames at every error

Client: TypeAlias = AsyncModbusTcpClient | AsyncModbusUdpClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where a line leads; assets with an equal one share it."""

    scheme: str
    host: str
    port: int
    rtu: bool
    tls: Certificates | None

    @property
    def stream(self) -> bool:
        """Replies to an ended connection cannot come on the next one (of a gateway in RTU they may)."""
        return self.scheme != "udp" and not self.rtu


class RawRequest(ModbusPDU):
    """A request whose bytes are at hand; pymodbus puts the frame around it."""

    def __init__(self, question: Question, number: int) -> None:
        super().__init__(dev_id=question.unit, transaction_id=number)
        self.function_code = question.pdu[0]
        self.rest = question.pdu[1:]

    def encode(self) -> bytes:
        """What follows the function code."""
        return self.rest


class _SecureClient(AsyncModbusTcpClient):
    """The TCP client over TLS; pymodbus's own takes each piece that TLS delivers for one frame."""

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


def made(destination: Destination, name: str, timeout: float, hook: Callable[[bool, bytes], bytes]) -> Client:
    """A client that is not connected yet; `failure` says afterwards why it could not be.

    Args:
        name: The asset's, for the library's log.
        timeout: Longest wait for the connection [s].
        hook: Gets each frame just before the socket does.
    """
    about: dict[str, Any] = {
        "port": destination.port,
        "timeout": timeout,
        "name": name,
        "trace_packet": hook,
        "retries": 0,
    }
    client: Client
    if destination.tls is not None:
        client = _SecureClient(destination.host, secure=_secured(destination.tls), **about)
    elif destination.scheme == "udp":
        client = AsyncModbusUdpClient(destination.host, reconnect_delay=0, **about)
    else:
        framer = FramerType.RTU if destination.rtu else FramerType.SOCKET
        client = AsyncModbusTcpClient(destination.host, framer=framer, reconnect_delay=0, **about)
    client.ctx.call_create = _telling(client, client.ctx.call_create)
    return client


def failure(client: Client) -> str:
    """Why no connection was made, in the system's words; pymodbus says only that it was not."""
    return str(getattr(client.ctx, "why", ""))


def _telling(client: Client, make: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[[], Coroutine[Any, Any, Any]]:
    async def connected() -> Any:
        try:
            return await make()
        except OSError as error:
            client.ctx.why = str(error)  # type: ignore[attr-defined]
            raise

    return connected


def _secured(files: Certificates) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=files.authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = files.check_name
        if files.own:
            context.load_cert_chain(files.own, files.key)
    except OSError as error:
        raise AssetError(f"a certificate cannot be used: {error}", quality=Quality.BAD_CONFIGURATION) from error
    return context
