#!/bin/sh
# A reading with a factor that does not exist comes out without one: pysunspec2 and a scale factor "not implemented".
#
# Version:  pysunspec2 1.3.7
# Expected: 8000 hex in a register of type sunssf means that the device does not implement the scale factor (SunSpec
#           Device Information Model Specification, "not implemented" values). What 6553 amperes or tenths of them are
#           is then not known, and the computed value is none, as it is for a point that is not implemented itself.
# Seen:     the computed value is the raw number, 6553. With factor -1 it is 655.3, with factor 0 also 6553: "unknown"
#           and "times one" come out the same.
# Matters:  a device that does not give the factor, or not yet, shows currents and powers that may be ten or a hundred
#           times too large, and nothing marks them.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check pysunspec2==1.3.7

cat > show.py <<'END'
import struct
import sys
from importlib.metadata import version

import sunspec2.device


def current(factor):
    """The computed AC current of model 103 (three-phase inverter): A at offset 2, A_SF at 6."""
    words = [103, 50] + [0xFFFF] * 50
    words[2], words[6] = 6553, factor & 0xFFFF
    model = sunspec2.device.Model(103, data=struct.pack(f">{len(words)}H", *words), model_len=50)
    return model.A.cvalue, model.A_SF.value


print("versions", "pysunspec2", version("pysunspec2"))
print("expected", "655.3 with -1, 6553 with 0, none with 8000 hex")
seen = {factor: current(factor) for factor in (-1, 0, -32768)}
for factor, (value, read) in seen.items():
    print("seen    ", value, "with", factor, "- the factor itself is read as", read)
good = round(seen[-1][0], 6) == 655.3 and seen[0] == (6553, 0) and seen[-32768] == (6553, None)
sys.exit(0 if good else "the behaviour has changed")
END
v/bin/python show.py
