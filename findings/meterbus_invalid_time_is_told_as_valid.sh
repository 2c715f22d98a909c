#!/bin/sh
# A meter says that its clock cannot be believed, and both readers give the time without a word.
#
# Versions: pyMeterBus 0.8.5 and pymbusparser 0.5.3
# Expected: bit 7 of the first byte of a date and time of type F says "time invalid", bit 7 of the second says "summer
#           time" (EN 13757-3, annex on data types). 1E 0C 5B 37 is 12:30 of 27 July 2026, 9E 0C 5B 37 is that with the
#           clock invalid, 1E 8C 5B 37 is that in summer time. A reader tells the three apart.
# Seen:     the three give the same result in both libraries; nothing in the record shows the bits.
# Matters:  a meter that lost its clock sets this bit, and its readings are filed under a wrong day as if they were
#           sound; without the other bit the readings of one hour in October stand twice.
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

TIMES = {"valid": "1E 0C 5B 37", "invalid": "9E 0C 5B 37", "summer time": "1E 8C 5B 37"}


def telegram(record):
    """A variable data response of meter 12345678 with one record."""
    body = bytes.fromhex("08 01 72 78 56 34 12 A4 2C 01 07 01 00 00 00") + record
    return bytes([0x68, len(body), len(body), 0x68]) + body + bytes([sum(body) & 255, 0x16])


def by_meterbus(frame):
    (record,) = json.loads(meterbus.load(frame).to_JSON())["body"]["records"]
    return record


def by_parser(frame):
    (row,) = csv.DictReader(io.StringIO(pymbusparser.m_bus_parse(frame.hex(), "csv")))
    return {key: text for key, text in row.items() if key.startswith("record_0") and not key.endswith("data_hex")}


print("versions", "pyMeterBus", version("pyMeterBus"), "- pymbusparser", version("pymbusparser"))
print("expected", "three results that differ")
seen = {}
for name, data in TIMES.items():
    frame = telegram(bytes.fromhex("04 6D " + data))
    seen[name] = by_meterbus(frame), by_parser(frame)
    print("seen    ", name, "- pyMeterBus", seen[name][0]["value"], "- pymbusparser", seen[name][1]["record_0_value"])
first = seen["valid"]
right = first[0]["value"] == "2026-07-27T12:30" and first[1]["record_0_value"] == "2026-07-27T12:30:00"
sys.exit(0 if right and all(one == first for one in seen.values()) else "the behaviour has changed")
END
v/bin/python show.py
