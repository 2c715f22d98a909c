#!/bin/sh
# The same M-Bus telegram is a thousand times more or less: pyMeterBus passes over the correction factor.
#
# Versions: pyMeterBus 0.8.5 and pymbusparser 0.5.3
# Expected: a value information block may end in a multiplicative correction: E111 0nnn means times 10^(nnn-6),
#           E111 1101 means times 1000 (EN 13757-3, table of the combinable VIFEs). 1,234 Wh with that last one are
#           1,234 kWh; 12,345.678 m3 with E111 0011 are 12.345678 m3. A library that does not know a block refuses.
# Seen:     pymbusparser applies both. pyMeterBus applies neither: it gives the number without the factor, in the plain
#           unit, and raises nothing. For the first its extra key `unit_enh` is the only trace.
# Matters:  large heat meters use the times 1000; every figure of theirs is then wrong by three digits and plausible.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check pyMeterBus==0.8.5 pymbusparser==0.5.3

cat > show.py <<'END'
import csv
import io
import json
import sys
from importlib.metadata import version

import meterbus
import pymbusparser

RECORDS = {
    "1,234 Wh x 1000": bytes.fromhex("04 83 7D D2 04 00 00"),
    "12,345.678 m3 x 0.001": bytes.fromhex("0C 93 73 78 56 34 12"),
}


def telegram(record):
    """A variable data response of meter 12345678 with one record."""
    body = bytes.fromhex("08 01 72 78 56 34 12 A4 2C 01 07 01 00 00 00") + record
    return bytes([0x68, len(body), len(body), 0x68]) + body + bytes([sum(body) & 255, 0x16])


def by_meterbus(frame):
    (record,) = json.loads(meterbus.load(frame).to_JSON())["body"]["records"]
    return float(record["value"]), record["unit"].removeprefix("MeasureUnit."), record.get("unit_enh")


def by_parser(frame):
    (row,) = csv.DictReader(io.StringIO(pymbusparser.m_bus_parse(frame.hex(), "csv")))
    return float(row["record_0_value"]), row["record_0_unit"]


print("versions", "pyMeterBus", version("pyMeterBus"), "- pymbusparser", version("pymbusparser"))
print("expected", "1234000.0 Wh and 12.345678 m3")
seen = {}
for name, record in RECORDS.items():
    seen[name] = by_meterbus(telegram(record)), by_parser(telegram(record))
    print("seen    ", name, "- pyMeterBus", seen[name][0], "- pymbusparser", seen[name][1])
numbers = [(one[0], other[0]) for one, other in seen.values()]
sys.exit(0 if numbers == [(1234.0, 1234000.0), (12345.678, 12.345678)] else "the behaviour has changed")
END
v/bin/python show.py
