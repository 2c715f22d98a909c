#!/bin/sh
# Make the virtual environment, and say the next step where this machine cannot.
set -eu
python=$1 venv=$2
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "checkvalve needs Python 3.11 or newer; '$python' is $("$python" -V 2>&1). Next step: make PYTHON=python3.12 demo" >&2
    exit 2
}
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >/dev/null
    else
        echo "'$python' has no venv module. Next step: apt-get install python3-venv" >&2
        exit 2
    fi
fi
echo "making $venv with $("$python" -V 2>&1)"
"$python" -m venv "$venv"
