#!/bin/sh
# A value that creeps is never told: asyncua's server measures a deadband from the last write.
#
# Version:  asyncua 2.1.0
# Expected: with an absolute deadband of 1.0, OPC 10000-4 (DataChangeFilter) compares a new value with the last one that
#           was put in the queue. A value that rises by 0.5 twenty times, from 0 to 10, is told about every third step.
# Seen:     the server compares with the value that was written before, told or not. Nothing but the first 0.0 arrives,
#           though the value stands at 10.0. A single jump of 1.5 is told, so the deadband itself is at work.
# Matters:  a drifting bearing temperature, behind such a server and a deadband, stands still for ever.
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
        self.values = []

    def datachange_notification(self, node, value, data):
        self.values.append(value)


async def main():
    server = Server()
    await server.init()
    server.set_endpoint(URL)
    node = await server.nodes.objects.add_variable(ua.NodeId("Temperature", 2), "Temperature", 0.0)
    async with server, Client(URL) as client:
        told = Told()
        subscription = await client.create_subscription(50, told)
        deadband = ua.DataChangeFilter(
            Trigger=ua.DataChangeTrigger.StatusValue,
            DeadbandType=ua.UInt32(ua.DeadbandType.Absolute),
            DeadbandValue=ua.Double(1.0),
        )
        item = ua.MonitoredItemCreateRequest(
            ItemToMonitor=ua.ReadValueId(NodeId=node.nodeid, AttributeId=ua.AttributeIds.Value),
            MonitoringMode=ua.MonitoringMode.Reporting,
            RequestedParameters=ua.MonitoringParameters(
                ClientHandle=1, SamplingInterval=50.0, Filter=deadband, QueueSize=100, DiscardOldest=True
            ),
        )
        (result,) = await subscription.create_monitored_items([item])
        assert isinstance(result, int), result
        await asyncio.sleep(0.5)
        for step in range(1, 21):
            await node.write_value(0.5 * step)
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)
        creeping = list(told.values)
        stands_at = await client.get_node(node.nodeid).read_value()
        await node.write_value(stands_at + 1.5)
        await asyncio.sleep(0.5)
        jump = told.values[len(creeping):]
    print("version ", "asyncua", version("asyncua"))
    print("expected", "told about 0.0, 1.5, 3.0, 4.5, 6.0, 7.5, 9.0 on the way to", stands_at)
    print("seen    ", "told about", creeping, "while the value is", stands_at, "; after one jump of 1.5:", jump)
    return (creeping, stands_at, jump) == ([0.0], 10.0, [11.5])


sys.exit(0 if asyncio.run(main()) else "the behaviour has changed")
END
v/bin/python show.py
