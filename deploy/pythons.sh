#!/bin/sh
# The unit tests under every Python from 3.11 to 3.14 that this machine has; each in an environment of its own, kept in
# .venv-3.N. What is not here is said, and is no failure. Usage: deploy/pythons.sh [PYTEST-WORDS..]
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- -q -m "not soak" tests/protocol tests/audit tests/sender tests/receiver tests/simulator tests/test_checkvalve.py tests/test_commands.py
failed=''
for minor in 11 12 13 14; do
    python=''
    for one in "python3.$minor" "$HOME/.pyenv/versions/3.$minor."*/bin/python; do
        "$one" -c '' 2>/dev/null && python=$one
    done
    [ -n "$python" ] || { echo "Python 3.$minor: not on this machine"; continue; }
    venv=.venv-3.$minor
    [ -x "$venv/bin/python" ] || deploy/make-venv.sh "$python" "$venv"
    deploy/pip-shown.sh "$venv/bin/python" --editable '.[fast,dev]'
    echo "Python 3.$minor: $("$venv/bin/python" -V)"
    "$venv/bin/python" -m pytest "$@" || failed="$failed 3.$minor"
done
[ -z "$failed" ] || { echo "failed under$failed" >&2; exit 1; }
