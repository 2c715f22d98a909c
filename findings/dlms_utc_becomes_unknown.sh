#!/bin/sh
# A meter that says "UTC" is read as one that says nothing about its zone: dlms-cosem takes deviation 0 for none.
#
# Versions: dlms-cosem 25.1.0 and, for comparison, gurux-dlms 1.0.203
# Expected: a DLMS date-time ends in its deviation from UTC in minutes; 0 means UTC, 0x8000 "not specified" (Blue Book,
#           date_time). Read and written again, each stays what it was.
# Seen:     dlms-cosem gives deviation -60 as +01:00, but 0 as a naive datetime, the same as 0x8000; written again, it
#           is 0x8000. gurux-dlms keeps 0 as +00:00.
# Matters:  the one zone that needs no conversion is lost; naive times are then commonly taken as local ones.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check dlms-cosem==25.1.0 gurux-dlms==1.0.203

cat > show.py <<'END'
import sys
from datetime import timedelta
from importlib.metadata import version

from dlms_cosem.time import datetime_from_bytes, datetime_to_bytes
from gurux_dlms import GXDLMSClient
from gurux_dlms.enums import DataType

NOON = bytes.fromhex("07EA 07 01 03 0C 00 00 00")  # Wednesday, 1 July 2026, 12:00:00.00


def offset(moment):
    return None if moment.tzinfo is None else moment.utcoffset()


seen = {}
for name, deviation in (("-60", "FFC4"), ("0", "0000"), ("not specified", "8000")):
    raw = NOON + bytes.fromhex(deviation) + b"\x00"
    moment, _ = datetime_from_bytes(raw)
    again = datetime_to_bytes(moment)[9:11].hex().upper()
    peer = offset(GXDLMSClient.changeType(raw, DataType.DATETIME).value)
    seen[name] = offset(moment), again, peer

hour, zero = timedelta(hours=1), timedelta(0)
print("versions", "dlms-cosem", version("dlms-cosem"), "- gurux-dlms", version("gurux-dlms"))
print("expected", "deviation 0: offset 0:00:00, written again as 0000")
for name, (mine, again, peer) in seen.items():
    print("seen    ", f"deviation {name}: dlms-cosem {mine}, written again as {again}; gurux-dlms {peer}")
known = {"-60": (hour, "FFC4", hour), "0": (None, "8000", zero), "not specified": (None, "8000", None)}
sys.exit(0 if seen == known else "the behaviour has changed")
END
v/bin/python show.py
