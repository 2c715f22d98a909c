#!/bin/sh
# A stream that ends in good order is followed no more: CESMII's i3x-client listens on after a broken one alone.
#
# Version:  i3x-client 1.0.0 (httpx 0.28.1)
# Expected: whoever called subscribe() hears of changes until unsubscribe(), or is told by on_error that no more will
#           come. A server or a proxy that is being stopped ends its streams as HTTP asks: with the last chunk.
# Seen:     after that last chunk the client's thread returns: it opens no other stream, on_error is not called, and
#           is_connected stays true. Where the connection breaks instead, on_error is called and another stream is
#           opened within seconds. The specification ends a stream in good order in one case alone, for a second stream of
#           the same subscription.
# Matters:  a display shows old values as current. A server should end a stream in good order only where nobody is to
#           come back, and break it off otherwise.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check i3x-client==1.0.0 httpx==0.28.1

cat > show.py <<'END'
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import i3x

ANSWERS = {
    "/v1/info": {"specVersion": "1.0", "serverVersion": "1.0", "capabilities": {}},
    "/v1/subscriptions": {"subscriptionId": "s"},
}
UPDATE = [{"elementId": "a", "value": 1, "quality": "Good", "timestamp": "2025-11-23T08:00:00Z"}]


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    streams, orderly = 0, True

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/v1/subscriptions/stream":
            Server.streams += 1
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            line = f"data: {json.dumps(UPDATE)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line) + (b"0\r\n\r\n" if Server.orderly else b""))
            self.close_connection = True
            return
        body = {"success": True, "result": ANSWERS[self.path]} if self.path in ANSWERS else {"success": True, "results": []}
        told = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
seen = {}
for way in ("ended in good order", "broken off"):
    Server.streams, Server.orderly, errors = 0, way == "ended in good order", []
    client = i3x.Client(f"http://127.0.0.1:{server.server_address[1]}/v1")
    client.on_error = lambda client, error: errors.append(error)
    client.connect()
    client.subscribe(["a"])
    time.sleep(6)
    seen[way] = {"streams opened": Server.streams, "errors told": len(errors), "connected": client.is_connected}
    client.disconnect()
print("version i3x-client", version("i3x-client"), "httpx", version("httpx"))
print("expected another stream, or an error, both times")
print("seen    ", seen)
quiet, broken = seen.values()
known = quiet == {"streams opened": 1, "errors told": 0, "connected": True}
sys.exit(0 if known and broken["streams opened"] > 1 and broken["errors told"] else "the behaviour has changed")
END
v/bin/python show.py
