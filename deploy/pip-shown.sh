#!/bin/sh
# pip install that says what it is at: one line that moves on a terminal, a line for every tenth library elsewhere.
# What pip printed is shown only where it failed. Usage: deploy/pip-shown.sh PYTHON WHAT..
set -eu
python=$1; shift
log=$(mktemp)
trap 'rm -f "$log"' EXIT
moves=0 beat=10
[ ! -t 1 ] || moves=1 beat=1

show() {
    if [ $moves = 1 ]; then printf '\r\033[K  %s' "$1"; else echo "  $1"; fi
}

# pip is silent while it writes: how many libraries are there is seen in the folder
writing() {
    while sleep $beat >/dev/null 2>&1; do
        there=$(ls -d "${python%/*}"/../lib/python*/site-packages/*.dist-info 2>/dev/null | wc -l)
        show "writing: $there of $1"
    done
}

# lines are read by the shell: mawk, which is Debian's awk, waits for 4 KB of them and then says everything at once
follow() {
    count=0 last= writer=
    while read -r word what rest; do
        case "$word $what" in
        "Installing build") show "fetching what builds checkvalve itself" ;;
        Collecting*)
            count=$((count + 1))
            if [ $moves = 1 ] || [ $((count % 10)) = 0 ]; then show "library $count: $what"; fi
            last=$what ;;
        Downloading*)
            case $rest in *" MB)") show "fetching $last $rest" ;; esac ;;
        "Installing collected")
            set -- $rest
            show "writing $(($# - 1)) libraries into the environment .."
            writing $(($# - 1)) &
            writer=$! ;;
        esac
    done
    [ -z "$writer" ] || { kill "$writer"; wait "$writer"; } 2>/dev/null || true
    [ $moves = 0 ] || printf '\r\033[K'
}

echo "installing $* and its libraries; the first time takes about half a minute"
{ PYTHONUNBUFFERED=1 "$python" -m pip install --disable-pip-version-check --progress-bar off "$@" 2>&1 && echo 0 || echo $?; } |
    tee "$log" | follow
code=$(tail -n 1 "$log")
if [ "$code" != 0 ]; then
    sed '$d' "$log" | tail -n 25 >&2
    echo "pip ended with exit code $code. Next step: mend what it says above (no network? a proxy?), and type the same again" >&2
    exit 1
fi
echo "installed"
