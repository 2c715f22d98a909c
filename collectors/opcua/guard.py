"""Which OPC UA services may be asked for: by name, and only what this collector needs.

    connect    GetEndpoints, Open/CloseSecureChannel, Create/Activate/CloseSession
    look       Read, Browse, BrowseNext, TranslateBrowsePathsToNodeIds
    listen     Create/Modify/DeleteSubscriptions, CreateMonitoredItems, DeleteMonitoredItems, Publish, Republish

Every other service is refused (OPC 10000-4, 5): Write, HistoryUpdate, AddNodes and the like change the server, and
Call runs methods, which act. The hook is `UASocketProtocol._send_request`, the last place where asyncua holds a whole
request: after it come encoding, encryption and the socket. A request's class must be one of asyncua's own, and the id
that would be encoded must be that class's, so that nothing travels under a name on the list.
"""

from __future__ import annotations

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


def allowed(request: Any) -> bool:
    """True for a request that can only look or listen."""
    return type(request) in _ID_OF and request.TypeId == _ID_OF[type(request)]


def install(client: Client, guard: Guard) -> list[Any]:
    """Put the guard under a client; a request that is not on the list raises `WriteRefused` before a byte is sent.

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
            return send(request, *args, **options)

        protocol._send_request = checked
        made.append(protocol)
        return protocol

    client.uaclient._make_protocol = make_guarded
    return made
