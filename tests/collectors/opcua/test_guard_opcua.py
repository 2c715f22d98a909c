"""No service of asyncua's that changes anything, or that is not needed, gets a byte past the guard."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any

import pytest
from asyncua import ua
from asyncua.client.ua_client import UaClient
from asyncua.client.ua_session import UaSession
from opcua_peer import UaPeer, Wire

from collectors.base import Device, numbered
from collectors.guard import WriteRefused
from collectors.opcua.collector import OpcUaCollector
from collectors.opcua.guard import ALLOWED, allowed

USED = {
    *("create_session", "activate_session", "close_session", "browse", "browse_next"),
    *("translate_browsepaths_to_nodeids", "read", "read_attributes", "create_subscription", "update_subscription"),
    *("modify_subscription", "delete_subscriptions", "republish", "publish", "create_monitored_items"),
    *("delete_monitored_items", "get_endpoints", "open_secure_channel", "close_secure_channel"),
}
NO_REQUEST = {"connect_socket", "send_hello", "inform_subscriptions"}
SERVICES = {
    name: owner
    for owner in (UaClient, UaSession)
    for name, _ in inspect.getmembers(owner, inspect.iscoroutinefunction)
    if not name.startswith("_") and name not in USED | NO_REQUEST
}


async def refused(peer: UaPeer, call: Any, name: str) -> None:
    """Make a call on a collector's own client: each of the requests is refused, counted, and never sent."""
    tags = [{"name": "p", "at": "ns=2;s=pressure"}]
    lines: list[str] = []
    async with Wire(peer.port) as wire:
        made = Device(name="t", url=wire.url, kind="process", settings={"mode": "poll"}, scans=numbered([(60.0, tags)]))
        plc = OpcUaCollector(made, clock=time.time_ns, refused=lines.append)
        await plc.open()
        assert plc._session is not None
        await plc.read(made.scans[0])
        before = wire.sent
        with pytest.raises(WriteRefused):
            await call(plc._session._client)
        for _ in range(20):
            await asyncio.sleep(0)
        assert wire.sent == before
        assert plc.guard.count == len(lines) == 1
        assert lines[0].startswith(f"t: opc ua {name} is not on the allow list")
        draft = await plc.discover()
        assert draft.tags
        assert wire.sent > before
        await plc.close()


def argument(parameter: inspect.Parameter) -> Any:
    """Something that fits a parameter of a service, by its annotation."""
    kind = str(parameter.annotation)
    if kind.startswith("ua."):
        return getattr(ua, kind[3:])()
    return 0 if kind == "int" else []


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_no_byte_of_a_service_that_is_not_needed_reaches_the_server(peer: UaPeer, name: str) -> None:
    """Every service of the library that the collector does not use is tried; the connection stays usable."""

    async def call(client: Any) -> None:
        owner = client.uaclient if SERVICES[name] is UaClient else client.uaclient.session
        method = getattr(owner, name)
        wanted = inspect.signature(method).parameters.values()
        await method(*(argument(one) for one in wanted if one.default is inspect.Parameter.empty))

    words = {"call": "CallRequest", "write_attributes": "WriteRequest", "unregister_server": "RegisterServerRequest"}
    words["unregister_server2"] = "RegisterServer2Request"
    plain = "".join(part.capitalize() for part in name.split("_")) + "Request"
    asyncio.run(refused(peer, call, words.get(name, plain)))


@pytest.mark.parametrize(
    ("what", "request_name"),
    [
        ("write a value", "WriteRequest"),
        ("write values", "WriteRequest"),
        ("set writable", "WriteRequest"),
        ("call a method", "CallRequest"),
        ("delete a node", "DeleteNodesRequest"),
        ("add a reference", "AddReferencesRequest"),
        ("register nodes", "RegisterNodesRequest"),
        ("link items", "SetTriggeringRequest"),
    ],
)
def test_what_a_person_would_call_is_refused_too(peer: UaPeer, what: str, request_name: str) -> None:
    """The library's easy ways end in the same services."""

    async def call(client: Any) -> None:
        node = client.get_node("ns=2;s=pressure")
        if what == "write a value":
            await node.write_value(1.0)
        elif what == "write values":
            await client.write_values([node], [1.0])
        elif what == "set writable":
            level = ua.DataValue(ua.Variant(3, ua.VariantType.Byte))
            await node.write_attribute(ua.AttributeIds.AccessLevel, level)
        elif what == "call a method":
            await client.nodes.server.call_method(ua.NodeId(ua.ObjectIds.Server_GetMonitoredItems), 1)
        elif what == "delete a node":
            await client.delete_nodes([node])
        elif what == "add a reference":
            await node.add_reference(ua.NodeId("level1", 2), ua.NodeId(ua.ObjectIds.Organizes))
        elif what == "register nodes":
            await client.register_nodes([node])
        else:
            await client.uaclient._send_request(ua.SetTriggeringRequest())

    asyncio.run(refused(peer, call, request_name))


def test_the_services_tried_are_those_that_change_something() -> None:
    """The library's names for them are all among the calls above."""
    changing = {"write", "write_attributes", "call", "add_nodes", "add_references", "delete_nodes", "history_update"}
    assert changing | {"delete_references", "register_server", "transfer_subscriptions"} <= set(SERVICES)
    assert len(SERVICES) >= 18


def test_every_request_of_the_library_but_those_named_is_refused() -> None:
    """Unknown is refused: all its request classes are tried."""
    kinds = [kind for name, kind in vars(ua).items() if name.endswith("Request") and hasattr(kind, "TypeId")]
    passed = {kind.__name__ for kind in kinds if allowed(kind())}
    named = {name for name, kind in vars(ua).items() if name.endswith("Request") and isinstance(kind, type)}
    assert len(named) > 40
    assert passed == ALLOWED & {kind.__name__ for kind in kinds}
    assert {name for name in named if allowed(getattr(ua, name)())} == ALLOWED


def test_a_request_in_disguise_is_refused() -> None:
    """Another class of an allowed name, or an allowed class that carries another service's id."""
    disguised = type("ReadRequest", (), {"TypeId": ua.ReadRequest().TypeId})
    assert not allowed(disguised())
    carrying = ua.ReadRequest()
    carrying.TypeId = ua.WriteRequest().TypeId
    assert not allowed(carrying)
    assert allowed(ua.ReadRequest())
