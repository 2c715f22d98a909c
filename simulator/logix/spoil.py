"""What a false Logix controller does wrong, done to a reply that was right (`simulator.device_faults` names the words).

    refuse               the request's service with the fault's code as general status
    busy                 status 0x02, resource unavailable
    short                the last two bytes of the data are missing; all lengths agree
    wrong_unit           another session handle
    wrong_function       another service code
    wrong_transaction    another sequence number (or context, outside a connection)
    garbage              random bytes in place of the whole message

Hanging, being late and resetting the connection are the server's to do; these are pure.

Source: ODVA, The CIP Networks Library, volume 2 (2-3 header, 2-6 common packet), volume 1 (appendix B-1 status).
"""

from __future__ import annotations

import random
import struct

from simulator.device_faults import Act, Fault

SEND_RR_DATA, SEND_UNIT_DATA = 0x6F, 0x70

_CIP_AT = {SEND_RR_DATA: 40, SEND_UNIT_DATA: 46}
"""Command -> where the CIP reply begins, in the replies of `encapsulation`."""

RESOURCE_UNAVAILABLE = 0x02


def can_meet(command: int) -> bool:
    """Only requests for data meet a fault: a session can always be had."""
    return command in _CIP_AT


def spoiled(fault: Fault, reply: bytes, source: random.Random) -> bytes:
    """The bytes to send in place of `reply`; itself for a fault that is not about bytes."""
    at = _CIP_AT[reply[0]]
    head, cip = reply[:at], reply[at:]
    match fault.act:
        case Act.REFUSE:
            return _joined(head, bytes((cip[0], 0, fault.code & 0xFF, 0)))
        case Act.BUSY:
            return _joined(head, bytes((cip[0], 0, RESOURCE_UNAVAILABLE, 0)))
        case Act.SHORT:
            return _joined(head, cip[:-2] if len(cip) > 6 else cip)
        case Act.WRONG_UNIT:
            return reply[:4] + struct.pack("<I", struct.unpack_from("<I", reply, 4)[0] ^ 0x5555) + reply[8:]
        case Act.WRONG_FUNCTION:
            return _joined(head, bytes((cip[0] ^ 0x01,)) + cip[1:])
        case Act.WRONG_TRANSACTION:
            place = at - 2 if reply[0] == SEND_UNIT_DATA else 12
            return reply[:place] + bytes(one ^ 0x55 for one in reply[place : place + 2]) + reply[place + 2 :]
        case Act.GARBAGE:
            return source.randbytes(len(reply))
        case _:
            return reply


def _joined(head: bytes, cip: bytes) -> bytes:
    """Head and CIP reply, the lengths in the head made to agree."""
    sequence = 2 if head[0] == SEND_UNIT_DATA else 0
    item = len(head) - sequence - 2
    made = head[:item] + struct.pack("<H", sequence + len(cip)) + head[item + 2 :] + cip
    return made[:2] + struct.pack("<H", len(made) - 24) + made[4:]
