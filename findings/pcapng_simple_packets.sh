#!/bin/sh
# A packet without a time gets the time of reading: scapy and pcapng's Simple Packet Block.
#
# Versions: scapy 2.8.0, dpkt 1.9.8, python-pcapng 2.1.1
# Expected: a Simple Packet Block holds no time (draft-ietf-opsawg-pcapng, 4.4). A reader says so, or gives the time 0.
# Seen:     scapy gives the packet the moment at which the file is read, another one at each reading, among packets of
#           a capture of July 2026; dpkt leaves the packet out without a word; python-pcapng hands it over and has no
#           timestamp for it. The packet with a time beside it is read equally by all three.
# Matters:  in a proof that rests on when a packet was seen, one reader invents the time and another hides the packet.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check scapy==2.8.0 dpkt==1.9.8 python-pcapng==2.1.1

cat > show.py <<'END'
import struct
import sys
import time
from importlib.metadata import version
from pathlib import Path

import dpkt
from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket, SimplePacket
from scapy.utils import rdpcap

NOON = 1782907200  # 1 July 2026


def block(kind, content):
    content += bytes(-len(content) % 4)
    size = struct.pack("<I", len(content) + 12)
    return struct.pack("<I", kind) + size + content + size


frame = bytes(12) + b"\x88\xb5" + bytes(46)
units = NOON * 10**6
Path("a.pcapng").write_bytes(
    block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    + block(1, struct.pack("<HHI", 1, 0, 0))
    + block(3, struct.pack("<I", len(frame)) + frame)
    + block(6, struct.pack("<IIIII", 0, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame)) + frame)
)


def by_dpkt():
    with open("a.pcapng", "rb") as file:
        return [float(moment) for moment, _ in dpkt.pcapng.Reader(file)]


def by_pcapng():
    with open("a.pcapng", "rb") as file:
        packets = [one for one in FileScanner(file) if isinstance(one, (SimplePacket, EnhancedPacket))]
        return [getattr(one, "timestamp", None) for one in packets]


before = time.time()
first = [float(packet.time) for packet in rdpcap("a.pcapng")]
time.sleep(1)
again = [float(packet.time) for packet in rdpcap("a.pcapng")]
after = time.time()
invented = before <= first[0] < again[0] - 0.9 and again[0] <= after
print("versions", "scapy", version("scapy"), "- dpkt", version("dpkt"), "- python-pcapng", version("python-pcapng"))
print("expected", [None, float(NOON)], "or", [0.0, float(NOON)])
print("seen    ", "scapy", first, "and a second later", again, "- dpkt", by_dpkt(), "- python-pcapng", by_pcapng())
known = invented and first[1:] == again[1:] == by_dpkt() == [NOON] and by_pcapng() == [None, NOON]
sys.exit(0 if known else "the behaviour has changed")
END
v/bin/python show.py
