#!/bin/sh
# A date with seconds becomes another date: pyMeterBus takes six bytes for the four of the shorter form.
#
# Versions: pyMeterBus 0.8.5 and, for comparison, pymbusparser 0.5.3
# Expected: code 6D with a data field of 48 bits is date and time of type I: a byte of seconds stands before those of
#           minutes, hours, day, month and year (EN 13757-3, annex on data types). 1E 1E 0C 5B 37 00 is 12:30:30 of
#           27 July 2026.
# Seen:     pymbusparser says so. pyMeterBus reads the first four bytes as the form without seconds, type F: each field
#           is taken from the place of its neighbour, and `2040-11-12T30:30` comes out, without an error.
# Matters:  in the first 24 minutes of an hour the result is often a date that exists, only years away from the right
#           one, so that no check of plausible fields finds it.
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

body = bytes.fromhex("08 01 72 78 56 34 12 A4 2C 01 07 01 00 00 00 06 6D 1E 1E 0C 5B 37 00")
frame = bytes([0x68, len(body), len(body), 0x68]) + body + bytes([sum(body) & 255, 0x16])
(record,) = json.loads(meterbus.load(frame).to_JSON())["body"]["records"]
(row,) = csv.DictReader(io.StringIO(pymbusparser.m_bus_parse(frame.hex(), "csv")))
seen = record["value"], row["record_0_value"]
print("versions", "pyMeterBus", version("pyMeterBus"), "- pymbusparser", version("pymbusparser"))
print("expected", "2026-07-27T12:30:30")
print("seen    ", "pyMeterBus", seen[0], "- pymbusparser", seen[1])
sys.exit(0 if seen == ("2040-11-12T30:30", "2026-07-27T12:30:30") else "the behaviour has changed")
END
v/bin/python show.py
