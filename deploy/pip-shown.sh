#!/bin/sh
# pip install that says what it is at: one line that moves on a terminal, a line for every tenth library elsewhere.
# What pip printed is shown only where it failed. Usage: deploy/pip-shown.sh PYTHON WHAT..
set -eu
python=$1; shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
moves=0; [ ! -t 1 ] || moves=1
echo "installing $* and its libraries; the first time takes about half a minute"
{ PYTHONUNBUFFERED=1 "$python" -m pip install --disable-pip-version-check --progress-bar off "$@" 2>&1 && echo 0 || echo $?; } |
    tee "$log" | awk -v moves=$moves '
        function show(text) { if (moves) printf "\r\033[K  %s", text; else print "  " text; fflush() }
        /^ *Collecting / { count++; last = $2; if (moves || count % 10 == 0) show("library " count ": " last) }
        /^ *Downloading / && /\([0-9.]+ MB\)/ { show("fetching " last " " $(NF - 1) " " $NF) }
        /^Installing collected packages/ { show("writing " NF - 3 " libraries into the environment ..") }
        END { if (moves) printf "\r\033[K"; fflush() }'
code=$(tail -n 1 "$log")
if [ "$code" != 0 ]; then
    sed '$d' "$log" | tail -n 25 >&2
    echo "pip ended with exit code $code. Next step: mend what it says above (no network? a proxy?), and type the same again" >&2
    exit 1
fi
echo "installed"
