#!/bin/sh
# An aware time goes out hours wrong on IEC 60870-5-104: c104 drops the zone of a datetime.
#
# Version:  c104 2.2.1 (lib60870 inside)
# Expected: a datetime with a zone is one moment, whatever the zone of the machine: 12:00 UTC and 14:00 +02:00 are the
#           same. The time tag on the line (CP56Time2a) is written in UTC by this library, so its hour is 12.
# Seen:     on a machine in the zone Europe/Berlin, in July, the tag of 12:00 UTC says hour 10 and that of 14:00 +02:00
#           says hour 12: the zone is thrown away without a word and the digits are taken as local time. With TZ=UTC
#           nothing is to be seen for the first, and the second is two hours late.
# Matters:  whoever follows the usual advice (keep aware UTC times) sends wrong ones, and a test on a machine in UTC
#           passes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check c104==2.2.1 tzdata==2025.2

cat > show.py <<'END'
import socket
import struct
import time
from datetime import UTC, datetime, timedelta, timezone

import c104

with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]

frames = []


def heard(connection: c104.Connection, data: bytes) -> None:
    frames.append(bytes(data))


server = c104.Server(ip="127.0.0.1", port=port)
point = server.add_station(common_address=1).add_point(io_address=10, type=c104.Type.M_ME_TF_1)
server.start()
client = c104.Client()
link = client.add_connection(ip="127.0.0.1", port=port, init=c104.Init.ALL)
link.add_station(common_address=1).add_point(io_address=10, type=c104.Type.M_ME_TF_1)
link.on_receive_raw(callable=heard)
client.start()


def hour(number, moment):
    """The hour in the time tag of this number when it is sent with this time."""
    point.info = c104.ShortInfo(actual=number, recorded_at=moment)
    for _ in range(100):
        if point.transmit(cause=c104.Cot.SPONTANEOUS):
            break
        time.sleep(0.1)
    for _ in range(100):
        for frame in list(frames):
            # One M_ME_TF_1 sent on its own: the number at byte 15, the last 7 bytes are the time.
            if len(frame) == 27 and frame[6] == 36 and frame[8] == 3 and frame[15:19] == struct.pack("<f", number):
                return frame[-7:][3] & 0x1F
        time.sleep(0.1)
    raise SystemExit("no value came")


for _ in range(100):
    if link.is_connected:
        break
    time.sleep(0.1)
link.unmute()
one = hour(1.5, datetime(2026, 7, 1, 12, 0, tzinfo=UTC))
other = hour(2.5, datetime(2026, 7, 1, 14, 0, tzinfo=timezone(timedelta(hours=2))))
client.stop()
server.stop()
print(one, other)
END
berlin=$(TZ=:$folder/v/lib/$(ls v/lib)/site-packages/tzdata/zoneinfo/Europe/Berlin timeout 60 v/bin/python show.py)
utc=$(TZ=UTC timeout 60 v/bin/python show.py)
echo "version  c104 $(v/bin/python -c 'from importlib.metadata import version; print(version("c104"))')"
echo "expected hours 12 12 for 12:00 UTC and 14:00 +02:00, in any zone of the machine"
echo "seen     hours $berlin in Europe/Berlin, $utc in UTC"
if [ "$berlin/$utc" != "10 12/12 14" ]; then
    echo "the behaviour has changed"
    exit 1
fi
