#!/bin/sh
# Four readers, two dates: an interface's time offset in a pcapng file is passed over by half of them.
#
# Versions: scapy 2.8.0, python-pcapng 2.1.1, dpkt 1.9.8 (and tshark where there is one)
# Expected: if_tsoffset is a number of seconds to be added to each of the interface's times
#           (draft-ietf-opsawg-pcapng, 4.2). A packet 5 s after an offset of noon, 1 July 2026, is of 12:00:05 that day.
# Seen:     dpkt (and tshark) add it. scapy and python-pcapng read the packet as 5 s after midnight, 1 January 1970;
#           python-pcapng knows the option by name and still does not use it.
# Matters:  devices that count from their own start write such files; two tools of one auditor then disagree by decades.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check scapy==2.8.0 dpkt==1.9.8 python-pcapng==2.1.1

cat > show.py <<'END'
import shutil
import struct
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import dpkt
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket, InterfaceDescription
from scapy.utils import rdpcap

NOON = 1782907200  # 1 July 2026


def block(kind, content):
    content += bytes(-len(content) % 4)
    size = struct.pack("<I", len(content) + 12)
    return struct.pack("<I", kind) + size + content + size


frame = bytes(12) + b"\x88\xb5" + bytes(46)
options = struct.pack("<HHB3x", 9, 1, 6) + struct.pack("<HHq", 14, 8, NOON) + bytes(4)  # if_tsresol, if_tsoffset, end
Path("a.pcapng").write_bytes(
    block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    + block(1, struct.pack("<HHI", 1, 0, 0) + options)
    + block(6, struct.pack("<IIIII", 0, 0, 5 * 10**6, len(frame), len(frame)) + frame)
)

seen = {"scapy": float(rdpcap("a.pcapng")[0].time)}
with open("a.pcapng", "rb") as file:
    blocks = list(FileScanner(file))
    seen["python-pcapng"] = next(float(one.timestamp) for one in blocks if isinstance(one, EnhancedPacket))
    named = next(one.options["if_tsoffset"] for one in blocks if isinstance(one, InterfaceDescription))
with open("a.pcapng", "rb") as file:
    seen["dpkt"] = float(next(iter(dpkt.pcapng.Reader(file)))[0])
print("versions", ", ".join(f"{name} {version(name)}" for name in seen))
print("expected", float(NOON + 5), "s")
print("seen    ", seen, "- python-pcapng's own reading of the option:", named)
if shutil.which("tshark"):
    asked = ["tshark", "-r", "a.pcapng", "-T", "fields", "-e", "frame.time_epoch"]
    print("          tshark", subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout.strip())
known = seen == {"scapy": 5.0, "python-pcapng": 5.0, "dpkt": NOON + 5.0} and named == NOON
sys.exit(0 if known else "the behaviour has changed")
END
v/bin/python show.py
