#!/bin/sh
# A server time of the year 1601, or of one far ahead, with StatusCode Good: asyncua reads the two times of a DataValue
# before the picoseconds of the first one.
#
# Version:  asyncua 2.1.0
# Expected: the fields of a DataValue stand in the order Value, StatusCode, SourceTimestamp, SourcePicoseconds,
#           ServerTimestamp, ServerPicoseconds (OPC UA part 6, 5.2.2.17). With both times and 5 units of 10 ps, the
#           server time read is the one that was sent.
# Seen:     the library reads and writes SourceTimestamp, ServerTimestamp, SourcePicoseconds, ServerPicoseconds. The two
#           bytes of the picoseconds become the lowest two of the server time, all else of it moves up by 16 bits: what
#           comes out is before 1601 or centuries ahead, as the second has it, and is cut to the least or the largest
#           that can be shown; the picoseconds are the last two bytes of the time (0x01DC of 2026). No error; value,
#           status and source time are right. Without picoseconds all is right, and what the library writes itself it
#           reads back, so that two ends of it never notice.
# Matters:  whoever judges freshness by the server's time takes such a value as new for ever, or as never new.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check asyncua==2.1.0

cat > show.py <<'END'
import struct
import sys
from datetime import datetime, timezone
from importlib.metadata import version

from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary
from asyncua.ua import DataValue

SOURCE = datetime(2026, 3, 1, 12, 0, 0, tzinfo=timezone.utc)
SERVER = datetime(2026, 3, 1, 12, 0, 1, tzinfo=timezone.utc)


def ticks(time):
    """100 ns since 1601, as part 6, 5.2.2.5 has it."""
    return int((time - datetime(1601, 1, 1, tzinfo=timezone.utc)).total_seconds()) * 10**7


def sent(picoseconds):
    """Value (bit 0), both times (bits 2 and 3), SourcePicoseconds (bit 4): a Double 21.5, written by hand."""
    mask = 0x01 | 0x04 | 0x08 | (0x10 if picoseconds is not None else 0)
    out = struct.pack("<BBdq", mask, 11, 21.5, ticks(SOURCE))
    if picoseconds is not None:
        out += struct.pack("<H", picoseconds)
    return out + struct.pack("<q", ticks(SERVER))


def read(data):
    value = struct_from_binary(DataValue, Buffer(data))
    return value.Value.Value, str(value.StatusCode and value.StatusCode.name), value.SourceTimestamp, value.ServerTimestamp, value.SourcePicoseconds


plain, fine = read(sent(None)), read(sent(5))
print("version ", "asyncua", version("asyncua"))
print("expected", SERVER, "and 5")
print("seen    ", fine[3], "and", fine[4], "- without picoseconds:", plain[3])
known = plain[3].replace(tzinfo=timezone.utc) == SERVER and fine[0] == 21.5
known = known and fine[2].replace(tzinfo=timezone.utc) == SOURCE and (fine[3].year < 1700 or fine[3].year > 2200) and fine[4] == 0x01DC
sys.exit(0 if known else "the behaviour has changed")
END
v/bin/python show.py
