"""Which OPC UA services may be asked for: by name, and only what this collector needs.

    connect    GetEndpoints, Open/CloseSecureChannel, Create/Activate/CloseSession
    look       Read, Browse, BrowseNext, TranslateBrowsePathsToNodeIds
    listen     Create/Modify/DeleteSubscriptions, CreateMonitoredItems, DeleteMonitoredItems, Publish, Republish

Every other service is refused (OPC 10000-4, 5): Write, HistoryUpdate, AddNodes and the like change the server, and
Call runs methods, which act. One Call passes: ConditionRefresh or ConditionRefresh2 of ConditionType, which ask the
server to tell its standing alarms again (OPC 10000-9, 5.5.7), alone in its request, with nothing for arguments but the
ids of a subscription, and of an item in it.

The hook is `UASocketProtocol._send_request`, the last place where asyncua holds a whole request: after it come
encoding, encryption and the socket. A request's class must be one of asyncua's own, and the id that would be encoded
must be that class's, so that nothing travels under a name on the list. Nodes that must never be read are refused too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asyncua import ua
from asyncua.client.client import Client

from collectors.guard import Guard

ALLOWED = frozenset(
    (
        *("GetEndpointsRequest", "OpenSecureChannelRequest", "CloseSecureChannelRequest"),
        *("CreateSessionRequest", "ActivateSessionRequest", "CloseSessionRequest"),
        *("ReadRequest", "BrowseRequest", "BrowseNextRequest", "TranslateBrowsePathsToNodeIdsRequest"),
        *("CreateSubscriptionRequest", "ModifySubscriptionRequest", "DeleteSubscriptionsRequest"),
        *("CreateMonitoredItemsRequest", "DeleteMonitoredItemsRequest", "PublishRequest", "RepublishRequest"),
    )
)

_ID_OF: dict[type, Any] = {getattr(ua, name): getattr(ua, name)().TypeId for name in ALLOWED}

REFRESHES = {
    ua.ObjectIds.ConditionType_ConditionRefresh: 1,
    ua.ObjectIds.ConditionType_ConditionRefresh2: 2,
}
"""Methods that may be called, and how many arguments they have."""

_CALL = ua.CallRequest().TypeId


def allowed(request: Any) -> bool:
    """True for a request that can only look or listen."""
    if type(request) is ua.CallRequest:
        return bool(request.TypeId == _CALL) and _refreshes(request.Parameters)
    return type(request) in _ID_OF and request.TypeId == _ID_OF[type(request)]


def _refreshes(parameters: Any) -> bool:
    """Whether a Call does nothing but ask for the standing alarms once more."""
    if type(parameters) is not ua.CallParameters or len(parameters.MethodsToCall) != 1:
        return False
    (call,) = parameters.MethodsToCall
    if type(call) is not ua.CallMethodRequest or not _is(call.ObjectId, (ua.ObjectIds.ConditionType,)):
        return False
    if not _is(call.MethodId, tuple(REFRESHES)) or len(call.InputArguments) != REFRESHES[call.MethodId.Identifier]:
        return False
    return all(_number(one) for one in call.InputArguments)


def _is(node: Any, numbers: tuple[int, ...]) -> bool:
    """One of the standard's own nodes, in the very notation that will be sent."""
    plain = type(node) is ua.NodeId and type(node.Identifier) is int and node.NamespaceIndex == 0
    kinds = (ua.NodeIdType.FourByte, ua.NodeIdType.Numeric)
    return plain and node.NodeIdType in kinds and node.Identifier in numbers


def _number(argument: Any) -> bool:
    """A UInt32 and nothing else: the id of a subscription, or of an item."""
    plain = type(argument) is ua.Variant and argument.VariantType == ua.VariantType.UInt32 and not argument.is_array
    return plain and isinstance(argument.Value, int) and not isinstance(argument.Value, bool)


def asked_for(request: Any) -> list[Any]:
    """Ids of the nodes whose attributes a request wants."""
    if type(request) is ua.ReadRequest:
        return [one.NodeId for one in request.Parameters.NodesToRead]
    if type(request) is ua.CreateMonitoredItemsRequest:
        return [one.ItemToMonitor.NodeId for one in request.Parameters.ItemsToCreate]
    return []


def install(
    client: Client,
    guard: Guard,
    *,
    note: Callable[[str], None] | None = None,
    forbids: Callable[[Any], bool] = lambda _: False,
) -> list[Any]:
    """Put the guard under a client; a request that is not on the list raises `WriteRefused` before a byte is sent.

    Args:
        note: Told the name of each service that is about to be sent; what it raises keeps the request back.
        forbids: Whether a node must never be read.

    Returns:
        The client's connections (asyncua's protocols), each as it is made.
    """
    made: list[Any] = []
    make = client.uaclient._make_protocol

    def make_guarded() -> Any:
        protocol = make()
        send = protocol._send_request

        def checked(request: Any, *args: Any, **options: Any) -> Any:
            if not allowed(request):
                guard.refuse(f"opc ua {type(request).__name__}")
            for node in filter(forbids, asked_for(request)):
                guard.refuse(f"opc ua {type(request).__name__} of {node.to_string()}, which is never read,")
            if note is not None:
                note(type(request).__name__.removesuffix("Request"))
            return send(request, *args, **options)

        protocol._send_request = checked
        made.append(protocol)
        return protocol

    client.uaclient._make_protocol = make_guarded
    return made
