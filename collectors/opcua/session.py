"""One connection to a server: opened, looked into, and known by what outlives it.

Bulk requests within the server's limits are `bulk`'s. Namespaces go out of here, and come in, by uri (`spaces`); on the
wire alone they are indexes.

The library's watchdog asks for the server's state every WATCHDOG_S; its own reconnection is off, since the poller
reopens. A lost connection is told by `lost`, at once where the socket closes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from asyncua.client.ua_session import SessionState

from collectors.base import Device, Identity
from collectors.budget import Budget
from collectors.guard import Guard
from collectors.opcua.address import NodeAddress, Space, Steps
from collectors.opcua.bulk import Bulk
from collectors.opcua.config import WATCHDOG_S, Config
from collectors.opcua.guard import install
from collectors.opcua.namespaces.spaces import Spaces
from collectors.opcua.secure.client import APPLICATION_URI, BAD_SECURITY_CHECKS_FAILED, SESSION_MS, prepare
from collectors.opcua.secure.refusals import concerns, explain
from collectors.settings import wild
from protocol.content.sample import Quality
from protocol.errors import AssetError

logging.getLogger("asyncua").setLevel(logging.CRITICAL)  # it logs frames, values and each loss of a connection

MOST_PAGES = 10_000
"""Most replies to the browse of one node; a server may give one reference a reply, or never come to an end."""

CLOSE_S = 2.0
"""Longest polite goodbye [s]."""

_NO_MORE = (
    ua.StatusCodes.BadTooManyMonitoredItems,
    ua.StatusCodes.BadServiceUnsupported,
    ua.StatusCodes.BadOutOfMemory,
    ua.StatusCodes.BadResourceUnavailable,
)
"""What a server says that takes no more monitored items."""

_REFUSALS = (AssertionError, ConnectionError, TimeoutError, ua.UaError)
"""What connecting to a server that refuses ends in; asyncua's assertion is a fault in place of an open channel."""

_NO_VIEW = ua.ViewDescription(Timestamp=datetime(1601, 1, 1, tzinfo=UTC))
"""The whole address space, as it is now (OPC 10000-4, 5.9.2.2): with any other time some servers look for a view."""

_UNKNOWN_SERVICE = (
    ua.StatusCodes.BadServiceUnsupported,
    ua.StatusCodes.BadNotImplemented,
    ua.StatusCodes.BadNotSupported,
)
_FOLDERS = {
    "Objects": ua.NodeId(ua.ObjectIds.ObjectsFolder),
    "Types": ua.NodeId(ua.ObjectIds.TypesFolder),
    "Views": ua.NodeId(ua.ObjectIds.ViewsFolder),
}
"""Where paths begin (OPC 10000-5, 8.2)."""

_LIMITS = {
    "read": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
    "browse": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
    "translate": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
    "watch": ua.ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
}
_SPACES = (ua.ObjectIds.Server_NamespaceArray, ua.ObjectIds.Server_ServerArray)
_BUILD = (
    ua.ObjectIds.Server_ServerStatus_BuildInfo_ManufacturerName,
    ua.ObjectIds.Server_ServerStatus_BuildInfo_ProductName,
    ua.ObjectIds.Server_ServerStatus_BuildInfo_SoftwareVersion,
)


class Session(Bulk):
    """A connected client.

    Args:
        url: Where; one of the configured.
        config: How secured, and what is fenced off.
        device: Its name and timeout.
        guard: Refuses and counts what is not on the list.
        budget: Says when a request may leave.
        note: Told the name of each service before it is sent; None: nobody keeps a log.
        meant: What typed indexes of namespaces mean, so far as it is known; learns what it did not say.
    """

    def __init__(
        self,
        url: str,
        config: Config,
        device: Device,
        guard: Guard,
        budget: Budget,
        note: Callable[[str], None] | None = None,
        meant: dict[int, str] | None = None,
    ) -> None:
        self.url = url
        super().__init__(device, budget, tuple(_LIMITS))
        self._config = config
        self._client = Client(url, timeout=device.timeout_s, watchdog_intervall=WATCHDOG_S)
        self._client.name = self._client.description = "Checkvalve collector"
        self._client.application_uri = APPLICATION_URI
        self._client.session_timeout = SESSION_MS
        self._client.connection_lost_callback = self._on_lost
        self._guard, self._note = guard, note
        self._connections = install(self._client, guard, note=note, forbids=self.forbids)
        self._lost = ""
        self._translates = True
        """The server knows the service for it, so far as is known."""
        self._forbidden: dict[Any, bool] = {}
        self._fences: list[Steps] = []
        self._meant = {} if meant is None else meant
        self.spaces = Spaces()
        self.identity = Identity()

    @property
    def lost(self) -> str:
        """Why the connection is of no use any more; empty while it is."""
        if not self._lost and self._client.uaclient.state is not UaClientState.CONNECTED:
            self._lost = "connection lost"
        return self._lost

    @property
    def services(self) -> Any:
        """asyncua's session, for the services that have no bulk form here; `turn` is to be awaited before each."""
        return self._client.uaclient.session

    async def open(self) -> None:
        """Connect, and learn limits, namespaces and identity.

        Raises:
            AssetError: the server cannot be used.
        """
        with self.in_words("connect"):
            try:
                await prepare(self._client, self._config.security, self._device.name)
                await self._client.connect()
            except _REFUSALS as error:
                why = await self._why(error)
                if not why and not isinstance(error, AssertionError):
                    raise
                quality = getattr(error, "code", BAD_SECURITY_CHECKS_FAILED)
                raise self.trouble("connect", ": ".join(filter(None, (self._said(error), why))), quality) from error
        about = [*_SPACES, *_LIMITS.values()]
        if not self._config.gentle:
            about += _BUILD
        spaces, servers, *rest = await self.read([attribute(ua.NodeId(ua.Int32(number))) for number in about])
        self._count(spaces, servers)
        for name, limit in zip(_LIMITS, rest, strict=False):
            most = None if limit.Value is None else limit.Value.Value
            if isinstance(most, int) and most > 0:
                self._sizes[name] = min(self._sizes[name], most)
        said = [str((value.Value and value.Value.Value) or "") for value in rest[len(_LIMITS) :]]
        if said:
            self.identity = Identity(vendor=said[0], model=said[1], firmware=said[2])

    @property
    def server_certificate(self) -> bytes:
        """What the server showed, as it came; empty where the connection has none."""
        return bytes(self._client.security_policy.peer_certificate or b"")

    async def recount(self) -> None:
        """Ask for the namespaces once more where a typed index means none of them yet: it may have come meanwhile."""
        if self._config.indexes <= self._meant.keys():
            return
        about = [attribute(ua.NodeId(ua.Int32(number))) for number in _SPACES]
        self._count(*await self.read(about))

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

    async def read(self, wanted: Sequence[Any], *, partly: bool = False) -> list[Any]:
        """A DataValue for each `attribute`, with source and server time; bad for one that cannot be decoded.

        Args:
            partly: What was read is kept: the values of a request that failed are bad with its reason, and only where
                none was answered, or the session is of no use any more, that is raised.
        """

        async def call(part: Sequence[Any]) -> list[Any]:
            both = ua.TimestampsToReturn.Both
            return list(await self.services.read(ua.ReadParameters(TimestampsToReturn=both, NodesToRead=list(part))))

        unreadable = ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(Quality.BAD_DECODING)))
        return await self._in_chunks("read", wanted, call, unreadable, _bad_value if partly else None)

    async def translate(self, paths: Sequence[Steps]) -> list[Any]:
        """Node id at the end of each path from the root folder; a StatusCode where there is none.

        A server without this service is browsed along the path, but for a gentle one.
        """

        async def call(part: Sequence[Any]) -> list[Any]:
            asked = [
                ua.BrowsePath(StartingNode=ua.NodeId(ua.ObjectIds.RootFolder), RelativePath=_relative(path))
                for path in part
            ]
            return list(await self.services.translate_browsepaths_to_nodeids(asked))

        out = [ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown) for _ in paths]
        counted = {at: whole for at, path in enumerate(paths) if (whole := self._counted(path))}
        if counted and not self._translates:
            return await self._follow(paths, out)
        try:
            results = await self._in_chunks("translate", list(counted.values()), call, ua.BrowsePathResult())
        except AssetError as error:
            if error.quality not in _UNKNOWN_SERVICE or self._config.gentle:
                raise
            self._translates = False
            return await self._follow(paths, out)
        for at, result in zip(counted, results, strict=True):
            whole = [one.TargetId for one in result.Targets or () if one.RemainingPathIndex == 0xFFFFFFFF]
            missing = result.StatusCode if result.StatusCode.is_bad() else ua.StatusCode(ua.StatusCodes.BadNoMatch)
            out[at] = self.local(whole[0]) if whole else missing
        return out

    async def _follow(self, paths: Sequence[Steps], out: list[Any]) -> list[Any]:
        """As `translate`, by browsing; `out` holds what stands for a path that leads nowhere."""
        wanted = [self.spaces.steps(path) for path in paths]
        here: dict[Steps, Any] = {((0, name),): node for name, node in _FOLDERS.items()}
        for depth in range(1, max(map(len, wanted), default=0)):
            fronts = list(dict.fromkeys(path[:depth] for path in wanted if len(path) > depth and path[:depth] in here))
            onward = {path[: depth + 1] for path in wanted if len(path) > depth}
            held = await self.browse([here[front] for front in fronts], ua.ObjectIds.HierarchicalReferences, 0)
            for front, references in zip(fronts, held, strict=True):
                for reference in references:
                    way = (*front, self.step(reference.BrowseName))
                    if way in onward:
                        here.setdefault(way, self.local(reference.NodeId))
        return [here.get(path, missing) for path, missing in zip(wanted, out, strict=True)]

    async def browse(
        self, nodes: Sequence[Any], reference: int, classes: int, *, inverse: bool = False
    ) -> list[list[Any]]:
        """References of each node, of a reference type and its subtypes, to nodes of the given classes."""
        direction = ua.BrowseDirection.Inverse if inverse else ua.BrowseDirection.Forward

        async def call(part: Sequence[Any]) -> list[Any]:
            wanted = [
                ua.BrowseDescription(
                    NodeId=node,
                    BrowseDirection=direction,
                    ReferenceTypeId=ua.NodeId(ua.Int32(reference)),
                    IncludeSubtypes=True,
                    NodeClassMask=ua.UInt32(classes),
                    ResultMask=ua.UInt32(ua.BrowseResultMask.All),
                )
                for node in part
            ]
            return list(await self.services.browse(ua.BrowseParameters(View=_NO_VIEW, NodesToBrowse=wanted)))

        results = await self._in_chunks("browse", nodes, call, ua.BrowseResult())
        return [await self._whole(result) for result in results]

    async def parents(self, nodes: Sequence[Any]) -> list[Any]:
        """The reference to the node above each, None where there is none; the first of several."""
        held = await self.browse(nodes, ua.ObjectIds.HierarchicalReferences, 0, inverse=True)
        return [references[0] if references else None for references in held]

    async def level(self) -> int | None:
        """How well the server can serve, 0 to 255; None where it does not say (OPC 10000-5, 6.3.1)."""
        (value,) = await self.read([attribute(ua.NodeId(ua.ObjectIds.Server_ServiceLevel))])
        said = None if value.Value is None else value.Value.Value
        return said if isinstance(said, int) and not value.StatusCode.is_bad() else None

    def forbids(self, node: Any) -> bool:
        """Whether a node must not be read, whichever way its namespace is written in the configuration."""
        if not self._config.fences.ids:
            return False
        found = self._forbidden.get(node)
        if found is None:
            space = node.NamespaceIndex
            text = str(node.to_string()).removeprefix(f"ns={space};")
            found = self._forbidden[node] = any(
                self.spaces.covers(fenced, space) and wild(pattern).fullmatch(text)
                for fenced, pattern in self._config.fences.nodes
            )
        return found

    def fenced(self, way: Steps) -> bool:
        """Whether a way, named as `step` names it, leads into what must not be read."""
        return any(way[: len(fence)] == fence for fence in self._fences)

    def step(self, name: Any) -> tuple[Space, str]:
        """A QualifiedName so that it outlives the connection."""
        return self.spaces.name(int(name.NamespaceIndex)), str(name.Name)

    def text(self, node: Any) -> str:
        """An id so that it outlives the connection; empty for none, and for the null id."""
        if not isinstance(node, ua.NodeId) or node.is_null():
            return ""
        space = self.spaces.name(node.NamespaceIndex)
        text = str(node.to_string())
        return f"nsu={space};{text.removeprefix(f'ns={node.NamespaceIndex};')}" if isinstance(space, str) else text

    async def watch(self, subscription: int, items: Sequence[Any]) -> list[Any]:
        """Create monitored items; the result of each."""

        async def call(part: Sequence[Any]) -> list[Any]:
            parameters = ua.CreateMonitoredItemsParameters(
                SubscriptionId=subscription,
                TimestampsToReturn=ua.TimestampsToReturn.Both,
                ItemsToCreate=list(part),
            )
            try:
                return list(await self.services.create_monitored_items(parameters))
            except ua.UaStatusCodeError as error:
                if error.code not in _NO_MORE:
                    raise
                return [ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(ua.UInt32(error.code)))] * len(part)

        refused = ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(ua.UInt32(Quality.BAD_DECODING)))
        return await self._in_chunks("watch", items, call, refused)

    def typed(self, address: NodeAddress) -> Any:
        """The id that an address names; a StatusCode where the server has no such namespace."""
        space = self.spaces.index(address.space)
        if space is None:
            return ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown)
        return ua.NodeId(address.identifier, space)

    def local(self, expanded: Any) -> Any:
        """A plain node id of what may name its namespace by uri."""
        uri = getattr(expanded, "NamespaceUri", None)
        space = self.spaces.index(uri) if uri else None
        return ua.NodeId(expanded.Identifier, expanded.NamespaceIndex if space is None else space)

    async def _whole(self, result: Any) -> list[Any]:
        """All references of a browse, also those that did not fit its first reply."""
        found = list(result.References or ())
        for _ in range(MOST_PAGES):
            if not result.ContinuationPoint:
                return found
            await self.turn()
            with self.in_words("browse"):
                parameters = ua.BrowseNextParameters(ContinuationPoints=[result.ContinuationPoint])
                (result,) = await self.services.browse_next(parameters)
            found += result.References or ()
        raise self.trouble("browse", f"no end after {MOST_PAGES} replies", Quality.BAD_DECODING)

    def _count(self, spaces: Any, servers: Any) -> None:
        """Take in the server's own counting of its namespaces."""
        table, server = _texts(spaces), next(iter(_texts(servers)), "")
        unknown = self._config.indexes - self._meant.keys()
        self._meant |= Spaces(table, server).meaning(unknown)
        self.spaces = Spaces(table, server, self._meant)
        self._forbidden.clear()
        self._fences = [self.spaces.steps(steps) for steps in self._config.fences.paths]

    def _counted(self, path: Steps) -> list[tuple[int, str]] | None:
        """A path with the namespaces as the server counts them now; None where it has one of them not."""
        counted = [(self.spaces.index(space), name) for space, name in path]
        whole = [(index, name) for index, name in counted if index is not None]
        return whole if len(whole) == len(path) else None

    async def _why(self, error: Exception) -> str:
        """Why the server refused the connection, in words; its endpoints are asked for once more, in clear."""
        if not self._connections or not concerns(error, self._config.security):
            return ""  # nobody was reached, or it says enough
        asking = Client(self.url, timeout=self._device.timeout_s)
        connections = install(asking, self._guard, note=self._note)
        offered = None
        try:
            await self.turn()
            with suppress(Exception):
                offered = await asking.connect_and_get_server_endpoints()
        finally:
            for connection in connections:
                if connection.transport is not None:
                    connection.transport.abort()
        return explain(error, self._config.security, offered)

    def _said(self, error: Exception) -> str:
        if isinstance(error, AssertionError):
            return "the server answered with a fault"
        if isinstance(error, TimeoutError):
            return f"no answer in {self._device.timeout_s:g} s"
        return str(error) or type(error).__name__

    async def _on_lost(self, error: Exception) -> None:
        self._lost = f"connection lost ({str(error) or type(error).__name__})"


def attribute(node: Any, which: int = ua.AttributeIds.Value) -> Any:
    """What `Session.read` wants to know of a node; may be kept and used again."""
    return ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds(which))


def _bad_value(code: int) -> Any:
    return ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(code)))


def _texts(value: Any) -> list[str]:
    """An array of texts; empty where the server does not give it."""
    content = None if value.Value is None else value.Value.Value
    return [str(one or "") for one in content] if isinstance(content, list) else []


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
