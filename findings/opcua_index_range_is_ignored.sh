#!/bin/sh
# Elements 1 to 2 asked, the whole array comes, Good: two servers pass over an IndexRange.
#
# Versions: asyncua 2.1.0 and python-opcua (`opcua`) 0.98.13, each as server and as client
# Expected: a read of an array's value with IndexRange "1:2" gives its second and third element; "9:9" of an array of
#           four is BadIndexRangeNoData, and "x" is BadIndexRangeInvalid (OPC 10000-4, NumericRange and Read).
# Seen:     all three give the four elements with status Good, and no word that the range was not looked at.
# Matters:  who asks for one element of a large array takes the first of the reply for it: element 0, under the name of
#           another, and marked good. Compare the length of the reply with the range.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check asyncua==2.1.0 opcua==0.98.13

cat > show.py <<'END'
import logging
import sys
from importlib.metadata import version

import asyncua.sync
import asyncua.ua
import opcua

logging.disable(logging.CRITICAL)
RANGES = ("1:2", "9:9", "x")


def asked(server, client_of, ua, port):
    url = f"opc.tcp://127.0.0.1:{port}/finding"
    server.set_endpoint(url)
    space = server.register_namespace("urn:finding")
    node = server.nodes.objects.add_variable(space, "array", [10.0, 11.0, 12.0, 13.0])
    server.start()
    client = client_of(url)
    client.connect()
    out = []
    for one in RANGES:
        item = ua.ReadValueId()
        item.NodeId, item.AttributeId, item.IndexRange = node.nodeid, ua.AttributeIds.Value, one
        parameters = ua.ReadParameters()
        parameters.NodesToRead = [item]
        if client_of is asyncua.sync.Client:
            read = client.tloop.post(client.aio_obj.uaclient.read(parameters))
        else:
            read = client.uaclient.read(parameters)
        out.append((read[0].Value.Value, read[0].StatusCode.is_good()))
    client.disconnect()
    server.stop()
    return out


seen = {
    "asyncua": asked(asyncua.sync.Server(), asyncua.sync.Client, asyncua.ua, 48232),
    "python-opcua": asked(opcua.Server(), opcua.Client, opcua.ua, 48233),
}
print("versions", "asyncua", version("asyncua"), "- opcua", version("opcua"))
print("expected", "1:2 gives [11.0, 12.0]; 9:9 and x are bad")
for name, replies in seen.items():
    for one, (value, good) in zip(RANGES, replies, strict=True):
        print("seen    ", name, one, "gives", value, "Good" if good else "bad")
whole = [([10.0, 11.0, 12.0, 13.0], True)] * 3
sys.exit(0 if list(seen.values()) == [whole, whole] else "the behaviour has changed")
END
v/bin/python show.py
