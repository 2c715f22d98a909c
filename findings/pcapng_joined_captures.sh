#!/bin/sh
# Two captures joined with `cat`: scapy dates the packets of the second by the clock of the first.
#
# Versions: scapy 2.8.0 and, for comparison, python-pcapng 2.1.1 and tshark where there is one
# Expected: a pcapng file may hold several sections, so joining two files with `cat` gives a valid one; each section
#           numbers its interfaces anew from 0 (draft-ietf-opsawg-pcapng, 4.1). Two packets of noon on 1 July 2026, the
#           first from an interface that counts microseconds, the second from one that counts nanoseconds, both read as
#           1782907200 s.
# Seen:     scapy does not begin anew. It looks up "interface 0" of the second section among those of the whole file and
#           finds the first section's: the second packet is read as 1782907200000 s, the year 58468. python-pcapng reads
#           both as noon. The link type is mixed up in the same way: the second section's raw IP packet is taken for an
#           Ethernet frame.
# Matters:  an auditor who joins the captures of a night gets the wrong times and, worse, the wrong packets.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check scapy==2.8.0 python-pcapng==2.1.1

cat > write.py <<'END'
import struct
from pathlib import Path

NOON = 1782907200


def block(kind, content):
    content += bytes(-len(content) % 4)
    size = struct.pack("<I", len(content) + 12)
    return struct.pack("<I", kind) + size + content + size


def capture(link, digits, units, packet):
    """One section with one interface that counts 10^-digits seconds, and one packet."""
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    option = struct.pack("<HHB3x", 9, 1, digits) + bytes(4)  # if_tsresol, end of options
    interface = block(1, struct.pack("<HHI", link, 0, 0) + option)
    head = struct.pack("<IIIII", 0, units >> 32, units & 0xFFFFFFFF, len(packet), len(packet))
    return section + interface + block(6, head + packet)


ip = bytes.fromhex("4500001c000100004011b8c87f0000017f000001 04d204d200080000")
Path("one.pcapng").write_bytes(capture(1, 6, NOON * 10**6, bytes(12) + b"\x08\x00" + ip))
Path("two.pcapng").write_bytes(capture(101, 9, NOON * 10**9, ip))
END
cat > show.py <<'END'
import shutil
import subprocess
import sys
from importlib.metadata import version

from pcapng import FileScanner
from pcapng.blocks import EnhancedPacket
from scapy.layers.inet import UDP
from scapy.utils import rdpcap


def by_scapy(name):
    return [(int(packet.time), UDP in packet) for packet in rdpcap(name)]


def by_pcapng(name):
    with open(name, "rb") as file:
        return [int(one.timestamp) for one in FileScanner(file) if isinstance(one, EnhancedPacket)]


alone, joined, peer = by_scapy("two.pcapng"), by_scapy("both.pcapng"), by_pcapng("both.pcapng")
print("versions", "scapy", version("scapy"), "- python-pcapng", version("python-pcapng"))
print("expected", "1782907200 s and a UDP packet, twice")
print("seen    ", "scapy", joined, "(the second file alone:", alone, ") - python-pcapng", peer)
if shutil.which("tshark"):
    asked = ["tshark", "-r", "both.pcapng", "-T", "fields", "-e", "frame.time_epoch", "-e", "udp.port"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60).stdout.split("\n")
    print("          tshark", [line.split("\t")[0] for line in told if line])
noon = 1782907200
known = alone == [(noon, True)] and joined == [(noon, True), (noon * 1000, False)] and peer == [noon, noon]
sys.exit(0 if known else "the behaviour has changed")
END
v/bin/python write.py
cat one.pcapng two.pcapng > both.pcapng
v/bin/python show.py
