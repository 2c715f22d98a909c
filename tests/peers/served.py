"""Servers that others wrote, each in a process of its own: `python served.py KIND PORT ..`, on loopback, until ended.

    python-opcua    by FreeOpcUa (LGPL): machines A and B, their namespaces registered in the order of the arguments
    umodbus         by Advanced Climate Systems (MPL): 100 of each table, unit 1
    libmodbus       Debian's libmodbus5 (LGPL), by ctypes: the same, one connection at a time

Modbus: register `a` holds 3 * a, bit `a` is set where 3 divides it. Nothing beyond address 99 exists.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
import math
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

HOST = "127.0.0.1"
COUNT = 100
VALUES = {"A": 100.0, "B": 200.0}
OLD = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
UNCERTAIN = 0x40920000


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(kind: str, port: int, *more: str) -> Iterator[None]:
    """The server listens while this is open."""
    command = [sys.executable, __file__, kind, str(port), *more]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n", f"{kind} did not start"
            yield
        finally:
            server.kill()


def word(address: int) -> int:
    """What register `address` holds."""
    return address * 3


def bit(address: int) -> int:
    """What coil or input `address` holds."""
    return int(address % 3 == 0)


def _ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def _python_opcua(port: int, *order: str) -> None:
    from opcua import Server, ua

    logging.disable(logging.CRITICAL)
    server = Server()
    server.set_endpoint(f"opc.tcp://{HOST}:{port}/peer")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    for name in order:
        space = server.register_namespace(f"urn:machine:{name}")
        machine = server.nodes.objects.add_object(space, f"Machine{name}")

        def add(node: Any, browse: str, value: Any, kind: Any = None, *, space: int = space, to: Any = machine) -> Any:
            return to.add_variable(ua.NodeId(node, space), ua.QualifiedName(browse, space), value, kind)

        add("Pressure", "Pressure", VALUES[name])
        add(50, "Speed", VALUES[name] + 1)
        add("spectrum", "spectrum", [1.0, math.nan, 3.0])
        add("large", "large", 2**63 + 5, ua.VariantType.UInt64)
        add("markup", "markup", "[/x]")
        still = ua.DataValue(ua.Variant(6.5, ua.VariantType.Double), ua.StatusCode(UNCERTAIN))
        still.SourceTimestamp = OLD.replace(tzinfo=None)
        add("still", "still", 6.5).set_value(still)
    server.start()
    events = server.get_event_generator()
    _ready()
    number = 0
    while True:
        time.sleep(0.2)
        number += 1
        events.event.Severity = 400
        events.trigger(message=f"event {number}")


def _umodbus(port: int) -> None:
    from umodbus.server.tcp import RequestHandler, get_server

    server = get_server(socketserver.TCPServer, (HOST, port), RequestHandler)

    def of(slave_id: int, function_code: int, address: int) -> int:
        return bit(address) if function_code < 3 else word(address)

    server.route(slave_ids=[1], function_codes=[1, 2, 3, 4], addresses=range(COUNT))(of)
    _ready()
    server.serve_forever()


class _Mapping(ctypes.Structure):
    """modbus_mapping_t of modbus.h."""

    _fields_ = (
        *((name, ctypes.c_int) for name in ("bits", "b", "inputs", "i", "words", "w", "registers", "r")),
        ("tab_bits", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_inputs", ctypes.POINTER(ctypes.c_uint8)),
        ("tab_words", ctypes.POINTER(ctypes.c_uint16)),
        ("tab_registers", ctypes.POINTER(ctypes.c_uint16)),
    )


def _libmodbus(port: int) -> None:
    library = ctypes.CDLL(ctypes.util.find_library("modbus") or "libmodbus.so.5")
    library.modbus_new_tcp.restype = ctypes.c_void_p
    library.modbus_mapping_new.restype = ctypes.POINTER(_Mapping)
    context = ctypes.c_void_p(library.modbus_new_tcp(HOST.encode(), port))
    mapping = library.modbus_mapping_new(COUNT, COUNT, COUNT, COUNT)
    for at in range(COUNT):
        mapping[0].tab_bits[at] = mapping[0].tab_inputs[at] = bit(at)
        mapping[0].tab_words[at] = mapping[0].tab_registers[at] = word(at)
    listening = ctypes.c_int(library.modbus_tcp_listen(context, 1))
    query = (ctypes.c_uint8 * 260)()
    _ready()
    while library.modbus_tcp_accept(context, ctypes.byref(listening)) >= 0:
        while (size := library.modbus_receive(context, query)) >= 0:
            library.modbus_reply(context, query, size, mapping)
        library.modbus_close(context)


KINDS = {"python-opcua": _python_opcua, "umodbus": _umodbus, "libmodbus": _libmodbus}

if __name__ == "__main__":
    KINDS[sys.argv[1]](int(sys.argv[2]), *sys.argv[3:])
