"""Who a device says it is: function 43/14, the basic identification (V1.1b3, 6.21). Pure."""

from __future__ import annotations

from collections.abc import Mapping

from collectors.base import Identity
from collectors.modbus.config import Config
from collectors.modbus.replies import Question


def question(config: Config, following: int) -> Question:
    """Asks for the objects from a number on."""
    pdu = bytes([43, 14, 1, following])
    return Question(unit=config.unit, pdu=pdu, size=None, reply_unit=config.reply_unit)


def identified(pdu: bytes) -> tuple[dict[int, bytes], int]:
    """Objects of an identification by number, and which one to ask for next, 0 where all were told."""
    if len(pdu) < 7 or pdu[0] & 0x80:
        return {}, 0
    out, at = {}, 7
    for _ in range(pdu[6]):
        if at + 2 > len(pdu):
            break
        out[pdu[at]] = pdu[at + 2 : at + 2 + pdu[at + 1]]
        at += 2 + pdu[at + 1]
    return out, pdu[5] if pdu[4] else 0


def identity(objects: Mapping[int, bytes]) -> Identity:
    """Vendor, product code and revision."""
    return Identity(vendor=_text(objects, 0), model=_text(objects, 1), firmware=_text(objects, 2))


def _text(objects: Mapping[int, bytes], number: int) -> str:
    held = objects.get(number, b"")
    return held.decode("utf-8", "replace").strip("\0 ") if isinstance(held, bytes) else ""
