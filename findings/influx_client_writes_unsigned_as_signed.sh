#!/bin/sh
# A counter beyond 2^63 makes a line outside the format: influxdb-client marks every whole number as signed.
#
# Versions: influxdb-client 1.50.0 as writer, numpy 2.4.6 for a uint64 that knows what it is
# Expected: the suffix `i` means a signed 64-bit integer, at most 9223372036854775807, `u` an unsigned one (InfluxDB
#           line protocol reference, data types). A numpy.uint64 is written with `u`; a number that fits neither is
#           refused by the client.
# Seen:     numpy.uint64(2**63), 2**63 and 2**64 are all written with `i`, without an error, far out of its range.
# Matters:  what is wrong is known only where the line is parsed, behind the network, and may cost the neighbours in
#           the same batch. Counters and bit fields of 64 bits have their highest bit set as a matter of course.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check influxdb-client==1.50.0 numpy==2.4.6

cat > show.py <<'END'
import sys
from importlib.metadata import version

import numpy
from influxdb_client import Point

VALUES = {"numpy.uint64(2**63)": numpy.uint64(2**63), "2**63": 2**63, "2**64": 2**64}
print("versions", "influxdb-client", version("influxdb-client"), "- numpy", version("numpy"))
print("expected", "9223372036854775808u, 9223372036854775808u or an error, an error")
seen = {}
for name, value in VALUES.items():
    seen[name] = Point("meter").field("count", value).to_line_protocol()
    print("seen    ", name, "is written as", seen[name])
wanted = [f"meter count={value}i" for value in (2**63, 2**63, 2**64)]
sys.exit(0 if list(seen.values()) == wanted else "the behaviour has changed")
END
v/bin/python show.py
