#!/bin/sh
# Half a text, without an error: pycomm3 counts the bytes of a CIP STRING2 where the standard counts characters.
#
# Version:  pycomm3 1.2.16
# Expected: STRING2 (0xD5) is a count of characters and then two bytes for each (CIP, volume 1, appendix C). What the
#           library writes it reads back: "Pump" as "Pump".
# Seen:     the encoder counts characters, the decoder takes the same count as bytes. "Pump" comes back as "Pu", and
#           the other half stays in the stream, so the next member of a structure is read from the middle of the text.
#           A text of an odd length raises. STRINGN of two bytes a character (0xD9), beside it, is right.
# Matters:  names come out cut to half, and numbers behind them are invented, with status Success.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check pycomm3==1.2.16

cat > show.py <<'END'
import sys
from importlib.metadata import version

from pycomm3 import DataError
from pycomm3.cip import STRING2, STRINGN, UDINT, Struct

Nameplate = Struct(STRING2("name"), UDINT("hours"))
# What a device sends for name "Pump" and 7 hours, written by hand: the count 4, four characters, one UDINT.
SENT = bytes.fromhex("0400 5000 7500 6D00 7000 07000000")


def back(kind, text, *more):
    try:
        return kind.decode(kind.encode(text, *more))
    except DataError:
        return "DataError"


plate = Nameplate.decode(SENT)
seen = {text: back(STRING2, text) for text in ("Pump", "Ventil", "Pumpe")}
peer = back(STRINGN, "Pump", 2)
print("version ", "pycomm3", version("pycomm3"))
print("expected", {"name": "Pump", "hours": 7}, "and each text as it was")
print("seen    ", dict(plate), "-", seen, "- STRINGN:", peer)
known = plate == {"name": "Pu", "hours": 0x70006D} and STRING2.encode("Pump") == SENT[:10]
known = known and seen == {"Pump": "Pu", "Ventil": "Ven", "Pumpe": "DataError"} and peer == "Pump"
sys.exit(0 if known else "the behaviour has changed")
END
v/bin/python show.py
