#!/bin/sh
# Add a collector of one's own to this installation, from its wheel: no network, nothing built, nothing of ours replaced.
#
#   checkvalve-add-collector WHEEL..      the collector's, and those of libraries that it needs besides
#
# The wheels are kept in share/collectors, and installed again whenever the bundle is. `checkvalve audit code` tells
# what was added.
set -eu
umask 022

stop() { echo "checkvalve-add-collector: $1" >&2; [ -z "${2:-}" ] || echo "next step: $2" >&2; exit 2; }

prefix=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
[ $# -gt 0 ] || stop "which wheel?" "checkvalve-add-collector NAME-VERSION-py3-none-any.whl"
for one; do
    [ -e "$one" ] || stop "there is no $one"
    [ ! -d "$one" ] || stop "$one is a folder, and nothing is built here" \
        "where it was written: python3 -m pip wheel --no-deps --wheel-dir . $one"
    case $one in *.whl) ;; *) stop "$one is no wheel" "name a .whl file" ;; esac
done
[ -w "$prefix/share" ] || stop "$prefix cannot be written by this user" "sudo $0 $*"

# what is here keeps its version: a wheel that would replace any of it is refused
locked=$(mktemp)
trap 'rm -f "$locked"' EXIT
sed 's/ --hash=.*//' "$prefix/share/requirements.lock" > "$locked"
pip() {
    PIP_CONFIG_FILE=/dev/null PYTHONPATH=$(ls "$prefix"/share/bootstrap/pip-*.whl) \
        "$prefix/bin/python" -m pip --isolated install --quiet --no-index --disable-pip-version-check \
        --no-warn-script-location --only-binary :all: "$@"
}
pip --constraint "$locked" "$@" || stop "nothing was added" "name the wheels of all libraries that it needs, none of ours"
pip --no-deps --force-reinstall "$@"   # a wheel that was made again under the same version is another one
mkdir -p "$prefix/share/collectors"
for one; do
    [ "$(readlink -f "$one")" = "$prefix/share/collectors/$(basename "$one")" ] || cp "$one" "$prefix/share/collectors/"
done
chmod -R u=rwX,go=rX "$prefix"
"$prefix/bin/python" -P - <<'END'
from importlib.metadata import entry_points

for one in entry_points(group="checkvalve.collectors"):
    if one.dist is not None and not one.dist.name.startswith("checkvalve-high"):
        print(f"collector {one.name}: {one.dist.name} {one.dist.version}")
END
