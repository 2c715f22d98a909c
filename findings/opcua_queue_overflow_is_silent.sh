#!/bin/sh
# Values are dropped and nothing says so: asyncua's server sets no overflow bit, and always drops the oldest.
#
# Version:  asyncua 2.1.0
# Expected: seven values come between two publishings into a queue of three. With discardOldest the newest three are
#           told, the first of them with the Overflow bit (status 0x480); without it the last place in the queue is
#           overwritten: 1, 2, 7, the 7 with the bit (OPC 10000-4, MonitoredItem model, queue parameters).
# Seen:     5, 6, 7 in both cases, all with status 0: what is dropped differs from what was asked, and the loss
#           leaves no trace.
# Matters:  a client that counts on the bit to know its gaps believes that it has the whole series; one that asks to
#           keep the first values, to see how a trip began, gets its end.
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
import sys
from importlib.metadata import version

from asyncua import Client, Server, ua

logging.disable(logging.CRITICAL)
URL = "opc.tcp://127.0.0.1:48231/finding"


class Heard:
    def __init__(self):
        self.told = []

    def datachange_notification(self, node, value, data):
        self.told.append((value, hex(data.monitored_item.Value.StatusCode.value)))


async def queue_of_three(client, node, discard_oldest):
    heard = Heard()
    subscription = await client.create_subscription(1000, heard)
    asked = ua.MonitoredItemCreateRequest(
        ItemToMonitor=ua.ReadValueId(NodeId=node.nodeid, AttributeId=ua.AttributeIds.Value),
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=1, SamplingInterval=0, QueueSize=3, DiscardOldest=discard_oldest
        ),
    )
    await subscription.create_monitored_items([asked])
    for _ in range(50):  # the value that stands comes with a publishing; the next one is a second away
        if heard.told:
            break
        await asyncio.sleep(0.1)
    heard.told.clear()
    for value in range(1, 8):
        await node.write_value(float(value))
    await asyncio.sleep(2.5)
    await subscription.delete()
    return heard.told


async def main():
    server = Server()
    await server.init()
    server.set_endpoint(URL)
    space = await server.register_namespace("urn:finding")
    node = await server.nodes.objects.add_variable(space, "value", 0.0)
    async with server, Client(URL) as client:
        told = {oldest: await queue_of_three(client, node, oldest) for oldest in (True, False)}
    print("versions", "asyncua", version("asyncua"))
    print("expected", "discardOldest: 5 with 0x480, 6, 7; otherwise: 1, 2, 7 with 0x480")
    for oldest, values in told.items():
        print("seen    ", "discardOldest" if oldest else "otherwise", values)
    silent = [(5.0, "0x0"), (6.0, "0x0"), (7.0, "0x0")]
    sys.exit(0 if told == {True: silent, False: silent} else "the behaviour has changed")


asyncio.run(main())
END
v/bin/python show.py
