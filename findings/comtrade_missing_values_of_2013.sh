#!/bin/sh
# A measured 99999 vanishes and a missing value is an error: the comtrade reader marks gaps by the rule of 1999 in a
# text file of 2013.
#
# Version:  comtrade 0.2.0
# Expected: in a text data file of revision 1999 a missing analogue value is written 99999; in revision 2013, where the
#           numbers may be any float, it is an empty field (IEEE C37.111-1999, 6.3; C37.111-2013, 8.4). So of the row
#           "1, 99999, (empty), 4" of revision 2013 the second is a number and the third is missing (NaN).
# Seen:     the reader makes NaN of the number 99999 and stops with a ValueError at the empty field. For revision 1999
#           it does what the standard says.
# Matters:  a recorder that writes amperes or volts as they are has its 99,999 cut out of the curve without a word.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM
cd "$folder"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check comtrade==0.2.0

cat > show.py <<'END'
import math
import sys
from importlib.metadata import version
from pathlib import Path

import comtrade


def read(revision, fields):
    """The channel of a record with one analogue channel, one sample a millisecond."""
    lines = [f"STATION,RECORDER,{revision}", "1,1A,0D", "1,VA,A,,V,1.0,0.0,0,-99999,99998,1,1,P", "50", "1"]
    lines += [f"1000,{len(fields)}", "01/07/2026,12:00:00.000000", "01/07/2026,12:00:00.000000", "ASCII", "1"]
    if revision == "2013":
        lines += ["0,0", "0,0"]
    Path("a.cfg").write_text("\r\n".join(lines) + "\r\n", newline="")
    rows = [f"{number + 1},{number * 1000},{text}\r\n" for number, text in enumerate(fields)]
    Path("a.dat").write_text("".join(rows), newline="")
    try:
        return ["missing" if math.isnan(value) else value for value in comtrade.load("a.cfg", "a.dat").analog[0]]
    except ValueError as error:
        return f"ValueError: {error}"


seen = {
    "1999, 99999": read("1999", ["1", "99999", "4"]),
    "2013, 99999": read("2013", ["1", "99999", "4"]),
    "2013, 99998": read("2013", ["1", "99998", "4"]),
    "2013, empty": read("2013", ["1", "", "4"]),
}
print("version ", "comtrade", version("comtrade"))
print("expected", "2013: [1.0, 99999.0, 4.0], [1.0, 99998.0, 4.0] and [1.0, 'missing', 4.0]")
for name, channel in seen.items():
    print("seen    ", name, "-", channel)
known = {
    "1999, 99999": [1.0, "missing", 4.0],
    "2013, 99999": [1.0, "missing", 4.0],
    "2013, 99998": [1.0, 99998.0, 4.0],
    "2013, empty": "ValueError: could not convert string to float: ''",
}
sys.exit(0 if seen == known else "the behaviour has changed")
END
v/bin/python show.py
