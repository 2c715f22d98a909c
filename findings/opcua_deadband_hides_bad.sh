#!/bin/sh
# A deadband hides a value that has gone bad: asyncua's server asks the deadband about the status too.
#
# Version:  asyncua 2.1.0
# Expected: the trigger StatusValue tells a change of the status or of the value; a deadband narrows the value's part
#           only (OPC 10000-4, DataChangeFilter). So Good, Uncertain, Bad, Good of one unchanging 5.0 are four
#           notifications.
# Seen:     the server demands a change AND a step beyond the deadband. Only the first Good arrives; reads in between
#           show that the server holds each status. Without the filter each change is told.
# Matters:  the client goes on showing a good value of a sensor that the server knows to be doubtful.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check asyncua==2.1.0

cat > show.py <<'END'
import asyncio
import logging
import socket
import sys
from importlib.metadata import version

from asyncua import Client, Server, ua

logging.disable(logging.CRITICAL)
with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    URL = f"opc.tcp://127.0.0.1:{one.getsockname()[1]}/"


class Told:
    def __init__(self):
        self.names = []

    def datachange_notification(self, node, value, data):
        status = data.monitored_item.Value.StatusCode
        self.names.append(status.name if status else "Good")


async def watch(client, node, told, narrowed):
    subscription = await client.create_subscription(50, told)
    wish = ua.MonitoringParameters(ClientHandle=1, SamplingInterval=50.0, QueueSize=100, DiscardOldest=True)
    if narrowed:
        wish.Filter = ua.DataChangeFilter(
            Trigger=ua.DataChangeTrigger.StatusValue,
            DeadbandType=ua.UInt32(ua.DeadbandType.Absolute),
            DeadbandValue=ua.Double(1.0),
        )
    item = ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node.nodeid, AttributeId=ua.AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=wish,
    )
    (result,) = await subscription.create_monitored_items([item])
    assert isinstance(result, int), result


async def main():
    server = Server()
    await server.init()
    server.set_endpoint(URL)
    node = await server.nodes.objects.add_variable(ua.NodeId("Pressure", 2), "Pressure", 5.0)
    async with server, Client(URL) as client:
        plain, narrowed = Told(), Told()
        await watch(client, node, plain, False)
        await watch(client, node, narrowed, True)
        await asyncio.sleep(0.5)
        held = []
        for code in (ua.StatusCodes.Uncertain, ua.StatusCodes.Bad, ua.StatusCodes.Good):
            value = ua.DataValue(ua.Variant(5.0, ua.VariantType.Double), StatusCode=ua.StatusCode(code))
            await server.write_attribute_value(node.nodeid, value)
            await asyncio.sleep(0.3)
            (now,) = await client.read_attributes([client.get_node(node.nodeid)])
            held.append(now.StatusCode.name)
        await asyncio.sleep(0.3)
    want = ["Good", "Uncertain", "Bad", "Good"]
    print("version ", "asyncua", version("asyncua"))
    print("expected", want, "with and without a deadband")
    print("seen    ", plain.names, "without,", narrowed.names, "with; read meanwhile:", held)
    return plain.names == want and narrowed.names == ["Good"] and held == want[1:]


sys.exit(0 if asyncio.run(main()) else "the behaviour has changed")
END
v/bin/python show.py
