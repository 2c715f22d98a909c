#!/bin/sh
# Forty milliseconds a page: asyncio sends at once only on a socket that was made with its protocol's number.
#
# Version:  Python 3.11.7, 3.12.1, 3.13.0
# Expected: every TCP transport of asyncio has TCP_NODELAY, "by default since 3.6" as its documentation says; so it does
#           not matter whether a listening socket was made by socket(AF_INET, SOCK_STREAM), as everybody writes it.
# Seen:     the option is set where `sock.proto` is IPPROTO_TCP, and there it is 0; accept() hands the 0 on. An answer of
#           two writes (a head, a body) then waits on a kept connection for the other end's delayed acknowledgement.
#           Servers that asyncio or uvicorn bind themselves come from getaddrinfo, which names the protocol.
# Matters:  a server that takes connections in by itself is a hundred times slower than it need be, and no profile shows
#           it: nobody computes anything.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"

cat > show.py <<'END'
import asyncio
import socket
import statistics
import sys
import time


class TwoWrites(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(b"head")
        self.transport.write(b"body")


async def answers(proto):
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, proto) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        with socket.create_connection(listening.getsockname()) as client:
            taken, _ = listening.accept()
            taken.setblocking(False)
            transport, _ = await loop.connect_accepted_socket(TwoWrites, taken)

            def asked():
                begun = time.perf_counter()
                client.sendall(b"?")
                held = b""
                while len(held) < 8:
                    held += client.recv(8)
                return (time.perf_counter() - begun) * 1e3

            took = [await asyncio.to_thread(asked) for _ in range(30)]
            held = transport.get_extra_info("socket")
            nodelay = bool(held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            transport.close()
            return nodelay, statistics.median(took)


plain, named = asyncio.run(answers(0)), asyncio.run(answers(socket.IPPROTO_TCP))
print("version ", "Python", sys.version.split()[0])
print("expected", "TCP_NODELAY on both")
print("seen    ", f"proto 0: {plain[0]}, {plain[1]:.1f} ms an answer - IPPROTO_TCP: {named[0]}, {named[1]:.1f} ms")
sys.exit(0 if (plain[0], named[0]) == (False, True) else "the behaviour has changed")
END
python3 show.py
