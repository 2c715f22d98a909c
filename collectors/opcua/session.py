"""One connection to a server: bulk requests within its limits, and its troubles in the project's words.

Every service here takes a list and cuts it into requests of at most CHUNK, or fewer where the server says so in its
OperationLimits, or refuses a request for being too large: then by halves, and it is remembered. A reply that asyncua
cannot take apart is cut down in the same way until the one node that spoils it stands alone.

The library's watchdog asks for the server's state every WATCHDOG_S; its own reconnection is off, since the poller
reopens. A lost connection is told by `lost`, at once where the socket closes.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.client.ua_session import SessionState
from asyncua.crypto import security_policies
from cryptography import x509

from collectors.base import Device, Identity
from collectors.guard import Guard
from collectors.opcua.config import CHUNK, WATCHDOG_S, Config
from collectors.opcua.guard import install
from protocol.errors import AssetError
from protocol.sample import Quality, severity

logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # it logs frames, values and each loss of a connection

Thing = TypeVar("Thing")

APPLICATION_URI = "urn:checkvalve:collector"
"""Who asks, where no certificate says it."""

SESSION_MS = 60_000
"""How long a server keeps the session of a collector that is gone [ms]: small ones have room for a handful."""

MOST_PAGES = 10_000
"""Most replies to the browse of one node; a server may give one reference a reply, or never come to an end."""

CLOSE_S = 2.0
"""Longest polite goodbye [s]."""

_TOO_MUCH = (
    ua.StatusCodes.BadTooManyOperations,
    ua.StatusCodes.BadRequestTooLarge,
    ua.StatusCodes.BadResponseTooLarge,
    ua.StatusCodes.BadEncodingLimitsExceeded,
)
_UNREADABLE = (struct.error, ValueError, TypeError, KeyError, IndexError, AttributeError, ua.UaError)
"""What asyncua raises at a reply that it cannot take apart; UaError's subclasses with a status are looked at first."""

_LIMITS = {
    "read": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "browse": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    "translate": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
    "watch": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
}
_BUILD = (
    ua.ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName,
    ua.ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
    ua.ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion,
)


class Session:
    """A connected client.

    Args:
        config: Where, and how secured.
        device: Its name and timeout.
        guard: Refuses and counts what is not on the list.
    """

    def __init__(self, config: Config, device: Device, guard: Guard) -> None:
        self._config, self._device = config, device
        self._client = Client(config.url, timeout=device.timeout_s, watchdog_intervall=WATCHDOG_S)
        self._client.name = self._client.description = "Checkvalve collector"
        self._client.application_uri = APPLICATION_URI
        self._client.session_timeout = SESSION_MS
        self._client.connection_lost_callback = self._on_lost
        self._connections = install(self._client, guard)
        self._sizes = dict.fromkeys(_LIMITS, CHUNK)
        self._lost = ""
        self.namespaces: list[str] = []
        self.identity = Identity()

    @property
    def lost(self) -> str:
        """Why the connection is of no use any more; empty while it is."""
        if not self._lost and self._client.uaclient.state is not UaClientState.CONNECTED:
            self._lost = "connection lost"
        return self._lost

    @property
    def services(self) -> Any:
        """asyncua's session, for the services that have no bulk form here."""
        return self._client.uaclient.session

    async def open(self) -> None:
        """Connect, and learn limits, namespaces and identity.

        Raises:
            AssetError: the server cannot be used.
        """
        with self.in_words("connect"):
            await self._secure()
            await self._client.connect()
        about = [ua.ObjectIds.Server_NamespaceArray, *_LIMITS.values()]
        if self._config.describe:
            about += _BUILD
        spaces, *rest = await self.read([attribute(ua.NodeId(ua.Int32(number))) for number in about])
        self.namespaces = [str(uri) for uri in spaces.Value.Value or ()]
        for name, limit in zip(_LIMITS, rest, strict=False):
            most = limit.Value.Value
            if isinstance(most, int) and most > 0:
                self._sizes[name] = min(self._sizes[name], most)
        said = [str(value.Value.Value or "") for value in rest[len(_LIMITS) :]]
        if said:
            self.identity = Identity(vendor=said[0], model=said[1], firmware=said[2])

    async def close(self) -> None:
        """Say goodbye if anybody listens, and drop the connection; never raises."""
        if self.lost:
            self.services._set_state(SessionState.CLOSED)  # no goodbye to nobody
        try:
            with suppress(Exception):
                await asyncio.wait_for(self._client.disconnect(), CLOSE_S)
        finally:
            if self.services._publish_task is not None:
                self.services._publish_task.cancel()
            for connection in self._connections:
                if connection.transport is not None:
                    connection.transport.abort()
        await asyncio.sleep(0)  # a transport closes its socket on the loop's next turn

    async def read(self, wanted: Sequence[Any]) -> list[Any]:
        """A DataValue for each `attribute`, with source and server time; bad for one that cannot be decoded."""

        async def call(part: Sequence[Any]) -> list[Any]:
            both = ua.TimestampsToReturn.Both
            return list(await self.services.read(ua.ReadParameters(TimestampsToReturn=both, NodesToRead=list(part))))

        unreadable = ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(Quality.BAD_DECODING)))
        return await self._in_chunks("read", wanted, call, unreadable)

    async def translate(self, paths: Sequence[Sequence[tuple[int, str]]]) -> list[Any]:
        """Node id at the end of each path of (namespace, browse name) from the root folder; a StatusCode if none is."""

        async def call(part: Sequence[Sequence[tuple[int, str]]]) -> list[Any]:
            asked = [
                ua.BrowsePath(StartingNode=ua.NodeId(ua.ObjectIds.RootFolder), RelativePath=_relative(path))
                for path in part
            ]
            return list(await self.services.translate_browsepaths_to_nodeids(asked))

        out = []
        for result in await self._in_chunks("translate", paths, call, ua.BrowsePathResult()):
            whole = [one.TargetId for one in result.Targets or () if one.RemainingPathIndex == 0xFFFFFFFF]
            missing = result.StatusCode if result.StatusCode.is_bad() else ua.StatusCode(ua.StatusCodes.BadNoMatch)
            out.append(self.local(whole[0]) if whole else missing)
        return out

    async def browse(self, nodes: Sequence[Any], reference: int, classes: int) -> list[list[Any]]:
        """Forward references of each node, of a reference type and its subtypes, to nodes of the given classes."""

        async def call(part: Sequence[Any]) -> list[Any]:
            wanted = [
                ua.BrowseDescription(
                    NodeId=node,
                    BrowseDirection=ua.BrowseDirection.Forward,
                    ReferenceTypeId=ua.NodeId(ua.Int32(reference)),
                    IncludeSubtypes=True,
                    NodeClassMask=ua.UInt32(classes),
                    ResultMask=ua.UInt32(ua.BrowseResultMask.All),
                )
                for node in part
            ]
            return list(await self.services.browse(ua.BrowseParameters(NodesToBrowse=wanted)))

        results = await self._in_chunks("browse", nodes, call, ua.BrowseResult())
        return [await self._whole(result) for result in results]

    async def watch(self, subscription: int, items: Sequence[Any]) -> list[Any]:
        """Create monitored items; the result of each."""

        async def call(part: Sequence[Any]) -> list[Any]:
            parameters = ua.CreateMonitoredItemsParameters(
                SubscriptionId=subscription,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=list(part),
            )
            return list(await self.services.create_monitored_items(parameters))

        refused = ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(ua.UInt32(Quality.BAD_DECODING)))
        return await self._in_chunks("watch", items, call, refused)

    def local(self, expanded: Any) -> Any:
        """A plain node id of what may name its namespace by uri."""
        space = expanded.NamespaceIndex
        uri = getattr(expanded, "NamespaceUri", None)
        if uri in self.namespaces:
            space = self.namespaces.index(uri)
        return ua.NodeId(expanded.Identifier, space)

    @contextmanager
    def in_words(self, doing: str) -> Iterator[None]:
        """Turn what asyncua raises into an AssetError that says what was being done."""
        try:
            yield
        except TimeoutError as error:
            raise self.trouble(doing, f"no answer in {self._device.timeout_s:g} s", Quality.BAD_TIMEOUT) from error
        except OSError as error:
            raise self.trouble(doing, str(error) or "no connection", Quality.BAD_NOT_CONNECTED) from error
        except ua.UaStatusCodeError as error:
            quality = error.code if severity(error.code) == 2 else Quality.BAD_COMMUNICATION
            raise self.trouble(doing, str(error), quality) from error
        except ua.UaError as error:
            raise self.trouble(doing, str(error), Quality.BAD_COMMUNICATION) from error
        except _UNREADABLE as error:
            raise self.trouble(doing, f"{type(error).__name__}: {error}", Quality.BAD_DECODING) from error

    def trouble(self, doing: str, text: str, quality: int) -> AssetError:
        return AssetError(f"{self._device.name}: {doing}: {text}", quality=quality)

    async def _in_chunks(
        self,
        service: str,
        things: Sequence[Thing],
        call: Callable[[Sequence[Thing]], Awaitable[list[Any]]],
        unreadable: Any,
    ) -> list[Any]:
        """One result a thing; `unreadable` for one whose reply asyncua cannot take apart."""
        out: list[Any] = []
        size = self._sizes[service]
        while len(out) < len(things):
            part = things[len(out) : len(out) + size]
            with self.in_words(service):
                try:
                    results = await call(part)
                except ua.UaStatusCodeError as error:
                    if error.code not in _TOO_MUCH or len(part) == 1:
                        raise
                    size = self._sizes[service] = len(part) // 2
                    continue
                except _UNREADABLE:
                    if len(part) > 1:
                        size = len(part) // 2
                        continue
                    results = [unreadable]
            if len(results) != len(part):
                raise self.trouble(service, f"{len(results)} results for {len(part)}", Quality.BAD_DECODING)
            out += results
            size = min(2 * size, self._sizes[service])
        return out

    async def _whole(self, result: Any) -> list[Any]:
        """All references of a browse, also those that did not fit its first reply."""
        found = list(result.References or ())
        for _ in range(MOST_PAGES):
            if not result.ContinuationPoint:
                return found
            with self.in_words("browse"):
                parameters = ua.BrowseNextParameters(ContinuationPoints=[result.ContinuationPoint])
                (result,) = await self.services.browse_next(parameters)
            found += result.References or ()
        raise self.trouble("browse", f"no end after {MOST_PAGES} replies", Quality.BAD_DECODING)

    async def _secure(self) -> None:
        """Security and user, as configured."""
        security = self._config.security
        if security.policy != "None":
            self._client.application_uri = _application_uri(Path(security.certificate))
            await self._client.set_security(
                getattr(security_policies, f"SecurityPolicy{security.policy}"),
                security.certificate,
                security.key,
                server_certificate=security.server_certificate or None,
                mode=getattr(ua.MessageSecurityMode, "Sign" if security.sign_only else "SignAndEncrypt"),
            )
        if security.user:
            self._client.set_user(security.user)
        if security.password_file:
            self._client.set_password(Path(security.password_file).read_text(encoding="utf-8").rstrip("\r\n"))

    async def _on_lost(self, error: Exception) -> None:
        self._lost = f"connection lost ({str(error) or type(error).__name__})"


def attribute(node: Any, which: int = ua.AttributeIds.Value) -> Any:
    """What `Session.read` wants to know of a node; may be kept and used again."""
    return ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds(which))


def _relative(path: Sequence[tuple[int, str]]) -> Any:
    elements = [
        ua.RelativePathElement(
            ReferenceTypeId=ua.NodeId(ua.ObjectIds.HierarchicalReferences),
            IsInverse=False,
            IncludeSubtypes=True,
            TargetName=ua.QualifiedName(name, space),
        )
        for space, name in path
    ]
    return ua.RelativePath(Elements=elements)


def _application_uri(path: Path) -> str:
    """The uri in the certificate: servers compare it with the one that the client names (OPC 10000-6, 6.2.2)."""
    data = path.read_bytes()
    pem = data.startswith(b"-----")
    certificate = x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
    with suppress(x509.ExtensionNotFound):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        for uri in names.get_values_for_type(x509.UniformResourceIdentifier):
            return str(uri)
    return APPLICATION_URI
