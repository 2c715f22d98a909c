"""Why a device opened no connection (Forward Open), in words: the CIP status, what the device is, and what that means.

Sources: CIP volume 1, 3-5.5 (connection manager, extended status of Forward Open); product names as devices of Rockwell
Automation tell them (catalog numbers 1747 SLC, 1761 to 1766 MicroLogix, 1785 PLC-5, 2080 Micro800). Pure.
"""

from __future__ import annotations

import re
import struct

_EXTENDED = {
    0x0100: "the connection is in use already",
    0x0103: "it knows no connection of this class",
    0x0106: "another one owns it",
    0x0107: "it does not know the connection",
    0x0109: "the size of the connection; write large_forward_open = false",
    0x0113: "no connections are left: close another client, or a module with more of them",
    0x0114: "another product is there than was asked for",
    0x0203: "the connection timed out",
    0x0204: "nobody answered behind the device: is the slot or the route right?",
    0x0205: "a parameter of the route is wrong",
    0x0301: "it has no memory left for connections",
    0x0311: "the route names a port that it does not have",
    0x0312: "the route names a slot or an address that is not there",
    0x0315: 'the route has a segment that it does not know; a device without a backplane has none: write route = ""',
    0x0318: "the route leads back to itself",
}
_GENERAL = {
    0x01: "the connection failed",
    0x02: "it has no resources left",
    0x04: "it does not know the path",
    0x05: 'nothing is at that path; a device without a backplane has none: write route = ""',
    0x08: "it does not know the service",
}

_PCCC = "speaks PCCC, not read here: put a gateway or a Logix controller in front of it"
_PRODUCTS = (
    (r"1747|SLC", f"an SLC 500 {_PCCC}"),
    (r"1785|PLC-?5", f"a PLC-5 {_PCCC}"),
    (r"176[1-6]|MicroLogix", f"a MicroLogix {_PCCC}"),
    (r"2080|Micro8", 'a Micro800 has no backplane and lists few of its tags: write route = "" and browse = false'),
    (r"PowerFlex|20-COMM|22-COMM|25-COMM", "a PowerFlex has parameters, no tags; it speaks PCCC, not read here"),
)


def explain(reply: bytes, product: str) -> str:
    """What a refused Forward Open says.

    Args:
        reply: Of the connection manager, from its service on; empty where there is none.
        product: The device's own name; empty where it tells none.
    """
    said = "the device opened no connection"
    if len(reply) >= 4:
        general, words = reply[2], reply[3]
        extended = struct.unpack_from("<H", reply, 4)[0] if words and len(reply) >= 6 else None
        known = (_EXTENDED.get(extended) if extended is not None else None) or _GENERAL.get(general)
        status = f"CIP status 0x{general:02X}" + (f", extended 0x{extended:04X}" if extended is not None else "")
        said += f" ({status}{': ' + known if known else ''})"
    if product:
        means = next((text for pattern, text in _PRODUCTS if re.search(pattern, product, re.IGNORECASE)), "")
        said += f"; it is {product!r}" + (f": {means}" if means else "")
    return said
