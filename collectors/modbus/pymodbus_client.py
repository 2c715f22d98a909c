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
    client.ctx.call_create = _telling(client, destination, client.ctx.call_create)
    ended = client.ctx.callback_disconnected

    def disconnected(error: Exception | None) -> None:
        if error is not None:
            client.ctx.why = _in_words(error, destination)  # type: ignore[attr-defined]
        ended(error)

    client.ctx.callback_disconnected = disconnected  # type: ignore[assignment,method-assign]
    return client


def failure(client: Client) -> str:
    """Why no connection was made, or how it ended, in the system's words; pymodbus says only that it was so."""
    return str(getattr(client.ctx, "why", ""))


def _telling(
    client: Client, destination: Destination, make: Callable[..., Coroutine[Any, Any, Any]]
) -> Callable[[], Coroutine[Any, Any, Any]]:
    async def connected() -> Any:
        try:
            return await make()
        except OSError as error:
            client.ctx.why = _in_words(error, destination, greeting=True)  # type: ignore[attr-defined]
            raise

    return connected


def _in_words(error: Exception, destination: Destination, *, greeting: bool = False) -> str:
    """What was said; where TLS was refused for our certificate's sake it says what to do.

    Args:
        greeting: While connecting: many devices then just hang up, and their alert is lost.
    """
    text = str(error) or type(error).__name__
    alert = isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
    hung_up = greeting and isinstance(error, ConnectionResetError | ConnectionAbortedError)
    return f"{text}; {suspicion(destination.tls)}" if destination.tls is not None and (alert or hung_up) else text


def suspicion(files: Certificates) -> str:
    """What it may be where TLS ends before anything was answered."""
    if files.own:
        return f"the device may not accept our certificate {files.own}: have it trusted there"
    return "the device may demand a certificate of ours: set certificate and key"


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
